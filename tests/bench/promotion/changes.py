"""What changes after everything is promoted: a batch of new readings, one consent."""
import json

# Later than all moments of the published data; early enough for the server's clock.
LATER = 90 * 24 * 3600 * 1000


def records(folder):
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.open() if line.strip()]


def lines(found):
    return "".join(json.dumps(record) + "\n" for record in found).encode()


class Batch:
    """Every n-th step trainer reading and the phone's readings of the same customer and moment, once
    more some quarters later, so that they are new and meet in the curated table."""

    def __init__(self, data, every, quarters):
        people = {record["serialNumber"]: record["email"] for record in records(data / "customer")}
        steps = records(data / "step_trainer")[::every]
        moments = {(people[step["serialNumber"]], step["sensorReadingTime"]) for step in steps}
        phones = [r for r in records(data / "accelerometer") if (r["user"], r["timestamp"]) in moments]
        self.counts = {"step_trainer_landing": len(steps), "accelerometer_landing": len(phones)}
        later = quarters * LATER
        self.steps = [s | {"sensorReadingTime": s["sensorReadingTime"] + later} for s in steps]
        self.phones = [p | {"timestamp": p["timestamp"] + later} for p in phones]

    def load(self, server):
        server.load("step_trainer_landing", lines(self.steps))
        server.load("accelerometer_landing", lines(self.phones))


class Consents:
    """One customer withdraws, another gives consent. Both have readings, and records of their own."""

    def __init__(self, data):
        found = records(data / "customer")
        readers = {record["user"] for record in records(data / "accelerometer")}
        agreed = "shareWithResearchAsOfDate"
        withdraws = next(r for r in found if r.get(agreed) and r["email"] in readers)
        gives = next(r for r in found if not r.get(agreed) and r["email"] in readers)
        moment = max(r["lastUpdateDate"] for r in found) + LATER
        self.withdrawn = {k: v for k, v in withdraws.items() if k != agreed} | {"lastUpdateDate": moment}
        self.given = gives | {"lastUpdateDate": moment, agreed: moment}

    def withdraw(self, server):
        server.load("customer_landing", lines([self.withdrawn]))

    def give(self, server):
        server.load("customer_landing", lines([self.given]))
