"""The parts of a mail, and the mails of an mbox, from front to back.

Source: RFC 2045, RFC 2046 (5.1), RFC 2183, RFC 4155.
"""

import binascii
import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser

from processing.steps.archive.entries import Entry
from processing.steps.archive.limits import Damaged
from processing.steps.archive.streams import Reader, lines_of

MAX_HEADER_BYTES = 256 * 1024
MAX_NESTING = 32  # multiparts in multiparts of one mail
RFC822 = "message/rfc822"
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")
_QUOTED_FROM = re.compile(rb">+From ")


class MailReader:
    """One mail. Parts are yielded as members; each is to be read before the next."""

    def __init__(self, reader: Reader) -> None:
        self._lines = lines_of(reader)
        self._boundaries: list[bytes] = []
        self._stopped_at: tuple[int, bool] | None = None  # which boundary, and whether the last
        self._parts = 0

    def headers(self) -> Message:
        """Return the headers that come next.

        Raises:
            Damaged: they do not end.
        """
        block = []
        size = 0
        for line in self._lines:
            if self._is_boundary(line) or not line.strip(b"\r\n"):
                break
            size += len(line)
            if size > MAX_HEADER_BYTES:
                raise Damaged
            block.append(line)
        return BytesHeaderParser().parsebytes(b"".join(block))

    def parts(self) -> Iterator[Entry]:
        """Yield the leaves of the mail: its texts and its attachments.

        Raises:
            Damaged
        """
        yield from self.parts_after(self.headers())

    def parts_after(self, headers: Message) -> Iterator[Entry]:
        """Yield the leaves of the mail whose headers were read already."""
        yield from self._part(headers)

    def _part(self, headers: Message) -> Iterator[Entry]:
        if self._stopped_at is not None:  # headers, and nothing after them
            return
        boundary = headers.get_boundary()
        if headers.get_content_maintype() == "multipart" and boundary:
            yield from self._multipart(str(boundary).encode("utf-8", "replace"))
            return
        self._parts += 1
        body = PartBody(self, str(headers.get("content-transfer-encoding", "")))
        yield Entry(
            path_of(headers, self._parts),
            open=lambda: body,
            declared=headers.get_content_type(),
            charset=str(headers.get_content_charset("")),
        )
        while body.read(1):
            pass

    def _multipart(self, boundary: bytes) -> Iterator[Entry]:
        if len(self._boundaries) >= MAX_NESTING:
            raise Damaged
        self._boundaries.append(boundary)
        mine = len(self._boundaries) - 1
        for _ in self.content_lines():  # the preamble
            pass
        while self._stopped_at == (mine, False):
            self._stopped_at = None
            yield from self._part(self.headers())
        self._boundaries.pop()
        if self._stopped_at is not None and self._stopped_at[0] == mine:
            self._stopped_at = None
            for _ in self.content_lines():  # the epilogue
                pass

    def content_lines(self) -> Iterator[bytes]:
        """Yield lines up to a boundary, or to the end of the mail."""
        if self._stopped_at is None:
            for line in self._lines:
                if self._is_boundary(line):
                    return
                yield line

    def _is_boundary(self, line: bytes) -> bool:
        if not line.startswith(b"--"):
            return False
        text = line.rstrip()[2:]
        for index in reversed(range(len(self._boundaries))):
            boundary = self._boundaries[index]
            if text in (boundary, boundary + b"--"):
                self._stopped_at = index, text != boundary
                return True
        return False


class PartBody:
    """The decoded content of one part."""

    def __init__(self, mail: MailReader, encoding: str) -> None:
        decode = {"base64": _from_base64, "quoted-printable": _from_quoted_printable}
        lines = _without_last_end(mail.content_lines())
        self._pieces = decode.get(encoding.strip().lower(), iter)(lines)
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def mbox_entries(reader: Reader) -> Iterator[Entry]:
    """Yield the mails of an mbox."""
    box = _Box(lines_of(reader))
    count = 0
    while box.next_mail():
        count += 1
        body = MboxMail(box)
        yield Entry(f"mail-{count:05}.eml", open=lambda body=body: body, declared=RFC822)  # type: ignore[misc]
        while body.read(1):
            pass


class _Box:
    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._at_mail = False

    def next_mail(self) -> bool:
        """Go to the next mail, and past its first line; False when there is none."""
        while not self._at_mail:
            line = next(self._lines, None)
            if line is None:
                return False
            self._at_mail = line.startswith(b"From ")
        self._at_mail = False
        return True

    def mail_lines(self) -> Iterator[bytes]:
        after_blank = False
        for line in self._lines:
            if after_blank and line.startswith(b"From "):
                self._at_mail = True
                return
            after_blank = not line.strip(b"\r\n")
            yield line[1:] if _QUOTED_FROM.match(line) else line


class MboxMail:
    """The bytes of one mail of an mbox."""

    def __init__(self, box: _Box) -> None:
        self._lines = box.mail_lines()
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._lines, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def path_of(headers: Message, number: int) -> str:
    """Return the name that a part gives itself, or one by its place."""
    name = headers.get_filename()
    if not name:
        kind = headers.get_content_type()
        ending = {"text/plain": "txt", "text/html": "html", RFC822: "eml"}.get(kind, "bin")
        return f"part-{number}.{ending}"
    return decoded(str(name))


def decoded(value: str) -> str:
    """Return a header's value with its encoded words decoded, as far as they can be."""
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, binascii.Error):  # unknown charsets, broken words
        return value


def _without_last_end(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield `lines`, but not the last line end, which belongs to the boundary."""
    held = b""
    for line in lines:
        if held:
            yield held
        held = line
    if held := held.removesuffix(b"\n").removesuffix(b"\r"):
        yield held


def _from_base64(lines: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for line in lines:
        rest += _NO_BASE64.sub(b"", line)
        whole = len(rest) // 4 * 4
        yield _decoded_base64(rest[:whole])
        rest = rest[whole:]
    yield _decoded_base64(rest + b"=" * (-len(rest) % 4))


def _decoded_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        raise Damaged from None


def _from_quoted_printable(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (binascii.a2b_qp(line) for line in lines)
