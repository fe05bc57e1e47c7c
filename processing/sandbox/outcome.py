"""What comes out of a step that ran in a child."""

from dataclasses import dataclass

from processing.steps.contract import Output, StepFailed


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one execution of a step used.

    `max_rss_bytes` is the child's peak until then, with what it shares with the zygote; 0 where
    it is not known. `bytes_in` is content that was read, `bytes_out` artifacts and output.
    """

    cpu_ms: float = 0.0
    max_rss_bytes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, kw_only=True)
class StepOutcome(Usage):
    """The JSON answer of a step, and what it used."""

    output: Output


class StepStopped(StepFailed):
    """The `StepFailed` of a step that ran, or should have run, in a child."""

    def __init__(self, code: str, detail: str, usage: Usage | None = None) -> None:
        super().__init__(code, detail)
        self.usage = usage
