"""Lists as CSV (RFC 4180), a page at a time: what the address narrows them to, newest first.

Programs of tables take some cells for formulas. Those begin with an apostrophe here, and every cell
stands in quotes. Source: OWASP, "CSV Injection".
"""

import csv
import io
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.accounts.models import User
from config.edge import send_pieces
from dashboard.findings import labels_of
from dashboard.names import printable
from dashboard.narrowing import Narrowing
from dashboard.run_list import RunNarrowing, listed, rows_of
from processing.models import Run
from uploads.models import Upload
from uploads.names import names_of

PAGE_SIZE = 500  # lines in a piece
FORMULA_STARTS = tuple("=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
                       "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip

Cell = str | int | float | bool | datetime | None
Line = Sequence[Cell]
M = TypeVar("M", bound=Model)

FILES = (
    "id", "name", "state", "verdict", "held", "findings", "size_bytes", "media_type", "sha256",
    "door", "folder", "tags", "created_at",
)  # fmt: skip
RUNS = (
    "id", "file", "upload", "pipeline", "version", "state", "attempts", "error_code",
    "error_detail", "created_at", "started_at", "ended_at", "waited_ms", "worked_ms",
)  # fmt: skip


def files_csv(request: HttpRequest, user: User, narrowing: Narrowing) -> HttpResponseBase:
    """Answer with the files that the inbox is narrowed to."""
    owned = Upload.objects.owned_by(user).prefetch_related("findings")
    chosen = narrowing.of_those(owned, owner_id=user.pk).order_by("-id")
    return _answer(request, "files", FILES, chosen, _lines_of_files)


def runs_csv(request: HttpRequest, user: User, narrowing: RunNarrowing) -> HttpResponseBase:
    """Answer with the runs that their list is narrowed to."""
    return _answer(request, "runs", RUNS, listed(user, narrowing), _lines_of_runs)


def written(lines: Iterable[Line]) -> bytes:
    """Return lines of cells as CSV."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(map(_harmless, line) for line in lines)
    return text.getvalue().encode()


def _harmless(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case str():
            return f"'{cell}" if cell.startswith(FORMULA_STARTS) or cell[:1].isspace() else cell
    return f"{cell:.15g}"


def _answer(
    request: HttpRequest,
    name: str,
    heads: Sequence[str],
    chosen: QuerySet[M],
    lines_of: Callable[[Sequence[M]], Iterable[Line]],
) -> HttpResponseBase:
    def pieces() -> Generator[bytes]:
        yield written([heads])
        for page in _pages(chosen):
            yield written(lines_of(page))

    headers = {
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": f'attachment; filename="strongroom-{name}.csv"',
    }
    return send_pieces(request, pieces(), headers=headers)


def _pages(chosen: QuerySet[M]) -> Generator[Sequence[M]]:
    """Yield what is chosen; what is made meanwhile is left out."""
    page = list(chosen[:PAGE_SIZE])
    while page:
        yield page
        page = list(chosen.filter(pk__lt=page[-1].pk)[:PAGE_SIZE])


def _lines_of_files(uploads: Sequence[Upload]) -> Iterable[Line]:
    names = names_of(uploads)
    for upload in uploads:
        yield (
            str(upload.pk),
            printable(names[upload.pk]),
            upload.state,
            upload.verdict,
            upload.held,
            ", ".join(labels_of(upload.findings.all())),
            upload.size,
            upload.media_type,
            upload.sha256,
            upload.door,
            upload.folder,
            ", ".join(upload.tag_list),
            upload.created_at,
        )


def _lines_of_runs(runs: Sequence[Run]) -> Iterable[Line]:
    for row in rows_of(runs):
        run = row.run
        yield (
            str(run.pk),
            row.name,
            str(run.upload_id),
            run.version.pipeline.name,
            run.version.number,
            run.state,
            run.attempt,
            run.error_code,
            run.error_detail,
            run.created_at,
            run.started_at,
            run.ended_at,
            row.waited_ms,
            row.worked_ms,
        )
