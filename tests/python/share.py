"""Reads shared tables with the client of those who made the protocol.

share.py list PROFILE                                  all tables
share.py load PROFILE TABLE [limit=N] [version=N] [hints=JSON]
                                                       columns, and rows as text, sorted
share.py changes PROFILE TABLE version=N since=N       rows of a version with the changes since
share.py refused PROFILE TABLE                         the status with which it is refused
With columns=a,b only these.
"""

import collections
import json
import sys

import delta_sharing
import requests


def cell(value):
    """Whole numbers beside nulls are floats in pandas, so 1 and 1.0 are written alike."""
    if value is None or value != value:
        return "NULL"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def rows(frame):
    return [[cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]


def chosen(frame, options):
    names = [name for name in options.get("columns", "").split(",") if name]
    return frame[names] if names else frame


def main():
    what, profile, *rest = sys.argv[1:]
    options = dict(argument.split("=", 1) for argument in rest[1:])
    if what == "list":
        tables = delta_sharing.SharingClient(profile).list_all_tables()
        names = sorted(f"{table.share}.{table.schema}.{table.name}" for table in tables)
        print(json.dumps(names))
        return
    url = f"{profile}#{rest[0]}"
    if what == "refused":
        try:
            delta_sharing.load_as_pandas(url)
        except requests.HTTPError as error:
            print(error.response.status_code)
            return
        sys.exit("it was not refused")
    number = {name: int(options[name]) for name in ("limit", "version") if name in options}
    hints = options.get("hints")
    frame = delta_sharing.load_as_pandas(url, **number, jsonPredicateHints=hints)
    frame = chosen(frame, options)
    if what == "load":
        print(json.dumps({"columns": list(frame.columns), "rows": sorted(rows(frame))}))
        return
    changes = delta_sharing.load_table_changes_as_pandas(url, starting_version=int(options["since"]))
    kinds = list(changes["_change_type"]) if len(changes) else []
    changed = rows(changes[list(frame.columns)])
    found = collections.Counter(map(tuple, rows(frame)))
    for kind, row in zip(kinds, changed):
        assert kind in ("insert", "delete"), kind
        found[tuple(row)] += 1 if kind == "insert" else -1
    assert min(found.values()) >= 0, found
    left = sorted(list(row) for row in found.elements())
    columns = list(changes.columns)
    print(json.dumps({"columns": columns, "rows": left, "changes": len(kinds)}))


main()
