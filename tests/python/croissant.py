"""Loads a snapshot by its Croissant metadata: python croissant.py METADATA.json FOLDER RECORDSET FIELD

Says what the validator finds, the number of records and the sum of a field.
"""

import json
import logging
import sys

import mlcroissant

metadata, folder, records, field = sys.argv[1:]
logging.disable(logging.INFO)
with open(metadata, encoding="utf-8") as file:
    distribution = json.load(file)["distribution"]
files = {it["@id"]: f"{folder}/{it['@id']}" for it in distribution if it["@type"] == "cr:FileObject"}
dataset = mlcroissant.Dataset(metadata, mapping=files)
issues = dataset.metadata.issues
rows = list(dataset.records(records))
total = sum(float(row[f"{records}/{field}"]) for row in rows)
print(json.dumps({
    "errors": sorted(str(it) for it in issues.errors),
    "warnings": sorted(str(it) for it in issues.warnings),
    "rows": len(rows),
    "sum": total,
}))
