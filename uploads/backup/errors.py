"""Why a backup cannot be made or brought back."""


class BackupFailed(Exception):
    """The message is for the operator, and says what to do."""
