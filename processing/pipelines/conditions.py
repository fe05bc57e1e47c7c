"""The small language of `when:`: it looks at values and can do nothing else.

    media_type like "image/*" and size < 20 MiB
    steps.csv_profile.rows > 1000 or "bulk" in tags
    not (steps.media_type.agrees == true)

A value that is not there is null. Values of different kinds are different, and none is smaller
than the other: a condition has an answer for every file, and never an error.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

MAX_CHARACTERS = 1000
MAX_DEPTH = 50
ROOTS = ("media_type", "size", "door", "folder", "owner", "tags", "steps")
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
WORDS = {"true": True, "false": False, "null": None}

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?\d+(?:\.\d+)?)(?:\s*(?P<unit>B|KiB|MiB|GiB)\b)?
      | (?P<text>"[^"\n]*"|'[^'\n]*')
      | (?P<word>[A-Za-z_][A-Za-z0-9_-]*)
      | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,|\.)
    )""",
    re.VERBOSE,
)

Facts: TypeAlias = Mapping[str, Any]
Evaluate: TypeAlias = Callable[[Facts], Any]


class BadCondition(Exception):
    """A condition cannot be read; the message says where and what was expected."""


@dataclass(frozen=True)
class Condition:
    """A condition that was read. `steps` are those whose output it looks at."""

    text: str
    steps: frozenset[str]
    evaluate: Evaluate = field(repr=False, compare=False)

    def holds(self, facts: Facts) -> bool:
        """Tell whether it is so; `facts` has a value for each of `ROOTS`."""
        return bool(self.evaluate(facts))


def read(text: str) -> Condition:
    """Return the condition that `text` says.

    Raises:
        BadCondition
    """
    if len(text) > MAX_CHARACTERS:
        raise BadCondition(f"has more than {MAX_CHARACTERS} characters.")
    reader = _Reader(_tokens(text))
    evaluate = reader.either()
    reader.end()
    return Condition(text, frozenset(reader.steps), evaluate)


@dataclass(frozen=True)
class _Token:
    kind: str  # number, text, word, sign or end
    value: Any
    column: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.value)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            rest = text[place:].lstrip()
            column = len(text) - len(rest) + 1
            raise BadCondition(f"column {column}: {rest[0]!r} has no meaning here.")
        kind = found.lastgroup if found.lastgroup != "unit" else "number"
        value: Any = found[str(kind)]
        column = found.start(str(kind)) + 1
        if kind == "number":
            value = float(value) if "." in value else int(value)
            value *= UNITS[found["unit"] or "B"]
        elif kind == "text":
            value = value[1:-1]
        tokens.append(_Token(str(kind), value, column))
        place = found.end()
    return [*tokens, _Token("end", None, end + 1)]


class _Reader:
    """Reads by recursive descent: or, and, not, comparison, value."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.steps: set[str] = set()
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def either(self) -> Evaluate:
        parts = [self.both()]
        while self._take("word", "or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda facts: any(part(facts) for part in parts)

    def both(self) -> Evaluate:
        parts = [self.negation()]
        while self._take("word", "and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda facts: all(part(facts) for part in parts)

    def negation(self) -> Evaluate:
        if not self._take("word", "not"):
            return self.comparison()
        self._go_deeper()
        inner = self.negation()
        self._depth -= 1
        return lambda facts: not inner(facts)

    def comparison(self) -> Evaluate:
        left = self.value()
        token = self._tokens[self._place]
        if token.value not in COMPARISONS or token.kind not in {"sign", "word"}:
            return left
        self._place += 1
        right = self.value()
        compare = COMPARISONS[token.value]
        return lambda facts: compare(left(facts), right(facts))

    def value(self) -> Evaluate:
        token = self._tokens[self._place]
        if token.kind in {"number", "text"}:
            self._place += 1
            return lambda _: token.value
        if self._take("sign", "("):
            self._go_deeper()
            inner = self.either()
            self._depth -= 1
            self._expect(")")
            return inner
        if self._take("sign", "["):
            return self._entries()
        if token.kind == "word" and token.value in WORDS:
            self._place += 1
            return lambda _: WORDS[token.value]
        if token.kind == "word" and token.value in ROOTS:
            return self._path()
        if token.kind == "word" and token.value not in RESERVED:
            raise BadCondition(
                f"column {token.column}: there is no {token.value!r}; there is {', '.join(ROOTS)}."
            )
        raise BadCondition(f"column {token.column}: expected a value, not {token}.")

    def end(self) -> None:
        token = self._tokens[self._place]
        if token.kind != "end":
            raise BadCondition(
                f"column {token.column}: expected 'and', 'or' or the end, not {token}."
            )

    def _entries(self) -> Evaluate:
        entries: list[Evaluate] = []
        self._go_deeper()
        while not self._take("sign", "]"):
            if entries:
                self._expect(",")
            entries.append(self.value())
        self._depth -= 1
        return lambda facts: [entry(facts) for entry in entries]

    def _path(self) -> Evaluate:
        root = self._tokens[self._place]
        self._place += 1
        keys: list[str | int] = [root.value]
        while self._take("sign", "."):
            token = self._tokens[self._place]
            if token.kind not in {"word", "text"} and not isinstance(token.value, int):
                raise BadCondition(f"column {token.column}: expected a name after '.'.")
            self._place += 1
            keys.append(token.value)
        if root.value == "steps":
            if len(keys) == 1:
                raise BadCondition(f"column {root.column}: expected steps.NAME.")
            self.steps.add(str(keys[1]))
        return lambda facts: _at(facts, keys)

    def _go_deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadCondition(f"is nested more than {MAX_DEPTH} deep.")

    def _take(self, kind: str, value: str) -> bool:
        token = self._tokens[self._place]
        taken = token.kind == kind and token.value == value
        self._place += taken
        return taken

    def _expect(self, sign: str) -> None:
        token = self._tokens[self._place]
        if not self._take("sign", sign):
            raise BadCondition(f"column {token.column}: expected {sign!r}, not {token}.")


def _at(facts: Facts, keys: Sequence[str | int]) -> Any:
    value: Any = facts
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(str(key))
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(key, int):
            value = value[key] if -len(value) <= key < len(value) else None
        else:
            return None
    return value


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def answer(left: Any, right: Any) -> bool:
        for kinds in ((int, float), (str,)):
            if isinstance(left, kinds) and isinstance(right, kinds):
                return compare(left, right)
        return False

    return answer


def _equal(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    if isinstance(right, Mapping):
        return isinstance(left, str) and left in right
    return isinstance(right, Sequence) and any(_equal(left, entry) for entry in right)


def _like(left: Any, right: Any) -> bool:
    return isinstance(left, str) and isinstance(right, str) and fnmatchcase(left, right)


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": _within,
    "like": _like,
}
RESERVED = frozenset({"and", "or", "not", "in", "like"})
