"""Where the rows are: one database, or two with the keys in the second."""

from typing import Any

from config.env import data_dir, env

_SQLITE_OPTIONS: dict[str, Any] = {
    # IMMEDIATE and a patient timeout: deferred transactions that upgrade to a write lock fail
    # at once with "database is locked". FULL: a 201 depends on the commit being on the disk.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
        # A destroyed key must not stay in the file, in space that is free.
        "PRAGMA secure_delete=ON; "
        "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=134217728; PRAGMA cache_size=-8192;"
    ),
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url(
        "STRONGROOM_DATABASE_URL", default=f"sqlite:///{data_dir() / 'strongroom.sqlite3'}"
    ),
}
# The key tables can have a database of their own, apart from the rest and from its backups.
if env.str("STRONGROOM_KEYS_DATABASE_URL", default=""):
    DATABASES["keys"] = env.db_url("STRONGROOM_KEYS_DATABASE_URL")
DATABASE_ROUTERS = ["uploads.key_store.KeyStoreRouter"]
for _database in DATABASES.values():
    _database["CONN_MAX_AGE"] = None
    _database["CONN_HEALTH_CHECKS"] = True
    if _database["ENGINE"].endswith("sqlite3"):
        _database["OPTIONS"] = _SQLITE_OPTIONS
