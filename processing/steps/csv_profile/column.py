"""One column's facts, gathered from batches of its cells so that most work is done in C."""

import hashlib
import math
import re
from collections.abc import Sequence

from processing.steps.contract import Output

MAX_SHOWN = 60  # characters of a name or a value in the output
HASHED_FROM = 65  # characters: longer values are told apart by their digest

_SPACE = "[ ]*+"
_INTEGER = "[+-]?(?:0|[1-9][0-9]{0,37}+)"  # a leading zero is part of a code, not of a number
_NUMBER = (
    r"[+-]?(?:(?:0|[1-9][0-9]{0,37}+)(?:\.[0-9]{0,38}+)?+|\.[0-9]{1,38}+)(?:[eE][+-]?[0-9]{1,3}+)?+"
)
_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9}+)?+)?+"
_ZONE = "(?:Z|[+-][0-9]{2}:?[0-9]{2})?+"
TYPES = {  # the first that fits all values is the column's; "text" where none does
    "integer": _INTEGER,
    "number": _NUMBER,
    "boolean": "(?:[Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO)",
    "date": _DATE,
    "datetime": f"{_DATE}[T ]{_TIME}{_ZONE}",
}
# A batch is matched as one string: unit separator after each value.
_BATCH = {name: re.compile(f"(?:{_SPACE}{one}{_SPACE}\x1f)*+") for name, one in TYPES.items()}
_ONE_NUMBER = re.compile(_SPACE + _NUMBER + _SPACE)

# What spreadsheets take for a formula. Source: OWASP, CSV injection.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BARS = 20  # of a histogram, equally wide from the least value to the greatest
MAX_SAMPLED = 4096  # numbers; of more, every second, fourth, eighth ... one is kept


class Sample:
    """Evenly spaced numbers out of all that pass: enough for quantiles and a histogram."""

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._stride = 1
        self._seen = 0

    def take(self, numbers: Sequence[float]) -> None:
        """Let `numbers` pass."""
        self._kept.extend(numbers[-self._seen % self._stride :: self._stride])
        self._seen += len(numbers)
        while len(self._kept) > MAX_SAMPLED:
            self._kept = self._kept[::2]
            self._stride *= 2

    def report(self, low: float, high: float) -> Output:
        """Return the quantiles and the histogram of what was kept, between `low` and `high`."""
        ordered = sorted(self._kept)
        last = len(ordered) - 1
        bars = [0] * BARS
        for number in ordered:
            share = number / 2 - low / 2  # halves, since the whole width may not be a number
            width = high / 2 - low / 2
            bars[min(BARS - 1, int(share / width * BARS)) if width else 0] += 1
        return {
            "quantiles": [ordered[round(share * last)] for share in QUANTILES],
            "histogram": [*bars],
            "sampled": self._stride > 1,
        }


def is_typed(value: str) -> bool:
    """Tell whether `value` reads as something other than text."""
    return any(pattern.fullmatch(value + "\x1f") for pattern in _BATCH.values())


class Column:
    """The facts of one column. Its memory is bounded by `bound` distinct values."""

    def __init__(self, name: str, *, nulls: frozenset[str | None], bound: int) -> None:
        self._name = name
        self._null_values = nulls
        self._bound = bound
        self._types = list(TYPES)
        self._values = 0
        self._nulls = 0
        self._longest = 0
        self._formula_like = 0
        self._distinct: set[str | bytes] = set()
        self._uncountable = False
        self._texts: tuple[str, str] | None = None
        self._numbers: tuple[float, float] | None = None
        self._sum: float = 0
        self._sample = Sample()

    def take(self, cells: Sequence[str | None]) -> None:
        """Add `cells`; None stands for one that a short row does not have."""
        values = [cell for cell in cells if cell is not None and cell not in self._null_values]
        self._nulls += len(cells) - len(values)
        if not values:
            return
        self._values += len(values)
        longest = max(map(len, values))
        self._longest = max(self._longest, longest)
        self._take_texts(values)
        self._count_distinct(values, longest)
        self._narrow_type(values)

    def _take_texts(self, values: list[str]) -> None:
        low, high = min(values), max(values)
        if self._texts:
            low, high = min(low, self._texts[0]), max(high, self._texts[1])
        self._texts = low[: 2 * MAX_SHOWN], high[: 2 * MAX_SHOWN]

    def _count_distinct(self, values: list[str], longest: int) -> None:
        if self._uncountable:
            return
        self._distinct.update(values if longest < HASHED_FROM else map(_key, values))
        if len(self._distinct) > self._bound:
            self._uncountable = True
            self._distinct = set()

    def _narrow_type(self, values: list[str]) -> None:
        if self._types:
            joined = "\x1f".join(values) + "\x1f"
            one_each = joined.count("\x1f") == len(values)
            self._types = [
                name for name in self._types if one_each and _BATCH[name].fullmatch(joined)
            ]
        if "number" in self._types:
            self._take_numbers(values, exact="integer" in self._types)
        else:
            starting = [value for value in values if value.startswith(FORMULA_STARTS)]
            self._formula_like += sum(_ONE_NUMBER.fullmatch(value) is None for value in starting)

    def _take_numbers(self, values: list[str], *, exact: bool) -> None:
        numbers: list[int] | list[float] = list(map(int if exact else float, values))
        if not all(map(math.isfinite, numbers)):  # "1e999" looks like a number and is none here
            self._types = []
            return
        low, high = min(numbers), max(numbers)
        if self._numbers:
            low, high = min(low, self._numbers[0]), max(high, self._numbers[1])
        self._numbers = low, high
        self._sample.take(numbers)
        self._sum += sum(numbers) if exact else math.fsum(numbers)

    def report(self) -> Output:
        """Return the facts. `min` and `max` are numbers where the type is."""
        kind = self._types[0] if self._types else "text"
        facts: Output = {
            "name": self._name[:MAX_SHOWN],
            "type": kind if self._values else "empty",
            "values": self._values,
            "nulls": self._nulls,
            "distinct": self._bound if self._uncountable else len(self._distinct),
            "distinct_is_exact": not self._uncountable,
            "longest": self._longest,
            "formula_like": self._formula_like,
        }
        if self._texts and kind in ("integer", "number") and self._numbers:
            facts["min"], facts["max"] = self._numbers
            facts["mean"] = self._sum / self._values if math.isfinite(self._sum) else None
            facts |= self._sample.report(*self._numbers)
        elif self._texts:
            facts["min"], facts["max"] = (text[:MAX_SHOWN] for text in self._texts)
        return facts


def _key(value: str) -> str | bytes:
    if len(value) < HASHED_FROM:
        return value
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest()
