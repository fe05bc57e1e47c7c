"""The outputs of steps, as their records keep them: JSON, sealed under the upload's key."""

import json

from processing.models import StepRecord
from processing.steps.contract import Output
from uploads.encryption import seal, unseal

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def seal_output(output: Output | None, record: StepRecord, key: bytes) -> bytes | None:
    """Return an output as its record keeps it."""
    if output is None:
        return None
    text = _encode_json(output).encode("utf-8", "surrogatepass")
    return seal(text, key=key, context=_context(record))


def open_output(record: StepRecord, key: bytes) -> Output | None:
    """Return the output that a record keeps; None if it has none.

    Raises:
        Damaged: it is not what was written, or of another record.
    """
    if record.sealed_output is None:
        return None
    text = unseal(bytes(record.sealed_output), key=key, context=_context(record))
    output: Output = json.loads(text)
    return output


def _context(record: StepRecord) -> bytes:
    """Bind an output to its place: it does not open as the result of another step or run."""
    return b"output" + record.run_id.bytes + (record.position % 2**16).to_bytes(2, "big")
