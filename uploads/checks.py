"""System checks of the room `uploads`: what would lose or leak files stops the start."""

import stat
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from uploads.keys import key_ring


@checks.register
def check_key_ring(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to start without a readable, private key ring."""
    path = Path(settings.UPLOADS["MASTER_KEYS_FILE"])
    try:
        key_ring()
    except ImproperlyConfigured as error:
        return [
            checks.Error(
                str(error),
                hint="Set STRONGROOM_MASTER_KEYS_FILE, or restore keys/ in the data folder.",
                id="uploads.E001",
            )
        ]
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [
            checks.Error(
                "The key ring of the files can be read by other users of this machine.",
                hint=f"chmod 600 {path}",
                id="uploads.E002",
            )
        ]
    return []


@checks.register
def check_blobs_are_not_served(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to keep blobs or keys below a folder that is served."""
    served = Path(settings.STATIC_ROOT).resolve()
    for name in ("BLOBS_DIR", "MASTER_KEYS_FILE", "DROP_DIR"):
        if Path(settings.UPLOADS[name]).resolve().is_relative_to(served):
            return [
                checks.Error(
                    f"UPLOADS['{name}'] lies inside STATIC_ROOT, which everybody can fetch.",
                    hint="Move it out of there.",
                    id="uploads.E003",
                )
            ]
    return []
