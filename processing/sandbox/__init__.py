"""Steps run here: in a locked-in child process, one for the steps of one run over one file."""

from processing.sandbox.exchange import ArtifactSink
from processing.sandbox.kernel import Support
from processing.sandbox.outcome import StepOutcome, StepStopped, Usage
from processing.sandbox.session import Session
from processing.sandbox.supervisor import Sandbox

__all__ = ["ArtifactSink", "Sandbox", "Session", "StepOutcome", "StepStopped", "Support", "Usage"]
