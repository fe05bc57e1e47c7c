"""What sounds and films say of themselves."""

import io
import wave
from typing import Any

import pytest

from processing.steps.contract import StepFailed
from processing.steps.media_facts import step
from tests.processing.steps.harness import run


def sound(seconds: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(32_000 * seconds))
    return file.getvalue()


def test_a_sound_has_its_length_and_its_track() -> None:
    output = run(step, sound(), "audio/vnd.wave").output
    container: Any = output["container"]
    tracks: Any = output["tracks"]
    assert (container["format"], container["duration_ms"]) == ("Wave", 2000)
    assert output["track_count"] == 1
    assert (tracks[0]["kind"], tracks[0]["channels"], tracks[0]["sampling_rate"]) == (
        "audio",
        2,
        8000,
    )


def test_the_step_refuses_what_is_no_medium() -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, b"no sound at all" * 100, "audio/mpeg")
    assert failure.value.code == "media_unreadable"
