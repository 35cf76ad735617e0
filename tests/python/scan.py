"""Looks for texts in every object of a lake, with pyarrow alone.

  scan.py [--except FOLDER]… ROOT NEEDLE…

ROOT is a folder or s3://bucket/prefix (with the AWS_* variables). It shares no code with the server:
names and bytes of all objects are searched, in any case; of Parquet every value of every column, the
statistics of every column chunk and all metadata; gzip and zstd are unpacked. Each find is a line of
JSON, {"object", "where", "needle"}; the last line is what was looked at.
"""
import gzip
import io
import json
import os
import sys

import pyarrow
import pyarrow.parquet as parquet
from pyarrow import fs

from replay import store


def forms(needle):
    """The needle as bytes, as it is and as JSON and URLs may write it."""
    import urllib.parse

    texts = {needle, json.dumps(needle)[1:-1], json.dumps(json.dumps(needle)[1:-1])[1:-1]}
    texts |= {urllib.parse.quote(needle, safe=""), needle.replace("@", "\\u0040")}
    return [text.lower().encode() for text in texts]


def values(column):
    """Every text in a column, however deep."""
    stack = [column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column]
    while stack:
        array = stack.pop()
        if isinstance(array, pyarrow.ChunkedArray):
            stack.extend(array.chunks)
            continue
        kind = array.type
        if pyarrow.types.is_dictionary(kind):
            stack.append(array.dictionary_decode())
        elif pyarrow.types.is_struct(kind):
            stack.extend(array.flatten())
        elif pyarrow.types.is_map(kind):
            stack.extend([array.keys, array.items])
        elif pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
            stack.append(array.flatten())
        else:
            for value in array.to_pylist():
                if value is not None:
                    yield value if isinstance(value, bytes) else str(value).encode()


def parts(path, data):
    """What is in an object, as (where, bytes)."""
    yield "name", path.encode()
    yield "bytes", data
    if data[:2] == b"\x1f\x8b":
        yield "gzip", gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        yield "zstd", pyarrow.CompressedInputStream(io.BytesIO(data), "zstd").read()
    if data[:4] == b"PAR1":
        file = parquet.ParquetFile(io.BytesIO(data))
        for group in range(file.metadata.num_row_groups):
            for index in range(file.metadata.num_columns):
                statistics = file.metadata.row_group(group).column(index).statistics
                if statistics is not None and statistics.has_min_max:
                    yield "statistics", repr((statistics.min, statistics.max)).encode()
        yield "metadata", repr(file.metadata.metadata).encode() + str(file.schema_arrow).encode()
        table = file.read()
        for name in table.column_names:
            for value in values(table.column(name)):
                yield f"column {name}", value


def main(arguments):
    left_out = []
    while arguments[0] == "--except":
        left_out.append(arguments[1])
        arguments = arguments[2:]
    root, *needles = arguments
    needles = {needle: forms(needle) for needle in needles}
    files, base = store(root)
    objects = size = found = 0
    for info in files.get_file_info(fs.FileSelector(base, recursive=True)):
        path = info.path[len(base):].lstrip("/")
        if info.type != fs.FileType.File or path.split("/")[0] in left_out:
            continue
        try:
            with files.open_input_file(info.path) as file:
                data = file.read()
        except FileNotFoundError:
            # A server at work renames what it has written.
            continue
        objects, size = objects + 1, size + len(data)
        seen = set()
        for where, data in parts(path, data):
            data = data.lower()
            for needle, texts in needles.items():
                if (where, needle) not in seen and any(text in data for text in texts):
                    seen.add((where, needle))
                    found += 1
                    print(json.dumps({"object": path, "where": where, "needle": needle}))
    print(json.dumps({"objects": objects, "bytes": size, "found": found}), flush=True)


main(sys.argv[1:])
# Threads of the readers have aborted the interpreter while it shut down.
os._exit(0)
