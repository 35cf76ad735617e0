"""Starts the servers, checks that they answer the same, measures, writes the report. See `run`."""
import argparse
import os
import pathlib
import platform
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet

import load
import report
import servers
from connection import Connection, request
from measures import RESULT_ROWS, measures, rows

TABLE = "machine_learning_curated"
SUBJECTS = 256
CLIENTS = (1, 8, 32)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--roapi", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--times", required=True, type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=[])
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def answer(server, sql, form):
    body = bytearray()
    status, _ = Connection(server.address).ask(server.ask(sql, form), body)
    if status != 200:
        raise SystemExit(f"{server.name} answers {status} to {sql}: {body[:300].decode(errors='replace')}")
    return rows(form, bytes(body))


def same(a, b):
    """Equal, up to the order in which doubles were added."""
    def close(x, y):
        return x == y or (isinstance(x, float) and isinstance(y, (int, float)) and abs(x - y) <= 1e-6 * abs(y))
    return len(a) == len(b) and all(
        len(x) == len(y) and all(map(close, x, y)) for x, y in zip(sorted(a), sorted(b)))


def check(all_servers, asked):
    """Every server gives the rows that the first gives, in every format that it has.

    A format that a server's answer is not in, or refuses, is marked as one that it does not have.
    """
    for measure in asked:
        expected = None
        for server in all_servers:
            if server.formats[measure.form] is None:
                continue
            try:
                got = answer(server, measure.statements[0], measure.form)
            except (SystemExit, ValueError, pa.ArrowException) as error:
                if server is all_servers[0]:
                    raise
                say(f"{server.name} cannot give {measure.name}: {error}")
                server.formats[measure.form] = None
                continue
            expected = got if expected is None else expected
            if measure.rows == RESULT_ROWS:  # LIMIT without ORDER: any rows
                ok = len(got) == RESULT_ROWS
            else:
                ok = same(got, expected)
            if not ok:
                raise SystemExit(f"{measure.name}: {server.name} gives other rows: {got[:3]} {expected[:3]}")


class Machine:
    """How much of the processors others took."""

    def __init__(self, all_servers):
        self.servers = all_servers
        self.load = os.getloadavg()[0]
        self.begin = self.now()

    def now(self):
        with open("/proc/stat") as stat:
            every = [int(field) for field in stat.readline().split()[1:9]]
        idle = every[3] + every[4]
        mine = os.times()
        served = sum(server.ticks() for server in self.servers)
        asked = mine.user + mine.system + mine.children_user + mine.children_system
        return sum(every), sum(every) - idle, served, asked * os.sysconf("SC_CLK_TCK")

    def said(self):
        passed = [after - before for after, before in zip(self.now(), self.begin)]
        total, busy, served, asked = passed
        others = max(0.0, (busy - served - asked) / total)
        word = "**The machine was busy with other work**" if others > 0.05 else "The machine was quiet"
        return (f"{word}: others took {others:.0%} of the processor time, the load generator"
                f" {asked / total:.0%}, the servers {served / total:.0%} (load average {self.load:.1f} at"
                f" the start, {os.getloadavg()[0]:.1f} at the end; own niceness {os.nice(0)}).")


def floor(all_servers, seconds):
    """What the load generator sees of a request that costs nothing."""
    lines = []
    for server in all_servers:
        for clients in CLIENTS:
            one = load.run(server.address, [request("GET", server.health)], clients, seconds)
            cell = report.Cell([one], 1, 0)
            lines.append([f"{server.name} `{server.health}`", str(clients), cell.times(), report.number(cell.rate)])
    return report.table(["trivial request", "clients", "p50 / p99 ms", "answers/s"], lines)


def main():
    options = arguments()
    rounds, seconds = (1, 1.0) if options.quick else (3, 4.0)
    work = options.work
    say(f"making the lake of {options.times} x the real data")
    subprocess.run([options.server, "demo", "--exit", "--source", options.data], cwd=work,
                   env=servers.clean_environment(), stdout=subprocess.DEVNULL, check=True)
    folder = work / ".stedi/lake/curated" / TABLE
    table = pa.parquet.read_table(str(folder), columns=["subject_id"])
    subjects = table["subject_id"].drop_null().unique().to_pylist()
    subjects = subjects[:: max(1, len(subjects) // SUBJECTS)][:SUBJECTS]
    lookup_rows = len(table) / len(table["subject_id"].unique())
    asked = [m for m in measures(subjects) if not options.only or any(w in m.name for w in options.only)]

    running = []
    try:
        running.append(servers.stedi(options.server, work, TABLE))
        for in_memory in (False, True):
            running.append(servers.roapi(options.roapi, work, TABLE, folder, "delta", in_memory))
        for server in running:
            server.wait()
        idle = {server.name: server.peak() for server in running}
        check(running, asked)
        say("all servers give the same rows")
        machine = Machine(running)
        trivial = floor(running, seconds)
        cells, keys, peaks = {}, [], dict(idle)
        for measure in asked:
            for clients in CLIENTS:
                keys.append((measure.name, clients))
                seen = {server.name: [] for server in running}
                peak = {}
                for _ in range(rounds):
                    for server in running:  # in turn, so that a busy moment hits all of them
                        if server.formats[measure.form] is None:
                            continue
                        requests = [server.ask(sql, measure.form) for sql in measure.statements]
                        server.forget_peak()
                        seen[server.name].append(load.run(server.address, requests, clients, seconds))
                        peak[server.name] = max(peak.get(server.name, 0), server.peak())
                for name, found in seen.items():
                    if found:
                        cell = report.Cell(found, lookup_rows if measure.rows is None else measure.rows, peak[name])
                        cells[name, measure.name, clients] = cell
                        peaks[name] = max(peaks[name], cell.peak)
                        why = f", {cell.failed} failed: {cell.why}" if cell.failed else ""
                        say(f"{measure.name}, {clients} clients, {name}: {cell.times()} ms, {cell.answers} answers{why}")
        busy = machine.said()
    finally:
        for server in running:
            server.stop()

    names = [server.name for server in running]
    versions = [subprocess.run([b, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip()
                for b in (options.server, options.roapi)]
    print(f"# SQL over HTTP: {versions[0]} and {versions[1]}\n")
    print(f"`{TABLE}` of {options.times} × the real data, {len(table):,} rows. All servers read the same Delta"
          " folder (ROAPI: `format: delta`, `use_memory_table` false and true); ours with its default"
          " configuration, asked by an analyst, so with token, policy, limits and the synced audit."
          " Compression of HTTP was not asked for. Connections are kept alive; a client is a process"
          f" that asks one request after another. {rounds} round(s) of {seconds:g} s for each cell, the servers in"
          f" turn; p50 and p99 over all rounds, rates the median of rounds. {os.cpu_count()} cores,"
          f" {platform.python_implementation()} {platform.python_version()} as the load generator.\n")
    print(busy + "\n")
    print("## Times\n\nA ratio is the other's p50 divided by ours: above 1 ours is faster.\n")
    print(report.times(names, keys, cells))
    print("## Rates and memory\n\nPeak memory (VmHWM) is that of the cell alone.\n")
    print(report.rates(names, keys, cells))
    print(report.table(["peak memory, MB", *names],
                       [["idle after the start", *(f"{idle[n] / 1e6:.0f}" for n in names)],
                        ["of the whole run", *(f"{peaks[n] / 1e6:.0f}" for n in names)]]))
    print(report.sizes(names, keys, cells))
    print("## The load generator's floor\n")
    print(trivial)
    print("## Where ours is not as fast as the goal\n\n"
          "The goal: twice as fast as the disk mode, and not slower than the memory mode.\n")
    print(report.slower(names, keys, cells))


main()
