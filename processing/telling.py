"""The worker's side of steps that tell an endpoint of a run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from processing.pipelines import StepUse
from processing.sandbox import StepOutcome
from processing.steps.contract import StepFailed
from processing.traces import Recording, Work
from processing.webhooks import outbox
from processing.webhooks.models import Endpoint


def tell(work: Work, use: StepUse, recording: Recording, outcome: StepOutcome) -> None:
    """Let the message of a step be written with its record, or not at all.

    An endpoint that is switched off, and one of a run that only tries something out, is not told.

    Raises:
        StepFailed: `webhook_unknown`, the owner has no endpoint of that name.
    """
    run, settings = work.run, dict[str, Any](use.settings)
    facts: Mapping[str, Any] = {
        "upload": str(run.upload_id),
        "run": str(run.pk),
        "step": use.name,
        "label": settings.get("label", ""),
    }
    try:
        delivery = outbox.reached(run.owner_id, settings.get("endpoint", "default"), facts=facts)
    except Endpoint.DoesNotExist:
        raise StepFailed("webhook_unknown", "You have no endpoint of the step's name.") from None
    message = None
    if delivery is not None:
        recording.deliveries.append(delivery)
        message = delivery.message_id
    output = {**outcome.output, "told": delivery is not None, "message": message}
    recording.outcome = replace(outcome, output=output)
