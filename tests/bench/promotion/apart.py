"""Runs a command from a small process and passes on how it ends.

A process begins with the peak memory of the one that started it (getrusage(2), ru_maxrss), and the
benchmark itself holds all readings. `apart.py FILE COMMAND…` writes into FILE what the command took.
"""
import json
import os
import subprocess
import sys
import time

begin = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(process.pid, 0)
seconds = time.perf_counter() - begin
with open(sys.argv[1], "w") as out:
    json.dump({"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024}, out)
sys.exit(os.waitstatus_to_exitcode(status))
