"""The servers that are measured: each a process on loopback with the same table."""
import json
import os
import re
import socket
import subprocess
import time

from connection import Connection, request

ROWS = "application/json", "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


class Server:
    """A running server. `formats` is what it calls each format, `None` where it has none."""

    def __init__(self, name, process, address, path, health, headers, formats, table):
        self.name, self.process, self.address = name, process, address
        self.path, self.health, self.headers = path, health, headers
        self.formats, self.table = formats, table

    def ask(self, sql, form):
        """The bytes of a request, or `None` if it does not have the format."""
        if (media := self.formats[form]) is None:
            return None
        headers = [("Accept", media), ("Content-Type", "text/plain"), *self.headers]
        return request("POST", self.path, headers, sql.format(table=self.table).encode())

    def healthy(self):
        try:
            return Connection(self.address).ask(request("GET", self.health))[0] == 200
        except OSError:
            return False

    def wait(self, seconds=120):
        stop = time.monotonic() + seconds
        while not self.healthy():
            if time.monotonic() > stop or self.process.poll() is not None:
                raise SystemExit(f"{self.name} does not start")
            time.sleep(0.05)

    def peak(self):
        """Peak of its memory, in bytes, since it was last forgotten (VmHWM)."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024

    def forget_peak(self):
        """VmHWM begins anew at what is resident now (proc(5), clear_refs)."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")

    def ticks(self):
        """Processor time that it used, in clock ticks."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("STEDI_", "AWS_"))}


def stedi(binary, work, table):
    """This server, with its defaults, asked by an analyst."""
    log = open(work / "stedi.log", "w")
    process = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0"], cwd=work, text=True,
                               env=clean_environment(), stdout=subprocess.PIPE, stderr=log)
    line = process.stdout.readline()
    found = re.search(r"http://([\d.]+):(\d+)", line)
    if not found:
        raise SystemExit(f"stedi-server does not start: {(work / 'stedi.log').read_text()}")
    token = subprocess.run([binary, "token", "--role", "analyst", "--ttl", "8h"], cwd=work, text=True,
                           env=clean_environment(), stdout=subprocess.PIPE, check=True).stdout.strip()
    formats = dict(zip(("json", "csv", "arrow", "parquet"), ROWS))
    return Server("stedi", process, (found[1], int(found[2])), "/v1/sql", "/healthz",
                  [("Authorization", f"Bearer {token}")], formats, table)


def roapi(binary, work, table, uri, form, in_memory):
    """ROAPI over one table (its format `delta` or `parquet`), read from disk or held in memory."""
    name = "ROAPI memory" if in_memory else "ROAPI disk"
    http, postgres, flight = (free_port() for _ in range(3))
    config = {
        "addr": {"http": f"127.0.0.1:{http}", "postgres": f"127.0.0.1:{postgres}",
                 "flight_sql": f"127.0.0.1:{flight}"},
        "tables": [{"name": table, "uri": str(uri),
                    "option": {"format": form, "use_memory_table": in_memory}}],
    }
    file = work / f"{name.replace(' ', '-')}.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    log = open(file.with_suffix(".log"), "w")
    process = subprocess.Popen([binary, "-c", file], cwd=work, stdout=log, stderr=log,
                               env=clean_environment() | {"RUST_LOG": "error"})
    formats = dict(zip(("json", "csv", "arrow", "parquet"), ROWS)) | {"csv": "application/csv"}
    return Server(name, process, ("127.0.0.1", http), "/api/sql", "/health", [], formats, table)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
