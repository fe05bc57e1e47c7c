"""Re-wrapping of owner keys: `python -m tests.benchmarks.rotation`.

Makes owner keys in an empty database, a file of SQLite or what STRONGROOM_DATABASE_URL names, and
wraps all of them again in each round, in turn with AES-GCM alone over as many keys. Prints medians
with their spread, and what follows for a million keys.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from uuid import uuid4

import django
from django.core.management import call_command

MILLION = 1_000_000


def fill(count: int) -> None:
    """Make so many owner keys."""
    from uploads.encryption import new_key, owner_context
    from uploads.key_models import OwnerKey
    from uploads.keys import key_ring

    ring = key_ring()
    for start in range(0, count, 10_000):
        ids = [uuid4() for _ in range(min(10_000, count - start))]
        OwnerKey.objects.bulk_create(
            (
                OwnerKey(
                    owner_id=owner_id,
                    wrapped=ring.wrap(new_key(), context=owner_context(owner_id)),
                    master_key_id=ring.active,
                )
                for owner_id in ids
            ),
            batch_size=300,
        )


def wrapping_alone(count: int) -> float:
    """Return how many seconds the cryptography of so many keys takes, without a database."""
    from uploads.encryption import new_key
    from uploads.keys import key_ring

    ring = key_ring()
    wrapped = ring.wrap(new_key(), context=b"bench")
    began = time.perf_counter()
    for _ in range(count):
        ring.rewrap(wrapped, context=b"bench")
    return time.perf_counter() - began


def rotation(number: int) -> float:
    """Activate a new master key; return how many seconds it takes to wrap everything again."""
    from uploads.master_keys import change
    from uploads.rotation import left, rewrap_all

    name = f"bench-{number}"
    change(lambda ring: ring.with_new_key(name).with_active(name))
    began = time.perf_counter()
    for _ in rewrap_all():
        pass
    took = time.perf_counter() - began
    if left():
        raise SystemExit("Some keys are left: the figure says nothing.")
    return took


def inspection(count: int) -> float:
    """Return how many seconds it takes to prove that every key opens."""
    from uploads.rotation import inspect_all

    began = time.perf_counter()
    found = inspect_all()
    if found.unopened or found.needed.total() != count:
        raise SystemExit("Some keys do not open: the figure says nothing.")
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files lie (default: TMPDIR)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=asked.folder) as folder:
        os.environ["STRONGROOM_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.local"
        django.setup()
        from django.db import connection

        from uploads.key_models import OwnerKey

        call_command("migrate", verbosity=0)
        if OwnerKey.objects.exists():
            raise SystemExit("The database holds keys: name an empty one.")
        fill(asked.keys)
        figures: dict[str, list[float]] = {"rotation": [], "wrapping alone": [], "check": []}
        for number in range(asked.rounds):
            figures["rotation"].append(rotation(number))
            figures["wrapping alone"].append(wrapping_alone(asked.keys))
            figures["check"].append(inspection(asked.keys))
        OwnerKey.objects.all().delete()
        vendor = connection.vendor
        connection.close()
    print(f"{asked.keys:,} owner keys on {vendor}, {asked.rounds} rounds")
    print(f"{'':16}{'median s':>10}{'lowest':>10}{'highest':>10}{'keys/s':>12}{'a million':>12}")
    for name, values in figures.items():
        middle = median(values)
        print(
            f"{name:16}{middle:10.2f}{min(values):10.2f}{max(values):10.2f}"
            f"{asked.keys / middle:12,.0f}{middle * MILLION / asked.keys:10.1f} s"
        )


if __name__ == "__main__":
    main()
