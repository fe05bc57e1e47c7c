"""What the sandbox's tests share."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from processing.sandbox import Session, StepOutcome
from processing.steps.contract import JSON, Output

HOSTILE = "tests.processing.sandbox.hostile"
CONTENT = b"The content of a file."


class Sink(io.BytesIO):
    """Keeps its bytes when it is closed."""

    content: bytes | None = None

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


@dataclass
class Artifacts:
    """What a step handed over; those that it closed have `content`."""

    sinks: dict[str, Sink] = field(default_factory=dict)
    media_types: list[str] = field(default_factory=list)

    def open(self, name: str, media_type: str) -> Sink:
        self.media_types.append(media_type)
        self.sinks[name] = sink = Sink()
        return sink


def run(
    session: Session,
    name: str,
    *,
    settings: Mapping[str, JSON] | None = None,
    results: Mapping[str, Output] | None = None,
    artifacts: Artifacts | None = None,
) -> StepOutcome:
    """Run a step, with what most tests do not care about left out."""
    return session.run(
        name,
        settings=settings or {},
        results=results or {},
        open_artifact=(artifacts or Artifacts()).open,
    )
