"""System checks of webhooks."""

import ssl
from typing import Any

from django.conf import settings
from django.core import checks

from processing.webhooks.addresses import networks


@checks.register
def check_webhooks(**_: Any) -> list[checks.CheckMessage]:
    """Refuse settings that would refuse, or let through, every endpoint."""
    given = settings.PROCESSING["WEBHOOKS"]
    found: list[checks.CheckMessage] = []
    try:
        networks(given["NETWORKS"])
    except ValueError as error:
        found.append(
            checks.Error(
                f"STRONGROOM_WEBHOOK_NETWORKS: {error}.",
                hint="Write networks such as 10.1.0.0/16, with commas between them.",
                id="webhooks.E001",
            )
        )
    if given["CA_FILE"]:
        try:
            ssl.create_default_context(cafile=given["CA_FILE"])
        except OSError:  # a file that holds no certificate, too: ssl.SSLError
            found.append(
                checks.Error(
                    "STRONGROOM_WEBHOOK_CA_FILE cannot be read as certificates.",
                    hint="Name a file in PEM format.",
                    id="webhooks.E002",
                )
            )
    return found
