"""Reads results of statements with a reader of another make, and compares them with the JSON answer.

usage: read_results.py pyarrow|polars|duckdb|duckdb-csv|pandas|json URL    (the token is in STEDI_TOKEN)
"""

import csv
import datetime
import decimal
import hashlib
import io
import json
import math
import os
import sys
import tempfile
import urllib.request

READER, URL = sys.argv[1], sys.argv[2]
TOKEN = os.environ["STEDI_TOKEN"]
JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

# One row for each value, so that the order is known.
CASES = {
    "one": "SELECT 1 AS one",
    "whole numbers": """SELECT a FROM (VALUES (0, 9223372036854775807), (1, -9223372036854775807),
        (2, 9007199254740993), (3, NULL), (4, -1)) AS t(n, a) ORDER BY n""",
    "small numbers": """SELECT arrow_cast(-128, 'Int8') AS a, arrow_cast(255, 'UInt8') AS b,
        arrow_cast(-32768, 'Int16') AS c, arrow_cast(65535, 'UInt16') AS d,
        arrow_cast(-2147483648, 'Int32') AS e, arrow_cast(4294967295, 'UInt32') AS f,
        arrow_cast('18446744073709551615', 'UInt64') AS g""",
    "doubles": """SELECT a FROM (VALUES (0, 0.1::double), (1, 1e308::double), (2, 5e-324::double),
        (3, 1.7976931348623157e308::double), (4, 0.30000000000000004::double), (5, NULL),
        (6, 123456789.123456789::double), (7, -0.5::double)) AS t(n, a) ORDER BY n""",
    "doubles that are no numbers": """SELECT a FROM (VALUES (0, 'NaN'::double),
        (1, 'Infinity'::double), (2, '-Infinity'::double), (3, NULL)) AS t(n, a) ORDER BY n""",
    "reals": "SELECT arrow_cast(0.5, 'Float32') AS a, arrow_cast('-1e30', 'Float32') AS b",
    "decimals": """SELECT CAST('12345678901234567890.1234567890' AS DECIMAL(38, 10)) AS a,
        CAST(-0.01 AS DECIMAL(5, 2)) AS b, CAST(NULL AS DECIMAL(5, 2)) AS c""",
    "booleans": "SELECT a FROM (VALUES (0, true), (1, false), (2, NULL)) AS t(n, a) ORDER BY n",
    "texts": """SELECT a FROM (VALUES (0, 'plain'), (1, 'comma, "quote"'), (2, 'line\nbreak'),
        (3, 'ünïcödé ☃ 𝄞'), (4, NULL), (5, ' blanks '), (6, 'tab\tback\\slash'), (7, '1')
        ) AS t(n, a) ORDER BY n""",
    "empty texts": "SELECT '' AS a, 'x' AS b, CAST(NULL AS VARCHAR) AS c",
    "dates": """SELECT a FROM (VALUES (0, DATE '2024-02-29'), (1, DATE '1969-12-31'),
        (2, DATE '9999-12-31'), (3, NULL)) AS t(n, a) ORDER BY n""",
    "timestamps": """SELECT arrow_cast('2024-02-29T12:34:56', 'Timestamp(Second, None)') AS a,
        arrow_cast('2024-02-29T12:34:56.123', 'Timestamp(Millisecond, None)') AS b,
        arrow_cast('2024-02-29T12:34:56.123456', 'Timestamp(Microsecond, None)') AS c,
        arrow_cast('2024-02-29T12:34:56.123456000', 'Timestamp(Nanosecond, None)') AS d,
        arrow_cast(NULL, 'Timestamp(Nanosecond, None)') AS e,
        arrow_cast('1901-01-01T00:00:00', 'Timestamp(Microsecond, None)') AS f""",
    "timestamps in a zone": """SELECT arrow_cast('2024-02-29T12:34:56.123456Z',
        'Timestamp(Microsecond, Some("UTC"))') AS a""",
    "times": "SELECT TIME '12:34:56.123456' AS a",
    "bytes": "SELECT a FROM (VALUES (0, X'00ff10'), (1, X''), (2, NULL)) AS t(n, a) ORDER BY n",
    "lists": """SELECT a FROM (VALUES (0, [1, 2, NULL]), (1, NULL), (2, [9007199254740993])
        ) AS t(n, a) ORDER BY n""",
    "lists of lists and of texts": "SELECT [[1, 2], [3]] AS a, ['a', NULL, 'c,\"'] AS b",
    "structs": "SELECT named_struct('a', 1, 'b', 'x', 'c', [true, false]) AS s",
    "lists of structs": "SELECT [named_struct('a', 1, 'b', NULL), named_struct('a', 2, 'b', 'x')] AS l",
    "nothing but NULL": "SELECT NULL AS a, 1 AS b",
    "no row": "SELECT subject_id, timestamp, x FROM accelerometer_trusted WHERE x > 1e300",
    "names that are the same": """SELECT * FROM (SELECT 1 AS a, 3 AS a_2) AS t
        CROSS JOIN (SELECT 2 AS a) AS u""",
    "names that are odd": "SELECT 1 AS \"a b\", 2 AS \"a\"\"b\", 3 AS \"ü,;\", 4 AS \"select\"",
    "many columns": "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(500)),
    "a dictionary": """SELECT arrow_cast('x', 'Dictionary(Int32, Utf8)') AS a,
        arrow_cast('y', 'Utf8View') AS b, arrow_cast('z', 'LargeUtf8') AS c""",
    "a table": """SELECT subject_id, timestamp, serialnumber, x, y, z FROM accelerometer_trusted
        ORDER BY timestamp, subject_id, x, y, z""",
    "many batches": """SELECT a.timestamp * 1000 + b.x AS k, a.subject_id, b.y, b.y > 0 AS up
        FROM accelerometer_trusted a CROSS JOIN (SELECT DISTINCT x, y FROM accelerometer_trusted
        ORDER BY x, y LIMIT 60) AS b ORDER BY 1, 2, 3 LIMIT 120000""",
}


def ask(sql, accept):
    request = urllib.request.Request(
        URL + "/v1/sql",
        json.dumps({"sql": sql}).encode(),
        {"Authorization": "Bearer " + TOKEN, "Content-Type": JSON, "Accept": accept},
    )
    response = urllib.request.urlopen(request, timeout=120)
    kind = response.headers["Content-Type"].split(";")[0]
    assert kind == accept, f"{kind} instead of {accept}"
    return response


def plain(value):
    """A value as all formats can say it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) or type(value).__name__ == "Series":
        return [plain(item) for item in value]
    return value


def expected(value, kind):
    """A value of the JSON answer in the same words; `kind` is its SQL type."""
    if value is None:
        return None
    if kind.startswith("TIMESTAMP"):
        return plain(datetime.datetime.fromisoformat(value[:26] if "Z" not in value else value))
    if kind == "TIME":
        return plain(datetime.time.fromisoformat(value[:15]))
    if kind.startswith("DECIMAL"):
        return float(value)
    if kind == "REAL":
        return float(value)
    return plain(value)


def with_json(sql):
    answer = json.load(ask(sql, JSON))
    kinds = [column["type"] for column in answer["columns"]]
    names = [column["name"] for column in answer["columns"]]
    rows = [[expected(v, k) for v, k in zip(row, kinds, strict=True)] for row in answer["rows"]]
    assert answer["row_count"] == len(rows)
    return names, kinds, rows


def with_pyarrow(sql):
    import pyarrow.ipc

    # As it comes from the socket.
    with pyarrow.ipc.open_stream(ask(sql, ARROW)) as reader:
        table = reader.read_all()
    table.validate(full=True)
    names = table.schema.names
    columns = [column.to_pylist() for column in table.columns]
    return names, [list(row) for row in zip(*columns)] if columns else []


def with_polars(sql):
    import polars

    frame = polars.read_ipc_stream(io.BytesIO(ask(sql, ARROW).read()))
    return frame.columns, [list(row) for row in frame.rows()]


def with_duckdb(sql):
    import duckdb

    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(ask(sql, PARQUET).read())
        file.flush()
        relation = duckdb.connect().read_parquet(file.name)
        return relation.columns, [list(row) for row in relation.fetchall()]


def with_pandas(sql):
    import pandas

    text = ask(sql, CSV).read()
    # The line of a result of one column without a value is empty.
    frame = pandas.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False, skip_blank_lines=False)
    # The header again, since pandas renames what is there twice.
    names = next(csv.reader(io.StringIO(text.decode())))
    return names, frame.values.tolist()


def with_duckdb_csv(sql):
    import duckdb

    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(ask(sql, CSV).read())
        file.flush()
        relation = duckdb.connect().sql(
            f"FROM read_csv('{file.name}', all_varchar=true, allow_quoted_nulls=false, header=true,"
            " delim=',', quote='\"', escape='\"', null_padding=false, max_line_size=10000000)"
        )
        return None, [list(row) for row in relation.fetchall()]


def with_lines(sql):
    lines = ask(sql, NDJSON).read().decode().split("\n")
    assert lines.pop() == ""
    end = json.loads(lines.pop())["end"]
    rows = [json.loads(line) for line in lines]
    assert end == {"row_count": len(rows)}, end
    return list(rows[0]) if rows else None, [list(row.values()) for row in rows]


def from_csv(text, kind, told=False):
    """CSV has texts alone; an empty one is NULL where the reader does not tell it from one that is
    not there."""
    if text is None or text == "" and not told:
        return None
    if kind.startswith(("ARRAY", "STRUCT")):
        return json.loads(text)
    if kind == "BOOLEAN":
        return {"true": True, "false": False}[text]
    if kind in ("DOUBLE", "REAL") or kind.startswith("DECIMAL"):
        return plain(float(text))
    if "INT" in kind:
        return int(text)
    return expected(text, kind)


def digest(rows):
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def near(kind, ours, theirs):
    """Floats of 4 bytes are written shorter than they are read."""
    if kind == "REAL" and ours is not None and theirs is not None:
        return math.isclose(ours, theirs, rel_tol=1e-6)
    return ours == theirs


read = {
    "pyarrow": with_pyarrow,
    "polars": with_polars,
    "duckdb": with_duckdb,
    "duckdb-csv": with_duckdb_csv,
    "pandas": with_pandas,
    "json": with_lines,
}[READER]
count, faults = 0, []
for what, sql in CASES.items():
    try:
        names, kinds, ours = with_json(sql)
        their_names, rows = read(sql)
        if their_names is not None:
            assert list(their_names) == names, f"columns {their_names} instead of {names}"
        assert len(rows) == len(ours), f"{len(rows)} rows instead of {len(ours)}"
        if READER == "pandas":
            theirs = [[from_csv(v, k) for v, k in zip(row, kinds, strict=True)] for row in rows]
            ours = [[None if value == "" else value for value in row] for row in ours]
        elif READER == "duckdb-csv":
            theirs = [
                [from_csv(v, k, told=True) for v, k in zip(row, kinds, strict=True)] for row in rows
            ]
        elif READER == "json":
            theirs = [[expected(v, k) for v, k in zip(row, kinds, strict=True)] for row in rows]
        else:
            theirs = [[plain(value) for value in row] for row in rows]
        if "REAL" in kinds:
            same = all(map(near, kinds, ours[0], theirs[0]))
            assert same, f"{theirs} instead of {ours}"
        elif digest(theirs) != digest(ours):
            row = next(n for n, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1])
            raise AssertionError(f"row {row}: {theirs[row]} instead of {ours[row]}")
        if what == "doubles that are no numbers" and READER != "json":
            odd = [float(row[0]) if row[0] not in (None, "") else None for row in rows]
            assert math.isnan(odd[0]) and odd[1:] == [math.inf, -math.inf, None], odd
        count += len(rows)
    except Exception as error:  # every case is tried, so that one run tells of all
        faults.append(f"{what}: {type(error).__name__}: {str(error)[:500]}")
if faults:
    sys.exit("\n".join(faults))
print(f"{READER}: {len(CASES)} results, {count} rows")
