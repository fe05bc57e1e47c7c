"""Part of `PROCESSING`: whom the outgoing webhooks may reach."""

from typing import Any

from config.env import env

WEBHOOKS: dict[str, Any] = {
    # How many endpoints each user may have.
    "MAX_ENDPOINTS": env.int("STRONGROOM_WEBHOOK_MAX_ENDPOINTS", default=10),
    # Plain HTTP as well as HTTPS. For development.
    "HTTP": env.bool("STRONGROOM_WEBHOOK_HTTP", default=False),
    "PORTS": env.list("STRONGROOM_WEBHOOK_PORTS", cast=int, default=[443, 8443]),
    # Networks that endpoints may lie in although they are not part of the public internet, such
    # as 10.1.0.0/16.
    "NETWORKS": env.list("STRONGROOM_WEBHOOK_NETWORKS", default=[]),
    # Certificates of authorities that are trusted beside those of the system (PEM).
    "CA_FILE": env.str("STRONGROOM_WEBHOOK_CA_FILE", default=""),
    # How long deliveries stay on record.
    "DAYS": env.int("STRONGROOM_WEBHOOK_DAYS", default=30),
}
