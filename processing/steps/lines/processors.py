"""The line processors: each takes batches of lines and gives batches of lines."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from string import Formatter
from typing import Any, ClassVar

from processing.steps.contract import JSON, Output
from processing.steps.lines.batches import Batch, Sink
from processing.steps.lines.naming import snake_cases
from processing.steps.lines.patterns import MAX_PATTERN, WINDOW, BadPattern, compile_pattern

NAME = "^[a-z][a-z0-9_]{0,39}$"  # of routes, tags, counts and tallies
GENERAL = "general"  # the tag of a line that no rule has tagged

MAX_TALLIED = 10_000  # distinct keys that a tally follows
MAX_REPORTED = 100  # of them, the most frequent ones
MAX_KEY = 100  # characters

MAX_WORD = 100  # characters

EXAMPLE_RULES: list[JSON] = [
    {"tag": "errors", "words": ["error", "errors", "fatal", "critical", "exception", "traceback"]},
    {"tag": "warnings", "words": ["warn", "warning", "warnings"]},
]
EXAMPLE_TEMPLATE = "{number:>6} [{tag}] {line}"


class BadOption(ValueError):
    """An option that its schema cannot judge is wrong: (key path below the processor, why)."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(key, sentence)
        self.key = key
        self.sentence = sentence


class Processor(ABC):
    """One use of a line processor in a route; it may keep a state of bounded size."""

    OPTIONS: ClassVar[Mapping[str, JSON]] = {}  # JSON Schema of each
    name: str | None = None  # what its report is found by; unique within the settings
    sink: Sink | None = None  # an artifact that it writes; flushed by the engine

    @abstractmethod
    def process(self, batch: Batch) -> Iterable[Batch]:
        """Return what becomes of `batch`, each line with its number."""

    def tags(self) -> Iterable[str]:
        """Return the tags that it can give."""
        return ()

    def report(self) -> Output:
        """Return what it has found out."""
        return {}


class Map(Processor):
    """Changes every line by itself."""

    def __init__(self, change: Callable[[list[str]], list[str]]) -> None:
        self._change = change

    def process(self, batch: Batch) -> Iterable[Batch]:
        return [replace(batch, lines=self._change(batch.lines))]


def reverse(line: str) -> str:
    """Return the characters of `line` from last to first."""
    return line[::-1]


class Words:
    """Finds whole words, whatever their case; much cheaper than a pattern.

    Nearly all lines are ruled out by plain search, most of them many at a time.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = [word.lower() for word in words]
        choice = "|".join(map(re.escape, self._words))
        self._whole = re.compile(rf"(?<!\w)(?:{choice})(?!\w)")

    def found_in(self, lines: list[str]) -> list[bool]:
        """Tell for each line whether it has one of the words."""
        text = "\n".join(lines).lower()
        present = [word for word in self._words if word in text]
        found = [False] * len(lines)
        if present:
            lowered = text.split("\n")
            if len(lowered) != len(lines):  # a template may put the end of a line into a line
                lowered = [line.lower() for line in lines]
            for word in present:
                for at in [at for at, line in enumerate(lowered) if word in line]:
                    found[at] = found[at] or bool(self._whole.search(lowered[at]))
        return found


class Pattern:
    """Finds a regular expression in the first `WINDOW` characters."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._search = pattern.search

    def found_in(self, lines: list[str]) -> list[bool]:
        """Tell for each line whether the pattern is found in it."""
        search = self._search
        return [search(line, 0, WINDOW) is not None for line in lines]


class Tag(Processor):
    """Gives each line the tag of the first rule that finds something in it."""

    OPTIONS: ClassVar[Mapping[str, JSON]] = {
        "rules": {
            "type": "array",
            "minItems": 1,
            "maxItems": 16,
            "items": {
                "type": "object",
                "required": ["tag"],
                "additionalProperties": False,
                "properties": {
                    "tag": {"type": "string", "pattern": NAME},
                    "words": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 100,
                        "items": {"type": "string", "pattern": "^\\S+$", "maxLength": MAX_WORD},
                    },
                    "pattern": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN},
                },
            },
        },
        "otherwise": {"type": "string", "pattern": NAME},
    }

    def __init__(self, options: Mapping[str, Any], _route: str) -> None:
        rules = enumerate(options.get("rules", EXAMPLE_RULES))
        self._rules = [(rule["tag"], _finder(rule, f"rules[{index}]")) for index, rule in rules]
        self._otherwise: str = options.get("otherwise", GENERAL)
        self._counts: Counter[str] = Counter()

    def process(self, batch: Batch) -> Iterable[Batch]:
        numbers, lines = batch.numbers, batch.lines
        for tag, finder in self._rules:
            found = finder.found_in(lines)
            if True in found:
                left = [not hit for hit in found]
                yield self._tagged(
                    batch, tag, list(compress(numbers, found)), list(compress(lines, found))
                )
                numbers, lines = list(compress(numbers, left)), list(compress(lines, left))
                if not lines:
                    return
        yield self._tagged(batch, self._otherwise, numbers, lines)

    def _tagged(self, batch: Batch, tag: str, numbers: Sequence[int], lines: list[str]) -> Batch:
        self._counts[tag] += len(lines)
        return Batch(numbers, tag, lines, batch.path)

    def tags(self) -> Iterable[str]:
        return [*(tag for tag, _ in self._rules), self._otherwise]

    def report(self) -> Output:
        return {"tags": dict(self._counts)}


def _finder(rule: Mapping[str, Any], key: str) -> Words | Pattern:
    if ("words" in rule) == ("pattern" in rule):
        raise BadOption(key, "needs either words or a pattern")
    if "words" in rule:
        return Words(rule["words"])
    return Pattern(_compile(rule["pattern"], f"{key}.pattern"))


class Count(Processor):
    """Counts lines and characters."""

    OPTIONS: ClassVar[Mapping[str, JSON]] = {"name": {"type": "string", "pattern": NAME}}

    def __init__(self, options: Mapping[str, Any], route: str) -> None:
        self.name = options.get("name", route)
        self._lines = 0
        self._characters = 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        self._lines += len(batch.lines)
        self._characters += sum(map(len, batch.lines))
        return [batch]

    def report(self) -> Output:
        return {"name": self.name, "count": self._lines, "characters": self._characters}


class Tally(Processor):
    """Counts how often each tag, or each text that a pattern finds, occurs.

    Follows `MAX_TALLIED` keys, whose counts are exact; the occurrences of all others are
    counted together.
    """

    OPTIONS: ClassVar[Mapping[str, JSON]] = {
        "name": {"type": "string", "pattern": NAME},
        "pattern": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN},
    }

    def __init__(self, options: Mapping[str, Any], route: str) -> None:
        self.name = options.get("name", route)
        self._search: Callable[[str, int, int], re.Match[str] | None] | None = None
        if pattern := options.get("pattern"):
            compiled = _compile(pattern, "pattern")
            self._search = compiled.search
            self._group = 1 if compiled.groups else 0
        self._counts: Counter[str] = Counter()
        self._others = 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        if self._search is None:
            self._counts[batch.tag] += len(batch.lines)
            return [batch]
        found = [self._search(line, 0, WINDOW) for line in batch.lines]
        keys = [(match[self._group] or "")[:MAX_KEY] for match in found if match]
        if len(self._counts) + len(keys) <= MAX_TALLIED:
            self._counts.update(keys)
        else:
            self._count_within_bound(keys)
        return [batch]

    def _count_within_bound(self, keys: list[str]) -> None:
        for key in keys:
            if key in self._counts or len(self._counts) < MAX_TALLIED:
                self._counts[key] += 1
            else:
                self._others += 1

    def report(self) -> Output:
        most = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        tally: list[JSON] = [{"key": key, "count": count} for key, count in most[:MAX_REPORTED]]
        return {
            "name": self.name,
            "tally": tally,
            "distinct": len(self._counts),
            "distinct_is_exact": self._others == 0,
            "others": self._others,
        }


class Archive(Processor):
    """Writes the lines as they are here to an artifact, and lets them pass."""

    OPTIONS: ClassVar[Mapping[str, JSON]] = {
        "file": {"type": "string", "pattern": r"^[a-z0-9][a-z0-9_-]{0,39}\.txt$"}
    }

    def __init__(self, options: Mapping[str, Any], route: str) -> None:
        self.sink: Sink = Sink(options.get("file", f"{route}.txt"))

    def process(self, batch: Batch) -> Iterable[Batch]:
        self.sink.take(batch)
        return [batch]

    def report(self) -> Output:
        return {"file": self.sink.file, "bytes": self.sink.bytes}


class Format(Processor):
    """Writes each line anew after a template with `{number}`, `{tag}` and `{line}`."""

    OPTIONS: ClassVar[Mapping[str, JSON]] = {
        "template": {"type": "string", "minLength": 1, "maxLength": 500}
    }

    POSITIONS: ClassVar[Mapping[str, str]] = {"number": "0", "line": "1"}

    def __init__(self, options: Mapping[str, Any], _route: str) -> None:
        self._pieces = list(_template_pieces(options.get("template", EXAMPLE_TEMPLATE)))

    def process(self, batch: Batch) -> Iterable[Batch]:
        template = self._template_of(batch.tag)
        return [replace(batch, lines=list(map(template.format, batch.numbers, batch.lines)))]

    def _template_of(self, tag: str) -> str:
        """Return the template with the tag filled in, once for the batch, and positions left."""
        parts: list[str] = []
        for text, field, spec in self._pieces:
            parts.append(text.replace("{", "{{").replace("}", "}}"))
            if field == "tag":
                parts.append(format(tag, spec))
            elif field:
                parts.append(f"{{{self.POSITIONS[field]}:{spec}}}")
        return "".join(parts)


def _template_pieces(template: str) -> Iterable[tuple[str, str, str]]:
    """Yield (text, field after it or "", its width). Nothing else of `str.format` is let in."""
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise BadOption("template", f"is not a template: {error}") from None
    for text, field, spec, conversion in pieces:
        if field is None:
            yield text, "", ""
            continue
        if field not in ("number", "tag", "line") or conversion:
            raise BadOption("template", "may only have the fields {number}, {tag} and {line}")
        if not re.fullmatch(r"[<>^]?0?\d{0,2}", spec or ""):
            raise BadOption("template", f"has a width that is not understood in {{{field}}}")
        if field != "number" and "0" in (spec or "")[:1]:
            raise BadOption("template", f"can fill only {{number}} with zeros, not {{{field}}}")
        yield text, field, spec or ""


def _compile(pattern: str, key: str) -> re.Pattern[str]:
    try:
        return compile_pattern(pattern)
    except BadPattern as error:
        raise BadOption(key, str(error)) from None


Maker = Callable[[Mapping[str, Any], str], Processor]


def _plain(change: Callable[[str], str]) -> Maker:
    return lambda _options, _route: Map(lambda lines: list(map(change, lines)))


PROCESSORS: Mapping[str, Maker] = {
    "trim": _plain(str.strip),
    "upper": _plain(str.upper),
    "snake_case": lambda _options, _route: Map(snake_cases),
    "reverse": _plain(reverse),
    "tag": Tag,
    "count": Count,
    "tally": Tally,
    "archive": Archive,
    "format": Format,
}
OPTIONS: Mapping[str, Mapping[str, JSON]] = {
    name: getattr(maker, "OPTIONS", {}) for name, maker in PROCESSORS.items()
}
