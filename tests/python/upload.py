"""Copies a folder into the store: FOLDER BUCKET/PREFIX."""
import os
import sys

from pyarrow import fs

store = fs.S3FileSystem(
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
    scheme="http",
)
folder, target = sys.argv[1:]
fs.copy_files(folder, target, source_filesystem=fs.LocalFileSystem(), destination_filesystem=store)

# Threads of the store's client have aborted the interpreter while it shut down.
sys.stdout.flush()
os._exit(0)
