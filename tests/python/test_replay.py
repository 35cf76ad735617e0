"""The replay reads what deltalake reads, and sees what is wrong with a log."""
import json
import os
import shutil
import sys
import tempfile
import unittest

import deltalake
import pyarrow as pa
import pyarrow.parquet as parquet

import replay


def batch(first, last):
    return pa.table({"n": list(range(first, last)), "x": [n / 2 for n in range(first, last)]})


class Replay(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.path = f"{self.root}/t"

    def check(self, **removed):
        return replay.Table(self.root, "t").check(bool(removed))

    def same(self, version=None):
        """What deltalake reads is what is replayed."""
        theirs = deltalake.DeltaTable(self.path, version=version)
        table = replay.Table(self.root, "t")
        mine = table.live_rows(table.state(theirs.version()))
        self.assertEqual(mine, replay.multiset(theirs.to_pyarrow_table()))

    def grown(self):
        """Appends, a checkpoint, deletions with change data, a compaction."""
        write = deltalake.write_deltalake
        configuration = {"delta.enableChangeDataFeed": "true"}
        txn = deltalake.CommitProperties(app_transactions=[deltalake.Transaction("a", 7)])
        write(self.path, batch(0, 10), configuration=configuration, commit_properties=txn)
        write(self.path, batch(5, 20), mode="append")
        table = deltalake.DeltaTable(self.path)
        table.create_checkpoint()
        table.delete("n < 7")
        table.update(predicate="n = 12", updates={"x": "0"})
        write(self.path, batch(20, 30), mode="append")
        deltalake.DeltaTable(self.path).optimize.compact()
        write(self.path, batch(30, 31), mode="append")

    def test_reads_what_deltalake_reads(self):
        self.grown()
        for version in range(7):
            self.same(version)
        found = self.check()
        self.assertEqual((found["version"], found["checked"], found["checkpoints"]), (6, 7, [1]))
        self.assertEqual((found["rows"], found["inserted"], found["deleted"]), (27, 37, 10))
        self.assertEqual(found["txns"], {"a": 7})
        # Without the commits before the checkpoint.
        os.remove(f"{self.path}/_delta_log/{0:020}.json")
        self.same()
        again = self.check()
        self.assertEqual((again["oldest"], again["digest"]), (1, found["digest"]))
        feed = replay.feed(self.root, "t", 1, 6)
        self.assertEqual((feed["inserted"], feed["deleted"]), (12, 10))

    def test_removed_files_may_be_gone_where_it_is_said(self):
        self.grown()
        digest = self.check()["digest"]
        table = deltalake.DeltaTable(self.path)
        table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        with self.assertRaisesRegex(replay.Broken, "files are gone"):
            self.check()
        found = self.check(removed=True)
        self.assertEqual(found["digest"], digest)
        self.assertLess(found["checked"], 7)

    # A log that is written by hand.

    def write(self, version, *actions):
        os.makedirs(f"{self.path}/_delta_log", exist_ok=True)
        with open(f"{self.path}/_delta_log/{version:020}.json", "w") as file:
            file.writelines(json.dumps(action) + "\n" for action in actions)

    def add(self, path, rows, **more):
        parquet.write_table(batch(*rows), f"{self.path}/{path}")
        size = os.path.getsize(f"{self.path}/{path}")
        stats = json.dumps({"numRecords": rows[1] - rows[0]})
        return {"add": {"path": path, "size": size, "dataChange": True, "stats": stats} | more}

    def create(self):
        self.write(
            0,
            {"protocol": {"minReaderVersion": 1, "minWriterVersion": 4}},
            {"metaData": {"id": "1", "partitionColumns": [], "configuration": {}}},
        )

    def broken(self, why):
        with self.assertRaisesRegex(replay.Broken, why):
            self.check()

    def test_a_whole_log(self):
        self.create()
        self.write(1, self.add("a", (0, 4)), {"txn": {"appId": "s", "version": 3}})
        self.write(2, self.add("b", (4, 6)), {"remove": {"path": "a", "dataChange": True}})
        found = self.check()
        self.assertEqual((found["rows"], found["inserted"], found["deleted"]), (2, 6, 4))
        self.assertEqual(found["txns"], {"s": 3})

    def test_versions_are_contiguous(self):
        self.create()
        self.write(2, self.add("a", (0, 4)))
        self.broken("not contiguous; missing .1.")

    def test_a_file_is_added_once(self):
        self.create()
        self.write(1, self.add("a", (0, 4)))
        self.write(2, self.add("a", (0, 4)))
        self.broken("adds what is there")
        self.write(2, {"remove": {"path": "a", "dataChange": True}})
        self.write(3, self.add("a", (0, 4)))
        self.broken("a second time")

    def test_a_file_is_removed_once(self):
        self.create()
        self.write(1, self.add("a", (0, 4)))
        for version in (2, 3):
            self.write(version, {"remove": {"path": "a", "dataChange": True}})
        self.broken("removes what is not there")

    def test_statistics_and_sizes_are_those_of_the_file(self):
        self.create()
        self.write(1, self.add("a", (0, 4), stats=json.dumps({"numRecords": 5})))
        self.broken("numRecords is 5 of 4")
        self.write(1, self.add("a", (0, 4), size=1))
        self.broken("size is 1 of")

    def test_a_compaction_changes_no_rows(self):
        self.create()
        self.write(1, self.add("a", (0, 4)))
        compacted = self.add("b", (0, 5), dataChange=False)
        self.write(2, compacted, {"remove": {"path": "a", "dataChange": False}})
        self.broken("the change feed does not give")

    def test_change_data_is_what_changed(self):
        self.create()
        self.write(1, self.add("a", (0, 4)))
        os.makedirs(f"{self.path}/_change_data")
        for first, why in ((3, None), (2, "the change feed does not give")):
            kind = pa.array(["delete"])
            changed = batch(first, first + 1).append_column("_change_type", kind)
            parquet.write_table(changed, f"{self.path}/_change_data/c")
            cdc = {"cdc": {"path": "_change_data/c", "size": 1, "dataChange": False}}
            self.write(2, self.add("b", (0, 3)), {"remove": {"path": "a", "dataChange": True}}, cdc)
            self.broken(why) if why else self.assertEqual(self.check()["deleted"], 1)

    def test_a_checkpoint_is_what_the_commits_make(self):
        self.grown()
        path = f"{self.path}/_delta_log/{1:020}.checkpoint.parquet"
        whole = parquet.read_table(path)
        parquet.write_table(whole.filter(pa.compute.is_null(whole["txn"])), path)
        self.assertEqual(self.check()["txns"], {})
        rows = [row for row in whole.to_pylist()]
        less = [row for row in rows if not row["add"]] + [row for row in rows if row["add"]][1:]
        parquet.write_table(pa.Table.from_pylist(less, whole.schema), path)
        self.broken("removes what is not there")

    def test_a_last_checkpoint_names_one_that_is_there(self):
        self.grown()
        with open(f"{self.path}/_delta_log/_last_checkpoint", "w") as file:
            json.dump({"version": 3, "size": 1}, file)
        self.broken("_last_checkpoint names 3")

    def test_a_checkpoint_in_parts(self):
        self.grown()
        log = f"{self.path}/_delta_log"
        whole = parquet.read_table(f"{log}/{1:020}.checkpoint.parquet")
        for part in (1, 2):
            half = whole.slice(0, 2) if part == 1 else whole.slice(2)
            parquet.write_table(half, f"{log}/{1:020}.checkpoint.{part:010}.{2:010}.parquet")
        for old in (f"{1:020}.checkpoint.parquet", "_last_checkpoint", f"{0:020}.json"):
            os.remove(f"{log}/{old}")
        self.same()
        self.assertEqual(self.check()["oldest"], 1)


if __name__ == "__main__":
    program = unittest.main(exit=False)
    # Threads of the readers have aborted the interpreter while it shut down.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(not program.result.wasSuccessful())
