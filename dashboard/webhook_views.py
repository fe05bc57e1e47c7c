"""The pages of webhooks."""

from typing import TypedDict
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from config.accounts.authentication import authenticated_user
from config.errors import AppError
from dashboard import webhook_pages
from dashboard.paging import place_of
from dashboard.views import fill, page
from dashboard.webhook_pages import FormPage
from processing.webhooks import endpoints


class Said(TypedDict):
    """What stands in the form of an endpoint."""

    name: str
    url: str
    events: list[str]


@page
@require_safe
def webhooks(request: HttpRequest) -> HttpResponse:
    """Show the user's endpoints."""
    data = webhook_pages.webhooks_page(authenticated_user(request))
    return fill(request, "webhooks", data, live="all")


@page
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_new(request: HttpRequest) -> HttpResponse:
    """Ask for a new endpoint; make it, and show its secret this once."""
    if request.method != "POST":
        return fill(request, "webhook_new", FormPage())
    said = _said(request)
    try:
        made, secret = endpoints.create(authenticated_user(request), **said)
    except AppError as error:
        return fill(request, "webhook_new", _again(said, error))
    return fill(request, "webhook_secret", made, secret=secret)


@page
@require_safe
def webhook(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one endpoint with what was delivered to it."""
    data = webhook_pages.webhook_page(
        authenticated_user(request), pk, before=place_of(request.GET.get("before", ""))
    )
    return fill(request, "webhook", data, live=f"endpoint:{pk}")


@page
@require_POST
def webhook_change(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change where an endpoint leads, and what it is told of."""
    user, said = authenticated_user(request), _said(request)
    try:
        endpoints.change(webhook_pages.owned_endpoint(user, pk), **said)
    except AppError as error:
        data = webhook_pages.webhook_page(user, pk, form=_again(said, error))
        return fill(request, "webhook", data, live=f"endpoint:{pk}")
    messages.success(request, "The endpoint is changed.")
    return redirect("webhook", pk)


@page
@require_POST
def webhook_switch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Switch an endpoint on or off."""
    endpoint = webhook_pages.owned_endpoint(authenticated_user(request), pk)
    endpoints.change(endpoint, enabled=request.POST.get("to") == "on")
    return redirect("webhook", pk)


@page
@require_POST
def webhook_rotate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give an endpoint a new secret, and show it this once."""
    endpoint = webhook_pages.owned_endpoint(authenticated_user(request), pk)
    secret = endpoints.rotate(endpoint)
    return fill(request, "webhook_secret", endpoint, secret=secret)


@page
@require_POST
def webhook_test(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a test to an endpoint."""
    endpoint = webhook_pages.owned_endpoint(authenticated_user(request), pk)
    try:
        sent = endpoints.send_test(endpoint)
    except AppError as error:
        messages.error(request, str(error))
        return redirect("webhook", pk)
    return redirect("delivery", sent.pk)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask whether to delete an endpoint; delete it."""
    endpoint = webhook_pages.owned_endpoint(authenticated_user(request), pk)
    if request.method != "POST":
        return fill(request, "webhook_delete", endpoint)
    endpoints.remove(endpoint)
    messages.success(request, "The endpoint is deleted.")
    return redirect("webhooks")


@page
@require_safe
def delivery(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one delivery with its attempts."""
    data = webhook_pages.delivery_page(authenticated_user(request), pk)
    return fill(request, "delivery", data, live=f"delivery:{pk}")


@page
@require_POST
def delivery_resend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a delivery again."""
    found = webhook_pages.owned_delivery(authenticated_user(request), pk)
    try:
        endpoints.resend(found)
    except AppError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "It is sent again.")
    return redirect("delivery", pk)


def _said(request: HttpRequest) -> Said:
    return Said(
        name=request.POST.get("name", "").strip(),
        url=request.POST.get("url", "").strip(),
        events=request.POST.getlist("events"),
    )


def _again(said: Said, error: AppError) -> FormPage:
    pointer = (error.pointer or "").removeprefix("/")
    return FormPage(said["name"], said["url"], said["events"], str(error), pointer)
