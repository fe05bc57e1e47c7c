"""The settings of the line routing: every mistake has its sentence."""

import re
import time
from typing import Any

import pytest

from processing.steps.lines.patterns import WINDOW, BadPattern, compile_pattern
from processing.steps.lines.settings import check


def start(*through: Any, to: Any = "end") -> dict[str, Any]:
    return {"routes": {"start": {"through": list(through), "to": to}}}


@pytest.mark.parametrize(
    ("wrong", "key", "sentence"),
    [
        (start(to="nowhere"), "routes.start.to", "names the route 'nowhere'"),
        (start(to=["end", "nowhere"]), "routes.start.to", "names the route 'nowhere'"),
        (start("tag", to="@tag"), "routes.start.through[0]", "gives the tag 'errors'"),
        (start("archive", "archive"), "routes.start.through[1]", "uses the file 'start.txt'"),
        (start({"use": "archive", "file": "lines.txt"}), "routes.start.through[0]", "'lines.txt'"),
        (start({"use": "archive", "file": "unrouted.txt"}), "routes.start.through[0]", "is taken"),
        (start("count", "count"), "routes.start.through[1]", "uses the name of a count 'start'"),
        (start("tally", "tally"), "routes.start.through[1]", "uses the name of a tally 'start'"),
        (
            start({"use": "tag", "rules": [{"tag": "a"}]}),
            "routes.start.through[0].rules[0]",
            "either",
        ),
        (
            start({"use": "tag", "rules": [{"tag": "a", "words": ["a"], "pattern": "a"}]}),
            "routes.start.through[0].rules[0]",
            "either words or a pattern",
        ),
        (
            start({"use": "tag", "rules": [{"tag": "a", "pattern": "("}]}),
            "routes.start.through[0].rules[0].pattern",
            "is not a regular expression",
        ),
        (
            start({"use": "tally", "pattern": "(a*)*"}),
            "routes.start.through[0].pattern",
            "repeats a group",
        ),
        (
            start({"use": "format", "template": "{"}),
            "routes.start.through[0].template",
            "not a template",
        ),
        (
            start({"use": "format", "template": "{x}"}),
            "routes.start.through[0].template",
            "only have the fields",
        ),
        (
            start({"use": "format", "template": "{}"}),
            "routes.start.through[0].template",
            "only have the fields",
        ),
        (
            start({"use": "format", "template": "{line.__class__}"}),
            "routes.start.through[0].template",
            "only have",
        ),
        (
            start({"use": "format", "template": "{line[0]}"}),
            "routes.start.through[0].template",
            "only have",
        ),
        (
            start({"use": "format", "template": "{line!r}"}),
            "routes.start.through[0].template",
            "only have",
        ),
        (
            start({"use": "format", "template": "{number:999999999}"}),
            "routes.start.through[0].template",
            "width",
        ),
        (
            start({"use": "format", "template": "{line:{number}}"}),
            "routes.start.through[0].template",
            "width",
        ),
        (
            start({"use": "format", "template": "{line:05}"}),
            "routes.start.through[0].template",
            "with zeros",
        ),
        (
            start(*[{"use": "tally", "name": f"t{at}"} for at in range(9)]),
            "routes",
            "more than 8 tallies",
        ),
    ],
)
def test_check_names_the_key_and_says_why(wrong: dict[str, Any], key: str, sentence: str) -> None:
    mistakes = check(wrong)
    assert [where for where, _ in mistakes][:1] == [key]
    assert sentence in mistakes[0][1]


def test_check_finds_every_mistake_at_once() -> None:
    settings = start({"use": "tally", "pattern": "("}, {"use": "format", "template": "{"}, to="x")
    assert len(check(settings)) == 3


@pytest.mark.parametrize(
    "good",
    [
        {},
        start(),
        start(to=[]),
        start("count", "tally", "archive"),
        start({"use": "count", "name": "one"}, {"use": "count", "name": "two"}),
        {
            "routes": {
                "start": {"through": ["tag"], "to": "@tag"},
                "errors": {},
                "warnings": {},
                "general": {},
            }
        },
    ],
)
def test_check_accepts(good: dict[str, Any]) -> None:
    assert check(good) == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "is not a regular expression"),
        ("a" * 501, "longer than 500"),
        ("(a+)+b", "repeats a group"),
        ("(?:ab)*", "repeats a group"),
        ("(ab){2,}", "repeats a group"),
        (r"(a)\1", "refers back"),
        ("(?=a)b", "only '(?:'"),
        ("(?<!a)b", "only '(?:'"),
        ("(?P<name>a)", "only '(?:'"),
        ("a(?#note)", "only '(?:'"),
        ("(?s).", "only '(?:'"),
        (".*x.*y", "ways to match"),
        ("a?" * 40 + "a" * 40, "ways to match"),
        ("(?:a|a)" * 40 + "b", "ways to match"),
        ("(a|b)?" * 20, "ways to match"),
        (r"\d{0,500}\d{0,500}x", "ways to match"),
        (r"[^\]]*[^]]*x", "ways to match"),
    ],
)
def test_a_pattern_that_could_run_away_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(BadPattern, match=re.escape(reason)):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "error",
        r"(?i)\b(?:error|fatal)s?\b",
        r"^\[[A-Z]+\]",
        r"\(\d+\)",
        r"[(?=+*]+",
        "[]a]*",
        r"HTTP/\d\.\d\" 5\d{2}",
        r"^\S++ \S++ (?:ERROR|FATAL)",
        "(a|b|c|d|e|f|g|h)x.*",
        "a{2}b{,3}",
        "(ab)?c",
    ],
)
def test_an_everyday_pattern_is_accepted(pattern: str) -> None:
    assert compile_pattern(pattern).pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("(?:a|a|a|a|a|a|a|a)a*b", "a" * 5000),
        (".*(?:a|a|a|a)b", "a" * 5000),
        (r"[^x]*x", "a" * 5000),
        (r"a++b", "a" * 5000),
    ],
)
def test_the_dearest_accepted_patterns_end_soon(pattern: str, line: str) -> None:
    search = compile_pattern(pattern).search
    started = time.process_time()
    assert search(line, 0, WINDOW) is None
    assert time.process_time() - started < 2
