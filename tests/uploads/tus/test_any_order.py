"""Whatever happens to an upload, in any order: what was acknowledged is there, and nothing else."""

import hashlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.uploads.tus.conftest import Tus, content_of
from tests.uploads.tus.test_interruptions import kill, open_at
from tests.uploads.tus.test_requests import checksum
from uploads.encryption import SEGMENT_BYTES
from uploads.models import Quota, Upload, UploadSession
from uploads.tus import digests

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SIZES = st.one_of(
    st.integers(1, 200),
    st.integers(1, 3).map(lambda n: n * (SEGMENT_BYTES - 32)),
    st.integers(1, 2 * SEGMENT_BYTES),
)


class Life(RuleBasedStateMachine):
    """One upload. `offset` is what the client was told last, or may find out by asking."""

    tus: Tus

    @initialize(length=st.integers(1, 3 * SEGMENT_BYTES), seed=st.integers(0, 9))
    def begin(self, length: int, seed: int) -> None:
        Upload.objects.all().delete()
        UploadSession.objects.all().delete()
        Quota.objects.all().delete()
        self.content = b"text " + random.Random(seed).randbytes(length)
        self.path = self.tus.create(len(self.content))
        self.offset = 0

    def next(self, size: int) -> bytes:
        return self.content[self.offset : self.offset + size]

    @property
    def whole(self) -> bool:
        return self.offset == len(self.content)

    @rule(size=SIZES, sum_it=st.booleans())
    def patch(self, size: int, sum_it: bool) -> None:
        body = self.next(size)
        headers = {"Upload_Checksum": checksum(body)} if sum_it else {}
        response = self.tus.patch(self.path, self.offset, body, **headers)
        assert response.status_code == 204
        self.offset += len(body)
        assert response["Upload-Offset"] == str(self.offset)

    @rule(wrong=st.integers(0, 2**40))
    def patch_at_a_wrong_offset(self, wrong: int) -> None:
        if wrong != self.offset and not self.whole:
            assert self.tus.patch(self.path, wrong, b"x").status_code == 409

    @precondition(lambda self: not self.whole)
    @rule(size=SIZES)
    def patch_with_a_wrong_checksum(self, size: int) -> None:
        body = self.next(size)
        wrong = {"Upload_Checksum": checksum(body + b"!")}
        assert self.tus.patch(self.path, self.offset, body, **wrong).status_code == 460

    @precondition(lambda self: not self.whole)
    @rule(size=SIZES)
    def lose_the_connection(self, size: int) -> None:
        body = self.next(size)
        writer = open_at(self.path)
        writer.write(body)
        writer.abort()
        # The last byte is kept by the end of the upload only.
        if self.offset + len(body) < len(self.content):
            self.offset += len(body)

    @precondition(lambda self: not self.whole)
    @rule(sizes=st.lists(SIZES, max_size=3))
    def kill_the_server(self, sizes: list[int]) -> None:
        writer = open_at(self.path)
        at = self.offset
        for size in sizes:
            body = self.content[at : at + size]
            if body:
                writer.write(body)
            at += len(body)
        kill(writer)

    @rule()
    def restart_the_server(self) -> None:
        digests.digests._states.clear()

    @invariant()
    def head_tells_what_is_safe(self) -> None:
        if hasattr(self, "path"):
            assert self.tus.head(self.path)["Upload-Offset"] == str(self.offset)
            assert Upload.objects.count() == self.whole

    def teardown(self) -> None:
        if not hasattr(self, "path"):
            return
        assert self.tus.patch(self.path, self.offset, self.next(2**40)).status_code == 204
        upload = Upload.objects.get()
        assert content_of(upload) == self.content
        assert upload.sha256 == hashlib.sha256(self.content).hexdigest()


def test_an_upload_survives_whatever_happens_to_it(tus: Any) -> None:
    run_state_machine_as_test(
        type("LifeOfOne", (Life,), {"tus": tus}),
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
