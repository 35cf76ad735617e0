"""Requests to an S3 that no client of the tests makes, signed by hand (AWS signature version 4).

  s3.py versioning BUCKET              switches versions on
  s3.py put BUCKET KEY TEXT [TIMES]    writes an object, as often
  s3.py get BUCKET KEY                 prints one
  s3.py remove BUCKET KEY              removes one
  s3.py begin BUCKET KEY TEXT          begins an upload, with one part, and does not complete it
  s3.py kept BUCKET [PREFIX]           lists unfinished uploads and old versions, one on a line
"""
import datetime
import hashlib
import hmac
import os
import re
import sys
import urllib.parse
import urllib.request


def ask(method, path, query=(), body=b""):
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    host = endpoint.split("://")[1]
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    region = os.environ.get("AWS_REGION", "us-east-1")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    path = urllib.parse.quote(path)
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted(query))
    digest = hashlib.sha256(body).hexdigest()
    headers = f"host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n"
    names = "host;x-amz-content-sha256;x-amz-date"
    request = "\n".join([method, path, query, headers, names, digest])
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    asked = urllib.request.Request(f"{endpoint}{path}?{query}", data=body, method=method)
    for name, value in [
        ("x-amz-content-sha256", digest),
        ("x-amz-date", time),
        ("Authorization", authorization),
    ]:
        asked.add_header(name, value)
    with urllib.request.urlopen(asked) as answer:
        return answer.read().decode()


def main(command, bucket, *rest):
    if command == "versioning":
        status = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        ask("PUT", f"/{bucket}", [("versioning", "")], status.encode())
    elif command == "put":
        for _ in range(int(rest[2]) if rest[2:] else 1):
            ask("PUT", f"/{bucket}/{rest[0]}", body=rest[1].encode())
    elif command == "get":
        print(ask("GET", f"/{bucket}/{rest[0]}"))
    elif command == "remove":
        ask("DELETE", f"/{bucket}/{rest[0]}")
    elif command == "begin":
        answer = ask("POST", f"/{bucket}/{rest[0]}", [("uploads", "")])
        upload = re.search("<UploadId>(.*?)</UploadId>", answer)[1]
        query = [("partNumber", "1"), ("uploadId", upload)]
        ask("PUT", f"/{bucket}/{rest[0]}", query, rest[1].encode())
    elif command == "kept":
        below = [("prefix", rest[0])] if rest else []
        for key in re.findall("<Upload>.*?<Key>(.*?)</Key>", ask("GET", f"/{bucket}", [("uploads", ""), *below])):
            print("upload", key)
        versions = ask("GET", f"/{bucket}", [("versions", ""), *below])
        for kind, inner in re.findall(r"<(Version|DeleteMarker)>(.*?)</(?:Version|DeleteMarker)>", versions):
            latest = "<IsLatest>true</IsLatest>" in inner
            if kind == "DeleteMarker" or not latest:
                print(kind, re.search("<Key>(.*?)</Key>", inner)[1])
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
