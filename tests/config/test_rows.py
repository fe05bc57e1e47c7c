"""New rows are written as by `bulk_create`, and what the database refuses is refused."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Model

from config.accounts.models import TokenFamily
from config.events.models import Event
from config.rows import insert, made
from processing.models import Artifact, StepRecord
from uploads.models import Blob

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def fields_of(row: Model) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if not field.primary_key
    }


def events(owner_id: UUID) -> list[Event]:
    data: Sequence[dict[str, Any]] = ({}, {"run": "a\tb\n\\N", "list": [1, None, "é"]})
    return [Event(owner_id=owner_id, name="run.changed", data=each) for each in data]


@pytest.fixture
def owner_id(owner: Any) -> UUID:
    return UUID(str(owner.pk))


def test_rows_are_written_as_by_bulk_create(
    owner_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: MOMENT)
    ways: list[Callable[[list[Event]], object]] = [insert, Event.objects.bulk_create]
    found = []
    for write in ways:
        Event.objects.all().delete()
        write(events(owner_id))
        found.append([fields_of(row) for row in Event.objects.order_by("id")])
    assert found[0] == found[1]
    assert found[0][0]["created_at"] == MOMENT
    assert len(found[0]) == 2


def test_texts_bytes_and_nothing_are_written_as_by_bulk_create(owner_id: UUID) -> None:
    model = get_user_model()
    written = [
        model(username="a", first_name="tab\tand \\N", last_login=MOMENT, date_joined=MOMENT),
        model(username="b", first_name="", last_login=None, date_joined=MOMENT),
    ]
    insert(written)
    for row in written:
        assert not row._state.adding
        assert fields_of(model.objects.get(pk=row.pk)) == fields_of(row)


def test_what_breaks_a_constraint_is_refused(owner_id: UUID) -> None:
    twins = [get_user_model()(username="twin") for _ in range(2)]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(twins)
    assert not get_user_model().objects.filter(username="twin").exists()


def test_no_rows_are_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert([])


def test_one_row_can_be_changed_afterwards(owner: Any) -> None:
    family = TokenFamily(user=owner, next_refresh="first")
    insert([family])
    kept = TokenFamily.objects.get()
    assert (kept.pk, kept.created_at, kept.ended_at) == (family.pk, family.created_at, None)
    family.next_refresh = "second"
    family.save()
    assert TokenFamily.objects.get().next_refresh == "second"


def test_what_a_constraint_refuses_is_an_error_or_left_out_as_asked(owner: Any) -> None:
    user = get_user_model()
    again = user(username=owner.username)
    with pytest.raises(IntegrityError), transaction.atomic():
        insert([again])
    insert([again, user(username="another")], or_ignore=True)
    assert set(user.objects.values_list("username", flat=True)) == {owner.username, "another"}


def test_an_instance_that_is_made_is_like_any_other(owner: Any) -> None:
    values: dict[str, Any] = {"owner_id": owner.pk, "name": "run.changed", "data": {"run": "1"}}
    one, other = made(Event, {"owner": owner}, **values), Event(**values)
    assert fields_of(one) == fields_of(other)
    assert one._state.adding
    assert one.owner is owner
    insert([one])
    assert fields_of(Event.objects.get()) == {**values, "created_at": one.created_at}


def test_what_is_made_anew_for_each_instance_has_to_be_given(owner_id: UUID) -> None:
    one = made(Event, owner_id=owner_id, name="run.changed")
    assert "data" not in vars(one)
    with pytest.raises(Event.DoesNotExist):  # asks the database, where it is not yet
        insert([one])


@pytest.mark.parametrize("model", [Event, StepRecord, Artifact, Blob])
def test_what_a_blank_holds_are_columns_and_no_default_that_is_made_anew(
    model: type[Model],
) -> None:
    fields = model._meta.concrete_fields
    fresh = {each.attname for each in fields if each.has_default() and callable(each.default)}
    assert vars(made(model)).keys() - {"_state"} == {each.attname for each in fields} - fresh
