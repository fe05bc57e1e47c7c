"""Snapshots of the database, and the way back. The tables of keys are left empty.

SQLite copies itself while others write. PostgreSQL's own programs do it, from one snapshot that
also tells which blobs belong to it.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from uploads.backup.errors import BackupFailed
from uploads.key_store import MODELS
from uploads.models import Blob, Upload

BLOBS = f"SELECT id FROM {Blob._meta.db_table} WHERE upload_id IS NOT NULL ORDER BY id"  # noqa: S608
UPLOADS = f"SELECT id FROM {Upload._meta.db_table}"  # noqa: S608
KEY_TABLES = [model._meta.db_table for model in MODELS]


class Snapshot:
    """A copy of the database in a file, and which blobs and uploads it names."""

    def __init__(self, path: Path, blob_ids: list[UUID], upload_ids: list[UUID]) -> None:
        self.path = path
        self.blob_ids = blob_ids  # in order
        self.upload_ids = upload_ids


def take_snapshot(path: Path) -> Snapshot:
    """Copy the database, as it is at one moment, to the new file `path`.

    Raises:
        BackupFailed
    """
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    if connection.vendor == "sqlite":
        return _snapshot_of_sqlite(path)
    if connection.vendor == "postgresql":
        return _snapshot_of_postgresql(path)
    raise BackupFailed(f"Databases of the kind {connection.vendor} cannot be backed up.")


def applied_migrations() -> list[str]:
    """Return which migrations the database has seen, as `app.name`, in order."""
    return sorted(
        f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()
    )


def is_empty() -> bool:
    """Tell whether the configured database has no tables yet. Makes no file where there is none."""
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return True
    return not connection.introspection.table_names()


def bring_back(path: Path) -> None:
    """Make the snapshot in the file `path` the configured database, which is empty.

    Raises:
        BackupFailed
    """
    if connection.vendor == "sqlite":
        connection.close()
        target = Path(connection.settings_dict["NAME"])
        for companion in ("", "-wal", "-shm"):
            target.with_name(target.name + companion).unlink(missing_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o600)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        return
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run("pg_restore", *options, f"--dbname={connection.settings_dict['NAME']}", str(path))
    connection.close()


def _snapshot_of_sqlite(path: Path) -> Snapshot:
    name = connection.settings_dict["NAME"]
    with (
        closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=60)) as source,
        closing(sqlite3.connect(path, isolation_level=None)) as target,
    ):
        source.backup(target)  # in one step, so that writers do not make it begin again
        target.execute("PRAGMA journal_mode=DELETE")
        for table in KEY_TABLES:
            if target.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone():
                target.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
        target.execute("VACUUM")  # or the deleted rows would still be in there
        return Snapshot(
            path,
            [UUID(row[0]) for row in target.execute(BLOBS)],
            [UUID(row[0]) for row in target.execute(UPLOADS)],
        )


def _snapshot_of_postgresql(path: Path) -> Snapshot:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        _run(
            "pg_dump",
            "--format=custom",
            *("--no-owner", "--no-privileges"),
            *(f"--exclude-table-data={table}" for table in KEY_TABLES),
            *(f"--snapshot={snapshot}", f"--file={path}", str(connection.settings_dict["NAME"])),
        )
        cursor.execute(BLOBS)
        blob_ids = [row[0] for row in cursor.fetchall()]
        cursor.execute(UPLOADS)
        return Snapshot(path, blob_ids, [row[0] for row in cursor.fetchall()])


@contextmanager
def scratch_database() -> Iterator[str | None]:
    """Yield the address of a new, empty database beside the configured one, then drop it.

    None stands for a file that nobody has to make.
    """
    if connection.vendor == "sqlite":
        yield None
        return
    name = f"strongroom_scratch_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield "postgresql:///" + name
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def postgresql_environment() -> dict[str, str]:
    """Return the variables by which PostgreSQL's programs find the configured server."""
    known: dict[str, Any] = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    return {variable: str(known[key]) for variable, key in names.items() if known.get(key)}


def _without_our_secrets() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("STRONGROOM_")}


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; passwords go by environment, not by command line."""
    if shutil.which(program) is None:
        raise BackupFailed(
            f"{program} is not installed: install the PostgreSQL client of the server's version "
            "(on Debian and Ubuntu: apt-get install postgresql-client)."
        )
    done = subprocess.run(  # noqa: S603 - no shell, and nothing of it comes from a user
        [program, *arguments],
        env={**_without_our_secrets(), **postgresql_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupFailed(f"{program} failed: {done.stderr.strip()}")
