import traceback
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.encryption import (
    Damaged,
    KeyRing,
    UnknownKey,
    new_key,
    owner_context,
    unwrap_key,
    upload_context,
    wrap_key,
)

OLD, NEW = b"\xa5" * 32, b"\x5a" * 32
OLD_RING = KeyRing({"2024": OLD}, active="2024")
RING = KeyRing({"2024": OLD, "2025.b_-": NEW}, active="2025.b_-")
CONTEXT = b"owner"


def test_new_keys_have_32_bytes_and_differ():
    keys = {new_key() for _ in range(100)}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 100


def test_a_wrapped_key_comes_back_and_names_its_master_key():
    key = new_key()
    wrapped = RING.wrap(key, context=CONTEXT)
    assert RING.key_id(wrapped) == "2025.b_-"
    assert RING.unwrap(wrapped, context=CONTEXT) == key


def test_the_ring_lists_its_ids_sorted_and_the_active_one():
    assert (RING.ids, RING.active) == (("2024", "2025.b_-"), "2025.b_-")


def test_a_key_wrapped_under_an_earlier_master_key_still_opens_and_is_rewrapped():
    key = new_key()
    wrapped = OLD_RING.wrap(key, context=CONTEXT)
    assert RING.unwrap(wrapped, context=CONTEXT) == key
    rewrapped = RING.rewrap(wrapped, context=CONTEXT)
    assert RING.key_id(rewrapped) == "2025.b_-"
    assert KeyRing({"2025.b_-": NEW}, active="2025.b_-").unwrap(rewrapped, context=CONTEXT) == key


def test_a_ring_without_the_master_key_says_so():  # rule K2
    wrapped = RING.wrap(new_key(), context=CONTEXT)
    for use in (OLD_RING.unwrap, OLD_RING.rewrap):
        with pytest.raises(UnknownKey) as caught:
            use(wrapped, context=CONTEXT)
        assert (caught.value.code, caught.value.status) == ("key_unavailable", 503)


def test_the_id_of_a_wrapped_key_is_read_without_its_master_key():
    assert OLD_RING.key_id(RING.wrap(new_key(), context=CONTEXT)) == "2025.b_-"


def test_a_master_key_of_the_same_id_and_another_value_is_refused():
    wrapped = KeyRing({"2024": NEW}, active="2024").wrap(new_key(), context=CONTEXT)
    with pytest.raises(Damaged):
        OLD_RING.unwrap(wrapped, context=CONTEXT)


@given(data=st.data())
def test_any_flipped_bit_of_a_wrapped_key_is_refused(data):
    wrapped = bytearray(RING.wrap(new_key(), context=CONTEXT))
    bit = data.draw(st.integers(0, 8 * len(wrapped) - 1))
    wrapped[bit // 8] ^= 1 << bit % 8
    with pytest.raises((Damaged, UnknownKey)):
        RING.unwrap(bytes(wrapped), context=CONTEXT)


@given(noise=st.binary(max_size=130))
def test_noise_is_no_wrapped_key(noise):
    with pytest.raises((Damaged, UnknownKey)):
        RING.unwrap(noise, context=CONTEXT)
    with pytest.raises(Damaged):
        unwrap_key(noise, under=OLD, context=CONTEXT)


@pytest.mark.parametrize(
    "change",
    [
        lambda wrapped: wrapped[:-1],
        lambda wrapped: wrapped + b"\0",
        lambda wrapped: wrapped[1:],
        lambda wrapped: wrapped[:1] + wrapped[2:],
        lambda wrapped: b"\x05" + wrapped[1:],
        lambda wrapped: b"\x00" + wrapped[-60:],
        lambda wrapped: b"\x04202\xe9" + wrapped[-60:],
        lambda _: b"",
        lambda _: b"\x04",
    ],
    ids=["cut", "longer", "no length", "short id", "length", "no id", "id", "empty", "length only"],
)
def test_unwrap_refuses_what_has_not_the_form(change):  # rule K1
    wrapped = change(OLD_RING.wrap(new_key(), context=CONTEXT))
    with pytest.raises(Damaged) as caught:
        OLD_RING.unwrap(wrapped, context=CONTEXT)
    assert caught.value.part == "wrapped_key"
    with pytest.raises(Damaged):
        OLD_RING.key_id(wrapped)


def test_the_id_of_the_master_key_is_authenticated():
    twins = KeyRing({"one": OLD, "two": OLD}, active="one")
    wrapped = twins.wrap(new_key(), context=CONTEXT)
    with pytest.raises(Damaged):
        twins.unwrap(wrapped.replace(b"one", b"two"), context=CONTEXT)


def test_a_wrapped_key_does_not_open_in_another_context():
    with pytest.raises(Damaged):
        RING.unwrap(RING.wrap(new_key(), context=b"one"), context=b"two")
    with pytest.raises(Damaged):
        unwrap_key(wrap_key(new_key(), under=OLD, context=b"one"), under=OLD, context=b"two")


def test_the_contexts_of_owners_and_uploads_all_differ():  # rules K3, K4
    one, two = UUID(int=1), UUID(int=2)
    contexts = {
        owner_context(one),
        owner_context(two),
        upload_context(owner_id=one, upload_id=two),
        upload_context(owner_id=two, upload_id=one),
    }
    assert len(contexts) == 4


def test_the_key_tree_opens_from_the_ring_down():
    owner_id, upload_id = UUID(int=1), UUID(int=2)
    owner_key, upload_key = new_key(), new_key()
    wrapped_owner = RING.wrap(owner_key, context=owner_context(owner_id))
    place = upload_context(owner_id=owner_id, upload_id=upload_id)
    wrapped_upload = wrap_key(upload_key, under=owner_key, context=place)
    opened = RING.unwrap(wrapped_owner, context=owner_context(owner_id))
    assert unwrap_key(wrapped_upload, under=opened, context=place) == upload_key


@pytest.mark.parametrize(
    ("keys", "active"),
    [
        ({}, ""),
        ({"a": OLD}, "b"),
        ({"": OLD}, ""),
        ({"a b": OLD}, "a b"),
        ({"a\n": OLD}, "a\n"),
        ({"é": OLD}, "é"),
        ({"a" * 65: OLD}, "a" * 65),
        ({"a": OLD[:-1]}, "a"),
        ({"a": OLD, "b": b""}, "a"),
    ],
)
def test_a_ring_is_refused_without_showing_a_key(keys, active):
    with pytest.raises(ValueError, match=r"\.$") as caught:
        KeyRing(keys, active=active)
    assert_hidden("".join(traceback.format_exception(caught.value)))


def test_nothing_printable_shows_a_key():
    shown = [repr(RING), str(RING), repr(vars(RING))]
    wrapped = bytearray(OLD_RING.wrap(NEW, context=CONTEXT))
    wrapped[-1] ^= 1
    with pytest.raises(Damaged) as caught:
        OLD_RING.unwrap(bytes(wrapped), context=CONTEXT)
    shown += [repr(caught.value), *traceback.format_exception(caught.value)]
    assert "2025.b_-" in repr(RING)
    for text in shown:
        assert_hidden(text)


def assert_hidden(text: str) -> None:
    for key in (OLD, NEW):
        for form in (key.hex(), repr(key)[2:12], repr(list(key))[1:13]):
            assert form not in text
