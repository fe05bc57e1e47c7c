"""What may be wrong with encrypted bytes. No message carries a key or content."""

from typing import Literal

from config.errors import AppError

Part = Literal["blob", "length", "envelope", "wrapped_key", "header", "segment", "sealed_value"]


class Damaged(AppError):
    """Encrypted bytes are not what was written; nothing of them is released.

    `part` names where that showed, for the operator: the first check that failed, in the
    order of `docs/encryption-format.md`. A wrong key shows in the same way as wrong bytes.
    """

    code = "blob_damaged"
    status = 500
    detail = "The stored content is damaged, so nothing of it is released."

    def __init__(self, part: Part = "blob") -> None:
        super().__init__(part)
        self.part = part


class UnknownKey(AppError):
    """The key ring has no master key of the id that wrapped a key."""

    code = "key_unavailable"
    status = 503
    detail = "The key of this content is not available at the moment."
    retry_after_s = 30
