"""YARA rules of the deployment, from a folder, compiled once for each state of it."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yara_x
from django.conf import settings

from processing.sandbox import StepOutcome
from processing.scanning.subject import Subject
from processing.steps.contract import JSON, StepFailed

ENDINGS = (".yar", ".yara")
MAX_NAMED = 50  # rules in an answer

REASONS = {
    "rules_broken": "The YARA rules of this installation cannot be used.",
    "rules_failed": "The YARA rules could not be matched against the file.",
    "rules_limit": "The file is larger than YARA rules are matched against.",
    "rules_not_set_up": "There are no YARA rules.",
    "rules_timed_out": "Matching the YARA rules took too long.",
}

State = tuple[tuple[str, int, int], ...]  # name, time of change, size


class RulesBroken(Exception):
    """The rules do not compile; the message names the file, and what the compiler said."""


def match_rules(subject: Subject) -> StepOutcome:
    """Match the rules against the whole file, which is held in memory for it.

    Raises:
        StepFailed: they were not matched.
    """
    folder = settings.UPLOADS["YARA_RULES"]
    if not folder:
        raise _not_matched("rules_not_set_up")
    size = subject.content.size
    if size > settings.UPLOADS["YARA_MAX_BYTES"]:
        raise _not_matched("rules_limit")
    try:
        scanner = yara_x.Scanner(rules_in(Path(folder)))
        scanner.set_timeout(settings.UPLOADS["YARA_TIMEOUT_S"])
        matched = scanner.scan(subject.content.read_at(0, size)).matching_rules
    except RulesBroken:
        raise _not_matched("rules_broken") from None
    except yara_x.TimeoutError:
        raise _not_matched("rules_timed_out") from None
    except yara_x.ScanError:
        raise _not_matched("rules_failed") from None
    names: list[JSON] = [f"{rule.namespace}:{rule.identifier}"[:200] for rule in matched]
    return StepOutcome(
        output={"findings": ["rule_match"] if names else [], "rules": names[:MAX_NAMED]},
        bytes_in=size,
    )


def rules_in(folder: Path) -> Any:
    """Return the compiled rules of a folder.

    Raises:
        RulesBroken
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
        state = tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in paths)
    except OSError as error:
        raise RulesBroken(f"{folder} cannot be read ({error.strerror}).") from None
    return _compiled(folder, state)


@lru_cache(maxsize=2)
def _compiled(folder: Path, state: State) -> Any:
    if not state:
        raise RulesBroken(f"{folder} holds no rules ({', '.join(ENDINGS)}).")
    compiler = yara_x.Compiler()
    compiler.enable_includes(False)
    for name, *_ in state:
        compiler.new_namespace(Path(name).stem)
        try:
            compiler.add_source((folder / name).read_text(encoding="utf-8"), origin=name)
        except (OSError, UnicodeDecodeError, yara_x.CompileError) as error:
            raise RulesBroken(f"{name}: {error}") from None
    return compiler.build()


def _not_matched(code: str) -> StepFailed:
    return StepFailed(code, REASONS[code])
