"""What the watcher says of the drop folders, for status pages and metrics."""

from collections.abc import Sequence

from django.utils import timezone

from config.errors import AppError
from uploads.folder_models import FolderState
from uploads.watch.places import Place


def state_of(place: Place, *, polled: str, problem: Exception | None) -> FolderState:
    """Return what is to be said of a folder that was swept now."""
    return FolderState(
        key=place.key,
        path=str(place.root),
        owner=place.owner,
        polled=polled,
        problem=_code_of(problem),
        seen_at=timezone.now(),
    )


def tell(states: Sequence[FolderState]) -> None:
    """Say this of these folders, and nothing of any other; two statements."""
    FolderState.objects.exclude(key__in=[state.key for state in states]).delete()
    FolderState.objects.bulk_create(
        states,
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["path", "owner", "polled", "problem", "seen_at"],
        batch_size=200,
    )


def _code_of(problem: Exception | None) -> str:
    if problem is None:
        return ""
    if isinstance(problem, AppError):
        return problem.code
    return {"NotADirectoryError": "not_a_folder", "PermissionError": "no_permission"}.get(
        type(problem).__name__, "failed"
    )
