"""SHA-256 and size of the plaintext, so that its owner can verify what is held."""

import hashlib

from processing.steps.contract import MIB, Limits, Output, Step, StepContext


def run(context: StepContext) -> Output:
    """Return `sha256` (hexadecimal) and `size` (bytes), both as read."""
    digest = hashlib.sha256()
    size = 0
    while chunk := context.content.read(MIB):
        digest.update(chunk)
        size += len(chunk)
    return {"sha256": digest.hexdigest(), "size": size}


step = Step(
    "checksum",
    run,
    title="Checksum",
    limits=Limits(wall_s=600, cpu_s=300),
    shares_child=("*/*",),
)
