"""Part of `UPLOADS`: the drop folders."""

from typing import Any

from config.env import data_dir, env

DROP: dict[str, Any] = {
    # Each active user has a folder in it.
    "DROP_DIR": data_dir() / "drop",
    # Folders below which others may be watched, as the admin says. Operators alone may write there.
    "DROP_ROOTS": env.list("STRONGROOM_DROP_ROOTS", default=[]),
    # auto: folders on file systems that keep silent of changes are looked at again and again, every
    # so many seconds. on: all are. off: none is; the sweep of every 30 s finds what no event tells.
    "DROP_POLLING": env.str("STRONGROOM_DROP_POLLING", default="auto"),
    "DROP_POLL_S": env.float("STRONGROOM_DROP_POLL_S", default=2.0),
    # How many days receipts, and the originals of refused files, are kept. 0: for ever.
    "DROP_RECEIPT_DAYS": env.int("STRONGROOM_DROP_RECEIPT_DAYS", default=30),
    "DROP_REFUSED_DAYS": env.int("STRONGROOM_DROP_REFUSED_DAYS", default=30),
}
