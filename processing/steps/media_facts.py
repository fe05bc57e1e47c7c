"""What a sound or a film is: container, length, tracks and their codecs, by MediaInfo."""

from typing import Any

import pymediainfo

from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed

MAX_TRACKS = 32
MAX_TEXT_CHARS = 200

# MediaInfo's name -> ours; (what is a number, what is a text).
NUMBERS = {
    "duration": "duration_ms",
    "overall_bit_rate": "bit_rate",
    "bit_rate": "bit_rate",
    "width": "width",
    "height": "height",
    "frame_rate": "frame_rate",
    "rotation": "rotation",
    "channel_s": "channels",
    "sampling_rate": "sampling_rate",
    "bit_depth": "bit_depth",
}
TEXTS = {
    "format": "format",
    "format_profile": "profile",
    "codec_id": "codec_id",
    "language": "language",
    "title": "title",
    "performer": "performer",
    "album": "album",
    "recorded_date": "recorded",
    "encoded_date": "encoded",
    "writing_application": "written_by",
    "comment": "comment",
    "xyz": "place",  # where a telephone says that it was
}


def run(context: StepContext) -> Output:
    """Return the container and its tracks.

    Raises:
        StepFailed: `media_unreadable`
    """
    try:
        parsed = pymediainfo.MediaInfo.parse(context.content, parse_speed=0.2)
    except (OSError, RuntimeError, ValueError):
        raise StepFailed("media_unreadable", "The sound or film cannot be read.") from None
    tracks = [track.to_data() for track in parsed.tracks]
    general = next((track for track in tracks if track.get("track_type") == "General"), {})
    others = [track for track in tracks if track.get("track_type") not in ("General", "Menu")]
    if not others and not general.get("format"):
        raise StepFailed("media_unreadable", "It is no sound or film of a known kind.")
    listed: list[JSON] = [
        {"kind": str(track.get("track_type", ""))[:20].lower(), **_facts(track)}
        for track in others[:MAX_TRACKS]
    ]
    return {"container": _facts(general), "track_count": len(others), "tracks": listed}


def _facts(track: dict[str, Any]) -> Output:
    facts: Output = {}
    for key, name in NUMBERS.items():
        if (number := _number(track.get(key))) is not None:
            facts[name] = number
    for key, name in TEXTS.items():
        if value := track.get(key):
            facts[name] = str(value)[:MAX_TEXT_CHARS]
    return facts


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not abs(number) < 1e15:
        return None
    return int(number) if number.is_integer() else number


step = Step(
    "media_facts",
    run,
    title="Media facts",
    media_types=("audio/*", "video/*"),
    limits=Limits(wall_s=120, cpu_s=60, memory_bytes=512 * MIB),
)
