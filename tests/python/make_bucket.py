"""Makes a bucket, as soon as the store lets it."""
import os
import sys
import time

from pyarrow import fs

store = fs.S3FileSystem(
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
    scheme="http",
    allow_bucket_creation=True,
)
for attempt in range(60):
    try:
        store.create_dir(sys.argv[1])
        with store.open_output_stream(f"{sys.argv[1]}/ready") as stream:
            stream.write(b"ready")
        store.delete_file(f"{sys.argv[1]}/ready")
        break
    except OSError:
        if attempt == 59:
            raise
        time.sleep(0.5)
