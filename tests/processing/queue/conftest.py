"""Runs to work on, without the files behind them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import TransactionTestCase
from django.utils import timezone
from django_q.models import OrmQ

from processing.models import Pipeline, PipelineVersion, Run, RunState, Worker
from processing.queue import submit
from uploads.models import Door, Upload


@pytest.fixture(autouse=True)
def _own_bell(tmp_path: Any, settings: Any) -> None:
    """Give each test a bell that nobody else hears."""
    settings.PROCESSING = {**settings.PROCESSING, "BELL": tmp_path / "run" / "bell"}


@pytest.fixture
def make_run(owner: Any) -> Callable[..., Run]:
    """Return a maker of runs that are due, each the latest of an upload of its own."""
    pipeline, _ = Pipeline.objects.get_or_create(name="nothing", defaults={"title": "Nothing"})
    version, _ = PipelineVersion.objects.get_or_create(
        pipeline=pipeline, number=1, defaults={"definition": {}, "digest": ""}
    )

    def make(owner: Any = owner, **changes: Any) -> Run:
        now = timezone.now()
        upload = Upload.objects.create(
            owner=owner,
            sealed_name=b"",
            size=1,
            sha256="",
            media_type="text/plain",
            door=Door.API,
            began_at=now,
            created_at=now,
        )
        values = {"due_at": now - timedelta(seconds=1), "created_at": now, **changes}
        run = Run.objects.create(upload=upload, owner=owner, version=version, **values)
        Upload.objects.filter(pk=upload.pk).update(run_id=run.pk, state=run.state)
        return run

    return make


@pytest.fixture
def make_abandoned(make_run: Callable[..., Run]) -> Callable[..., Run]:
    """Return a maker of runs whose worker has not renewed its lease."""

    def make(**changes: Any) -> Run:
        values = {
            "state": RunState.RUNNING,
            "attempt": 1,
            "fence": 1,
            "lease_expires_at": timezone.now() - timedelta(seconds=1),
            "worker": "dead",
        }
        return make_run(**{**values, **changes})

    return make


@pytest.fixture(scope="module")
def shared_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let a module commit what other processes see, without emptying all tables each time."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(TransactionTestCase, "_fixture_teardown", remove_rows)
        yield


def remove_rows(test_case: TransactionTestCase) -> None:
    models: list[Any] = [OrmQ, Run, Upload, Worker, PipelineVersion, Pipeline, get_user_model()]
    for model in models:
        model._default_manager.all().delete()


@pytest.fixture
def common_bell(shared_database: None, settings: Any) -> None:
    """Let a test ring where the clusters that it starts listen."""
    bell = project.DATA_DIR / "run" / "bell"
    settings.PROCESSING = {**settings.PROCESSING, "BELL": bell}


@pytest.fixture
def queue_run(make_run: Callable[..., Run]) -> Callable[[], UUID]:
    """Return a maker of runs with a queue entry."""

    def make() -> UUID:
        with transaction.atomic():
            run = make_run()
            submit(run.pk)
        return run.pk

    return make
