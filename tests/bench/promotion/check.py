"""Whether tables hold the same rows, whoever wrote them."""
import pathlib
import sys

import duckdb

sys.path.append(str(pathlib.Path(__file__).parent / "peers"))
from common import TABLES, delta_files  # noqa: E402

COLUMNS = {
    "customer_trusted": (
        "subject_id", "customername", "email", "phone", "birthday", "serialnumber", "registrationdate",
        "lastupdatedate", "sharewithresearchasofdate", "sharewithpublicasofdate",
        "sharewithfriendsasofdate"),
    "accelerometer_trusted": ("subject_id", "timestamp", "serialnumber", "x", "y", "z"),
    "step_trainer_trusted": ("subject_id", "sensorreadingtime", "serialnumber", "distancefromobject"),
    "machine_learning_curated": (
        "subject_id", "sensorreadingtime", "serialnumber", "distancefromobject", "x", "y", "z"),
}
COLUMNS["customer_curated"] = COLUMNS["customer_trusted"]
ZONES = {"customer_curated": "curated", "machine_learning_curated": "curated"}


def summed(files, columns):
    """The number of rows, and a sum over the hashes of all rows, which no order of them changes."""
    names = ", ".join(f'"{name}"' for name in columns)
    ((count, sum_of_hashes),) = duckdb.sql(
        f"SELECT count(*), sum(hash({names})::HUGEINT) FROM read_parquet({files})").fetchall()
    return count, int(sum_of_hashes or 0)


def tables(folder, form="delta", zones=False):
    """Rows and digest of each derived table in a folder; in folders of zones as ours are."""
    found = {}
    for table in TABLES:
        if form == "parquet":
            files = [f"{folder / table}.parquet"]
        else:
            files = delta_files(folder / ZONES.get(table, "trusted") / table if zones else folder / table)
        found[table] = summed(files, COLUMNS[table])
    return found
