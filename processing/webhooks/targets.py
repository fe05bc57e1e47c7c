"""Where a message may be sent: judged when an endpoint is saved, and again at every connection.

The second time, what was judged is what is connected to: the address, not the name. A name that
leads elsewhere by then leads nowhere.
"""

import re
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from queue import Empty, SimpleQueue
from urllib.parse import SplitResult, urlsplit

from processing.webhooks.addresses import may_be_reached
from processing.webhooks.errors import AddressRefused, PortRefused, SchemeRefused, UrlMalformed
from processing.webhooks.rules import Rules

MAX_URL_CHARACTERS = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}

_URL = re.compile(rf"[!-~]{{1,{MAX_URL_CHARACTERS}}}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label must not be a number in any notation: systems read "127.1" and "0x7f000001" as
# addresses. Source: WHATWG URL, section 3.5, "ends in a number".
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)$){_LABEL}", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """A URL in its parts: `host` is without brackets, `path` with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Return what stands in the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"


def target_of(url: str, rules: Rules) -> Target:
    """Return the parts of a URL.

    Raises:
        UrlMalformed, SchemeRefused, PortRefused
    """
    if not _URL.fullmatch(url) or "\\" in url:
        raise UrlMalformed
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlMalformed from None
    if parts.scheme not in ({"https", "http"} if rules.http else {"https"}):
        raise SchemeRefused
    host = parts.hostname or ""
    if "@" in parts.netloc or "#" in url or not _is_host(host, parts):
        raise UrlMalformed
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in rules.ports:
        raise PortRefused
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def addresses_of(target: Target, rules: Rules, *, within_s: float) -> list[str]:
    """Return the addresses of a host, all of which may be reached.

    Raises:
        AddressRefused: it has none, none within the time, or one that may not.
    """
    found = _look_up(target.host, target.port, within_s)
    if not found or not all(may_be_reached(each, besides=rules.besides) for each in found):
        raise AddressRefused
    return found


def resolve(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host; it takes as long as it likes."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the second for names that no name server could be asked for
        return []
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _look_up(host: str, port: int, within_s: float) -> list[str]:
    answer: SimpleQueue[list[str]] = SimpleQueue()
    ask = threading.Thread(
        target=lambda: answer.put(resolve(host, port)), daemon=True, name="look-up"
    )
    ask.start()
    try:
        return answer.get(timeout=max(within_s, 0.0))
    except Empty:
        return []


def _is_host(host: str, parts: SplitResult) -> bool:
    if "[" in parts.netloc:
        return _is_ipv6(host)
    return len(host) <= 253 and (_is_ipv4(host) or _NAME.fullmatch(host) is not None)


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_ipv6(host: str) -> bool:
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False
