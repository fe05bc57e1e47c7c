"""What the first page tells of files in drop folders that were not taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from config.accounts.models import User
from dashboard.names import printable
from uploads.drop_reports import open_reports
from uploads.folder_models import DropReport

MOST_SHOWN = 10


@dataclass(frozen=True)
class Told:
    """One thing, and why it was not taken."""

    row: DropReport
    name: str


@dataclass(frozen=True)
class Reports:
    """The newest that were not dismissed. `has_more` tells whether there are older ones."""

    shown: Sequence[Told]
    has_more: bool


def reports_for(user: User) -> Reports:
    """Return what `user` is told; one query, and one for the key if there is anything."""
    found = open_reports(user, most=MOST_SHOWN + 1)
    shown = [Told(one.row, printable(one.name)) for one in found[:MOST_SHOWN]]
    return Reports(shown, has_more=len(found) > MOST_SHOWN)
