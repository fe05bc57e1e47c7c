"""What the file is, told from its content a second time, apart from the door it came through."""

from processing.steps.contract import Output, Step, StepContext
from uploads.media_types import HEAD_BYTES, declared_encoding, describe, detect

MAX_DESCRIPTION = 500  # characters


def run(context: StepContext) -> Output:
    """Return the detected `media_type` beside the `accepted` one, and what libmagic says."""
    head = context.content.read(HEAD_BYTES)
    detected = detect(head)
    accepted = context.media_type.partition(";")[0].strip().lower()
    return {
        "media_type": detected,
        "accepted": accepted,
        "agrees": detected == accepted,
        "description": describe(head)[:MAX_DESCRIPTION],
        "encoding": declared_encoding(head),
    }


step = Step("media_type", run, title="Type detection")
