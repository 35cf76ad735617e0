"""Replays the log of Delta tables with pyarrow alone, and checks what must hold for it.

  replay.py check [--removed] ROOT TABLE…     every version, one line of JSON per table
  replay.py feed ROOT TABLE FROM TO           the change feed of the versions after FROM, up to TO
  replay.py rows ROOT TABLE COLUMN…           the rows of the newest version, as JSON

ROOT is a folder or s3://bucket/prefix (with the AWS_* variables), TABLE a folder below it. It shares
no code with the server or with delta-rs, and knows of the Delta protocol what the server writes:
commits in JSON, classic checkpoints in one or several parts, change data files. Whatever else it
finds (deletion vectors, partitions, renamed columns, checkpoints of version 2) is an error.

With --removed, data files that are live in no version from the last on may be gone; what needs them
is not checked.
"""
import collections
import hashlib
import json
import os
import re
import struct
import sys
import urllib.parse

import pyarrow.parquet as parquet
from pyarrow import fs

COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
FEATURES = {"changeDataFeed", "appendOnly", "invariants", "timestampNtz"}
CHANGES = {"insert": 1, "update_postimage": 1, "delete": -1, "update_preimage": -1}


class Broken(Exception):
    """Something does not hold."""


def require(holds, *what):
    if not holds:
        raise Broken(" ".join(str(word) for word in what))


def store(root):
    """The file system of a root, and the root in it."""
    if not root.startswith("s3://"):
        return fs.LocalFileSystem(), os.path.abspath(root)
    scheme, host = os.environ["AWS_ENDPOINT_URL"].split("://")
    s3 = fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ.get("AWS_REGION", "us-east-1"),
        endpoint_override=host,
        scheme=scheme,
    )
    return s3, root.removeprefix("s3://").rstrip("/")


class State:
    """What a version of a table is."""

    def __init__(self):
        self.live = {}  # path -> add
        self.txns = {}  # app id -> version
        self.metadata = None
        self.protocol = None

    def copy(self):
        other = State()
        other.live, other.txns = dict(self.live), dict(self.txns)
        other.metadata, other.protocol = self.metadata, self.protocol
        return other


class Table:
    def __init__(self, root, name):
        self.name = name
        self.files, base = store(root)
        self.folder = f"{base}/{name}"
        self.commits, self.checkpoints = {}, {}
        parts = collections.defaultdict(dict)
        for info in self.files.get_file_info(fs.FileSelector(f"{self.folder}/_delta_log")):
            if found := COMMIT.fullmatch(info.base_name):
                self.commits[int(found[1])] = info.path
            elif found := CHECKPOINT.fullmatch(info.base_name):
                part, of = int(found[2] or 1), int(found[3] or 1)
                parts[int(found[1]), of][part] = info.path
            else:
                require(".checkpoint." not in info.base_name, "unknown checkpoint", info.base_name)
        for (version, of), paths in parts.items():
            # Parts that are not all there are no checkpoint; readers pass them over.
            if len(paths) == of:
                self.checkpoints[version] = [paths[part] for part in sorted(paths)]
        require(self.commits or self.checkpoints, "there is no table", name)
        self.newest = max([*self.commits, *self.checkpoints])
        self.oldest = self._oldest()
        self._check_last_checkpoint()
        self._rows = {}

    def _oldest(self):
        """The oldest version that can be made; from there on every commit is there."""
        start = min([*self.commits, *self.checkpoints])
        if 0 not in self.commits:
            whole = [v for v in self.checkpoints if set(range(v + 1, self.newest + 1)) <= set(self.commits)]
            require(whole, self.name, "no checkpoint to begin at; commits", sorted(self.commits))
            start = min(whole)
            # What is older than that checkpoint has been cleaned up, from the oldest on.
            left = sorted(v for v in self.commits if v <= start)
            require(left == list(range(start - len(left) + 1, start + 1)), self.name, "a gap in", left)
            return start
        missing = set(range(self.newest + 1)) - set(self.commits)
        require(not missing, self.name, "versions are not contiguous; missing", sorted(missing))
        return start

    def _check_last_checkpoint(self):
        path = f"{self.folder}/_delta_log/_last_checkpoint"
        if self.files.get_file_info(path).type == fs.FileType.NotFound:
            return
        hint = json.loads(self._bytes(path))
        require(hint["version"] in self.checkpoints, self.name, "_last_checkpoint names", hint["version"])
        paths = self.checkpoints[hint["version"]]
        require(hint.get("parts") in (None, len(paths)), self.name, "_last_checkpoint's parts", hint)

    def _bytes(self, path):
        with self.files.open_input_file(path) as file:
            return file.read()

    # --- actions

    def actions(self, version):
        """The actions of a commit, as (kind, action)."""
        actions = []
        for line in self._bytes(self.commits[version]).decode().splitlines():
            if line.strip():
                action = json.loads(line)
                require(len(action) == 1, self.name, version, "a line holds", list(action))
                actions.extend(action.items())
        return actions

    def checkpoint(self, version):
        """The state that a checkpoint holds."""
        state = State()
        for path in self.checkpoints[version]:
            with self.files.open_input_file(path) as file:
                rows = parquet.read_table(file).to_pylist()
            for row in rows:
                for kind, action in row.items():
                    if action is None:
                        continue
                    if kind == "add":
                        require(action["path"] not in state.live, self.name, "twice in a checkpoint", action["path"])
                        state.live[action["path"]] = action
                    elif kind == "txn":
                        require(action["appId"] not in state.txns, self.name, "twice in a checkpoint", action["appId"])
                        state.txns[action["appId"]] = action["version"]
                    elif kind == "metaData":
                        state.metadata = action
                    elif kind == "protocol":
                        state.protocol = action
                    else:
                        require(kind in ("remove", "domainMetadata"), self.name, "a checkpoint holds", kind)
        self._supported(state)
        return state

    def _supported(self, state):
        require(state.protocol and state.metadata, self.name, "no protocol or metadata")
        features = set(state.protocol.get("readerFeatures") or ()) | set(state.protocol.get("writerFeatures") or ())
        require(features <= FEATURES, self.name, "unknown features", features - FEATURES)
        require(not state.metadata["partitionColumns"], self.name, "is partitioned")

    def state(self, version):
        """The state at a version, by the newest checkpoint that helps."""
        starts = [v for v in self.checkpoints if v <= version]
        at = max(starts, default=-1)
        state = State() if at < 0 else self.checkpoint(at)
        for v in range(at + 1, version + 1):
            self.apply(state, v)
        return state

    def apply(self, state, version, ever=None):
        """Brings a state one version further; the commit's changes as (added, removed, cdc)."""
        added, removed, cdc, apps = {}, {}, [], set()
        for kind, action in self.actions(version):
            if kind in ("add", "remove"):
                require(not action.get("deletionVector"), self.name, "has deletion vectors")
                mine = added if kind == "add" else removed
                require(action["path"] not in mine, self.name, version, kind, "twice:", action["path"])
                mine[action["path"]] = action
            elif kind == "cdc":
                cdc.append(action)
            elif kind == "txn":
                require(action["appId"] not in apps, self.name, version, "txn twice:", action["appId"])
                apps.add(action["appId"])
                state.txns[action["appId"]] = action["version"]
            elif kind == "metaData":
                state.metadata = action
            elif kind == "protocol":
                state.protocol = action
            else:
                require(kind in ("commitInfo", "domainMetadata"), self.name, version, "unknown action", kind)
        for path in removed:
            require(path in state.live, self.name, version, "removes what is not there:", path)
            del state.live[path]
        for path, add in added.items():
            require(path not in state.live, self.name, version, "adds what is there:", path)
            if ever is not None:
                require(path not in ever, self.name, version, "adds a file a second time:", path)
                ever.add(path)
            state.live[path] = add
        self._supported(state)
        return added, removed, cdc

    # --- rows

    def path(self, path):
        return f"{self.folder}/{urllib.parse.unquote(path)}"

    def is_there(self, path):
        return self.files.get_file_info(self.path(path)).type != fs.FileType.NotFound

    def read(self, path, columns=None):
        with self.files.open_input_file(self.path(path)) as file:
            return parquet.read_table(file, columns=columns)

    def rows_of(self, add):
        """The rows of a data file, each once per time that it is there; read once."""
        path = add["path"]
        if path not in self._rows:
            table = self.read(path)
            stats = json.loads(add.get("stats") or "{}")
            require(stats.get("numRecords") == table.num_rows, self.name, path, "numRecords is",
                    stats.get("numRecords"), "of", table.num_rows)
            size = self.files.get_file_info(self.path(path)).size
            require(add["size"] == size, self.name, path, "size is", add["size"], "of", size)
            self._rows[path] = multiset(table)
        return self._rows[path]

    def live_rows(self, state):
        rows = collections.Counter()
        for add in state.live.values():
            rows.update(self.rows_of(add))
        return rows

    def changes(self, added, removed, cdc):
        """What a commit changes, as {row: how often more it is there}, and (inserted, deleted)."""
        delta, inserted, deleted = collections.Counter(), 0, 0
        if cdc:
            for action in cdc:
                table = self.read(action["path"])
                kinds = table.column("_change_type").to_pylist()
                for row, kind in zip(tuples(table.drop_columns(["_change_type"])), kinds):
                    delta[row] += CHANGES[kind]
                    inserted += CHANGES[kind] > 0
                    deleted += CHANGES[kind] < 0
            return delta, inserted, deleted
        for actions, sign in ((added, 1), (removed, -1)):
            for action in actions.values():
                if action["dataChange"]:
                    for row, times in self.rows_of(action).items():
                        delta[row] += sign * times
                        inserted += times * (sign > 0)
                        deleted += times * (sign < 0)
        return delta, inserted, deleted

    # --- what must hold

    def check(self, removed_may_be_gone):
        """Every version from the oldest on; what the newest is."""
        # From nothing, or from the oldest checkpoint.
        at = self.oldest if self.oldest else -1
        state = self.state(at) if self.oldest else State()
        ever = set(state.live)
        last = self.state(self.newest)
        for add in last.live.values():
            require(self.is_there(add["path"]), self.name, "a live file is gone:", add["path"])
        rows = self._rows_if_there(state, removed_may_be_gone)
        inserted = deleted = checked = 0
        for version in range(at + 1, self.newest + 1):
            changed = self.apply(state, version, ever)
            gone = self._gone(changed, removed_may_be_gone)
            after = self._rows_if_there(state, removed_may_be_gone)
            if rows is not None and after is not None and not gone:
                delta, more, less = self.changes(*changed)
                inserted, deleted, checked = inserted + more, deleted + less, checked + 1
                require(follows(rows, delta, after), self.name, version,
                        "the change feed does not give the rows of this version")
            rows = after
            if version in self.checkpoints:
                self._same(state, self.checkpoint(version), version)
        require(state.live.keys() == last.live.keys(), self.name, "checkpoint and commits differ")
        final = self.live_rows(last)
        return {
            "table": self.name,
            "version": self.newest,
            "oldest": self.oldest,
            "checkpoints": sorted(self.checkpoints),
            "checked": checked,
            "files": len(last.live),
            "rows": sum(final.values()),
            "distinct": len(final),
            "digest": digest(final),
            "inserted": inserted,
            "deleted": deleted,
            "txns": last.txns,
        }

    def _gone(self, changed, may_be):
        """The files of a commit's change that are gone, if they may be."""
        added, removed, cdc = changed
        paths = [action["path"] for action in (*added.values(), *removed.values(), *cdc)]
        gone = [path for path in paths if not (path in self._rows or self.is_there(path))]
        require(may_be or not gone, self.name, "files are gone:", gone)
        return gone

    def _rows_if_there(self, state, may_be):
        gone = self._gone((state.live, {}, []), may_be)
        return None if gone else self.live_rows(state)

    def _same(self, state, other, version):
        require(state.live.keys() == other.live.keys(), self.name, "checkpoint", version, "has other files")
        # A checkpoint may leave out expired txn actions, and have no others.
        wrong = {app for app, v in other.txns.items() if state.txns.get(app) != v}
        require(not wrong, self.name, "checkpoint", version, "has other txns:", wrong)


# --- rows as values

def plain(value):
    """A value as something that JSON has; every double is told from every other."""
    if isinstance(value, float):
        return struct.pack(">d", value).hex() if value != value or value in (1e999, -1e999) else value
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def tuples(table):
    """The rows, as tuples of values in the order of the columns' names: a file that was written by
    another schema is another table."""
    names = sorted(table.column_names)
    columns = [table.column(name).to_pylist() for name in names]
    columns = [[plain(value) for value in column] for column in columns]
    return list(zip(*columns)) if columns else []


def multiset(table):
    return collections.Counter(tuples(table))


def follows(before, changes, after):
    """Whether rows with these changes are those; a row that is not there cannot go."""
    rows = collections.Counter(before)
    for row, times in changes.items():
        rows[row] += times
    return min(rows.values(), default=0) >= 0 and +rows == after


def digest(rows):
    """Of the rows and how often each is there, in any order."""
    lines = sorted(json.dumps([*row, times]) for row, times in rows.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# --- commands

def feed(root, name, first, last):
    table = Table(root, name)
    state = table.state(first)
    before, total = table.live_rows(state), collections.Counter()
    inserted = deleted = 0
    for version in range(first + 1, last + 1):
        delta, more, less = table.changes(*table.apply(state, version))
        for row, times in delta.items():
            total[row] += times
        inserted, deleted = inserted + more, deleted + less
    require(follows(before, total, table.live_rows(state)), name,
            "the change feed does not lead from", first, "to", last)
    return {"table": name, "from": first, "to": last, "inserted": inserted, "deleted": deleted}


def rows(root, name, columns):
    table = Table(root, name)
    state = table.state(table.newest)
    result = []
    for add in state.live.values():
        read = table.read(add["path"], columns)
        values = [[plain(value) for value in read.column(name).to_pylist()] for name in columns]
        result.extend(list(row) for row in zip(*values))
    return result


def main(arguments):
    command, *arguments = arguments
    if command == "check":
        removed = arguments[0] == "--removed"
        root, *names = arguments[1:] if removed else arguments
        for name in names:
            print(json.dumps(Table(root, name).check(removed)), flush=True)
    elif command == "feed":
        root, name, first, last = arguments
        print(json.dumps(feed(root, name, int(first), int(last))))
    elif command == "rows":
        root, name, *columns = arguments
        print(json.dumps(rows(root, name, columns)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
        status = 0
    except Broken as broken:
        print(broken, file=sys.stderr)
        status = 1
    # Threads of the readers have aborted the interpreter while it shut down.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
