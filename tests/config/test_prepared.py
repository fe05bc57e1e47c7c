"""Prepared statements: what the ORM would have asked, with the values of this time."""

from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F, QuerySet
from django.test.utils import CaptureQueriesContext

from config.accounts.models import TokenFamily, User
from config.events.models import Event
from config.prepared import Prepared, PreparedUpdate

pytestmark = pytest.mark.django_db


def family_of(user: User, refresh: str = "first") -> TokenFamily:
    return TokenFamily.objects.create(user=user, next_refresh=refresh)


def test_a_query_is_compiled_once_and_answers_each_time_for_its_own_values(owner, stranger):
    built = []

    def named(user, refresh) -> QuerySet[TokenFamily]:
        built.append(user)
        return TokenFamily.objects.filter(user=user, next_refresh=refresh).order_by("pk")

    ask = Prepared(TokenFamily, named)
    mine, theirs = family_of(owner), family_of(stranger)
    assert ask(user=owner.pk, refresh="first") == [mine]
    assert ask(user=stranger.pk, refresh="first") == [theirs]
    assert ask(user=owner.pk, refresh="second") == []
    assert len(built) == 1
    assert owner.pk not in built


def test_instances_are_those_of_the_orm(owner):
    Event.objects.create(owner=owner, name="x.y", data={"a": [1, None]})
    asked = Event.objects.filter(owner=owner.pk)
    (ours,) = Prepared(Event, lambda owner: Event.objects.filter(owner=owner))(owner=owner.pk)
    theirs = asked.get()
    values = [[getattr(e, f.attname) for f in Event._meta.fields] for e in (ours, theirs)]
    assert values[0] == values[1]
    assert (ours._state.db, ours._state.adding) == (theirs._state.db, False)
    assert ours.get_deferred_fields() == set()


def test_what_is_deferred_comes_when_it_is_asked_for_and_annotations_come_along(owner):
    family_of(owner)
    ask = Prepared(
        TokenFamily,
        lambda: TokenFamily.objects.only("next_refresh").annotate(name=F("user__username")),
    )
    (found,) = ask()
    assert found.name == owner.username
    with CaptureQueriesContext(connection) as asked:
        assert found.next_refresh == "first"
    assert not asked.captured_queries
    assert found.user_id == owner.pk


def test_rows_of_values_are_tuples(owner):
    family = family_of(owner)
    ask = Prepared(
        TokenFamily,
        lambda family: TokenFamily.objects.filter(pk=family).values_list("pk", "created_at"),
    )
    assert ask(family=family.pk) == [(family.pk, family.created_at)]
    assert ask(family=uuid4()) == []


@pytest.mark.parametrize("value", [True, None, 1.5])
def test_a_value_that_could_decide_what_is_asked_is_refused(value):
    with pytest.raises(TypeError):
        Prepared(Event, lambda it: Event.objects.filter(name=it))(it=value)


def test_a_value_without_a_place_is_a_mistake_at_once():
    ask = Prepared(Event, lambda name: Event.objects.filter(name="fixed"))
    with pytest.raises(ValueError, match="no place"):
        ask(name="x")


def test_a_query_that_wants_related_instances_is_a_mistake_at_once():
    with pytest.raises(ValueError, match="related"):
        Prepared(TokenFamily, lambda: TokenFamily.objects.select_related("user"))()


def test_an_update_changes_what_the_values_name_and_says_how_many(owner, stranger):
    def renamed(user, refresh):
        return TokenFamily.objects.filter(user=user), {"next_refresh": refresh}

    change = PreparedUpdate(TokenFamily, renamed)
    mine, theirs = family_of(owner), family_of(stranger)
    assert change(user=owner.pk, refresh="second") == 1
    assert change(user=uuid4(), refresh="third") == 0
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.next_refresh, theirs.next_refresh) == ("second", "first")
