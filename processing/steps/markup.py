"""XML as a stream of events, without entities, DTDs or anything from elsewhere; memory is bounded.

Source: Extensible Markup Language 1.0, fifth edition; Namespaces in XML 1.0.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol
from xml.parsers import expat

MAX_DEPTH = 1_000
MAX_ATTRIBUTES = 10_000
BLOCK = 64 * 1024


class BadMarkup(Exception):
    """What is read is not well-formed, or has what is not read: a DTD, or absurd depth.

    `line` counts from 1, `column` from 0; `reason` has no content of the file.
    """

    def __init__(self, line: int = 0, column: int = 0, reason: str = "not well-formed") -> None:
        super().__init__(reason)
        self.line = line
        self.column = column
        self.reason = reason


class Reader(Protocol):
    """Bytes from front to back."""

    def read(self, size: int, /) -> bytes: ...


class Event(NamedTuple):
    """The start or the end of an element, or text. Names are without their namespace."""

    kind: Literal["start", "end", "text"]
    name: str
    attributes: Mapping[str, str] = {}


class _Parser:
    def __init__(self, encoding: str | None) -> None:
        self.events: list[Event] = []
        self._depth = 0
        parser = expat.ParserCreate(encoding, namespace_separator=" ")
        parser.buffer_text = True
        parser.buffer_size = BLOCK
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        self._parser = parser
        self.parse: Callable[[bytes, bool], int] = parser.Parse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            raise self._bad("nested too deeply, or an element with too many attributes")
        plain = {_local(key): value for key, value in attributes.items()}
        self.events.append(Event("start", _local(name), plain))

    def _end(self, name: str) -> None:
        self._depth -= 1
        self.events.append(Event("end", _local(name)))

    def _refuse(self, *_: object) -> Any:
        raise self._bad("a document type definition, which is not read")

    def _bad(self, reason: str) -> BadMarkup:
        return BadMarkup(self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber, reason)

    def _text(self, text: str) -> None:
        self.events.append(Event("text", text))


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def events(reader: Reader, encoding: str | None = None) -> Iterator[Event]:
    """Yield what is in a document.

    Raises:
        BadMarkup
    """
    parser = _Parser(encoding)
    while True:
        block = reader.read(BLOCK)
        try:
            parser.parse(block, not block)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code) or "not well-formed"
            raise BadMarkup(error.lineno, error.offset, reason) from None
        except (LookupError, ValueError):
            raise BadMarkup(reason="an encoding that is not known") from None
        yield from parser.events
        parser.events.clear()
        if not block:
            return
