"""Back-pressure: large files are refused before the disk is full, so that small ones go on.

The database, the queue and everybody's small files live on the same disk as a rule. The last of
it, the reserve, is kept from large files, and half of the reserve from all.
"""

import shutil
from pathlib import Path

from django.conf import settings

from uploads.errors import StorageFull

SMALL_BYTES = 1024 * 1024
LOOK_EVERY_BYTES = 32 * 1024 * 1024  # while a file arrives
PART_OF_THE_DISK = 20  # on a small disk the reserve is this part of it


def check_room(size: int) -> None:
    """Refuse a file of which `size` more bytes are to come, if the disk is nearly full.

    Raises:
        StorageFull
    """
    folder = Path(settings.UPLOADS["BLOBS_DIR"])
    if not folder.exists():  # nothing was stored yet, or blobs are elsewhere
        return
    disk = shutil.disk_usage(folder)
    reserve = min(settings.UPLOADS["RESERVE_BYTES"], disk.total // PART_OF_THE_DISK)
    kept = reserve // 2 if size <= SMALL_BYTES else reserve
    if disk.free - size < kept:
        raise StorageFull
