"""What a check is made on, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

from processing.sandbox import Session, StepOutcome
from processing.traces import Outputs
from uploads.models import Upload
from uploads.reading import OpenBlob


@dataclass(frozen=True)
class Subject:
    """A file, the sandbox it can be looked at in, and the answers of the checks before."""

    upload: Upload
    content: OpenBlob
    session: Session
    made: Outputs


# A check answers with `findings`, a list of codes, in its output; where it cannot answer, it
# raises a `StepFailed`.
Check = Callable[[Subject], StepOutcome]
