"""Which bytes a `Range` header asks for. Pure. Source: RFC 9110, sections 13.1.5 and 14."""

import re

from config.edge.errors import RangeNotSatisfiable

# Longer numbers are no offsets in anything that exists; they are not ranges to us.
_INTEGER = r"[0-9]{1,32}"
_SPEC = re.compile(rf"(?P<first>{_INTEGER})-(?P<last>{_INTEGER})?|-(?P<suffix>{_INTEGER})")


def requested_range(header: str, *, size: int) -> range | None:
    """Return the offsets that a `Range` header selects out of `size` bytes.

    None stands for the whole content: the header does not parse, names another unit, or lists
    several ranges, which a server is free to ignore (14.2), and one that does not cannot be made
    to answer more bytes than the content has.

    Raises:
        RangeNotSatisfiable: the range begins behind the end, or is empty.
    """
    unit, _, ranges = header.partition("=")
    specs = [spec for part in ranges.split(",") if (spec := part.strip(" \t"))]
    if unit.strip(" \t").lower() != "bytes" or len(specs) != 1:
        return None
    match = _SPEC.fullmatch(specs[0])
    if match is None:
        return None
    if match["suffix"] is not None:
        return _suffix(int(match["suffix"]), size)
    first = int(match["first"])
    last = size - 1 if match["last"] is None else int(match["last"])
    if match["last"] is not None and last < first:
        return None  # not a range at all (14.1.2)
    if first >= size:
        raise RangeNotSatisfiable
    return range(first, min(last, size - 1) + 1)


def _suffix(length: int, size: int) -> range | None:
    if length == 0:
        raise RangeNotSatisfiable
    # Of nothing, every suffix is the whole; a 206 cannot express that.
    return range(max(0, size - length), size) if size else None


def range_still_applies(if_range: str | None, *, etag: str | None) -> bool:
    """Tell whether a `Range` may be honoured under an `If-Range` header.

    Only a strong entity tag can confirm that the client's part and ours fit together; a date is
    never taken as one (13.1.5 allows that, and the answer is then the whole content).
    """
    if if_range is None:
        return True
    return etag is not None and not etag.startswith("W/") and if_range.strip(" \t") == etag
