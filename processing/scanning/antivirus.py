"""The virus scanner. Without a clear answer a file is not checked, whatever the reason."""

from django.conf import settings
from django.utils import timezone

from processing.sandbox import StepOutcome
from processing.scanning.clamd import Clamd, NotScanned, Version
from processing.scanning.subject import Subject
from processing.steps.contract import Output, StepFailed

REASONS = {
    "scanner_down": "The virus scanner cannot be reached.",
    "scanner_failed": "The virus scanner could not scan the file.",
    "scanner_garbled": "The virus scanner answered with something that is no answer.",
    "scanner_limit": "The file is beyond the limits of the virus scanner.",
    "scanner_lost": "The virus scanner ended the connection before its answer.",
    "scanner_not_set_up": "There is no virus scanner.",
    "scanner_timed_out": "The virus scanner took too long.",
}


def scanner() -> Clamd | None:
    """Return the scanner of this deployment."""
    address = settings.UPLOADS["CLAMD"]
    return Clamd(address, settings.UPLOADS["CLAMD_TIMEOUT_S"]) if address else None


def scan_for_malware(subject: Subject) -> StepOutcome:
    """Send the whole file to clamd.

    clamd passes silently over what is beyond its own limits. So files larger than it is set up
    for, and archives that unpack to more or were not read to their end, are not sent at all.

    Raises:
        StepFailed: the file was not scanned.
    """
    clamd = scanner()
    if clamd is None:
        raise _not_scanned("scanner_not_set_up")
    if subject.content.size > settings.UPLOADS["CLAMD_MAX_BYTES"] or _unpacks_to_too_much(subject):
        raise _not_scanned("scanner_limit")
    try:
        version = clamd.version()
        found = clamd.scan(subject.content.chunks())
    except NotScanned as error:
        raise _not_scanned(error.code) from None
    answer: Output = {
        "findings": ["malware"] if found else [],
        "signature": found,
        "scanner": f"ClamAV {version.program}",
        "signatures": version.signatures,
        "signatures_age_days": age_days(version),
    }
    return StepOutcome(output=answer, bytes_in=subject.content.size)


def _unpacks_to_too_much(subject: Subject) -> bool:
    answer = subject.made.get("archive_limits", {})
    unpacked = answer.get("unpacked_bytes", 0)
    beyond = isinstance(unpacked, int) and unpacked > settings.UPLOADS["CLAMD_MAX_UNPACKED_BYTES"]
    return beyond or "reason" in answer


def age_days(version: Version) -> float | None:
    """Return how old the signatures are, where the scanner says so."""
    if version.made_at is None:
        return None
    return round((timezone.now() - version.made_at).total_seconds() / 86_400, 1)


def _not_scanned(code: str) -> StepFailed:
    return StepFailed(code, REASONS[code])
