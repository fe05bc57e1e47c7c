"""Where encrypted bytes lie. Knows nothing of what they are.

`store()` is all that other modules need; `docs/storage.md` says how to configure it.
"""

from uploads.errors import StorageFull
from uploads.storage.errors import BlobMissing, StorageFailed
from uploads.storage.protocol import Sink, Store, Stored, pieces_of
from uploads.storage.registry import store, stores

__all__ = [
    "BlobMissing",
    "Sink",
    "StorageFailed",
    "StorageFull",
    "Store",
    "Stored",
    "pieces_of",
    "store",
    "stores",
]
