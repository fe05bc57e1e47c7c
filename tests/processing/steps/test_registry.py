"""The registry, and the four places that a built-in step is found in."""

import pkgutil
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import processing.steps
from processing.steps import registry
from processing.steps.contract import Step, StepContext
from tests.processing.steps.corpus import ROOT

NOT_STEPS = {"contract", "markup", "registry", "sheets", "tables", "text"}
NAMES = [step.name for step in registry.BUILT_IN]


def modules() -> set[str]:
    found = {module.name for module in pkgutil.iter_modules(processing.steps.__path__)}
    assert found >= NOT_STEPS
    return found - NOT_STEPS


def test_every_step_module_has_its_line_in_the_registry() -> None:
    assert modules() == set(NAMES)


@pytest.mark.parametrize("name", sorted(modules()))
def test_every_step_module_has_a_test_module(name: str) -> None:
    assert (Path(__file__).parent / f"test_{name}.py").is_file()


def test_no_two_steps_have_one_title() -> None:
    titles = [step.title for step in registry.BUILT_IN]
    assert len(set(titles)) == len(titles)


def test_every_step_has_its_heading_in_the_documentation() -> None:
    headings = re.findall(
        r"^## `(\w+)`$", (ROOT / "docs/steps.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(headings) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_of_a_step_is_named_below_its_heading(name: str) -> None:
    text = (ROOT / "docs/steps.md").read_text("utf-8")
    section = text.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
    properties = registry.get(name).settings_schema.get("properties", {})
    assert isinstance(properties, dict)
    assert [setting for setting in properties if f"`{setting}`" not in section] == []


def test_no_two_built_in_steps_share_a_name() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_a_step_have_a_valid_schema_whose_defaults_fit(name: str) -> None:
    schema = registry.get(name).settings_schema
    Draft202012Validator.check_schema(schema)
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    defaults = {
        key: value["default"]
        for key, value in properties.items()
        if isinstance(value, dict) and "default" in value
    }
    assert list(Draft202012Validator(schema).iter_errors(defaults)) == []
    check = registry.get(name).check_settings
    assert check is None or check(defaults) == []


def test_get_returns_a_built_in_step() -> None:
    assert registry.get("checksum") is registry.REGISTRY["checksum"]


def test_get_refuses_an_unknown_name() -> None:
    with pytest.raises(registry.UnknownStep):
        registry.get("no_such_step")


def test_nothing_can_be_added_to_the_registry_later() -> None:
    with pytest.raises(TypeError):
        registry.REGISTRY["late"] = registry.get("checksum")  # type: ignore[index]


def made_up(name: str) -> Step:
    return Step(name, lambda _context: {}, title=name)


def never(_context: StepContext) -> dict[str, None]:
    return {}


word_count = made_up("word_count")
checksum = made_up("checksum")
no_step = never


def offer(name: str, attribute: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{attribute}", registry.ENTRY_POINTS)


def test_a_step_of_an_installed_package_stands_beside_the_built_in_ones() -> None:
    steps = registry.collect(registry.BUILT_IN, [offer("word_count", "word_count")])
    assert [*steps] == [*NAMES, "word_count"]
    assert steps["word_count"].name == "word_count"


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        ([("checksum", "checksum")], "there is a step 'checksum' already"),
        ([("words", "word_count")], "is named 'word_count', not 'words'"),
        ([("no_step", "no_step")], "is not a Step"),
        ([("word_count", "word_count"), ("word_count", "word_count")], "'word_count' already"),
    ],
)
def test_collect_refuses(offered: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(registry.UnusableStep, match=message):
        registry.collect(registry.BUILT_IN, [offer(*entry) for entry in offered])


PACKAGE = """
from processing.steps.contract import Step
step = Step("from_outside", lambda context: {"size": context.size}, title="From outside")
"""


def in_a_fresh_process(code: str, *paths: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    environment = {"PYTHONPATH": ":".join(map(str, [ROOT, *paths])), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_package_is_found_by_its_metadata_alone(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(PACKAGE)
    metadata = tmp_path / "outside-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[strongroom.steps]\nfrom_outside = outside:step\n")
    code = "from processing.steps.registry import get; print(get('from_outside').title)"
    assert in_a_fresh_process(code, tmp_path) == "From outside"


def test_the_registry_brings_in_no_django_and_starts_no_thread() -> None:
    code = (
        "import sys, threading, processing.steps.registry\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('django', 'rest_framework', 'django_q', 'jsonschema')], threading.active_count())"
    )
    assert in_a_fresh_process(code) == "[] 1"
