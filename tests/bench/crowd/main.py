"""Small requests beside connections that want nothing good. See `run`."""
import argparse
import http.client
import json
import pathlib
import re
import select
import socket
import subprocess
import sys
import threading
import time

WORKERS = 4
# A result of some hundred MB, of which a slow reader takes a few bytes.
LARGE = "SELECT a.value AS a, b.value AS b, c.value AS c FROM {0} a, {0} b, {0} c".format(
    "(SELECT unnest(range(1, 300)) AS value)")
SMALL = "SELECT count(*) AS n FROM machine_learning_curated"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Site:
    def __init__(self, options):
        demo = [options.server, "demo", "--exit", "--scale", "0.1"]
        subprocess.run(demo, cwd=options.work, check=True, stdout=subprocess.DEVNULL)
        # Turns of statements are not what is measured.
        (options.work / "stedi.toml").write_text(
            "[limits]\nstatements_at_once = 100\n[limits.roles.admin]\nstatements_at_once = 100\n")
        command = [options.server, "serve", "--config", "stedi.toml", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, cwd=options.work, text=True, stdout=subprocess.PIPE,
                                        stderr=open(options.work / "log", "w"))
        found = re.search(r"http://([\d.]+):(\d+)", self.process.stdout.readline())
        self.address = found[1], int(found[2])
        command = [options.server, "token", "--role", "admin", "--ttl", "2h"]
        self.token = subprocess.run(command, cwd=options.work, text=True, check=True,
                                    stdout=subprocess.PIPE).stdout.strip()

    def post(self, sql, accept):
        body = json.dumps({"sql": sql})
        return (f"POST /v1/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\nAccept: {accept}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1e3


def times(site, seconds):
    """Seconds of small requests, each over a connection that is kept."""
    took, lock, stop = [], threading.Lock(), time.monotonic() + seconds

    def work():
        connection = http.client.HTTPConnection(*site.address, timeout=60)
        headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/json"}
        mine = []
        while time.monotonic() < stop:
            begin = time.perf_counter()
            connection.request("POST", "/v1/sql", json.dumps({"sql": SMALL}), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{answer.status} {text}")
            mine.append(time.perf_counter() - begin)
        with lock:
            took.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(took)


class Crowd:
    """Connections, and when each was cut."""

    def __init__(self, site, half_open, slow):
        self.began, self.open, self.last = time.monotonic(), {}, 0.0
        for number in range(half_open + slow):
            connection = socket.create_connection(site.address)
            if number < half_open:
                connection.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: x\r\nX-Half: ")
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(site.post(LARGE, "text/csv"))
            connection.setblocking(False)
            self.open[connection] = number < half_open
        self.stop = False
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while self.open and not self.stop:
            time.sleep(0.5)
            poll = select.poll()
            known = {connection.fileno(): connection for connection in self.open}
            for number in known:
                poll.register(number, select.POLLIN | select.POLLHUP | select.POLLERR)
            for number, _ in poll.poll(0):
                connection = known[number]
                try:
                    # Slow readers take a little, now and then.
                    gone = connection.recv(4096 if self.open[connection] else 64) == b""
                except BlockingIOError:
                    continue
                except OSError:
                    gone = True
                if gone:
                    connection.close()
                    del self.open[connection]
                    self.last = time.monotonic() - self.began

    def end(self):
        self.stop = True
        self.thread.join()
        for connection in self.open:
            connection.close()


def row(what, took, memory):
    middle, late = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"| {what} | {len(took)} | {middle * 1000:.1f} ms | {late * 1000:.1f} ms | {memory:.0f} MB |")
    return late


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--half-open", type=int, default=500)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    site = Site(options)
    try:
        times(site, 3)
        before, memory = times(site, options.seconds), site.resident()
        print("| | small statements | median | 99 of 100 below | memory |\n| --- | --- | --- | --- | --- |")
        first = row("alone", before, memory)
        crowd = Crowd(site, options.half_open, options.slow)
        say(f"{len(crowd.open)} connections")
        beside, memory = times(site, options.seconds), site.resident()
        second = row(f"beside {options.half_open} half-open connections and {options.slow} slow readers", beside, memory)
        stop = time.monotonic() + 120
        while crowd.open and time.monotonic() < stop:
            time.sleep(0.5)
        left = len(crowd.open)
        crowd.end()
        print(f"\n99 of 100 below: {second / first:.2f} times as long. The last of them was cut after "
              f"{crowd.last:.0f} s; {left} were left after {time.monotonic() - crowd.began:.0f} s.")
    finally:
        site.process.terminate()
        site.process.wait(30)


main()
