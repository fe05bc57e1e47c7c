"""What the health of the room says where the kernel offers too little."""

from typing import Any

import pytest

from config.health import Health
from processing import health
from processing.sandbox import Support, kernel


@pytest.mark.parametrize(
    ("landlock", "is_allowed", "said"),
    [
        (7, False, Health.OK),
        (7, True, Health.OK),
        (0, False, Health.REFUSING),
        (0, True, Health.DEGRADED),
    ],
)
def test_the_sandbox_says_whether_steps_are_locked_in_refuse_or_run_without(
    monkeypatch: Any, settings: Any, landlock: int, is_allowed: bool, said: Health
) -> None:
    support = Support(landlock=landlock, seccomp=True, limits=True)
    monkeypatch.setattr(kernel, "support", lambda: support)
    settings.PROCESSING = {**settings.PROCESSING, "ALLOW_UNSANDBOXED": is_allowed}
    found = health.sandbox()
    assert found.health == said
    assert found.facts == {
        "landlock_version": landlock,
        "seccomp": True,
        "resource_limits": True,
        "unsandboxed_allowed": is_allowed,
    }
