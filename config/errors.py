"""The one base of every error that may reach a user or a record. Pure."""

from typing import ClassVar


class AppError(Exception):
    """A failure with a stable name.

    Subclasses set `code` (snake_case, never changed once released), `status` (HTTP) and
    `detail` (a sentence that any stranger may read: no path, key, file name or content).
    `pointer` names the offending input field, as a JSON pointer, where there is one.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    detail: str = "Something went wrong on our side."
    pointer: ClassVar[str | None] = None
    retry_after_s: ClassVar[int | None] = None

    def __str__(self) -> str:
        return self.detail
