"""Regular expressions that cannot run away: bounded before they are compiled.

`re` cannot be stopped while it matches, so what a pattern may cost is computed from its text:
the number of ways in which one attempt can go on. Only the first `WINDOW` characters of a line
are searched.
"""

import re

WINDOW = 2048  # characters of a line
MAX_WAYS = 8 * WINDOW  # one unbounded repeat, beside a choice of eight
MAX_PATTERN = 500  # characters

_TOKEN = re.compile(
    r"""
      \\(?P<escaped>.)
    | \[\^?\]?(?:\\.|[^\]\\])*\]
    | (?P<open>\()(?P<extension>\?(?!:))?(?:\?:)?
    | (?P<close>\))
    | (?P<bar>\|)
    | (?:(?P<sign>[*+?])|\{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\})(?P<mode>[+?]?)
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


class BadPattern(ValueError):
    """The pattern is refused; the message says why."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return `pattern` compiled; it may start with `(?i)`.

    Raises:
        BadPattern: it is not a regular expression, uses what could take for ever (a repeated
            group, a reference back, a look around), or has too many ways to match.
    """
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"is longer than {MAX_PATTERN} characters")
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadPattern(f"is not a regular expression: {error}") from None
    ways = _ways(pattern.removeprefix("(?i)"))
    if ways > MAX_WAYS:
        raise BadPattern(
            f"has {ways:,} ways to match where {MAX_WAYS:,} are allowed; use fewer repeats, or "
            "possessive ones such as '*+'"
        )
    return compiled


def _ways(pattern: str) -> int:
    """Return an upper bound of the paths that one attempt to match can try."""
    branches: list[list[int]] = [[1]]  # of each open group: the ways of each branch
    group = 0  # the ways of the group that has just been closed
    for token in _TOKEN.finditer(pattern):
        if token["open"]:
            if token["extension"]:
                raise BadPattern("uses '(?'; only '(?:' and a leading '(?i)' are allowed")
            branches.append([1])
        elif token["bar"]:
            branches[-1].append(1)
        elif token["sign"] or token["least"] is not None:
            branches[-1][-1] *= _repeat_factor(token, group)
        elif token["escaped"] and token["escaped"] in "123456789":
            raise BadPattern("refers back to a group")
        if token["close"]:
            group = sum(branches.pop())
            branches[-1][-1] *= group
        else:
            group = 0
    return sum(branches[0])


def _repeat_factor(token: re.Match[str], group: int) -> int:
    if group:
        if token["sign"] != "?":
            raise BadPattern("repeats a group; repeat a character or a class")
        return 2
    if token["mode"] == "+":  # possessive: it never gives back what it took
        return 1
    if token["sign"]:
        return 2 if token["sign"] == "?" else WINDOW
    least = int(token["least"] or 0)
    most = int(token["most"] or WINDOW) if token["comma"] else least
    return max(1, min(most, WINDOW) - least + 1)
