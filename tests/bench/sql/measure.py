"""Measures SQL over HTTP: see `run`."""

import argparse
import csv
import io
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

import deltalake
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from servers import ours, roapi

TABLE = "machine_learning_curated"
ROWS = 100_000
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


def rows_of(body, accept):
    """How many rows an answer has, by a reader of another make."""
    if accept == JSON:
        answer = json.loads(body)
        return len(answer["rows"] if isinstance(answer, dict) else answer)
    if "csv" in accept:
        return sum(1 for _ in csv.reader(io.StringIO(body.decode()))) - 1
    if accept == ARROW:
        return pyarrow.ipc.open_stream(io.BytesIO(body)).read_all().num_rows
    return pyarrow.parquet.read_table(io.BytesIO(body)).num_rows


def cases(subjects):
    """Name, statements, format; ROAPI takes another name for CSV."""
    many = [f"SELECT * FROM {TABLE} LIMIT {ROWS}"]
    lookups = [f"SELECT * FROM {TABLE} WHERE subject_id = '{subject}'" for subject in subjects]
    aggregate = (
        "SELECT count(*) AS n, avg(x) AS x, min(y) AS y, max(z) AS z, "
        f"sum(distancefromobject) AS d, max(sensorreadingtime) AS t FROM {TABLE}"
    )
    return {
        "SELECT 1": (["SELECT 1 AS one"], JSON),
        "aggregate": ([aggregate], JSON),
        "lookup": (lookups, JSON),
        "100,000 rows, JSON": (many, JSON),
        "100,000 rows, CSV": (many, "csv"),
        "100,000 rows, Arrow": (many, ARROW),
        "100,000 rows, Parquet": (many, PARQUET),
    }


def accepted(server, accept):
    if accept != "csv":
        return accept
    return "text/csv" if server.name == "this server" else "application/csv"


def prepare(options):
    """The lake, the same Parquet files in folders of their own, and some subjects."""
    work = options.work
    source = options.data
    if options.times > 1:
        source = work / "data"
        script = pathlib.Path(__file__).parent.parent / "multiply.py"
        subprocess.run(
            [sys.executable, script, options.data, source, str(options.times)], check=True
        )
    lake, state = work / "lake", work / "state"
    subprocess.run(
        [options.server, "demo", "--exit", "--source", source, "--storage", lake,
         "--state-dir", state], check=True, stdout=subprocess.DEVNULL, cwd=work,
    )
    if options.times > 1:
        shutil.rmtree(source)
    table = deltalake.DeltaTable(lake / "curated" / TABLE)
    folder = work / "files" / TABLE
    folder.mkdir(parents=True)
    for number, uri in enumerate(sorted(table.file_uris())):
        shutil.copy(uri, folder / f"{number}.parquet")
    read = pyarrow.parquet.read_table(folder)
    subjects = sorted(set(read["subject_id"].drop_null().to_pylist()))
    step = max(1, len(subjects) // 100)
    size = sum(file.stat().st_size for file in folder.iterdir())
    files = len(list(folder.iterdir()))
    print(f"{TABLE}: {read.num_rows:,} rows in {files} files, {size / 1e6:.1f} MB, "
          f"{len(subjects):,} subjects", file=sys.stderr)
    return lake, state, {TABLE: folder}, subjects[::step], read.num_rows


def check(server, all_cases, total):
    """That every server answers the same number of rows, and the same aggregate."""
    told = {}
    for name, (statements, accept) in all_cases.items():
        accept = accepted(server, accept)
        body = server.ask(statements[0], accept)
        told[name] = rows_of(body, accept)
        if name == "aggregate":
            answer = json.loads(body)
            first = answer["rows"][0] if isinstance(answer, dict) else list(answer[0].values())
            assert first[0] == total, f"{server.name} counts {first[0]} rows, not {total}"
    return told


def load(options, server, statements, accept, clients, seconds):
    file = options.work / "statements"
    file.write_text("".join(f"{sql}\n" for sql in statements))
    said = subprocess.run(
        [options.work / "load", server.address, server.path, accepted(server, accept),
         server.token, str(clients), str(seconds), file],
        check=True, capture_output=True, text=True,
    ).stdout
    return json.loads(said)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--server", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.server = options.server.resolve()
    options.data = options.data.resolve()
    clients = [int(number) for number in options.clients.split(",")]
    lake, state, files, subjects, total = prepare(options)
    wanted = [part.strip() for part in options.only.split(";") if part.strip()]
    all_cases = {
        name: case for name, case in cases(subjects).items()
        if not wanted or any(part in name for part in wanted)
    }
    starts = [
        lambda: ours(options.server, lake, state, options.work),
        lambda: roapi(files, False, options.work),
        lambda: roapi(files, True, options.work),
    ]
    figures, memory, rows, own = {}, {}, {}, []
    for number in range(options.rounds):
        # Each begins once where there are as many rounds as servers.
        for start in starts[number % 3:] + starts[:number % 3]:
            server = start()
            try:
                at_start = server.memory()[0]
                told = check(server, all_cases, total)
                assert rows.setdefault("all", told) == told, f"{server.name}: {told}, not {rows}"
                for name, (statements, accept) in all_cases.items():
                    load(options, server, statements, accept, 1, 0.3)
                    for count in clients:
                        figure = load(options, server, statements, accept, count, options.seconds)
                        assert not figure["errors"], f"{server.name}, {name}: {figure}"
                        figures.setdefault((name, count, server.name), []).append(figure)
                        own.append(figure["own_cpu_seconds"] / figure["seconds"])
                        print(f"{server.name}, {name}, {count}: {figure}", file=sys.stderr)
                memory.setdefault(server.name, []).append((at_start, *server.memory()))
            finally:
                server.stop()
    report(options, figures, memory, rows["all"], own)


def report(options, figures, memory, rows, own):
    names = ["this server", "ROAPI, disk", "ROAPI, memory"]
    median = lambda key, field: statistics.median(figure[field] for figure in figures[key])
    print("Milliseconds, median of the rounds: p50 / p99. A ratio is ROAPI's p50 by this server's: "
          "above 1 this server is faster.\n")
    print("| statement | clients | " + " | ".join(names) + " | disk : this | memory : this |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    keys = list(dict.fromkeys((name, count) for name, count, _ in figures))
    for name, count in keys:
        cells = [
            f"{median((name, count, s), 'p50_us') / 1e3:.2f} / "
            f"{median((name, count, s), 'p99_us') / 1e3:.2f}" for s in names
        ]
        own_p50 = median((name, count, names[0]), "p50_us")
        ratios = [f"{median((name, count, s), 'p50_us') / own_p50:.2f}" for s in names[1:]]
        print(f"| {name} | {count} | " + " | ".join(cells + ratios) + " |")
    print("\nRows per second (requests per second × rows of the answer):\n")
    print("| statement | clients | " + " | ".join(names) + " |")
    print("| --- | --- | --- | --- | --- |")
    for name, count in keys:
        def rate(server):
            key = (name, count, server)
            per_second = statistics.median(f["requests"] / f["seconds"] for f in figures[key])
            return f"{per_second * rows[name]:,.0f}"
        print(f"| {name} | {count} | " + " | ".join(map(rate, names)) + " |")
    print("\nMemory of the server in MB, median of the rounds:\n")
    print("| server | after its start | after all statements | peak |")
    print("| --- | --- | --- | --- |")
    for name in names:
        columns = zip(*memory[name])
        cells = [f"{statistics.median(column) / 1e6:.0f}" for column in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\nThe load generator took {max(own) * 100:.0f} % of one processor at most.")
    if options.json:
        text = {f"{name}; {count}; {server}": all_of
                for (name, count, server), all_of in figures.items()}
        options.json.write_text(json.dumps({"figures": text, "memory": memory, "rows": rows}))


if __name__ == "__main__":
    main()
