"""What every peer shares: its arguments, the pseudonyms, the clock, and what it prints."""
import argparse
import hashlib
import hmac
import json
import os
import pathlib
import resource
import time

TABLES = ("customer_trusted", "accelerometer_trusted", "customer_curated",
          "step_trainer_trusted", "machine_learning_curated")
SOURCES = ("customer_landing", "accelerometer_landing", "step_trainer_landing")
FOLDERS = dict(zip(SOURCES, ("customer", "accelerometer", "step_trainer")))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("rebuild", "whole"))
    parser.add_argument("--json", type=pathlib.Path, help="folder with the records as published")
    parser.add_argument("--landing", type=pathlib.Path, help="folder with the landing tables (Delta)")
    parser.add_argument("--key", type=pathlib.Path, help="file with the key of the pseudonyms, in hex")
    parser.add_argument("--sql", type=pathlib.Path, help="folder with the SELECTs")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--form", choices=("delta", "parquet"), default="delta")
    return parser.parse_args()


def select(options, table):
    """The SELECT of a derived table."""
    return (options.sql / f"{table}.sql").read_text().replace("$readings", "'all'")


# Nobody revoked anything in the data that is measured; the server alone writes this table.
NO_REVOCATIONS = ("customer_revocation",
                  "SELECT CAST(NULL AS {text}) AS subject_id, CAST(NULL AS BIGINT) AS revokedat WHERE 1 = 0")


def delta_files(folder):
    """The data files of a Delta table."""
    from deltalake import DeltaTable

    return [path.removeprefix("file://") for path in DeltaTable(str(folder)).file_uris()]


def pseudonym(key, email):
    """The first 128 bits of the HMAC-SHA256 of a normalised e-mail, in hex."""
    return hmac.digest(key, email.encode(), hashlib.sha256).hex()[:32]


def key(options):
    return bytes.fromhex(options.key.read_text().strip())


def pads(options):
    """The key as HMAC puts it before the inner and the outer message (RFC 2104), in hex."""
    padded = key(options).ljust(64, b"\0")
    return (bytes(byte ^ 0x36 for byte in padded).hex(), bytes(byte ^ 0x5C for byte in padded).hex())


def run(work):
    """Runs a peer's work between two looks at the clock; imports and sessions come before."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    work()
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = {"seconds": seconds, "processor": processor, "peak": after.ru_maxrss * 1024}
    print(json.dumps(figures), flush=True)
    # Threads of some libraries take seconds to end.
    os._exit(0)
