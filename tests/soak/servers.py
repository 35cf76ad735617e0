"""SeaweedFS and two servers of one lake in it, each a process on loopback."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

KEY, SECRET = "stedi-soak", "stedi-soak-secret"
KEYS = "subject.key", "suppression.keys", "auth.key", "certificate.key"
CONFIG = """storage = "s3://lake/soak"
[promotion]
after_load_seconds = 1
[maintenance]
every_seconds = 20
[consent]
grace_seconds = 2
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def resident(process):
    """Resident memory in bytes (VmRSS)."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024


class Store:
    def __init__(self, venv, work):
        self.endpoint = f"http://127.0.0.1:{(port := free_port())}"
        folder = work / "store"
        (folder / "data").mkdir(parents=True)
        identity = {"name": "soak", "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        flags = {"dir": folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.telemetry": "false",
                 "s3.port": port, "s3.config": folder / "s3.json", "s3.port.iceberg": 0, "s3.port.lance": 0,
                 "webdav": "false", "admin.ui": "false"}
        for service in ("s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                        "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc"):
            flags[service] = free_port()
        command = [venv / "bin/weed", "mini", *(f"-{flag}={value}" for flag, value in flags.items())]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.environment = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": KEY,
                            "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
        stop = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > stop:
                    raise SystemExit("SeaweedFS does not start")
                time.sleep(0.1)
        bucket = pathlib.Path(__file__).parent.parent / "python/make_bucket.py"
        subprocess.run([sys.executable, bucket, "lake"], env=os.environ | self.environment, check=True)


class Server:
    def __init__(self, bin, work, name, store, keys_of=None):
        self.folder = work / name
        state = self.folder / ".stedi"
        state.mkdir(parents=True)
        (self.folder / "stedi.toml").write_text(CONFIG)
        if keys_of:
            for key in KEYS:
                if (keys_of.folder / ".stedi" / key).exists():
                    shutil.copy2(keys_of.folder / ".stedi" / key, state / key)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("STEDI_", "AWS_"))}
        self.environment |= store.environment
        self.log = self.folder / "stedi.log"
        # How often it was started, and whether it is about to be stopped.
        self.starts, self.leaving = 0, False
        self.start(bin)

    def start(self, bin):
        """Starts it, or starts it again, as the version that a folder has."""
        command = [bin / "stedi-server", "serve", "--config", "stedi.toml", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, cwd=self.folder, text=True, env=self.environment,
                                        stdout=subprocess.PIPE, stderr=open(self.log, "a"))
        found = re.search(r"http://[\d.]+:\d+", self.process.stdout.readline())
        if not found:
            raise SystemExit(f"stedi-server does not start: {self.log.read_text()}")
        self.url = found[0]
        command = [bin / "stedi-server", "token", "--config", "stedi.toml", "--role", "admin", "--ttl", "8h"]
        self.token = subprocess.run(command, cwd=self.folder, text=True, env=self.environment, check=True,
                                    stdout=subprocess.PIPE).stdout.strip()
        self.starts, self.leaving = self.starts + 1, False

    def become(self, bin):
        """Ends in good order and comes back as another version; its exit code."""
        self.leaving = True
        self.process.terminate()
        code = self.process.wait(30)
        self.start(bin)
        return code

    def ask(self, method, path, body=None, headers=None, timeout=120):
        """Status, headers and body of an answer that was read to its end."""
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, method, path, body=None, headers=None):
        status, _, text = self.ask(method, path, body, headers)
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {text[:500]}")
        return json.loads(text)

    def rows(self, sql):
        return self.json("POST", "/v1/sql", {"sql": sql})["rows"]
