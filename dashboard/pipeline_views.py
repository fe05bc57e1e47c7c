"""The pages of pipelines and replays."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from config.accounts.authentication import authenticated_user
from config.errors import AppError
from dashboard import pipeline_pages
from dashboard.views import fill, page
from processing import definitions, replays
from processing.replays import Selection


@page
@require_safe
def pipelines(request: HttpRequest) -> HttpResponse:
    """Show what can run."""
    data = pipeline_pages.pipelines_page(authenticated_user(request))
    return fill(request, "pipelines", data)


@page
@require_safe
def pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """Show one pipeline."""
    number = _number(request.GET["version"]) if "version" in request.GET else None
    data = pipeline_pages.pipeline_page(authenticated_user(request), name, number)
    return fill(request, "pipeline", data)


@page
@require_POST
def pipeline_activate(request: HttpRequest, name: str) -> HttpResponse:
    """Let new files take a version."""
    user = authenticated_user(request)
    if not user.has_perm(pipeline_pages.CHANGE):
        raise PermissionDenied
    active = get_object_or_404(definitions.visible_to(user), pipeline__name=name)
    version = definitions.version_of(active.pipeline, _number(request.POST.get("version", "")))
    definitions.activate(version)
    messages.success(request, f"New files take version {version.number}.")
    return redirect("pipeline", name)


@page
@require_POST
def replay_start(request: HttpRequest, name: str) -> HttpResponse:
    """Run files of the user once more on a version."""
    owner = authenticated_user(request)
    selection = Selection(
        pipeline=request.POST.get("shown_pipeline", ""), tag=request.POST.get("tag", "").strip()
    )
    try:
        version = definitions.named(name, _number(request.POST.get("version", "")), owner=owner)
        replay = replays.start_replay(owner=owner, version=version, selection=selection)
    except AppError as error:
        messages.error(request, str(error))
        return redirect("pipelines")
    return redirect("replay", replay.pk)


@page
@require_safe
def replays_list(request: HttpRequest) -> HttpResponse:
    """Show the user's replays."""
    return fill(request, "replays", pipeline_pages.replays_page(authenticated_user(request)))


@page
@require_safe
def replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one replay."""
    after = request.GET.get("after", "")
    data = pipeline_pages.replay_page(
        authenticated_user(request),
        pk,
        outcome=request.GET.get("outcome", ""),
        after=_number(after) if after else 0,
    )
    return fill(request, "replay", data, live="" if data.progress.is_over else "all")


@page
@require_POST
def replay_adopt(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let the files show the runs of a replay."""
    found = pipeline_pages.owned_replay(authenticated_user(request), pk)
    try:
        adopted = replays.adopt(found)
    except AppError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Files that show their new results: {adopted}.")
    return redirect("replay", pk)


@page
@require_POST
def replay_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End the runs of a replay that have not ended."""
    replays.cancel_replay(pipeline_pages.owned_replay(authenticated_user(request), pk))
    return redirect("replay", pk)


@page
@require_safe
def run_differences(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what a run made otherwise than the one before."""
    data = pipeline_pages.differences_page(authenticated_user(request), pk)
    return fill(request, "run_differences", data)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Http404
    return int(text)
