"""What must work so that files are worked on."""

from pathlib import Path

from django.conf import settings

from config.health import Health
from processing import queue
from processing.sandbox import Sandbox
from processing.scanning.antivirus import age_days, scanner
from processing.scanning.clamd import Clamd, NotScanned
from processing.scanning.rules import RulesBroken, rules_in
from processing.steps.archive import libarchive as archive_library
from processing.steps.ocr import tesseract

PATIENCE_S = 2.0


def worker() -> Health:
    """Ask for a worker that shows life."""
    return Health.OK if queue.health().ready else Health.FAILED


def sandbox() -> Health:
    """Ask whether the kernel can lock steps in. Without, they refuse, or run with limits only."""
    if Sandbox.support().complete:
        return Health.OK
    return Health.DEGRADED if settings.PROCESSING["ALLOW_UNSANDBOXED"] else Health.REFUSING


def antivirus() -> Health:
    """Ask the virus scanner who it is. Without it files are taken in, and held."""
    clamd = scanner()
    if clamd is None:
        return Health.NOT_INSTALLED
    try:
        version = Clamd(clamd.address, PATIENCE_S).version()
    except NotScanned:
        return Health.DEGRADED
    age = age_days(version)
    is_stale = age is not None and age > settings.UPLOADS["CLAMD_STALE_DAYS"]
    return Health.DEGRADED if is_stale else Health.OK


def yara() -> Health:
    """Ask whether the YARA rules can be used."""
    folder = settings.UPLOADS["YARA_RULES"]
    if not folder:
        return Health.NOT_INSTALLED
    try:
        rules_in(Path(folder))
    except RulesBroken:
        return Health.DEGRADED
    return Health.OK


def ocr() -> Health:
    """Ask whether letters in pictures can be recognised."""
    return Health.OK if tesseract.is_installed() else Health.NOT_INSTALLED


def libarchive() -> Health:
    """Ask whether 7z and RAR can be read. Without it such files are not checked."""
    return Health.OK if archive_library.is_installed() else Health.NOT_INSTALLED
