"""What was found in a file, in sentences for its owner."""

from collections.abc import Iterable
from dataclasses import dataclass

from uploads.errors import REFUSALS_OF_CONTENT, Refusal
from uploads.models import Finding, Upload, Verdict
from uploads.validation import ACTIONS, Action
from uploads.verdicts import PERSONAL_DATA

SENTENCES = {code: refusal.detail for code, refusal in REFUSALS_OF_CONTENT.items()} | {
    "archive_limits": "It unpacks to more, or deeper, than is allowed.",
    "malware": "The virus scanner knows something in it as harmful.",
    "rule_match": "A rule of this installation matches it.",
    "unsafe_member": "The archive has links, devices, or paths that lead elsewhere.",
    PERSONAL_DATA: "There are personal data in it.",
}
LABELS = {
    "type_mismatch": "Another type than it says",
    "type_uncertain": "Unknown type",
    "macro": "Macros",
    "macro_in_disguise": "Macros in disguise",
    "executable_in_disguise": "Program in disguise",
    "polyglot": "More than one type",
    "active_content": "Active content",
    "embedded_file": "File inside",
    "encrypted_content": "Encrypted",
    "container_damaged": "Damaged container",
    "archive_limits": "Unpacks to too much",
    "malware": "Harmful",
    "rule_match": "Matches a rule",
    "unsafe_member": "Unsafe member",
    PERSONAL_DATA: "Personal data",
}
# A finding without a sentence is a mistake.
assert set(SENTENCES) == set(LABELS) == {*ACTIONS, PERSONAL_DATA}  # noqa: S101

DISGUISES = frozenset({"type_mismatch", "macro_in_disguise", "executable_in_disguise"})

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


def found(findings: Iterable[Finding], *, told: str = "") -> list[Found]:
    """Return what the page of an upload says of its findings, each once.

    `told` says what the file is: it stands before what is said of a disguise.
    """
    holding = (Action.QUARANTINE, Action.REFUSE)
    by_code: dict[str, bool] = {}
    for row in findings:
        by_code[row.code] = by_code.get(row.code, False) or row.action in holding
    return [
        Found(code, f"{told if code in DISGUISES else ''} {_sentence(code)}".strip(), holds)
        for code, holds in by_code.items()
    ]


def why_held(upload: Upload, unmade: str) -> str:
    """Return why a file is held back; `unmade` says why a check could not be made."""
    if not upload.held:
        return ""
    if upload.verdict == Verdict.QUARANTINED:
        return " ".join(one.sentence for one in found(upload.findings.all()) if one.holds)
    return unmade if upload.verdict == Verdict.NOT_CHECKED else ""


def _sentence(code: str) -> str:
    return SENTENCES.get(code, code)


def labels_of(findings: Iterable[Finding]) -> list[str]:
    """Return in short words what was found, each once."""
    return list(dict.fromkeys(LABELS.get(row.code, row.code) for row in findings))
