"""N clients at once, each a process with a connection of its own: no interpreter lock between them."""
import itertools
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field

from connection import Connection


@dataclass
class Round:
    """What one round of clients saw."""

    millis: list = field(default_factory=list)  # of each answer
    failed: dict = field(default_factory=dict)  # answers by status, if not 200, and breaks
    size: int = 0  # bytes of the last answer's body
    seconds: float = 0.0  # from the first request to the last answer


def run(address, requests, clients, seconds):
    """Each client asks one request after another for so many seconds, and finishes the last.

    Each begins elsewhere in `requests`, and asks once before the clock runs.
    """
    start_read, start_write = os.pipe()
    ready_read, ready_write = os.pipe()
    children = []
    for client in range(clients):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(start_write)  # or the end of the pipe that starts all is never seen
            _client(address, requests[client % len(requests) :] + requests[: client % len(requests)],
                    seconds, start_read, ready_write, write)
        os.close(write)
        children.append((child, read))
    os.close(ready_write)
    os.close(start_read)
    # Each writes a byte when it is warm; one that dies before it closes its end.
    count = 0
    while count < clients and (got := os.read(ready_read, clients)):
        count += len(got)
    os.close(ready_read)
    os.close(start_write)
    result = Round()
    begin, end = float("inf"), 0.0
    for child, read in children:
        with os.fdopen(read) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        if not text:
            result.failed["no answer"] = result.failed.get("no answer", 0) + 1
            continue
        seen = json.loads(text)
        result.millis += seen["millis"]
        for status, times in seen["failed"].items():
            result.failed[status] = result.failed.get(status, 0) + times
        result.size = seen["size"] or result.size
        begin, end = min(begin, seen["begin"]), max(end, seen["end"])
    result.seconds = max(end - begin, 0.0)
    return result


def _client(address, requests, seconds, start, ready, write):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        connection = Connection(address)
        connection.ask(requests[0])
        os.write(ready, b".")
        os.close(ready)
        os.read(start, 1)  # returns when the other end is closed
        seen = {"millis": [], "failed": {}, "size": 0, "begin": time.monotonic()}
        stop = seen["begin"] + seconds
        for request in itertools.cycle(requests):
            asked = time.monotonic()
            if asked >= stop:
                break
            try:
                status, seen["size"] = connection.ask(request)
            except Exception as error:  # counted, and the client goes on
                status = type(error).__name__
                connection = Connection(address)
            if status == 200:
                seen["millis"].append((time.monotonic() - asked) * 1e3)
            else:
                seen["failed"][str(status)] = seen["failed"].get(str(status), 0) + 1
        seen["end"] = time.monotonic()
        with os.fdopen(write, "w") as pipe:
            json.dump(seen, pipe)
        os._exit(0)
    except BaseException as error:
        print(f"a client ended: {error!r}", file=sys.stderr)
        os._exit(1)
