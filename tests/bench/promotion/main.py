"""Promotes the same data in turn with this server and others, checks that all make the same tables,
measures changes, writes the report. See `run`."""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version

import check
import ours
import report
from changes import Batch, Consents

HERE = pathlib.Path(__file__).parent
STEDI = "this server"
PEERS = {
    "polars": (f"Polars {version('polars')} + deltalake", "polars_frames.py", "delta"),
    "duckdb": (f"DuckDB {version('duckdb')} + deltalake", "duckdb_sql.py", "delta"),
    "sail": (f"Sail {version('pysail')}", "sail_sql.py", "delta"),
    "parquet": (f"DuckDB {version('duckdb')}, plain Parquet", "duckdb_sql.py", "parquet"),
}
STEPS = {"rebuild": "All derived tables from landing", "whole": "The whole way from JSON"}
FOLDERS = {"customer_landing": "customer", "accelerometer_landing": "accelerometer",
           "step_trainer_landing": "step_trainer"}


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("server", "one", "many", "work", "sql"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--times", required=True, type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=["stedi", *PEERS, "changes"])
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 7)
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


class Size:
    """One size of the data, with a lake in which it has landed and one in which it is promoted."""

    def __init__(self, options, times, data):
        self.times, self.data = times, data
        self.landed = options.work / f"landed-{times}"
        self.promoted = options.work / f"promoted-{times}"
        say(f"making the lake of {times} x the real data")
        with ours.Server(options.server, self.landed) as server:
            server.files_loaded(data, FOLDERS)
        ours.copy(self.landed, self.promoted)
        with ours.Server(options.server, self.promoted) as server:
            server.promote()
        self.rows = check.tables(self.promoted / ".stedi/lake", zones=True)

    def compare(self, who, found):
        if found != self.rows:
            raise SystemExit(f"{who} makes other tables at {self.times} x: {found} instead of {self.rows}")


def peer(options, name, step, size, cell):
    """Runs a peer in a process of its own and takes its figures."""
    _, program, form = PEERS[name]
    out = options.work / "out"
    shutil.rmtree(out, ignore_errors=True)
    lake = size.promoted / ".stedi"
    command = [sys.executable, ours.APART, "/dev/null", sys.executable, "-W", "ignore", HERE / "peers" / program, step, "--json", size.data,
               "--landing", lake / "lake/landing", "--key", lake / "subject.key", "--sql", options.sql,
               "--out", out, "--form", form]
    ran = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if ran.returncode:
        raise SystemExit(f"{name} fails: {ran.stderr}")
    figures = json.loads(ran.stdout)
    size.compare(name, check.tables(out, form))
    cell.add(figures)


def own(options, step, size, cell):
    folder = options.work / "out"
    shutil.rmtree(folder, ignore_errors=True)
    if step == "whole":
        # The key comes first, so that the pseudonyms are the same.
        (folder / ".stedi").mkdir(parents=True)
        for key in ("subject.key", "suppression.keys"):
            shutil.copy2(size.promoted / ".stedi" / key, folder / ".stedi")
        cell.add(ours.demo(options.server, folder, size.data))
        size.compare("the demo", check.tables(folder / ".stedi/lake", zones=True))
        return
    ours.copy(size.landed, folder)
    with ours.Server(options.server, folder) as server:
        promotion = server.promote()
        cell.add(promotion.figures)
    say(f"  {promotion.modes()}")


class Changes:
    """What follows a rebuild, in this order, in one server over a copy of the promoted lake."""

    def __init__(self, options, sizes):
        one, many = sizes
        self.options, self.sizes = options, sizes
        self.spread = Batch(many.data, 100, 1)
        self.same = Batch(one.data, max(1, 100 // many.times), 2)
        self.consents = Consents(one.data)
        self.cells = {}

    def round(self, size, last):
        folder = self.options.work / "out"
        shutil.rmtree(folder, ignore_errors=True)
        ours.copy(size.promoted, folder)
        with ours.Server(self.options.server, folder) as server:
            steps = [("same", self.same.load), ("withdraw", self.consents.withdraw), ("give", self.consents.give)]
            if size is self.sizes[1]:
                steps.insert(0, ("spread", self.spread.load))
            for name, load in steps:
                load(server)
                promotion = server.promote()
                cell = self.cells.setdefault((name, size.times), report.Cell())
                cell.add(promotion.figures)
                say(f"  {name} at {size.times} x: {cell.last()}: {promotion.modes()}")
        if last:
            self.compare(folder)

    def compare(self, folder):
        """What the changes left is what a full rebuild by another program makes."""
        out = self.options.work / "again"
        shutil.rmtree(out, ignore_errors=True)
        lake = folder / ".stedi/lake"
        command = [sys.executable, HERE / "peers/duckdb_sql.py", "rebuild", "--landing", lake / "landing",
                   "--sql", self.options.sql, "--out", out, "--form", "parquet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found, wanted = check.tables(lake, zones=True), check.tables(out, "parquet")
        if found != wanted:
            raise SystemExit(f"the changes leave other tables than a rebuild: {found}, {wanted}")


class Machine:
    """How much of the processors others took."""

    def __init__(self):
        self.begin = self.now()

    def now(self):
        with open("/proc/stat") as stat:
            every = [int(field) for field in stat.readline().split()[1:9]]
        mine = os.times()
        asked = mine.user + mine.system + mine.children_user + mine.children_system
        return sum(every), sum(every) - every[3] - every[4], asked * os.sysconf("SC_CLK_TCK")

    def said(self):
        total, busy, mine = (after - before for after, before in zip(self.now(), self.begin))
        others = max(0.0, (busy - mine) / total)
        word = "**The machine was busy with other work**" if others > 0.05 else "The machine was quiet"
        return f"{word}: others took {others:.0%} of the processor time."


def main():
    options = arguments()
    sizes = [Size(options, 1, options.one), Size(options, options.times, options.many)]
    machine = Machine()
    names = [name for name in PEERS if name in options.only]
    cells = {(step, size.times): {} for step in STEPS for size in sizes}
    changes = Changes(options, sizes) if "changes" in options.only else None
    for turn in range(options.rounds):
        for size in sizes:
            for step in STEPS:
                measured = cells[step, size.times]
                if "stedi" in options.only:
                    own(options, step, size, measured.setdefault(STEDI, report.Cell()))
                for name in names:
                    peer(options, name, step, size, measured.setdefault(PEERS[name][0], report.Cell()))
                for name, cell in measured.items():
                    say(f"{step} at {size.times} x, {name}: {cell.last()}")
            if changes:
                changes.round(size, turn == options.rounds - 1)
    show(options, sizes, cells, changes, machine.said())


def show(options, sizes, cells, changes, busy):
    built = subprocess.run([options.server, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip()
    print(f"# Promotion: {built}\n\n{options.rounds} rounds, the systems in turn; {os.cpu_count()} cores,"
          f" {platform.python_implementation()} {platform.python_version()}, deltalake {version('deltalake')}."
          f" {busy}\n")
    counts = ", ".join(f"`{table}` {rows:,}" for table, (rows, _) in sizes[1].rows.items())
    print(f"All make the same rows, at {sizes[1].times} x: {counts}.\n")
    for step, title in STEPS.items():
        for size in sizes:
            print(f"## {title}, {size.times} x\n")
            print(report.beside(cells[step, size.times], STEDI, [PEERS[name][0] for name in PEERS]))
    if changes:
        print("## Changes\n")
        print(described(sizes, cells, changes))


def described(sizes, cells, changes):
    one, many = (size.times for size in sizes)
    rebuild = cells["rebuild", many].get(STEDI)
    counts = {name: " + ".join(f"{count:,}" for count in batch.counts.values())
              for name, batch in (("spread", changes.spread), ("same", changes.same))}
    names = {
        "spread": f"{counts['spread']} new readings of all customers",
        "same": f"{counts['same']} new readings of the customers of 1 x",
        "withdraw": "one customer withdraws consent",
        "give": "one customer gives consent",
    }
    lines = []
    for name, title in names.items():
        small, large = changes.cells.get((name, one)), changes.cells[name, many]
        share = f"{large.median / rebuild.median:.1%}" if rebuild else ""
        growth = f"{large.median / small.median:.2f}" if small else ""
        lines.append([title, small.spread() if small else "", large.spread(), share, growth])
    return report.table(["", f"{one} x", f"{many} x", f"of a rebuild at {many} x", f"{many} x ÷ {one} x"], lines)


main()
