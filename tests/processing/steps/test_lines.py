"""Lines on their way from `start` to `end`."""

import io
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.steps.contract import JSON, StepFailed
from processing.steps.lines import step
from processing.steps.lines.batches import Batch
from processing.steps.lines.engine import Engine
from processing.steps.lines.naming import snake_case, snake_cases
from processing.steps.lines.processors import Words
from processing.steps.lines.settings import read
from tests.processing.steps.harness import Artifact, Result, run

LOG = b"""  Server started
ERROR disk full
a warning: hot
  requestId 7 took 3ms
an Error again, and a Warning
terror is no error-free word... errorless
"""


def routed(content: bytes | str, routes: Mapping[str, Any], **settings: JSON) -> Result:
    if isinstance(content, str):
        content = content.encode()
    return run(step, content, "text/plain", {"routes": dict(routes), **settings})


def through(*processors: JSON) -> dict[str, JSON]:
    return {"start": {"through": list(processors)}}


def uses(result: Result) -> dict[tuple[str, str], Any]:
    processors: Any = result.output["processors"]
    return {(use["route"], use["use"]): use for use in processors}


def test_the_example_routes_tag_count_archive_and_format() -> None:
    result = run(step, LOG, "text/plain")
    assert result.text("lines.txt").splitlines() == [
        "     1 [general] server_started",
        "     2 [errors] ERROR DISK FULL",
        "     3 [warnings] a warning: hot",
        "     4 [general] request_id_7_took_3ms",
        "     5 [errors] AN ERROR AGAIN, AND A WARNING",
        "     6 [errors] TERROR IS NO ERROR-FREE WORD... ERRORLESS",
    ]
    assert result.text("errors.txt").splitlines() == [
        "ERROR DISK FULL",
        "AN ERROR AGAIN, AND A WARNING",
        "TERROR IS NO ERROR-FREE WORD... ERRORLESS",
    ]
    assert result.text("warnings.txt") == "a warning: hot\n"
    assert result.output["routes"] == {
        "start": 6,
        "errors": 3,
        "warnings": 1,
        "general": 2,
        "report": 6,
    }
    assert result.output["lines"] == result.output["ended"] == 6
    assert result.output["errors"] == {"too_many_hops": 0}
    found = uses(result)
    assert found["start", "tag"]["tags"] == {"errors": 3, "warnings": 1, "general": 2}
    assert found["errors", "count"]["count"] == 3
    assert found["warnings", "count"]["characters"] == len("a warning: hot")
    assert found["report", "tally"]["tally"] == [
        {"key": "errors", "count": 3},
        {"key": "general", "count": 2},
        {"key": "warnings", "count": 1},
    ]
    assert all(use["ms"] >= 0 for use in found.values())


@pytest.mark.parametrize(
    ("processor", "line", "expected"),
    [
        ("trim", " \t a b \u00a0", "a b"),
        ("upper", "straße", "STRASSE"),
        ("reverse", "abc", "cba"),
        ("snake_case", "HTTPServer v2Beta, über-Größe__x", "http_server_v2_beta_über_größe_x"),
        ("snake_case", "...", ""),
        (
            {"use": "format", "template": "{{{number:03}}} {tag:>9}|{line:<4}|"},
            "x",
            "{001}   general|x   |",
        ),
        ({"use": "format", "template": "no field"}, "x", "no field"),
        ("count", "same", "same"),
        ("tally", "same", "same"),
    ],
)
def test_a_processor_changes_a_line(processor: JSON, line: str, expected: str) -> None:
    assert routed(line, through(processor)).text("lines.txt") == expected + "\n"


@pytest.mark.parametrize(
    "name", ["snakeCase", "SnakeCase", "snake_case", "SNAKE-case", " snake  case."]
)
def test_snake_case_is_the_same_for_every_spelling(name: str) -> None:
    assert snake_case(name) == "snake_case"


@given(st.lists(st.text(st.sampled_from("aZbQ09_ -\t\r\né"), max_size=20), max_size=5))
def test_snake_case_of_many_lines_is_that_of_each(lines: list[str]) -> None:
    assert snake_cases(lines) == [snake_case(line) for line in lines]


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_snake_case_of_a_line_does_not_depend_on_a_letter_beyond_ascii(line: str) -> None:
    assert snake_case(f"{line} é") == snake_case(f"{line} e").removesuffix("e") + "é"


@given(st.lists(st.text(alphabet="aBerorERROR wan.ß_İ", max_size=20), max_size=20))
def test_whole_words_are_found_in_any_case_and_nothing_else(lines: list[str]) -> None:

    words = ["error", "warn"]
    expected = [
        any(re.search(rf"(?<!\w){word}(?!\w)", line.lower()) for word in words) for line in lines
    ]
    assert Words(words).found_in(lines) == expected


def test_a_line_with_the_end_of_a_line_in_it_moves_no_other() -> None:
    lines = ["one\ntwo", "an error", "three"]
    assert Words(["error"]).found_in(lines) == [False, True, False]
    assert Words(["two", "three"]).found_in(lines) == [True, False, True]


def test_the_first_rule_that_finds_something_wins() -> None:
    rules: list[JSON] = [
        {"tag": "second", "pattern": r"^\d+ "},
        {"tag": "first", "words": ["Begin"]},
        {"tag": "third", "pattern": "(?i)end$"},
    ]
    routes = through({"use": "tag", "rules": rules, "otherwise": "none"}, "tally")
    result = routed("1 begin\nBEGIN end\nthe END\nnothing\n12begin\n", routes)
    assert uses(result)["start", "tag"]["tags"] == {"second": 1, "first": 1, "third": 1, "none": 2}


def test_a_pattern_looks_at_the_start_of_a_line_only() -> None:
    rules: list[JSON] = [{"tag": "seen", "pattern": "x"}]
    result = routed(
        "." * 2047 + "x\n" + "." * 2048 + "x\n", through({"use": "tag", "rules": rules})
    )
    assert uses(result)["start", "tag"]["tags"] == {"seen": 1, "general": 1}


def test_lines_keep_the_order_of_the_file_whichever_way_they_took() -> None:
    lines = [f"{at} {'error' if at % 3 else 'fine'}" for at in range(5000)]
    routes = {
        "start": {"through": ["tag", {"use": "archive", "file": "all.txt"}], "to": "@tag"},
        "errors": {"to": "later"},
        "warnings": {},
        "later": {"to": "end"},
        "general": {"to": "end"},
    }
    result = routed("\n".join(lines), routes)
    assert result.text("lines.txt").splitlines() == lines
    assert result.text("all.txt").splitlines() == lines


def test_several_targets_get_a_copy_each() -> None:
    routes = {
        "start": {"to": ["loud", "end", "gone"]},
        "loud": {"through": ["upper"]},
        "gone": {"through": ["count"], "to": []},
    }
    result = routed("a\nb\n", routes)
    assert result.text("lines.txt") == "a\nA\nb\nB\n"
    assert result.output["ended"] == 4
    assert result.output["dropped"] == 2
    assert result.output["routes"] == {"start": 2, "loud": 2, "gone": 2}


def test_a_line_may_come_back_until_it_has_what_it_needs() -> None:
    rules = [{"tag": "start", "pattern": "^.{1,9}$"}]
    routes = {
        "start": {
            "through": [
                {"use": "format", "template": "{line}x"},
                {"use": "tag", "rules": rules, "otherwise": "done"},
            ],
            "to": "@tag",
        },
        "done": {},
    }
    result = routed("1234567\n123\n", routes)
    assert result.text("lines.txt") == "1234567xxx\n123xxxxxxx\n"
    assert result.output["routes"] == {"start": 10, "done": 2}


def test_a_line_that_goes_round_is_an_error_and_is_not_lost() -> None:
    result = routed("a\nb\n", {"start": {"through": ["count"], "to": "start"}}, max_hops=5)
    assert result.output["errors"] == {"too_many_hops": 2}
    assert result.output["routes"] == {"start": 10}
    assert result.output["ended"] == 0
    assert result.text("unrouted.txt") == "a\nb\n"
    assert "lines.txt" not in result.artifacts


def test_copies_share_the_hops_so_that_they_cannot_multiply() -> None:
    routes = {"start": {"to": ["start", "other"]}, "other": {"to": ["start", "other"]}}
    result = routed("a\n", routes, max_hops=16)
    visits: Any = result.output["routes"]
    assert sum(visits.values()) <= 16
    assert result.output["errors"] == {"too_many_hops": 16}


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_every_line_is_accounted_for(count: int) -> None:
    content = b"".join(b"line %d %s\n" % (at, b"error" * (at % 2)) for at in range(count))
    result = run(step, content, "text/plain")
    assert result.output["lines"] == result.output["ended"] == count
    assert sum(uses(result)["start", "tag"]["tags"].values()) == count
    assert ("lines.txt" in result.artifacts) is (count > 0), "there is no empty artifact"


def test_a_long_line_is_cut_and_counted() -> None:
    result = routed("x" * 200 + "\nshort\n", through(), max_line_chars=80)
    assert result.text("lines.txt").splitlines() == ["x" * 80, "x" * 80, "x" * 40, "short"]
    assert (result.output["lines"], result.output["cut_lines"]) == (2, 1)


def test_bad_bytes_are_replaced_and_their_lines_counted() -> None:
    result = routed("Größe\n".encode() + b"\xff\xfe\nok\n", through())
    assert result.text("lines.txt") == "Größe\n\ufffd\ufffd\nok\n"
    assert result.output["undecodable_lines"] == 1


def test_any_encoding_ends_as_utf_8() -> None:
    result = routed("Größe\r\nµ".encode("utf-16"), through())
    assert result.text("lines.txt") == "Größe\nµ\n"
    assert result.output["encoding"] == "utf-16"


def test_a_tally_counts_what_its_pattern_finds() -> None:
    routes = through({"use": "tally", "name": "codes", "pattern": r"status=(\d{3})"})
    result = routed("a status=200\nb status=404\nstatus=200\nnone\n", routes)
    tally = uses(result)["start", "tally"]
    assert tally["tally"] == [{"key": "200", "count": 2}, {"key": "404", "count": 1}]
    assert (tally["name"], tally["distinct"], tally["distinct_is_exact"]) == ("codes", 2, True)


def test_a_tally_says_where_it_stopped_to_tell_keys_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processing.steps.lines.processors.MAX_TALLIED", 3)
    result = routed("a\nb\na\nc\nd\na\ne\n", through({"use": "tally", "pattern": "."}))
    tally = uses(result)["start", "tally"]
    assert tally["tally"][0] == {"key": "a", "count": 3}
    assert (tally["distinct"], tally["distinct_is_exact"], tally["others"]) == (3, False, 2)


def test_the_sample_traces_a_line_of_every_path() -> None:
    content = b"fine\n" * 1000 + b"an error\n" + b"fine\n" * 1000 + b"a warning\n"
    traced: Any = run(step, content, "text/plain").output["traced"]
    paths = {seen["number"]: seen["path"] for seen in traced}
    assert paths[1001] == [
        "start",
        "trim",
        "tag=errors",
        "errors",
        "upper",
        "count",
        "archive",
        "report",
        "tally",
        "format",
        "end",
    ]
    assert paths[2002][2] == "tag=warnings"
    assert paths[1][2] == "tag=general"


@pytest.mark.parametrize("wanted", [0, 1, 7])
def test_the_sample_is_no_larger_than_wanted(wanted: int) -> None:
    traced: Any = run(step, LOG * 100, "text/plain", {"traced_lines": wanted}).output["traced"]
    assert len(traced) == wanted
    assert all(len(seen["line"]) <= 200 for seen in traced)


def test_a_path_that_goes_round_is_shortened_in_the_sample() -> None:
    result = routed("a\n", {"start": {"through": ["count"], "to": "start"}}, max_hops=500)
    traced: Any = result.output["traced"]
    assert len(traced[0]["path"]) == 40
    assert traced[0]["path"][-2:] == ["...", "unrouted"]


def test_a_window_is_let_go_before_the_next_one_comes() -> None:
    artifacts: dict[str, Artifact] = {}

    def open_artifact(name: str, media_type: str) -> Artifact:
        return artifacts.setdefault(name, Artifact(media_type))

    engine = Engine(read({}), open_artifact)
    engine.take([1, 2], ["an error", "fine"])
    assert artifacts["lines.txt"].getvalue().count(b"\n") == 2
    assert artifacts["errors.txt"].getvalue() == b"AN ERROR\n"


def test_settings_that_were_never_checked_are_refused_before_a_line_is_read() -> None:
    content = io.BytesIO(b"a\n")
    with pytest.raises(StepFailed) as failure:
        run(step, content, settings={"routes": {"start": {"to": "nowhere"}}})
    assert failure.value.code == "bad_settings"
    assert "routes.start.to" in failure.value.detail
    assert content.tell() == 0


def test_a_batch_cannot_be_changed_in_passing() -> None:
    with pytest.raises(AttributeError):
        Batch([1], "general", ["x"]).tag = "errors"  # type: ignore[misc]
