"""Archive limits, counted in the sandbox while the archive is read to its end."""

from typing import Any, NoReturn

from processing.sandbox import StepOutcome
from processing.sandbox.outcome import StepStopped
from processing.scanning.subject import Subject
from processing.steps import archive
from processing.steps.contract import JSON, Output, StepFailed

STEP = "archive"
WALL_S = 60.0

# How the step ends -> what that says of the file. What exhausts the sandbox is over a limit, too.
# Other ends say nothing of it: the check was not made.
CODES = {
    "archive_bytes": "archive_limits",
    "archive_depth": "archive_limits",
    "archive_members": "archive_limits",
    "archive_overlap": "archive_limits",
    "archive_ratio": "archive_limits",
    "archive_sparse": "archive_limits",
    "step_cpu_exceeded": "archive_limits",
    "step_out_of_memory": "archive_limits",
    "step_timed_out": "archive_limits",
    "archive_damaged": "container_damaged",
    "archive_encrypted": "encrypted_content",
}
# A flag of a member -> finding.
FLAGS = {
    "slip": "unsafe_member",
    "link": "unsafe_member",
    "special": "unsafe_member",
    "setuid": "unsafe_member",
    "duplicate": "container_damaged",
    "mismatch": "container_damaged",
    "damaged": "container_damaged",
    "encrypted": "encrypted_content",
}
# Flags of members that nobody looked into: their archive was not checked.
UNSEEN = frozenset({"not_opened", "unsupported"})


def check_archive(subject: Subject) -> StepOutcome:
    """Read an archive to its end, or to the first limit.

    Raises:
        StepFailed: it could not be read for reasons that are not the file's.
    """
    try:
        outcome = subject.session.run(
            STEP,
            settings={},
            results={},
            open_artifact=_refuse_artifact,
            wall_s=WALL_S,
            media_type=_read_as(subject.upload.media_type),
        )
    except StepStopped as error:
        if error.code not in CODES:
            raise
        usage = vars(error.usage) if error.usage else {}
        answer: Output = {"findings": [CODES[error.code]], "reason": error.code}
        return StepOutcome(output=answer, **usage)
    return StepOutcome(**{**vars(outcome), "output": _answer(outcome.output)})


def _read_as(media_type: str) -> str:
    """Return the type as which the step reads a file: what is not its own here is a ZIP inside."""
    return media_type if media_type in archive.step.media_types else "application/zip"


def _answer(seen: dict[str, Any]) -> Output:
    if UNSEEN & set(seen["findings"]):
        raise StepFailed(
            "archive_not_read", "The archive has members that cannot be read, or looked into."
        )
    codes: list[JSON] = list({FLAGS[flag]: None for flag in seen["findings"] if flag in FLAGS})
    kept = ("format", "member_count", "unpacked_bytes", "ratio", "depth", "complete")
    return {"findings": codes, **{key: seen[key] for key in kept}}


def _refuse_artifact(name: str, media_type: str) -> NoReturn:
    raise AssertionError(
        f"the {archive.step.name} step hands nothing out here: {name} {media_type}"
    )
