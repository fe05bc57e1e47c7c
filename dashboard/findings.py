"""What was found in a file, in sentences for its owner."""

from collections.abc import Iterable
from dataclasses import dataclass

from uploads.errors import REFUSALS_OF_CONTENT, Refusal
from uploads.models import Finding
from uploads.validation import ACTIONS, Action

SENTENCES = {code: refusal.detail for code, refusal in REFUSALS_OF_CONTENT.items()} | {
    "archive_limits": "It unpacks to more, or deeper, than is allowed.",
    "malware": "The virus scanner knows something in it as harmful.",
    "rule_match": "A rule of this installation matches it.",
    "unsafe_member": "The archive has links, devices, or paths that lead elsewhere.",
}
assert set(SENTENCES) == set(ACTIONS)  # noqa: S101 - a finding without a sentence is a mistake

# Why a member of an archive did not come in: what every door may say, and the limits of a family.
LEFT_OUT = {refusal.code: refusal.detail for refusal in Refusal.__subclasses__()} | {
    "family_too_deep": "It is in archives in archives, deeper than files are taken in.",
    "family_too_large": "The archive and all that came out of it would be more than is taken in.",
}


@dataclass(frozen=True)
class Found:
    """One finding: what it means, and whether it is why the file is held."""

    code: str
    sentence: str
    holds: bool


def found(findings: Iterable[Finding]) -> list[Found]:
    """Return what the page of an upload says of its findings."""
    holding = (Action.QUARANTINE, Action.REFUSE)
    held: dict[str, bool] = {}  # once each, whoever found it
    for row in findings:
        held[row.code] = held.get(row.code, False) or row.action in holding
    return [Found(code, SENTENCES.get(code, code), holds) for code, holds in held.items()]
