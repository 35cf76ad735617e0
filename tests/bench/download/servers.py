"""What answers: this server over a folder or a bucket, nginx, SeaweedFS; each a process of its own."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import requests

HERE = pathlib.Path(__file__).parent
NOTES = HERE.parent.parent / "pipelines/notes"
KEY, SECRET, BUCKET = "bench", "bench-secret", "lake"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait(port):
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > end:
                raise SystemExit(f"nothing answers on port {port}")
            time.sleep(0.05)


class Process:
    """A process that ends with the block, and how much memory it and its children hold."""

    def __init__(self, command, folder, environment=(), out=subprocess.DEVNULL):
        folder.mkdir(parents=True, exist_ok=True)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("STEDI_", "AWS_"))}
        self.environment = clean | dict(environment)
        self.log = open(folder / "log", "a")
        self.process = subprocess.Popen(command, cwd=folder, text=True, env=self.environment,
                                        stdout=out, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def family(self):
        ids = [self.process.pid]
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            ids += [int(child) for child in (task / "children").read_text().split()]
        return ids

    def forget_peak(self):
        for pid in self.family():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self):
        """Bytes (VmHWM)."""
        status = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.family()]
        return sum(int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024 for text in status)


class Stedi(Process):
    def __init__(self, binary, folder, flags=(), environment=()):
        config = folder / "stedi.toml"
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text("[maintenance]\nevery_seconds = 0\n[consent]\ngrace_seconds = 0\n"
                          "[snapshot]\nredirect_seconds = 60\n")
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--config", config, *flags]
        super().__init__(command, folder, environment, subprocess.PIPE)
        line = self.process.stdout.readline()
        if not (found := re.search(r"http://\S+", line)):
            raise SystemExit(f"stedi-server does not start: {(folder / 'log').read_text()}")
        self.url = found[0]
        token = subprocess.run([binary, "token", "--role", "admin", "--ttl", "8h"], cwd=folder, text=True,
                               env=self.environment, stdout=subprocess.PIPE, check=True).stdout.strip()
        self.headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        self.http = requests.Session()
        self.http.headers.update(self.headers)

    def ask(self, method, path, **more):
        answer = self.http.request(method, self.url + path, **more)
        if not answer.ok:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def load(self, table, body):
        result = self.ask("POST", f"/v1/landing/{table}", data=body).json()
        if result["accepted"] != result["received"]:
            raise SystemExit(f"not all records of {table} are taken: {result}")

    def promote(self):
        run = self.ask("POST", "/v1/promotions", json={}, headers={"Prefer": "wait=60"}).json()
        while run["state"] in ("queued", "running"):
            time.sleep(0.2)
            run = self.ask("GET", f"/v1/promotions/{run['id']}").json()
        if run["state"] != "succeeded":
            raise SystemExit(f"the promotion has not succeeded: {run}")

    def snapshot(self, **request):
        """A new snapshot, and how long it took."""
        begin = time.perf_counter()
        manifest = self.ask("POST", "/v1/snapshots", json=request).json()
        return manifest, time.perf_counter() - begin


class Nginx(Process):
    """With what its package has as defaults for files: sendfile, and a worker for each core."""

    def __init__(self, binary, folder, root):
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        paths = "".join(f"{name}_temp_path {folder}/{name};\n"
                        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes auto;\npid {folder}/pid;\nerror_log {folder}/error;\n"
            f"events {{}}\nhttp {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\n{paths}"
            f"server {{ listen 127.0.0.1:{port}; root {root}; }}\n}}\n")
        super().__init__([binary, "-c", folder / "nginx.conf", "-p", folder], folder)
        wait(port)
        self.url, self.headers = f"http://127.0.0.1:{port}", {}


class Seaweed(Process):
    """An S3 with one bucket, which everybody may read."""

    def __init__(self, weed, folder):
        (folder / "data").mkdir(parents=True)
        identities = [{"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                       "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
                      {"name": "anonymous", "actions": ["Read"]}]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        port = free_port()
        flags = {"dir": folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1",
                 "master.telemetry": "false", "s3.port": port, "s3.config": folder / "s3.json",
                 "s3.port.iceberg": 0, "s3.port.lance": 0, "webdav": "false", "admin.ui": "false"}
        for service in ("s3.port.grpc", "master.port", "master.port.grpc", "volume.port",
                        "volume.port.grpc", "filer.port", "filer.port.grpc", "admin.port",
                        "admin.port.grpc"):
            flags[service] = free_port()
        super().__init__([weed, "mini", *(f"-{k}={v}" for k, v in flags.items())], folder)
        wait(port)
        self.url, self.headers = f"http://127.0.0.1:{port}", {}
        self.keys = {"AWS_ENDPOINT_URL": self.url, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": KEY,
                     "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
        subprocess.run([sys.executable, HERE.parent.parent / "python/make_bucket.py", BUCKET], check=True,
                       env=self.environment | self.keys)
