"""The pages. A view translates: request in, one call, answer out."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from config.accounts.authentication import authenticated_user
from config.accounts.models import Clock, Theme
from config.errors import AppError
from config.problems import error_response
from dashboard import export, queries
from dashboard.narrowing import Narrowing
from dashboard.paging import place_of
from dashboard.run_list import RunNarrowing, runs_page
from dashboard.status import status_page
from processing import runs
from uploads.deletion import delete_upload
from uploads.drop_reports import dismiss
from uploads.erasures import Cause
from uploads.key_models import Erasure

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def page(view: View[P]) -> View[P]:
    """Make a view one of a signed-in user: never cached, its errors shown as pages."""

    @wraps(view)
    def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except AppError as error:
            return error_response(request, error)

    return cast(View[P], never_cache(login_required(answer)))


@page
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """Show the user's uploads."""
    data = queries.inbox(
        authenticated_user(request),
        Narrowing.of(request.GET),
        before=place_of(request.GET.get("before", "")),
    )
    return fill(request, "inbox", data, live="all")


@page
@require_safe
def files_csv(request: HttpRequest) -> HttpResponseBase:
    """Give the user's uploads as CSV."""
    return export.files_csv(request, authenticated_user(request), Narrowing.of(request.GET))


@page
@require_POST
def report_dismiss(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a report of a drop folder no more."""
    if not dismiss(authenticated_user(request), pk):
        raise Http404
    return redirect("home")


@page
@require_POST
def reports_dismiss(request: HttpRequest) -> HttpResponse:
    """Show none of the reports of drop folders any more."""
    dismiss(authenticated_user(request), None)
    return redirect("home")


@page
@require_safe
def stats(request: HttpRequest) -> HttpResponse:
    """Show counts, rates, times and errors."""
    return fill(request, "stats", queries.stats_page(authenticated_user(request)), live="all")


@page
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show whether the service is well."""
    return fill(request, "status", status_page(authenticated_user(request)), live="none")


@page
@require_safe
def upload(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one upload."""
    data = queries.upload_page(authenticated_user(request), pk)
    return fill(request, "upload", data, live=f"upload:{pk}")


@page
@require_POST
def upload_run(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Run an upload again."""
    found = queries.owned_upload(authenticated_user(request), pk)
    pipeline = request.POST.get("pipeline") or None
    from_step = request.POST.get("from_step", "")
    try:
        started = runs.start_run(upload=found, pipeline=pipeline, from_step=from_step)
    except AppError as error:
        messages.error(request, str(error))
        return redirect("upload", pk)
    return redirect("run", started.pk)


@page
@require_safe
def upload_fetch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask whether to take the risk of a file that is held."""
    return fill(request, "upload_fetch", queries.upload_page(authenticated_user(request), pk))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def upload_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask whether to delete an upload; delete it."""
    user = authenticated_user(request)
    if request.method != "POST":
        return fill(request, "upload_delete", queries.upload_name(user, pk))
    delete_upload(queries.owned_upload(user, pk), cause=Cause(Erasure.Via.OWNER, user.pk))
    messages.success(request, "The file and everything made of it are deleted.")
    return redirect("home")


@page
@require_safe
def runs_list(request: HttpRequest) -> HttpResponse:
    """Show the user's runs, and what waits."""
    data = runs_page(
        authenticated_user(request),
        RunNarrowing.of(request.GET),
        before=place_of(request.GET.get("before", "")),
    )
    return fill(request, "runs", data, live="all")


@page
@require_safe
def runs_csv(request: HttpRequest) -> HttpResponseBase:
    """Give the user's runs as CSV."""
    return export.runs_csv(request, authenticated_user(request), RunNarrowing.of(request.GET))


@page
@require_safe
def run(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one run."""
    data = queries.run_page(authenticated_user(request), pk)
    return fill(request, "run", data, live=f"run:{pk} upload:{data.run.upload_id}")


@page
@require_POST
def run_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a run that has not ended."""
    return _act(request, pk, runs.cancel_run)


@page
@require_POST
def run_retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Queue a failed or cancelled run again."""
    return _act(request, pk, runs.retry_run)


@page
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Show the user's account."""
    data = queries.account_page(authenticated_user(request))
    return fill(request, "account", data, themes=Theme.choices, clocks=Clock.choices)


@page
@require_POST
def account_theme(request: HttpRequest) -> HttpResponse:
    """Remember which colours the user wants."""
    user = authenticated_user(request)
    theme = request.POST.get("theme")
    if theme in Theme.values:
        user.theme = theme
        user.save(update_fields=["theme"])
    return redirect("account")


@page
@require_POST
def account_clock(request: HttpRequest) -> HttpResponse:
    """Remember by which clock the user wants to read."""
    user = authenticated_user(request)
    clock = request.POST.get("clock")
    if clock in Clock.values:
        user.clock = clock
        user.save(update_fields=["clock"])
    return redirect("account")


def _act(request: HttpRequest, pk: UUID, act: Callable[[Any], object]) -> HttpResponse:
    found = queries.owned_run(authenticated_user(request), pk)
    try:
        act(found)
    except AppError as error:
        messages.error(request, str(error))
    return redirect("run", pk)


def fill(
    request: HttpRequest, name: str, data: object, *, live: str = "", **more: object
) -> HttpResponse:
    """Fill a template with `data` as `page`; `live` says which events concern it."""
    context = {"page": data, "live": live, **more}
    return render(request, f"dashboard/{name}.html", context)
