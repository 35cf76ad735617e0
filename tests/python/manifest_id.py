"""The id of a snapshot from its manifest alone: python manifest_id.py MANIFEST.json

It is the SHA-256 of the manifest's canonical form (RFC 8785) without id, name and superseded_by. Numbers
of manifests are written alike by Python and RFC 8785, but for whole ones, which have no fraction there.
"""

import hashlib
import json
import sys


def number(text):
    value = float(text)
    return int(value) if value.is_integer() else value


with open(sys.argv[1], encoding="utf-8") as file:
    manifest = json.load(file, parse_float=number)
for name in ("id", "name", "superseded_by"):
    del manifest[name]
text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
print(hashlib.sha256(text.encode()).hexdigest())
