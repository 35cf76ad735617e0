"""What is asked, and how many rows an answer has."""
import csv
import io
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet

RESULT_ROWS = 100_000


@dataclass
class Measure:
    """`statements` are asked in turn; `{table}` stands for the table."""

    name: str
    statements: list
    form: str = "json"
    rows: int = 1  # of an answer; `None`: it depends on the statement


def measures(subjects):
    result = f"SELECT * FROM {{table}} LIMIT {RESULT_ROWS}"
    lookup = "SELECT * FROM {{table}} WHERE subject_id = '{}'"
    aggregate = ("SELECT count(*) AS n, avg(x) AS x, avg(distancefromobject) AS d,"
                 " max(sensorreadingtime) AS t FROM {table}")
    groups = ("SELECT serialnumber, count(*) AS n, avg(distancefromobject) AS d FROM {table}"
              " GROUP BY serialnumber ORDER BY n DESC, serialnumber LIMIT 10")
    return [
        Measure("SELECT 1", ["SELECT 1 AS one"]),
        Measure("aggregate", [aggregate]),
        Measure("groups", [groups], rows=10),
        Measure("lookup", [lookup.format(subject) for subject in subjects], rows=None),
        *(Measure(f"result {form}", [result], form, RESULT_ROWS)
          for form in ("json", "csv", "arrow", "parquet")),
    ]


def rows(form, body):
    """The rows of an answer as a list of tuples (only their number for Arrow and Parquet)."""
    if form == "arrow":
        return [()] * pa.ipc.open_stream(pa.BufferReader(body)).read_all().num_rows
    if form == "parquet":
        return [()] * pyarrow.parquet.read_table(pa.BufferReader(body)).num_rows
    if form == "csv":
        return [tuple(row) for row in csv.reader(io.StringIO(body.decode()))][1:]
    answer = json.loads(body)
    if isinstance(answer, dict):
        return [tuple(row) for row in answer["rows"]]
    return [tuple(row.values()) for row in answer]
