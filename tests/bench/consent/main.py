"""Revokes consents of customers in lakes of several sizes and layouts, each time in a copy, and writes how
long it takes and what is written. See `run`."""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "promotion"))
import ours  # noqa: E402
import report  # noqa: E402

READINGS = {"accelerometer_landing": "accelerometer", "step_trainer_landing": "step_trainer"}
DERIVED = ("customer_trusted", "accelerometer_trusted", "customer_curated", "step_trainer_trusted",
           "machine_learning_curated")
PARTS = 20
# Nothing is waited for that belongs to other readers, and nothing else is done meanwhile.
CONFIG = "[consent]\ngrace_seconds = 0\n[maintenance]\nevery_seconds = 0\n"
# What is waited in each acknowledgement so that every server has seen the denial.
SEEN = 0.75


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("server", "data", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--times", nargs="+", type=int)
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--layouts", nargs="+", default=["clustered", "unclustered"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.times = options.times or ([1, 5] if options.quick else [1, 10, 50])
    options.batches = options.batches or ([1, 100] if options.quick else [1, 10, 100, 1000])
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def serve(options, folder):
    (folder / "stedi.toml").write_text(CONFIG)
    return ours.Server(options.server, folder, ("--config", "stedi.toml"))


def parts(data):
    """The readings of each source in parts, with records of all customers in each."""
    for part in range(PARTS):
        yield {
            table: b"".join(line for file in sorted((data / folder).iterdir())
                            for line in file.read_bytes().splitlines(True)[part::PARTS])
            for table, folder in READINGS.items()
        }


class Lake:
    """A promoted lake of one size and layout."""

    def __init__(self, options, times, layout):
        self.options, self.times, self.layout = options, times, layout
        data = options.work / f"data-{times}"
        if not data.exists():
            command = [sys.executable, HERE.parent / "multiply.py", options.data, data, str(times)]
            subprocess.run(command, check=True)
        self.folder = options.work / f"{layout}-{times}"
        self.folder.mkdir()
        say(f"making the {layout} lake of {times} x the real data")
        with serve(options, self.folder) as server:
            for file in sorted((data / "customer").iterdir()):
                server.load("customer_landing", file.read_bytes())
            if layout == "clustered":
                server.files_loaded(data, READINGS)
                server.promote()
            else:
                for part in parts(data):
                    for table, records in part.items():
                        server.load(table, records)
                    server.promote()
            found = sql(server, "SELECT email FROM customer_curated ORDER BY subject_id")
            self.customers = [row[0] for row in found]
            self.tables = tables(server)
        self.cells = {}

    def some(self, count):
        """As many customers, spread over all; all if there are not so many."""
        step = max(1, len(self.customers) // count)
        return self.customers[::step][:count]

    def revoke(self, count):
        customers = self.some(count)
        if len(customers) < count:
            return
        folder = self.options.work / "out"
        shutil.rmtree(folder, ignore_errors=True)
        ours.copy(self.folder, folder)
        with serve(self.options, folder) as server:
            # It has read what any server has that runs for a while.
            for table in DERIVED:
                sql(server, f"SELECT count(*) FROM {table} WHERE subject_id = 'nobody'")
            body = json.dumps({"requests": [{"email": email} for email in customers]})
            begin = time.perf_counter()
            run = request(server, "POST", "/v1/revocations", body)
            acknowledged = time.perf_counter() - begin
            while run["state"] in ("queued", "running"):
                time.sleep(0.02)
                run = request(server, "GET", f"/v1/revocations/{run['id']}")
            certified = time.perf_counter() - begin
            if run["state"] != "succeeded" or not run["certificate"]:
                raise SystemExit(f"the revocation does not succeed: {run}")
            left = sql(server, "SELECT count(*) FROM customer_curated")[0][0]
            if left != len(self.customers) - count:
                raise SystemExit(f"{left} customers are left of {len(self.customers)} without {count}")
        cell = self.cells.setdefault(count, Cell())
        cell.add(acknowledged, certified, run["tables"], self.tables)
        say(f"{count} of {len(self.customers)}, {self.layout}, {self.times} x: acknowledged after "
            f"{report.time(acknowledged)}, certified after {report.time(certified)}, "
            f"{cell.ratio:.1f} bytes written for one that goes")


class Cell:
    """The figures of all rounds."""

    def __init__(self):
        self.acknowledged, self.certified = [], []

    def add(self, acknowledged, certified, run, before):
        self.acknowledged.append(acknowledged)
        self.certified.append(certified)
        written = deleted = files = 0
        for table in run:
            known = before[table["table"]]
            gone = table["rows_before"] - table["rows_after"]
            deleted += known["bytes"] * gone / max(1, known["rows"])
            written += table["bytes_rewritten"]
            files += table["files_rewritten"]
        # The same in each round, but for what compresses otherwise.
        self.ratio, self.files = written / max(1, deleted), files


def tables(server):
    found = {}
    for table in DERIVED:
        found[table] = request(server, "GET", f"/v1/tables/{table}")
    return found


def request(server, method, path, body=None):
    headers = server.headers | ({"Content-Type": "application/json"} if body else {})
    server.connection.request(method, path, body, headers)
    answer = server.connection.getresponse()
    text = answer.read()
    if answer.status not in (200, 202):
        raise SystemExit(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
    return json.loads(text)


def sql(server, text):
    return request(server, "POST", "/v1/sql", json.dumps({"sql": text}))["rows"]


def median(figures):
    return report.time(statistics.median(figures))


def show(options, lakes):
    built = subprocess.run([options.server, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip()
    print(f"# Revocation: {built}\n\n{options.rounds} rounds, medians (least–most); {os.cpu_count()} cores, "
          f"{platform.python_implementation()} {platform.python_version()}. {SEEN} s of each acknowledgement "
          "are waited so that every server has seen the denial.\n")
    lines = []
    for lake in lakes:
        size = sum(table["bytes"] for table in lake.tables.values())
        files = sum(table["files"] for table in lake.tables.values())
        rows = sum(table["rows"] for table in lake.tables.values())
        lines.append([f"{lake.times} x, {lake.layout}", f"{len(lake.customers):,}", f"{rows:,}",
                      f"{size / 1e6:.1f} MB", str(files)])
    print(report.table(["derived tables", "customers", "rows", "bytes", "files"], lines))
    for layout in options.layouts:
        print(f"## {layout.capitalize()}\n")
        sizes = [lake for lake in lakes if lake.layout == layout]
        head = ["customers"]
        for lake in sizes:
            head += [f"acknowledged, {lake.times} x", f"certified, {lake.times} x",
                     f"bytes written ÷ gone, {lake.times} x"]
        lines = []
        for count in options.batches:
            line = [f"{count:,}"]
            for lake in sizes:
                cell = lake.cells.get(count)
                line += [spread(cell.acknowledged), spread(cell.certified),
                         f"{cell.ratio:.1f}"] if cell else ["", "", ""]
            lines.append(line)
        print(report.table(head, lines))
        first, last = sizes[0], sizes[-1]
        if first is not last:
            for count in sorted(first.cells.keys() & last.cells.keys()):
                # What is waited for does not grow.
                small, large = (statistics.median(lake.cells[count].acknowledged) - SEEN
                                for lake in (first, last))
                print(f"- {count:,}: what is not waited for in the acknowledgement grows "
                      f"{large / max(small, 1e-3):.1f} times from {first.times} x to {last.times} x")
            print()


def spread(figures):
    return f"{median(figures)} ({report.time(min(figures))}–{report.time(max(figures))})"


def main():
    options = arguments()
    lakes = [Lake(options, times, layout) for layout in options.layouts for times in options.times]
    for turn in range(options.rounds):
        say(f"round {turn + 1}")
        for count in options.batches:
            for lake in lakes:
                lake.revoke(count)
    show(options, lakes)


main()
