"""The servers that are measured: each is started on a free port, and says what it took."""

import http.client
import pathlib
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A process that answers `POST path` with the statement as its body."""

    def __init__(self, name, command, work, path, port, token="-", ready="/"):
        self.name, self.path, self.token, self.port = name, path, token, port
        self.log = (work / f"{name.replace(' ', '-')}.log").open("w")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=work)
        deadline = time.time() + 120
        while True:
            assert self.process.poll() is None, pathlib.Path(self.log.name).read_text()
            assert time.time() < deadline, f"{name} does not start"
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", ready)
                connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.05)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, sql, accept):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Accept": accept, "Content-Type": "text/plain"}
        if self.token != "-":
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request("POST", self.path, sql, headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"{self.name}: {answer.status} {body[:300]}"
        return body

    def memory(self):
        """Bytes of memory: now, and at most so far (proc(5))."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in status)
        return [int(fields[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM")]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


def ours(binary, lake, state, work):
    port = free_port()
    command = [binary, "serve", "--listen", f"127.0.0.1:{port}", "--storage", lake]
    token = subprocess.run(
        [binary, "token", "--role", "admin", "--ttl", "8h", "--state-dir", state],
        check=True, capture_output=True, text=True,
    ).stdout.split()[-1]
    command += ["--state-dir", state]
    return Server("this server", command, work, "/v1/sql", port, token, "/healthz")


def roapi(files, memory, work):
    """`files` is a folder of Parquet files for each table."""
    port = free_port()
    name = f"ROAPI, {'memory' if memory else 'disk'}"
    tables = "".join(
        f"  - name: \"{table}\"\n    uri: \"{folder}\"\n    option:\n      format: \"parquet\"\n"
        f"      use_memory_table: {str(memory).lower()}\n"
        for table, folder in files.items()
    )
    config = work / f"roapi-{'memory' if memory else 'disk'}.yml"
    config.write_text(f"addr:\n  http: 127.0.0.1:{port}\n  postgres: 127.0.0.1:{free_port()}\ntables:\n{tables}")
    binary = pathlib.Path(sys.executable).with_name("roapi")
    return Server(name, [binary, "--config", config], work, "/api/sql", port)
