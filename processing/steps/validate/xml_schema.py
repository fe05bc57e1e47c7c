"""XML held against a schema: XSD 1.0 or RELAX NG (its XML form), by libxml2.

The library gets no network, no entity and no other document: a schema that refers to one is refused
when it is written, and a file with a document type definition before it comes here.
Sources: W3C XML Schema 1.0 part 1, appendix C; RELAX NG specification, 2001.
"""

import importlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

from processing.steps.contract import MIB, StepFailed
from processing.steps.markup import BadMarkup, events

BLOCK = 4 * 1024  # also how close a mistake is told where there are very many
# What is held as a tree. RELAX NG is slow where there is much wrong: it stops at no mistake.
MAX_BYTES = {"xsd": 32 * MIB, "relax_ng": 4 * MIB}
MAX_MISTAKES = 1_000  # of XSD, before the rest of the file is not looked at
MAX_SCHEMA_CHARS = 100_000
XSD_NAMESPACE = "http://www.w3.org/2001/XMLSchema"
RELAX_NG_NAMESPACE = "http://relaxng.org/ns/structure/1.0"
NAMESPACES = {"xsd": XSD_NAMESPACE, "relax_ng": RELAX_NG_NAMESPACE}
# Elements of a schema that bring in another document; those of XSD need no location to be one.
REFERRING = frozenset({"include", "redefine", "override", "externalRef"})

# Kinds of mistakes whose own sentence names nothing but elements, attributes and rules. The
# sentences of all others may quote the file.
PLAIN = frozenset(
    {"SCHEMAV_ELEMENT_CONTENT", "SCHEMAV_CVC_ELT_1", "SCHEMAV_CVC_ELT_2",
     "SCHEMAV_CVC_COMPLEX_TYPE_2_1", "SCHEMAV_CVC_COMPLEX_TYPE_2_2",
     "SCHEMAV_CVC_COMPLEX_TYPE_2_3", "SCHEMAV_CVC_COMPLEX_TYPE_2_4",
     "SCHEMAV_CVC_COMPLEX_TYPE_3_1", "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1",
     "SCHEMAV_CVC_COMPLEX_TYPE_4", "RELAXNG_ERR_ELEMWRONG", "RELAXNG_ERR_ELEMNAME",
     "RELAXNG_ERR_ATTRVALID", "RELAXNG_ERR_CONTENTVALID", "RELAXNG_ERR_EXTRACONTENT",
     "RELAXNG_ERR_NOELEM", "RELAXNG_ERR_ELEMNOTEMPTY", "RELAXNG_ERR_DATATYPE",
     "RELAXNG_ERR_INVALIDATTR", "RELAXNG_ERR_INTEREXTRA", "RELAXNG_ERR_EXTRADATA"}
)  # fmt: skip
_WHERE = re.compile(r"Element '[^']*'(?:, attribute '[^']*')?: ")
_TYPE = re.compile(r"the (?:local )?(?:atomic|list|union) type(?: '[^']*')?\.$")
_FACET = re.compile(r"\[facet '(\w+)'\]")


class Mistake(NamedTuple):
    """What is wrong with a file, and where. No value of the file is in it."""

    place: str
    message: str


class TooMany(Exception):
    """The file has more mistakes than are looked for; `so_far` were counted."""

    def __init__(self, so_far: list[Mistake]) -> None:
        super().__init__()
        self.so_far = so_far


def unfit(kind: str, text: str) -> str:
    """Return what makes a schema unfit to be used, as a sentence without its subject.

    It is only read here, not compiled: that is work for the sandbox.
    """
    if len(text) > MAX_SCHEMA_CHARS:
        return f"has more than {MAX_SCHEMA_CHARS:,} characters"
    if not re.search(rf"[\"']{re.escape(NAMESPACES[kind])}[\"']", text):
        return f"does not name the namespace {NAMESPACES[kind]}"
    try:
        for event, name, attributes in events(io.BytesIO(text.encode("utf-8", "replace")), "utf-8"):
            if event == "start" and (name in REFERRING or "schemaLocation" in attributes):
                return "refers to another document"
    except BadMarkup as error:
        return f"is not well-formed XML: line {error.line}: {error.reason}"
    return ""


def mistakes(content: BinaryIO, size: int, *, kind: str, text: str) -> Iterator[Mistake]:
    """Yield what is wrong with a well-formed file.

    Raises:
        StepFailed: `validate_schema_broken`, `validate_too_large`.
        TooMany
    """
    if size > MAX_BYTES[kind]:
        raise StepFailed("validate_too_large", "The file is too large to be validated as a whole.")
    library = _lxml()
    schema = _compiled(library, kind, text)
    if kind == "xsd" and _is_valid(library, schema, content):
        return
    content.seek(0)
    schema.validate(_tree(library, content))
    for entry in schema.error_log:
        if "Warning:" not in entry.message:
            yield Mistake(f"line {entry.line}, {entry.path}", _sentence(entry))


def _lxml() -> ModuleType:
    """Return the library, which few runs need."""
    return importlib.import_module("lxml.etree")


def _parser(library: ModuleType, schema: Any = None) -> Any:
    """Return a parser that reads one document and nothing else."""

    class Nothing(library.Resolver):  # type: ignore[misc, name-defined]
        def resolve(self, *_: object) -> object:
            raise ValueError("No other document is read.")

    parser = library.XMLParser(
        schema=schema,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    parser.resolvers.add(Nothing())
    return parser


def _compiled(library: ModuleType, kind: str, text: str) -> Any:
    make: Mapping[str, Callable[[Any], Any]] = {
        "xsd": library.XMLSchema,
        "relax_ng": library.RelaxNG,
    }
    try:
        return make[kind](library.fromstring(text.encode(), _parser(library)))
    except (library.LxmlError, ValueError) as error:
        log = list(getattr(error, "error_log", ()))
        line = log[0].line if log else 0
        raise StepFailed(
            "validate_schema_broken", f"The schema of the step cannot be used: line {line} of it."
        ) from None


def _tree(library: ModuleType, content: BinaryIO) -> Any:
    parser = _parser(library)
    try:
        while block := content.read(BLOCK):
            parser.feed(block)
        return parser.close()
    except library.XMLSyntaxError:  # over a well-formed file, for limits of the library only
        raise StepFailed(
            "validate_too_large", "The file is nested too deeply, or has a text that is too long."
        ) from None


def _is_valid(library: ModuleType, schema: Any, content: BinaryIO) -> bool:
    """Tell whether a file is valid, by reading it once, as a stream.

    Raises:
        TooMany: as soon as that shows.
    """
    content.seek(0)
    parser = _parser(library, schema)
    found: list[Mistake] = []
    line = 1
    try:
        while block := content.read(BLOCK):
            parser.feed(block)
            last = line + block.count(b"\n")
            entries = list(parser.feed_error_log)[len(found) :]
            found += [Mistake(f"lines {line} to {last}", _sentence(one)) for one in entries]
            if len(found) > MAX_MISTAKES:
                raise TooMany(found)
            line = last
        parser.close()
    except library.XMLSyntaxError:  # which is how a file that is not valid ends, too
        return False
    return True


def _sentence(entry: Any) -> str:
    said, kind = str(entry.message), str(entry.type_name)
    if kind in PLAIN:
        return said
    where = found[0] if (found := _WHERE.match(said)) else ""
    if kind.startswith("SCHEMAV_CVC_DATATYPE") and (of_type := _TYPE.search(said)):
        return f"{where}The value is not valid for {of_type[0]}"
    if facet := _FACET.search(said):
        return f"{where}The value breaks the rule {facet[1]}."
    rule = kind.removeprefix("SCHEMAV_").removeprefix("RELAXNG_ERR_").lower()
    return f"{where}It breaks the rule {rule}."
