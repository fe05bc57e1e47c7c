"""What blobs of artifacts must hold, for whoever verifies them."""

from collections.abc import Collection
from uuid import UUID

from processing.models import Artifact


def digests_of(blob_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the SHA-256, in hex, of the plaintext of each of these blobs that is an artifact."""
    rows = Artifact.objects.filter(blob_id__in=blob_ids)
    return dict(rows.values_list("blob_id", "sha256"))
