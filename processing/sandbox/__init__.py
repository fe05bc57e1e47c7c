"""Steps run here: in a locked-in child process, for one file, or for plain ones of one owner."""

from processing.sandbox.exchange import ArtifactSink
from processing.sandbox.kernel import Support
from processing.sandbox.outcome import StepOutcome, StepStopped, Usage
from processing.sandbox.session import Session, Sitting
from processing.sandbox.supervisor import Sandbox

__all__ = [
    "ArtifactSink",
    "Sandbox",
    "Session",
    "Sitting",
    "StepOutcome",
    "StepStopped",
    "Support",
    "Usage",
]
