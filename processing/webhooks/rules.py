"""The one reader of what webhooks may do."""

from dataclasses import dataclass

from django.conf import settings

from processing.webhooks.addresses import Network, networks


@dataclass(frozen=True)
class Rules:
    """What this deployment sends to. `besides` are networks that are not public."""

    http: bool
    ports: frozenset[int]
    besides: tuple[Network, ...]
    ca_file: str
    max_endpoints: int


def rules() -> Rules:
    """Return what the settings say now."""
    given = settings.PROCESSING["WEBHOOKS"]
    return Rules(
        http=given["HTTP"],
        ports=frozenset(given["PORTS"]),
        besides=networks(given["NETWORKS"]),
        ca_file=given["CA_FILE"],
        max_endpoints=given["MAX_ENDPOINTS"],
    )
