"""One POST to one endpoint, and nothing that the other side could make of it.

No redirect is followed, no proxy of the environment used, no cookie kept. All of it, from the
name to the last byte of the answer, has one deadline. The answer's body is dropped.
"""

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any

import httpcore2

from processing.webhooks.rules import Rules
from processing.webhooks.targets import addresses_of, target_of

TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_ADDRESSES = 4  # of one host; they share the time
MAX_RETRY_AFTER_S = 24 * 60 * 60
USER_AGENT = "Strongroom-Webhooks"

_TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (httpcore2.TimeoutException, "timed_out"),
    (httpcore2.NetworkError, "connection_failed"),
    (httpcore2.ProtocolError, "answer_malformed"),
)


@dataclass(frozen=True)
class Answer:
    """How an attempt ended. `status` is None without an answer; `error_code` empty if it is good.

    `retry_after_s` is for how long the other side wants to be left alone.
    """

    status: int | None = None
    error_code: str = ""
    retry_after_s: float | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], rules: Rules) -> Answer:
    """Send `body` and return what came of it.

    Raises:
        AppError: the URL is one that may not be sent to, by now.
    """
    deadline = time.monotonic() + TIMEOUT_S
    target = target_of(url, rules)
    backend = PinnedBackend(addresses_of(target, rules, within_s=TIMEOUT_S), deadline)
    url_parts = httpcore2.URL(
        scheme=target.scheme, host=target.host, port=target.port, target=target.path
    )
    all_headers = [
        ("Host", target.authority),
        ("User-Agent", USER_AGENT),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        *headers.items(),
    ]
    try:
        with (
            httpcore2.ConnectionPool(
                ssl_context=_trust(rules.ca_file), network_backend=backend
            ) as pool,
            pool.stream("POST", url_parts, headers=all_headers, content=body) as response,
        ):
            answer = _answer(response.status, dict(response.headers))
            _drop(response.iter_stream())
    except tuple(kind for kind, _ in _TROUBLES) as error:
        return Answer(error_code=_code_of(error))
    return answer


class PinnedBackend(httpcore2.NetworkBackend):
    """Connects to given addresses, whatever the name of the host says; TLS still asks for that."""

    def __init__(self, addresses: Iterable[str], deadline: float) -> None:
        self._addresses = list(addresses)[:MAX_ADDRESSES]
        self._deadline = deadline

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.NetworkStream:  # noqa: ARG002
        failure: Exception = httpcore2.ConnectError()
        for number, address in enumerate(self._addresses):
            share_s = left_s(self._deadline) / (len(self._addresses) - number)
            try:
                stream = httpcore2.SyncBackend().connect_tcp(address, port, timeout=share_s)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return HurriedStream(stream, self._deadline)
        raise failure


class HurriedStream(httpcore2.NetworkStream):
    """A connection of which every operation ends by the same deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, left_s(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, left_s(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, left_s(self._deadline))
        return HurriedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def left_s(deadline: float) -> float:
    """Return how many seconds are left.

    Raises:
        httpcore2.TimeoutException: none.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left


def retry_after_s(value: str, *, now: datetime) -> float | None:
    """Return the seconds that a header `Retry-After` asks for, a day at most; None for nonsense.

    Source: RFC 9110, section 10.2.3.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), MAX_RETRY_AFTER_S)


def _answer(status: int, headers: Mapping[bytes, bytes]) -> Answer:
    wait = next((v for name, v in headers.items() if name.lower() == b"retry-after"), None)
    asked_s = retry_after_s(wait.decode("latin-1"), now=datetime.now(UTC)) if wait else None
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(status)
    if status < HTTPStatus.BAD_REQUEST:
        return Answer(status, "redirect_refused", asked_s)
    if status == HTTPStatus.GONE:
        return Answer(status, "endpoint_gone", asked_s)
    return Answer(status, "not_accepted", asked_s)


def _drop(body: Iterator[bytes]) -> None:
    """Read the first bytes of an answer; what comes later, or too late, is nobody's loss."""
    left = MAX_ANSWER_BYTES
    with _unheard():
        for piece in body:
            left -= len(piece)
            if left <= 0:
                return


@contextmanager
def _unheard() -> Iterator[None]:
    """The status is known: what goes wrong after it changes nothing."""
    try:
        yield
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        return


def _code_of(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls_failed"
        cause = cause.__cause__ or cause.__context__
    return next(code for kind, code in _TROUBLES if isinstance(error, kind))


@cache
def _trust(ca_file: str) -> ssl.SSLContext:
    """Return whom TLS trusts: the authorities of the system, and those of the file."""
    context: ssl.SSLContext = httpcore2.default_ssl_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
