"""What a file is, told from its content: libmagic first, then a look inside. Pure.

libmagic is a hint, not a verdict: it names macro documents like their harmless twins, and takes
some tables, JSON, mail and office files for plain text or for nothing. Those are decided here.
"""

from uploads.media_types.inspection import Inspection, detect, inspect, possible_types
from uploads.media_types.libmagic import MAGIC
from uploads.media_types.names import canonical, may_be
from uploads.media_types.text import BYTE_ORDER_MARKS, HEAD_BYTES, Table, encoding_of, table_in
from uploads.media_types.words import in_words, told

__all__ = [
    "BYTE_ORDER_MARKS",
    "HEAD_BYTES",
    "Inspection",
    "Table",
    "canonical",
    "declared_encoding",
    "describe",
    "detect",
    "encoding_of",
    "in_words",
    "inspect",
    "may_be",
    "possible_types",
    "table_in",
    "told",
]


def describe(head: bytes) -> str:
    """Return libmagic's description in words; it may quote the file."""
    return MAGIC.ask(MAGIC.description, head[:HEAD_BYTES], "data")


def declared_encoding(head: bytes) -> str:
    """Return libmagic's name of the character encoding, `binary` for what is not text."""
    return MAGIC.ask(MAGIC.encoding, head[:HEAD_BYTES], "binary")
