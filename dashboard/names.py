"""How file names are shown."""

import re

# Marks that turn the direction of text or are not visible: a name must not look like another.
_DECEIVING = {
    code: "\N{REPLACEMENT CHARACTER}"
    for start, end in (
        (0x00, 0x1F), (0x7F, 0x9F), (0x200B, 0x200F), (0x202A, 0x202E),
        (0x2060, 0x2069), (0xFEFF, 0xFEFF), (0xD800, 0xDFFF),
    )
    for code in range(start, end + 1)
}  # fmt: skip

DECEIVING_IN_LINES = re.compile(f"[{''.join(map(chr, sorted(_DECEIVING.keys() - {10})))}]")


def printable(name: str) -> str:
    """Return a file name as it may stand in a page; downloads keep the true one."""
    return name.translate(_DECEIVING)
