"""Work of all kinds on two servers for some time, and what must hold in the end. See `run`."""
import argparse
import collections
import http.client
import json
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).parent))
from servers import Server, Store, resident, say  # noqa: E402

FORMATS = ("application/json", "text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream",
           "application/vnd.apache.parquet")
DERIVED = "customer_trusted", "accelerometer_trusted", "customer_curated", "step_trainer_trusted", \
    "machine_learning_curated"
# What is planned: whoever asks comes again.
PLANNED = {"consent_changed", "redacting", "redacted", "snapshot_not_found", "consent_unknown", "promotions_wait",
           "history_purged", "too_many_statements", "queue_full"}
# Readings of one customer and load.
READINGS = 40
# Within how many seconds after an acknowledgement each server has cut off what it still sends.
NOTICED = 2
# By how much memory may be more in the last third than in the one before.
GROWTH = 1.2


class People:
    """Who is there, and what was acknowledged of them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.next, self.sent, self.gone, self.leaving = 0, {}, {}, set()

    def new(self):
        with self.lock:
            self.next += 1
            return self.next

    def staying(self):
        with self.lock:
            there = [one for one in self.sent if one not in self.gone and one not in self.leaving]
            return random.choice(there) if there else None

    def leave(self):
        with self.lock:
            there = [one for one in self.sent if one not in self.gone and one not in self.leaving]
            if len(there) < 10:
                return None
            self.leaving.add(one := random.choice(there))
            return one


def email(one):
    return f"soak{one}x@example.com"


class Soak:
    def __init__(self, options):
        self.options = options
        self.store, self.servers = Store(options.venv, options.work), []
        self.people, self.over = People(), threading.Event()
        self.counts, self.planned, self.faults = collections.Counter(), collections.Counter(), []
        self.seconds = collections.defaultdict(list)
        self.memory = []
        # When each withdrawal was acknowledged; None until it is.
        self.withdrawals = []

    def start(self):
        for name in ("first", "second"):
            keys_of = self.servers[0] if self.servers else None
            bin = self.options.before or self.options.bin
            self.servers.append(Server(bin, self.options.work, name, self.store, keys_of))

    def any(self):
        return random.choice([server for server in self.servers if not server.leaving])

    def ask(self, what, server, *request, **more):
        """An answer; nothing where it is a planned refusal. Everything else is a fault."""
        begin, starts = time.perf_counter(), server.starts
        try:
            status, headers, text = server.ask(*request, **more)
        except Exception as error:
            if server.leaving or server.starts != starts:
                self.planned["the server went"] += 1
            elif what == "statement" and isinstance(error, http.client.IncompleteRead) and self.withdrew(begin):
                self.planned["result cut off"] += 1
            else:
                self.faults.append(f"{what}: {error!r}")
            return None
        self.counts[what] += 1
        self.seconds[what].append(time.perf_counter() - begin)
        if status < 400:
            return text
        try:
            code = json.loads(text)["code"]
        except ValueError:
            code = "?"
        if code in PLANNED:
            self.planned[f"{status} {code}"] += 1
        else:
            self.faults.append(f"{what}: {status} {text[:300]}")
        return None

    def withdrew(self, since):
        """Whether a consent may have ended since then, or shortly before, so that results are cut off."""
        return any(end is None or end > since - NOTICED for end in self.withdrawals)

    # What goes on all the time; each in a thread of its own.

    def load(self):
        for _ in range(5):
            one = self.people.new()
            self.load_one(one, new=True)
        while not self.over.wait(0.3):
            if random.random() < 0.4 or (one := self.people.staying()) is None:
                self.load_one(self.people.new(), new=True)
            else:
                self.load_one(one, new=False)

    def load_one(self, one, new):
        device = f"soak-device-{one}-x"
        if new:
            record = {"customerName": f"Soak {one}", "email": email(one), "birthDay": "1950-01-01",
                      "serialNumber": device, "registrationDate": 1, "lastUpdateDate": 10,
                      "shareWithResearchAsOfDate": 1000}
            if not self.loaded("customer_landing", [record], 1):
                return
            with self.people.lock:
                self.people.sent[one] = 0
        with self.people.lock:
            if one in self.people.leaving or one in self.people.gone:
                return
            at = self.people.sent[one] + 1
        times = range(at, at + READINGS)
        steps = [{"sensorReadingTime": t, "serialNumber": device, "distanceFromObject": t % 200} for t in times]
        readings = [{"user": email(one), "timestamp": t, "x": 0.5, "y": t, "z": -1} for t in times]
        done = self.loaded("step_trainer_landing", steps, READINGS)
        done = self.loaded("accelerometer_landing", readings, READINGS) and done
        with self.people.lock:
            if done:
                self.people.sent[one] += READINGS
            else:
                # It is not known what of it is there.
                self.people.leaving.add(one)

    def loaded(self, table, records, count):
        body = "".join(json.dumps(record) + "\n" for record in records).encode()
        answer = self.ask("load", self.any(), "POST", f"/v1/landing/{table}", body,
                          {"Content-Type": "application/x-ndjson"})
        if answer is None:
            return False
        result = json.loads(answer)
        return result["accepted"] == count

    def promote(self):
        while not self.over.wait(7):
            self.ask("promote", self.any(), "POST", "/v1/promotions", {}, {"Prefer": "wait=60"})

    def analyse(self):
        while not self.over.wait(0.05):
            sql = random.choice((
                "SELECT subject_id, count(*), avg(distancefromobject) FROM machine_learning_curated GROUP BY 1",
                "SELECT * FROM accelerometer_trusted ORDER BY timestamp DESC LIMIT 500",
                "SELECT count(*) FROM step_trainer_landing",
                "SELECT * FROM machine_learning_curated LIMIT 5000",
            ))
            accept = {"Accept": random.choice(FORMATS)}
            self.ask("statement", self.any(), "POST", "/v1/sql", {"sql": sql}, accept)

    def pull(self):
        number = 0
        while not self.over.wait(10):
            number += 1
            server, name = self.any(), f"soak-{number}"
            starts = server.starts
            # While rows of somebody who withdrew are still being taken out, none is made.
            while self.ask("snapshot", server, "POST", "/v1/snapshots", {"name": name}) is None:
                if self.over.wait(0.5):
                    return
                server = self.any()
                starts = server.starts
            out = self.options.work / "pulled" / name
            stedi = [self.options.bin / "stedi", "--server", server.url, "--token", server.token, "snapshot"]
            done = subprocess.run([*stedi, "pull", name, "--out", out], capture_output=True, text=True)
            self.counts["pull"] += 1
            if done.returncode == 0:
                checked = subprocess.run([*stedi, "verify", out], capture_output=True, text=True)
                if checked.returncode:
                    self.faults.append(f"verify: {checked.stderr[-300:]}")
            elif any(code.replace("_", " ") in done.stderr or code in done.stderr or "consent" in done.stderr
                     for code in PLANNED):
                self.planned["pull refused"] += 1
            elif server.leaving or server.starts != starts:
                self.planned["the server went"] += 1
            else:
                self.faults.append(f"pull: {done.returncode} {done.stderr[-300:]}")
            self.ask("delete", server, "DELETE", f"/v1/snapshots/{name}")
            subprocess.run(["rm", "-rf", out], check=True)

    def withdraw(self):
        # Each is a promotion, a purge and a scan of its own, unless they are asked for together.
        while not self.over.wait(20):
            if (one := self.people.leave()) is None:
                continue
            kind = "erasures" if random.random() < 0.3 else "revocations"
            sql = f"SELECT max(subject_id) FROM customer_landing WHERE email = '{email(one)}'"
            found = self.ask("look", self.any(), "POST", "/v1/sql", {"sql": sql})
            if found is None:
                continue
            subject, server = json.loads(found)["rows"][0][0], self.any()
            self.withdrawals.append(None)
            answer = self.ask(kind, server, "POST", f"/v1/{kind}", {"email": email(one)})
            self.withdrawals[-1] = time.perf_counter()
            if answer is None:
                continue
            with self.people.lock:
                self.people.gone[one] = kind
            # From now on on both, by any table.
            for other in self.servers:
                for table in ("machine_learning_curated", "accelerometer_trusted", "customer_curated"):
                    sql = f"SELECT count(*) FROM {table} WHERE subject_id = '{subject}'"
                    text = self.ask("look", other, "POST", "/v1/sql", {"sql": sql})
                    if text is not None and json.loads(text)["rows"] != [[0]]:
                        self.faults.append(f"{kind}: {table} still has rows of somebody who withdrew: {text}")

    def sample(self):
        while not self.over.wait(2):
            if not any(server.leaving for server in self.servers):
                self.memory.append([resident(server.process) for server in self.servers])

    def change(self):
        """One after the other becomes the new version, and one of them the old one again, while all goes on."""
        quarter = 15 * self.options.minutes
        for at, bin in ((1, self.options.bin), (0, self.options.bin), (1, self.options.before)):
            if self.over.wait(quarter):
                return
            if code := self.servers[at].become(bin):
                self.faults.append(f"a server ended with {code}")
            say(f"server {at + 1} is {bin}")

    # In the end.

    def settle(self):
        # What has queued up is carried out first.
        stop = time.monotonic() + 900
        for kind in ("revocations", "erasures"):
            def some(state):
                return self.servers[0].json("GET", f"/v1/{kind}?state={state}&limit=200")[kind]
            while left := some("queued") + some("running"):
                if time.monotonic() > stop:
                    raise SystemExit(f"{kind} do not end: {left}")
                time.sleep(0.5)
            for state in ("failed", "cancelled"):
                self.faults.extend(f"{kind}: {one}"[:600] for one in some(state))
            self.counts[f"{kind} certified"] = len(some("succeeded"))
        run = self.servers[0].json("POST", "/v1/promotions", {}, {"Prefer": "wait=60"})
        if run["state"] != "succeeded":
            self.faults.append(f"the last promotion: {run}"[:600])

    def check(self):
        people = self.people
        unsure = {one for one in people.leaving if one not in people.gone}
        staying = {one: rows for one, rows in people.sent.items() if one not in people.gone and one not in unsure}
        landing = {email(one): people.sent[one] for one in people.sent
                   if people.gone.get(one) != "erasures" and one not in unsure}
        for server in self.servers:
            found = dict(server.rows("SELECT user, count(*) FROM accelerometer_landing GROUP BY 1"))
            for who, rows in landing.items():
                if found.get(who, 0) != rows:
                    self.faults.append(f"landing has {found.get(who, 0)} readings of {who}, {rows} were acknowledged")
            for who in (email(one) for one, kind in people.gone.items() if kind == "erasures"):
                if who in found:
                    self.faults.append(f"landing has readings of {who}, who is erased")
            known = dict(server.rows("SELECT email, max(subject_id) FROM customer_landing GROUP BY 1"))
            curated = dict(server.rows("SELECT subject_id, count(*) FROM machine_learning_curated GROUP BY 1"))
            for one, rows in staying.items():
                if curated.get(known[email(one)], 0) != rows:
                    self.faults.append(f"curated has {curated.get(known[email(one)], 0)} rows of {email(one)}: {rows}")
            for one in people.gone:
                if known.get(email(one)) in curated:
                    self.faults.append(f"curated has rows of {email(one)}, who withdrew")
            for table in DERIVED:
                rows, different = server.rows(
                    f"SELECT (SELECT count(*) FROM {table}) AS rows, (SELECT count(*) FROM (SELECT DISTINCT * FROM {table})) AS n")[0]
                if rows != different:
                    self.faults.append(f"{table} has {rows - different} rows twice")
        audit = self.servers[0].json("GET", "/v1/audit/verify")
        if not audit.get("ok", audit.get("valid", True)):
            self.faults.append(f"the audit: {audit}")

    def flat(self):
        """The median of the last third over that of the third before, per server."""
        # A server that is started anew says nothing of growth.
        if len(self.memory) < 6 or self.options.before:
            return []
        third = len(self.memory) // 3
        ratios = []
        for at in range(len(self.servers)):
            of = [sample[at] for sample in self.memory]
            ratios.append(statistics.median(of[2 * third:]) / statistics.median(of[third:2 * third]))
        if max(ratios) > GROWTH and self.options.minutes >= 5:
            self.faults.append(f"memory grows: {ratios}")
        return ratios

    def run(self):
        work = [self.load, self.load, self.promote, self.analyse, self.analyse, self.pull, self.withdraw, self.sample]
        if self.options.before:
            work.append(self.change)
        threads = [threading.Thread(target=self.guard, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        stop = time.monotonic() + 60 * self.options.minutes
        while time.monotonic() < stop and not self.faults:
            time.sleep(5)
            say(f"{dict(self.counts)} planned {dict(self.planned)} "
                f"MB {[round(one / 1e6) for one in self.memory[-1]] if self.memory else ''}")
        self.over.set()
        for thread in threads:
            thread.join()
        if not self.faults:
            self.settle()
            self.check()
        ratios = self.flat()
        print(f"{self.options.minutes:g} minutes, two servers, SeaweedFS:\n")
        print("| what | how often | median | 99 of 100 below |\n| --- | --- | --- | --- |")
        for what, count in sorted(self.counts.items()):
            times = sorted(self.seconds.get(what, []))
            middle = f"{statistics.median(times) * 1000:.0f} ms" if times else ""
            late = f"{times[int(len(times) * 0.99)] * 1000:.0f} ms" if times else ""
            print(f"| {what} | {count} | {middle} | {late} |")
        grown = "; the last third of the time over the one before: " if ratios else ""
        print(f"\nPlanned refusals: {dict(self.planned)}. Memory at the end "
              f"{', '.join(f'{one / 1e6:.0f} MB' for one in self.memory[-1])}"
              f"{grown}{', '.join(f'{ratio:.2f}' for ratio in ratios)}.")
        for fault in self.faults[:10]:
            print(f"FAULT: {fault}")
        if self.faults:
            for server in self.servers:
                lines = server.log.read_text().splitlines()
                say("\n".join(line[:500] for line in lines if " INFO " not in line)[-3000:])
        return 1 if self.faults else 0

    def guard(self, work):
        try:
            work()
        except BaseException as error:
            self.faults.append(f"{work.__name__}: {error!r}")

    def stop(self):
        for server in self.servers:
            server.process.terminate()
            if server.process.wait(30):
                print(f"FAULT: a server ends with {server.process.returncode}")
        self.store.process.terminate()
        self.store.process.wait(30)


def main():
    parser = argparse.ArgumentParser()
    for name in ("bin", "venv", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--before", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=30)
    soak = Soak(parser.parse_args())
    try:
        soak.start()
        code = soak.run()
    finally:
        soak.stop()
    sys.exit(code)


main()
