"""XML by its root element, and mail by its first lines."""

import re

_XHTML = "http://www.w3.org/1999/xhtml"
_PROLOG = re.compile(
    r"\ufeff?(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*",
    re.DOTALL | re.IGNORECASE,
)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)([^<>]*)/?>?")
_FLAT_ODF = re.compile(r'mimetype\s*=\s*["\'](application/vnd\.oasis\.opendocument\.[a-z-]+)["\']')

# Root element -> media type. Sources: RSS 2.0; RFC 4287; OGC 07-147r2; FictionBook 2.0; ONIX 2.1;
# SVG 1.1, 1.2.
ROOTS = {
    "svg": "image/svg+xml",
    "rss": "application/rss+xml",
    "feed": "application/atom+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "fictionbook": "application/x-fictionbook+xml",
    "onixmessage": "application/onix-message+xml",
    "plist": "application/x-plist",
}
_HTML_NAMES = (
    "html head body script iframe object embed title table meta link style p div span a b i u "
    "h1 h2 h3 h4 h5 h6 center font form img br hr ul ol li pre frameset"
)
HTML = frozenset(_HTML_NAMES.split())
_DOCTYPE = re.compile(r"<!doctype\s+html\b", re.IGNORECASE)

_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,70}):")
_HEADER_NAMES = (
    "from to cc subject date received message-id mime-version return-path delivered-to reply-to "
    "content-type sender x-mailer in-reply-to references"
)
_MAIL_HEADERS = frozenset(_HEADER_NAMES.split())
_MBOX = re.compile(r"From \S+.* (?:19|20)\d\d\b")
FEW_HEADERS = 2


def by_markup(text: str) -> str | None:  # noqa: PLR0911 - a table would hide the order
    """Return the type of XML or HTML; None for what is neither."""
    start = _PROLOG.match(text)
    at = start.end() if start else 0
    is_xml = text.lstrip("\ufeff \t\r\n").startswith("<?xml")
    root = _ROOT.match(text, at)
    if root is None:
        return "application/xml" if is_xml else None
    name, attributes = root[1].lower(), root[2]
    if name == "html":
        return "application/xhtml+xml" if _XHTML in attributes else "text/html"
    if name == "document" and (flat := _FLAT_ODF.search(text, at, at + 20_000)):
        return flat[1] + "-flat-xml"
    if name in ROOTS:
        return ROOTS[name]
    if is_xml:
        return "application/xml"
    if name in HTML or _DOCTYPE.search(text, 0, at):
        return "text/html"
    return "application/xml" if _is_whole_element(text, root) else None


def by_headers(text: str) -> str | None:
    """Return the type of a mail or a box of mails."""
    lines = text.lstrip("\ufeff").splitlines()[:100]
    if lines and lines[0].startswith("From "):
        begun = _MBOX.match(lines[0]) or len(lines) == 1
        return "application/mbox" if _headers_in(lines[1:]) or begun else None
    return "message/rfc822" if len(_headers_in(lines) & _MAIL_HEADERS) >= FEW_HEADERS else None


def _headers_in(lines: list[str]) -> set[str]:
    """Return the names of the headers with which the lines begin; none where another line does."""
    names: set[str] = set()
    for line in lines:
        if not line.strip():
            break
        if line[0] in " \t" and names:
            continue
        header = _HEADER.match(line)
        if header is None:
            return names if len(names & _MAIL_HEADERS) > FEW_HEADERS else set()
        names.add(header[1].lower())
    return names


def _is_whole_element(text: str, root: "re.Match[str]") -> bool:
    """Tell whether a text without a declaration is one element, to its very end."""
    if root[0].endswith("/>"):
        return not text[root.end() :].strip()
    closing = re.compile(rf"</(?:[\w.-]+:)?{re.escape(root[1])}\s*>\s*\Z")
    return len(text) > 60_000 or bool(closing.search(text))
