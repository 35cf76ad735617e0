"""Downloads, rows and new snapshots, measured. See `run`."""
import argparse
import hashlib
import json
import os
import pathlib
import platform
import random
import statistics
import string
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.dataset as ds

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "promotion"))
import report  # noqa: E402
from servers import BUCKET, NOTES, Nginx, Seaweed, Stedi  # noqa: E402

FOLDERS = {"customer_landing": "customer", "accelerometer_landing": "accelerometer",
           "step_trainer_landing": "step_trainer"}
LETTERS = string.ascii_letters + string.digits + "+/"
NOTE = 4096
# Two data files of nearly the largest size that there is (32 MiB).
NOTES_MIB = 80
MIB = 1024 * 1024


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("server", "nginx", "weed", "data", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--times", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", nargs="+", default=["files", "rows", "made"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.bytes = (256 if options.quick else 1024) * MIB
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def notes(server):
    """A snapshot of notes, which do not compress below their letters' six bits."""
    dice = random.Random(1)
    for part in range(4):
        texts = ("".join(dice.choices(LETTERS, k=NOTE)) for _ in range(NOTES_MIB * MIB // NOTE // 4))
        lines = (json.dumps({"number": f"{part}-{at}", "text": text}) for at, text in enumerate(texts))
        server.load("notes", "\n".join(lines))
    server.promote()
    manifest, _ = server.snapshot()
    return manifest


class Target:
    """A URL that gives a file, by whom, and what was measured of it."""

    def __init__(self, name, server, url, headers, digest, size):
        self.name, self.server, self.url, self.headers = name, server, url, headers
        self.digest, self.size = digest, size
        self.rates, self.peaks, self.idle = {}, {}, None

    def command(self, times):
        # What is behind # is not sent: it makes curl ask so often, over one connection.
        headers = [part for name, value in self.headers.items() for part in ("-H", f"{name}: {value}")]
        return ["curl", "-sSL", "--fail", *headers, f"{self.url}#[1-{times}]"]

    def check(self):
        got = subprocess.run(self.command(1), stdout=subprocess.PIPE, check=True).stdout
        if hashlib.sha256(got).hexdigest() != self.digest:
            raise SystemExit(f"{self.name} gives other bytes")

    def measure(self, connections, total):
        times = max(1, total // self.size // connections)
        command = self.command(times)
        self.server.forget_peak()
        begin = time.perf_counter()
        runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(connections)]
        if any(run.wait() for run in runs):
            raise SystemExit(f"{self.name} fails")
        rate = times * connections * self.size / (time.perf_counter() - begin)
        self.rates.setdefault(connections, []).append(rate)
        self.peaks.setdefault(connections, []).append(self.server.peak())
        say(f"{self.name}, {connections} connections: {rate / 1e9:.2f} GB/s, {self.server.peak() / 1e6:.0f} MB")

    def median(self, connections):
        return statistics.median(self.rates[connections])


def largest(manifest):
    files = [file for table in manifest["tables"] for file in table["files"]]
    return max(files, key=lambda file: file["bytes"])


def shared_url(server, size):
    path = "/sharing/shares/notes/schemas/curated/tables/kept/query"
    lines = server.ask("POST", path, json={}).text.splitlines()
    files = [json.loads(line)["file"] for line in lines if "file" in json.loads(line)]
    return next(file["url"] for file in files if file["size"] == size)


def of_snapshot(name, server, manifest, query=""):
    file = largest(manifest)
    url = f"{server.url}/v1/snapshots/{manifest['id']}/files/{file['sha256']}{query}"
    return Target(name, server, url, server.headers, file["sha256"], file["bytes"])


def files(options):
    flags = ("--pipeline", NOTES)
    work = options.work / "files"
    with (Seaweed(options.weed, work / "weed") as weed,
          Stedi(options.server, work / "folder", flags) as folder,
          Stedi(options.server, work / "bucket", (*flags, "--storage", f"s3://{BUCKET}/notes"), weed.keys) as bucket,
          Nginx(options.nginx, work / "nginx", work / "folder/.stedi/lake") as nginx):
        say("making notes in a folder and in a bucket")
        here, there = notes(folder), notes(bucket)
        mine, its = largest(here), largest(there)
        # The manifest's paths are table/file; the lake's zone/table/file.
        place = f"curated/{mine['path']}"
        url = f"{weed.url}/{BUCKET}/notes/curated/{its['path']}"
        targets = [
            Target("nginx", nginx, f"{nginx.url}/{place}", {}, mine["sha256"], mine["bytes"]),
            of_snapshot("this server, folder", folder, here),
            Target("this server, folder, shared", folder, shared_url(folder, mine["bytes"]), {},
                   mine["sha256"], mine["bytes"]),
            Target("SeaweedFS", weed, url, {}, its["sha256"], its["bytes"]),
            of_snapshot("this server, bucket", bucket, there),
            Target("this server, bucket, shared", bucket, shared_url(bucket, its["bytes"]), {},
                   its["sha256"], its["bytes"]),
            of_snapshot("this server, bucket, `?redirect=1`", bucket, there, "?redirect=1"),
        ]
        for target in targets:
            target.check()
        for _ in range(options.rounds):
            for connections in (1, 8):
                for target in targets:
                    target.measure(connections, options.bytes)
        lines = []
        for target in targets:
            other = targets[0] if targets.index(target) < 3 else targets[3]
            line = [target.name]
            for connections in (1, 8):
                rate = target.median(connections)
                line.append(f"{rate / 1e9:.2f} GB/s")
                line.append("" if target is other else f"{rate / other.median(connections):.2f}")
            line.append(f"{max(max(peaks) for peaks in target.peaks.values()) / 1e6:.0f} MB")
            lines.append(line)
        print(f"A file of {mine['bytes'] / MIB:.0f} MiB, by curl, which throws it away.\n")
        head = ["", "1 connection", "÷ the other's", "8 connections", "÷ the other's", "peak memory"]
        print(report.table(head, lines))


def data_of(options, times):
    folder = options.work / f"data-{times}"
    if not folder.exists():
        command = [sys.executable, HERE.parent / "multiply.py", options.data, folder, str(times)]
        subprocess.run(command, check=True)
    return folder


def readings(options, times, what):
    """A server over a new lake of so many times the real data."""
    say(f"making the lake of {times} x the real data")
    server = Stedi(options.server, options.work / f"{what}-{times}")
    data = data_of(options, times)
    for table, name in FOLDERS.items():
        for file in sorted((data / name).iterdir()):
            server.load(table, file.read_bytes())
    server.promote()
    return server


def timed(run):
    begin = time.perf_counter()
    rows = run().num_rows
    return time.perf_counter() - begin, rows


def rows(options):
    times = max(options.times)
    with readings(options, times, "rows") as server:
        manifest, _ = server.snapshot()
        root = options.work / f"rows-{times}/.stedi/lake/curated"
        paths = [str(root / file["path"]) for file in manifest["tables"][0]["files"]]
        local = ds.dataset(paths)
        first = ds.field("sensorreadingtime") < 1_655_564_000_000

        def stream(**query):
            answer = server.http.get(f"{server.url}/v1/snapshots/{manifest['id']}/data", params=query, stream=True)
            if not answer.ok:
                raise SystemExit(answer.text)
            return pa.ipc.open_stream(answer.raw).read_all()

        measures = {
            "all rows and columns": (lambda: stream(), lambda: local.to_table()),
            "three columns": (lambda: stream(columns="x,y,z"), lambda: local.to_table(columns=["x", "y", "z"])),
            "three columns of some rows": (
                lambda: stream(columns="x,y,z", where="sensorreadingtime < 1655564000000"),
                lambda: local.to_table(columns=["x", "y", "z"], filter=first)),
            "a split": (lambda: stream(split="train"), None),
        }
        lines = []
        for name, (ours, theirs) in measures.items():
            mine, its, found = [], [], set()
            for _ in range(options.rounds):
                seconds, count = timed(ours)
                mine.append(seconds)
                found.add(count)
                if theirs:
                    seconds, count = timed(theirs)
                    its.append(seconds)
                    found.add(count)
            if len(found) > 1:
                raise SystemExit(f"{name}: {found}")
            say(f"{name}: {mine} {its}")
            m, i = statistics.median(mine), statistics.median(its) if its else None
            lines.append([name, f"{found.pop():,}", report.time(m), report.time(i) if i else "",
                          f"{i / m:.2f}" if i else ""])
        size = sum(file["bytes"] for file in manifest["tables"][0]["files"])
        print(f"`machine_learning_curated` of {times} × the real data, {size / MIB:.1f} MiB of Parquet, until it is "
              "a table in Python's memory.\n")
        print(report.table(["", "rows", "`…/data`", "pyarrow, local", "pyarrow ÷ ours"], lines))


def made(options):
    lines = []
    for times in options.times:
        with readings(options, times, "made") as server:
            manifest, first = server.snapshot()
            again = [server.snapshot()[1] for _ in range(4 * options.rounds)]
            table = manifest["tables"][0]
            size = sum(file["bytes"] for file in table["files"])
            say(f"{times} x: {first} {again}")
            lines.append([f"{times} ×", f"{table['rows']:,}", str(len(table["files"])), f"{size / MIB:.1f} MiB",
                          report.time(first), report.time(statistics.median(again))])
    print("A snapshot of `machine_learning_curated`.\n")
    print(report.table(["the real data", "rows", "files", "Parquet", "nothing known", "sums known"], lines))


def main():
    options = arguments()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; "
          f"medians of {options.rounds}.\n")
    for name in options.only:
        {"files": files, "rows": rows, "made": made}[name](options)


if __name__ == "__main__":
    main()
