"""Pipelines written in YAML: every mistake has its line and its key."""

import pytest

from processing.pipelines import InvalidPipeline, builtin, parse, read_source, write_source
from processing.steps.registry import REGISTRY

GOOD = """\
name: invoices
title: Invoices
media_types:
  - application/pdf
  - "*/*"
tags: [invoice]
steps:
  - checksum
  - step: lines
    name: tidy
    needs: [checksum]
    when: size < 5 MiB
    settings:
      routes:
        start: {through: [trim]}
    max_attempts: 2
"""
STEPS = ", ".join(REGISTRY)
STEP_KEYS = "name, step, needs, when, reads, settings, timeout_s, max_attempts"


def test_a_pipeline_is_read_from_yaml_and_written_as_yaml() -> None:
    definition = read_source(GOOD)
    assert definition.name == "invoices"
    assert definition.steps[1].needs == ("checksum",)
    assert read_source(write_source(definition)) == definition


@pytest.mark.parametrize("definition", builtin(), ids=lambda definition: definition.name)
def test_built_in_pipelines_can_be_written_as_yaml(definition) -> None:
    assert read_source(write_source(definition)) == definition


@pytest.mark.parametrize(
    ("wrong", "right", "mistake"),
    [
        ("name: Invoices!", "name: invoices",
         "line 1: name: must start with a-z and have at most 40 of a-z, 0-9, '_' and '-'."),
        ("title: [x]", "title: Invoices", "line 2: title: must be a text of 1 to 100 characters."),
        ("nmae: x", "title: Invoices",
         "line 2: nmae: is not a known key; known are "
         "name, title, media_types, owners, folders, tags, steps."),
        ("  - text", '  - "*/*"',
         "line 5: media_types[1]: must be a media type in lower case, such as text/csv, "
         "text/* or */*."),
        ("tags: {}", "tags: [invoice]", "line 6: tags: must be a list of 1 to 50 entries."),
        ("  - checksun", "  - checksum",
         f"line 8: steps[0].step: there is no step 'checksun'; there is {STEPS}."),
        ("  - timeout_s: 5", "  - step: lines", "line 9: steps[1].step: is missing."),
        ("    name: checksum", "    name: tidy",
         "line 10: steps[1].name: 'checksum' is the name of steps[0]."),
        ("    needs: [tidy]", "    needs: [checksum]",
         "line 11: steps[1].needs: steps wait for each other: tidy -> tidy."),
        ("    needs:\n    - checksum\n    - other", "    needs: [checksum]",
         "line 13: steps[1].needs[1]: there is no step 'other' in this pipeline; "
         "there is checksum, tidy."),
        ("    when: size <", "    when: size < 5 MiB",
         "line 12: steps[1].when: column 7: expected a value, not the end."),
        ("    when: steps.tidy.lines > 0", "    when: size < 5 MiB",
         "line 12: steps[1].when: looks at 'tidy', which 'tidy' does not wait for; "
         "before it come: checksum."),
        ("        start: {through: [trim, shout]}", "        start: {through: [trim]}",
         "line 15: steps[1].settings.routes.start.through[1]: 'shout' is not one of"),
        ("        start:\n          thru: [trim]", "        start: {through: [trim]}",
         "line 15: steps[1].settings.routes.start: Additional properties are not allowed"),
        ("        begin: {}", "        start: {through: [trim]}",
         "line 14: steps[1].settings.routes: 'start' is a required property."),
        ("    max_attempts: 11", "    max_attempts: 2",
         "line 16: steps[1].max_attempts: must be a whole number from 1 to 10."),
        ("    max_atempts: 1", "    max_attempts: 2",
         f"line 16: steps[1].max_atempts: is not a known key; known are {STEP_KEYS}."),
        ("    name: tidy\n    name: again", "    name: tidy",
         "line 11: steps[1].name: is there twice."),
        ("title: 'open", "title: Invoices",
         "line 17: this is no YAML: found unexpected end of stream."),
        ("\ttitle: x", "title: Invoices",
         "line 2: this is no YAML: found character '\\t' that cannot start any token."),
        ("title: !!python/object:os.system x", "title: Invoices",
         "line 2: this is no YAML: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object:os.system'."),
        ("title: &a x\ntags: [*a]", "title: Invoices\nmedia_types",
         "line 3: must be written out: aliases are not read."),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_its_key(wrong: str, right: str, mistake: str) -> None:
    assert right in GOOD
    with pytest.raises(InvalidPipeline) as refusal:
        read_source(GOOD.replace(right, wrong, 1))
    assert [str(m) for m in refusal.value.mistakes if str(m).startswith(mistake)], [
        str(m) for m in refusal.value.mistakes
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "line 1: there is nothing in it."),
        ("# nothing\n", "line 1: there is nothing in it."),
        ("- a\n- b\n", "line 1: must be a mapping with the keys"),
        ("name: x\nmedia_types: ['*/*']\n", "line 1: steps: is missing."),
        ("a: b\n---\nc: d\n", "line 2: this is no YAML: but found another document."),
        ("name: \x00", "this is no YAML."),
        ("x" * 70_000, "has more than 65536 characters."),
        ("[" * 20_000, "line 1: is nested more than 30 deep."),
    ],
)
def test_what_is_no_pipeline_at_all_is_refused(text: str, mistake: str) -> None:
    with pytest.raises(InvalidPipeline) as refusal:
        read_source(text)
    assert str(refusal.value.mistakes[0]).startswith(mistake), str(refusal.value.mistakes[0])


def test_all_mistakes_are_found_at_once() -> None:
    text = GOOD.replace("invoices", "X").replace("checksum", "chk").replace("trim", "shout")
    with pytest.raises(InvalidPipeline) as refusal:
        read_source(text)
    assert [mistake.line for mistake in refusal.value.mistakes] == [1, 8, 11, 15]


def test_what_yaml_and_json_say_is_the_same() -> None:
    assert read_source('{"name": "x", "media_types": ["*/*"], "steps": ["checksum"]}') == parse(
        {"name": "x", "media_types": ["*/*"], "steps": ["checksum"]}
    )
