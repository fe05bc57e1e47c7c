"""The one reader of which storage this deployment uses.

`UPLOADS["STORAGE"]` names entries of Django's STORAGES: the first takes new blobs, all of them
are read. So storage is changed while the system serves: put the new one first, then move.
"""

from typing import cast

from django.conf import settings
from django.core.files.storage import storages

from uploads.storage.joined import JoinedStore
from uploads.storage.protocol import Store


def store() -> Store:
    """Return the storage of this deployment."""
    every = list(stores().values())
    return every[0] if len(every) == 1 else JoinedStore(every)


def stores() -> dict[str, Store]:
    """Return its storage backends by name, the one for new blobs first.

    Raises:
        ImproperlyConfigured: STORAGES has no such entry, or it cannot be used.
    """
    # Django's handler makes whatever class an entry names, and keeps it.
    return {name: cast("Store", storages[name]) for name in settings.UPLOADS["STORAGE"]}
