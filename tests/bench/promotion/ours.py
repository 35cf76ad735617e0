"""This server over HTTP: lakes, loads, promotions."""
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

APART = pathlib.Path(__file__).parent / "apart.py"
WAIT = 60


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("STEDI_", "AWS_"))}


def demo(binary, folder, source):
    """The whole way from JSON to all tables by one command: what its process took from start to end."""
    took = folder / "took.json"
    process = subprocess.run([sys.executable, APART, took, binary, "demo", "--exit", "--source", source],
                             cwd=folder, env=clean_environment(), stdout=subprocess.DEVNULL)
    if process.returncode:
        raise SystemExit(f"the demo ends with {process.returncode}")
    return json.loads(took.read_text())


def copy(source, target):
    """A copy of a lake and its state. Nothing in a lake is changed in place but what is small."""
    def link(a, b):
        return os.link(a, b) if a.endswith(".parquet") else shutil.copy2(a, b)
    shutil.copytree(source, target, copy_function=link)
    return target


class Server:
    """A server that runs in a folder, over the lake in it."""

    def __init__(self, binary, folder, flags=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.lake = folder / ".stedi/lake"
        log = open(folder / "stedi.log", "w")
        self.process = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", *flags], cwd=folder, text=True,
                                        env=clean_environment(), stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", line)
        if not found:
            raise SystemExit(f"stedi-server does not start: {(folder / 'stedi.log').read_text()}")
        token = subprocess.run([binary, "token", "--role", "admin", "--ttl", "8h"], cwd=folder, text=True,
                               env=clean_environment(), stdout=subprocess.PIPE, check=True).stdout.strip()
        self.connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=600)
        self.headers = {"Authorization": f"Bearer {token}"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def post(self, path, body, headers=None):
        self.connection.request("POST", path, body, self.headers | (headers or {}))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"POST {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text)

    def load(self, table, body):
        result = self.post(f"/v1/landing/{table}", body)
        if result["accepted"] != result["received"]:
            raise SystemExit(f"not all records of {table} are taken: {result}")

    def promote(self):
        """A promotion of all tables, and how long whoever asked for it waited."""
        used, begin = self.processor(), time.perf_counter()
        run = self.post("/v1/promotions", "{}", {"Content-Type": "application/json", "Prefer": f"wait={WAIT}"})
        seconds = time.perf_counter() - begin
        if run["state"] != "succeeded":
            raise SystemExit(f"the promotion has not succeeded: {run}")
        return Promotion(run, {"seconds": seconds, "processor": self.processor() - used, "peak": self.peak()})

    def processor(self):
        """Seconds of processor time that it used."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self):
        """Peak of its memory, in bytes (VmHWM)."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024

    def files_loaded(self, source, folders):
        for table, folder in folders.items():
            for file in sorted((source / folder).iterdir()):
                self.load(table, file.read_bytes())


class Promotion:
    def __init__(self, run, figures):
        self.figures = figures
        self.tables = {table["table"]: table for table in run["tables"]}

    def modes(self):
        return ", ".join(f"{name} {table['mode']} {table['millis']} ms" for name, table in self.tables.items())
