"""The upload handler of pages that take no files."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload


class RefusingUploadHandler(FileUploadHandler):
    """Refuse every file: Django's own handlers would write its plaintext to a disk.

    Files come in through the doors of the room `uploads`, which read the body themselves.
    """

    def new_file(self, *_: Any, **__: Any) -> None:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:  # noqa: ARG002
        return None

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002
        return None
