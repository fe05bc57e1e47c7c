"""System checks of the room `processing`."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks

from processing.sandbox import Sandbox
from processing.scanning.rules import RulesBroken, rules_in

SHORTEST_LEASE_S = 5


@checks.register
def check_sandbox(**_: Any) -> list[checks.CheckMessage]:
    """Say so when steps would refuse to run, or run without walls."""
    if Sandbox.support().complete:
        return []
    if settings.PROCESSING["ALLOW_UNSANDBOXED"]:
        return [
            checks.Warning(
                "This kernel cannot lock down the processes that parse files; they run without.",
                hint="Use Linux 5.13 or later with Landlock and seccomp.",
                id="processing.W001",
            )
        ]
    return [
        checks.Warning(
            "This kernel cannot lock down the processes that parse files: steps refuse to run.",
            hint="Use Linux 5.13 or later with Landlock and seccomp, or accept the risk with "
            "STRONGROOM_ALLOW_UNSANDBOXED=1.",
            id="processing.W002",
        )
    ]


@checks.register
def check_queue(**_: Any) -> list[checks.CheckMessage]:
    """Refuse a queue that is signed with the key of sessions, or that delivers on its own terms."""
    found: list[checks.CheckMessage] = []
    if settings.QUEUE_SIGNING_KEY == settings.SECRET_KEY:
        found.append(
            checks.Error(
                "QUEUE_SIGNING_KEY is SECRET_KEY: a leak of one would be a leak of both.",
                hint="Give the queue a key of its own.",
                id="processing.E001",
            )
        )
    if settings.Q_CLUSTER["retry"] <= settings.Q_CLUSTER["timeout"]:
        found.append(
            checks.Error(
                "Q_CLUSTER['retry'] must be longer than Q_CLUSTER['timeout'].",
                hint="Otherwise the queue delivers work that is still being done.",
                id="processing.E002",
            )
        )
    if settings.PROCESSING["LEASE_S"] < SHORTEST_LEASE_S:
        found.append(
            checks.Warning(
                "The lease is so short that a busy machine takes runs from workers that live.",
                hint=f"Set STRONGROOM_LEASE_S to {SHORTEST_LEASE_S} or more.",
                id="processing.W003",
            )
        )
    return found


@checks.register
def check_rules(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to start on YARA rules that do not compile: every file would be held."""
    folder = settings.UPLOADS["YARA_RULES"]
    if not folder:
        return []
    try:
        rules_in(Path(folder))
    except RulesBroken as error:
        return [
            checks.Error(
                f"The YARA rules cannot be used: {error}",
                hint="Correct them, or empty STRONGROOM_YARA_RULES.",
                id="processing.E003",
            )
        ]
    return []
