"""The master keys: where they come from, how they are protected there, how they change.

The key ring is a small JSON document in a file or in the environment. Its keys stand there in the
clear, or protected by a *custody*: a passphrase, or a key management service. `docs/keys.md` is for
whoever looks after it.
"""

from uploads.master_keys.custody import Custody
from uploads.master_keys.ring_file import RingFile
from uploads.master_keys.source import change, current, document

__all__ = ["Custody", "RingFile", "change", "current", "document"]
