"""Everything, with one command: prepare what is missing, then run all parts of the system."""

import asyncio
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from config.edge.serving import server_command
from config.startup.first_login import FILE_NAME, make_first_accounts
from config.startup.preflight import (
    Address,
    CannotStart,
    address_from,
    check_address,
    claim_data_dir,
)
from config.startup.preparing import prepare
from config.supervisor import Part, Supervisor, answers

PROBES = ("/readyz", "/accounts/login/")


class Command(BaseCommand):
    help = __doc__

    def handle(self, **_: Any) -> None:
        os.umask(0o077)
        try:
            address = address_from(os.environ)
            lock = claim_data_dir(settings.DATA_DIR)
            check_address(address)
        except CannotStart as error:
            raise CommandError(str(error)) from None
        try:
            with lock:
                self._prepare(address)
                connections.close_all()
                asyncio.run(self._supervisor(address).run())
        except KeyboardInterrupt:  # before the supervisor listened for it
            sys.exit(130)
        sys.stdout.flush()
        os._exit(0)  # all is stopped; the interpreter's own tidying up may take a second more

    def _prepare(self, address: Address) -> None:
        for sentence in prepare():
            self.stdout.write(sentence)
        passwords = make_first_accounts(settings.DATA_DIR, address.url)
        if passwords:
            self.stdout.write(f"First accounts (shown once; kept in {FILE_NAME}):")
            for name, password in passwords.items():
                self.stdout.write(f"  {name:<6} {password}")
        self.stdout.flush()

    def _supervisor(self, address: Address) -> Supervisor:
        async def probe() -> bool:
            for path in PROBES:
                if not await answers(
                    address.reachable_host, address.port, path, host_header=_allowed_host()
                ):
                    return False
            return True

        def on_ready() -> None:
            self.stdout.write(f"READY {address.url}")
            self.stdout.flush()

        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return Supervisor(parts(address), env=env, probe=probe, on_ready=on_ready)


def parts(address: Address) -> list[Part]:
    """Return the programs of the system."""
    manage = (sys.executable, str(settings.BASE_DIR / "manage.py"))
    return [
        Part("web", server_command(host=address.host, port=address.port)),
        Part("worker", [*manage, "work"]),
        Part("watcher", [*manage, "watch"]),
        Part("nightly", [*manage, "nightly"]),
    ]


def _allowed_host() -> str:
    """Return a host name that Django accepts, whatever the deployment is called."""
    names = [name for name in settings.ALLOWED_HOSTS if name and name[0] not in ".*"]
    return names[0] if names else "localhost"
