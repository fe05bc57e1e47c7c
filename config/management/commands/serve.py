"""The web server alone, for a supervisor that is not `up`."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.edge.serving import server_command
from config.startup.preflight import CannotStart, address_from


class Command(BaseCommand):
    help = __doc__

    def handle(self, **_: Any) -> None:
        try:
            address = address_from(os.environ)
        except CannotStart as error:
            raise CommandError(str(error)) from None
        command = server_command(host=address.host, port=address.port)
        os.execv(command[0], command)  # noqa: S606 - a fixed command line; signals reach it directly
