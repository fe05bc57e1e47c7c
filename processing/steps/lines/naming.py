"""Lines as names: their words in lower case, joined by underscores."""

import re

# "HTTPServer v2Beta" has the words HTTP, Server, v2 and Beta.
_WORD = re.compile(r"[^\W_A-Z]+|[A-Z]+(?![a-z])|[A-Z][^\W_A-Z]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z][a-z0-9]+")  # the same, in less time


def snake_case(line: str) -> str:
    """Return the words of `line` in lower case, joined by underscores."""
    return "_".join((_ASCII_WORD if line.isascii() else _WORD).findall(line)).lower()


# What stands between words of ASCII becomes a space, but for the ends of lines.
_BETWEEN = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
del _BETWEEN[ord("\n")]


def snake_cases(lines: list[str]) -> list[str]:
    """Return the `snake_case` of each line; of those without capitals in a third of the time."""
    text = "\n".join(lines)
    if not text.isascii():
        return list(map(snake_case, lines))
    spaced = text.translate(_BETWEEN).split("\n")
    if len(spaced) != len(lines):  # a template may put the end of a line into a line
        return list(map(snake_case, lines))
    return ["_".join(line.split()) if line.islower() else snake_case(line) for line in spaced]
