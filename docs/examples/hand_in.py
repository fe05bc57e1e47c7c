"""Hand in a file so that it goes on after any interruption, and wait for what becomes of it.

    STRONGROOM_PASSWORD=… python3 hand_in.py report.pdf --username demo

Only the standard library. While the file is under way, its secret address lies beside it in
`<file>.tus`: the same command goes on from there. Prints the upload as JSON; ends with 0 if all
steps have succeeded, 1 if not, 2 if the file was refused.
"""

import argparse
import base64
import http.client
import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

PIECE_BYTES = 8 * 1024 * 1024
TRIES = 10  # in a row, without a byte of progress
GOES_ON = {"queued", "running"}


class Refused(Exception):
    """The server has said no, and asking again would not help."""


class Again(Exception):
    """Something passing: try again after so many seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(after_s)
        self.after_s = after_s


class Server:
    """One installation, as one user sees it."""

    def __init__(self, url: str, username: str, password: str) -> None:
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connect = lambda: kind(parts.netloc, timeout=60)
        self._account = {"username": username, "password": password}
        self._token = ""

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple:
        """Return the headers and the body of the answer; an underscore stands for a hyphen."""
        if not self._token:
            self._sign_in()
        status, found, content = self._send(method, path, body, headers)
        if status == 401:  # access tokens live for ten minutes
            self._sign_in()
            status, found, content = self._send(method, path, body, headers)
        if status in {409, 423, 429, 503, 507} or status == 500:
            raise Again(float(found.get("Retry-After", 1)))
        if status >= 400:
            raise Refused(f"{status} {content.decode(errors='replace')}")
        return found, content

    def _sign_in(self) -> None:
        body = json.dumps(self._account).encode()
        kind = {"Content_Type": "application/json"}
        status, _, content = self._send("POST", "/api/v1/token/", body, kind)
        if status != 200:
            raise Refused(f"{status} {content.decode(errors='replace')}")
        self._token = json.loads(content)["access"]

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        if path.startswith("/api/v1/tus/"):
            sent["Tus-Resumable"] = "1.0.0"
        connection = self._connect()
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


def begin(server: Server, file: Path) -> str:
    """Return the address to send `file` to."""
    name = base64.b64encode(file.name.encode()).decode()
    length = str(file.stat().st_size)
    headers, _ = server.ask(
        "POST", "/api/v1/tus/", Upload_Length=length, Upload_Metadata=f"filename {name}"
    )
    return headers["Location"]


def send(server: Server, file: Path, address: str) -> str:
    """Send what is missing, piece by piece, and return the address of the upload."""
    failures = 0
    with file.open("rb") as content:
        while True:
            try:
                headers, _ = server.ask("HEAD", address)
                offset = int(headers["Upload-Offset"])
                while "Upload-Location" not in headers:
                    content.seek(offset)
                    headers, _ = server.ask(
                        "PATCH",
                        address,
                        content.read(PIECE_BYTES),
                        Upload_Offset=str(offset),
                        Content_Type="application/offset+octet-stream",
                    )
                    offset, failures = int(headers["Upload-Offset"]), 0
                    print(f"{offset} of {file.stat().st_size} bytes", file=sys.stderr)
                return headers["Upload-Location"]
            except (OSError, http.client.HTTPException, Again) as error:
                failures += 1
                if failures > TRIES:
                    raise
                time.sleep(error.after_s if isinstance(error, Again) else min(failures, 10))


def wait(server: Server, location: str) -> dict:
    """Return the upload once nothing is done to it any more."""
    while True:
        upload = json.loads(server.ask("GET", location)[1])
        if upload["state"] not in GOES_ON:
            return upload
        time.sleep(0.5)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--server", default="http://localhost:8000")
    parser.add_argument("--username", required=True)
    options = parser.parse_args()
    server = Server(options.server, options.username, os.environ["STRONGROOM_PASSWORD"])
    note = options.file.with_name(options.file.name + ".tus")
    try:
        if not note.exists():
            address = begin(server, options.file)
            note.touch(mode=0o600)
            note.write_text(address)
        location = send(server, options.file, note.read_text())
        note.unlink()
        upload = wait(server, location)
    except Refused as error:
        note.unlink(missing_ok=True)
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(upload, indent=2))
    return 0 if upload["state"] == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main())
