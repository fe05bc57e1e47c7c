"""What must work so that files are worked on."""

from pathlib import Path

from django.conf import settings

from config.health import Finding, Health
from processing import queue
from processing.sandbox import Sandbox
from processing.scanning.antivirus import REASONS, age_days, scanner
from processing.scanning.clamd import Clamd, NotScanned
from processing.scanning.rules import RulesBroken, rules_in
from processing.steps.archive import libarchive as archive_library
from processing.steps.ocr import tesseract

PATIENCE_S = 2.0


def worker() -> Finding:
    """Ask for a worker that shows life."""
    found = queue.health()
    facts = {"last_beat_s": found.last_beat_s, "oldest_due_s": found.oldest_due_s}
    return Finding(Health.OK if found.ready else Health.FAILED, facts)


def sandbox() -> Finding:
    """Ask whether the kernel can lock steps in. Without, they refuse, or run with limits only."""
    support, may_do_without = Sandbox.support(), settings.PROCESSING["ALLOW_UNSANDBOXED"]
    without = Health.DEGRADED if may_do_without else Health.REFUSING
    facts = {
        "landlock_version": support.landlock,
        "seccomp": support.seccomp,
        "resource_limits": support.limits,
        "unsandboxed_allowed": may_do_without,
    }
    return Finding(Health.OK if support.complete else without, facts)


def antivirus() -> Finding:
    """Ask the virus scanner who it is. Without it files are taken in, and held."""
    clamd = scanner()
    if clamd is None:
        return Finding(Health.NOT_INSTALLED)
    try:
        version = Clamd(clamd.address, PATIENCE_S).version()
    except NotScanned as error:
        return Finding(Health.DEGRADED, {"problem": REASONS[error.code]})
    age, oldest = age_days(version), settings.UPLOADS["CLAMD_STALE_DAYS"]
    facts = {
        "program": f"ClamAV {version.program}",
        "signatures": version.signatures,
        "signatures_age_days": age,
        "signatures_oldest_days": oldest,
    }
    return Finding(Health.DEGRADED if age is not None and age > oldest else Health.OK, facts)


def yara() -> Finding:
    """Ask whether the YARA rules can be used."""
    folder = settings.UPLOADS["YARA_RULES"]
    if not folder:
        return Finding(Health.NOT_INSTALLED)
    try:
        rules_in(Path(folder))
    except RulesBroken as error:
        return Finding(Health.DEGRADED, {"problem": str(error)})
    return Finding(Health.OK)


def ocr() -> Health:
    """Ask whether letters in pictures can be recognised."""
    return Health.OK if tesseract.is_installed() else Health.NOT_INSTALLED


def libarchive() -> Health:
    """Ask whether 7z and RAR can be read. Without it such files are not checked."""
    return Health.OK if archive_library.is_installed() else Health.NOT_INSTALLED
