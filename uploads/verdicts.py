"""The only writer of verdicts and findings, and what stands between a held file and the door."""

import logging
from collections.abc import Mapping
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from config.accounts.models import User
from config.events.announce import announce
from config.rows import insert
from uploads.errors import UploadNotChecked, UploadQuarantined
from uploads.models import Finding, Upload, Verdict
from uploads.validation import Action, Policy

logger = logging.getLogger(__name__)

INTAKE = "intake"  # as the source of a finding
PERSONAL_DATA = "personal_data"  # as a finding; its source is the step that looked


def first_verdict(actions: Mapping[str, Action], media_type: str, rules: Policy) -> Verdict:
    """Return the verdict with which an upload begins, before any check."""
    if Action.QUARANTINE in actions.values():
        return Verdict.QUARANTINED
    return Verdict.PENDING if rules.checks_for(media_type) else Verdict.PASSED


def keep_findings(upload_id: UUID, actions: Mapping[str, Action], *, source: str) -> list[Finding]:
    """Keep what a check found, once, and return it. What is allowed is not kept."""
    findings = [
        Finding(upload_id=upload_id, code=code, action=action, source=source)
        for code, action in actions.items()
        if action is not Action.ALLOW
    ]
    insert(findings, or_ignore=True)
    return findings


def tell_personal_data(found: Mapping[tuple[UUID, str], bool]) -> None:
    """Keep, by upload and step, whether the step's latest look at a text found personal data."""
    for (upload_id, step), is_there in found.items():
        if not is_there:
            Finding.objects.filter(upload=upload_id, code=PERSONAL_DATA, source=step).delete()
    Finding.objects.bulk_create(
        (
            Finding(upload_id=upload_id, code=PERSONAL_DATA, action=Action.FLAG, source=step)
            for (upload_id, step), is_there in found.items()
            if is_there
        ),
        ignore_conflicts=True,
    )


def conclude(upload: Upload, verdict: Verdict, *, held: bool) -> None:
    """Write what the checks of a run came to. A file that was released stays released."""
    changed = (
        Upload.objects.filter(pk=upload.pk, released_at=None)
        .exclude(verdict=verdict, held=held)
        .update(verdict=verdict, held=held)
    )
    if changed:
        upload.verdict, upload.held = verdict, held
        announce(upload.owner_id, "upload.judged", upload=upload.pk, verdict=verdict)
        logger.info("upload judged", extra={"upload": str(upload.pk), "verdict": str(verdict)})


@transaction.atomic
def release(upload: Upload, *, by: User) -> bool:
    """Lift the hold on an upload by hand, on record; False when it is not held."""
    held = Upload.objects.filter(pk=upload.pk, held=True)
    if not held.update(held=False, released_at=timezone.now(), released_by=by):
        return False
    announce(upload.owner_id, "upload.judged", upload=upload.pk, verdict=upload.verdict)
    logger.warning("upload released", extra={"upload": str(upload.pk), "by": str(by.pk)})
    return True


def check_may_leave(upload: Upload, *, accept_risk: bool) -> None:
    """Refuse to hand out what is held, unless its owner has said to take the risk.

    Raises:
        UploadQuarantined, UploadNotChecked
    """
    if not upload.held or accept_risk:
        return
    raise UploadQuarantined if upload.verdict == Verdict.QUARANTINED else UploadNotChecked
