"""A receiver of webhooks in a thread, over HTTP or HTTPS, that keeps what it got."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "hooks.example"


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Reply:
    """Return what answers with a status."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def giant(handler: BaseHTTPRequestHandler) -> None:
    """Answer with a body that has no end."""
    handler.send_response(200)
    handler.end_headers()
    piece = b"x" * 16_384
    while True:
        handler.wfile.write(piece)
        receiver_of(handler).sent_bytes += len(piece)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Answer one byte of a header after the other, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def silent(handler: BaseHTTPRequestHandler) -> None:
    """Never answer."""
    receiver_of(handler).end.wait(30)


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    """Answer with what is not HTTP."""
    handler.wfile.write(b"220 mail.example ESMTP\r\n\r\n")


def receiver_of(handler: BaseHTTPRequestHandler) -> "Receiver":
    server: Any = handler.server
    found: Receiver = server.receiver
    return found


@dataclass
class Receiver:
    """What it got, and what it answers: the replies in order, the last one again and again."""

    port: int
    scheme: str
    replies: list[Reply] = field(default_factory=lambda: [status(204)])
    got: list[Received] = field(default_factory=list)
    sent_bytes: int = 0
    connections: int = 0
    end: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/hook?token=in-the-query"


class Handler(BaseHTTPRequestHandler):
    """Takes one POST."""

    def setup(self) -> None:
        receiver_of(self).connections += 1
        super().setup()

    def do_POST(self) -> None:
        receiver = receiver_of(self)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.got.append(Received(self.path, dict(self.headers.items()), body))
        place = min(len(receiver.got), len(receiver.replies)) - 1
        try:
            receiver.replies[place](self)
        except OSError:  # the other side has heard enough
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that hang up are what is tested."""


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """Start one; it ends with the block."""
    server = QuietServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_address[1], "https" if certificate else "http")
    server.receiver = receiver  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.end.set()
        server.shutdown()
        server.server_close()
        thread.join()


def certificate_in(folder: Path, host: str = HOST) -> Path:
    """Write a self-signed certificate for `host` with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
