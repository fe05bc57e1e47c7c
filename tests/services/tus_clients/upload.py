"""Uploads a file with tuspy: stops in the middle, then goes on as another process would."""

import sys

from tusclient.client import TusClient

endpoint, token, path, checksum = sys.argv[1:]
MIB = 1024 * 1024


def uploader(url=None):
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    return client.uploader(
        path,
        url=url,
        chunk_size=MIB,
        metadata={"filename": "from-python.bin"},
        upload_checksum=checksum == "checksum",
    )


first = uploader()
first.upload(stop_at=3 * MIB)
second = uploader(first.url)
assert second.offset == 3 * MIB, second.offset
second.upload()
print("DONE", second.request.response_headers["upload-location"])
