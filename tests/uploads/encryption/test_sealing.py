import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from uploads.encryption import Damaged, seal, unseal, unwrap_key, wrap_key

KEY = bytes(range(32))
CONTEXT = b"name"


@given(value=st.binary(max_size=300), context=st.binary(max_size=40))
def test_any_value_comes_back_in_its_context(value, context):
    sealed = seal(value, key=KEY, context=context)
    assert len(sealed) == len(value) + 28
    assert unseal(sealed, key=KEY, context=context) == value


@given(value=st.binary(max_size=60), data=st.data())
def test_any_flipped_bit_of_a_value_is_refused(value, data):
    sealed = bytearray(seal(value, key=KEY, context=CONTEXT))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        unseal(bytes(sealed), key=KEY, context=CONTEXT)


@pytest.mark.parametrize(
    ("change", "key", "context"),
    [
        (lambda sealed: sealed, bytes(32), CONTEXT),
        (lambda sealed: sealed, KEY, b"other"),
        (lambda sealed: sealed, KEY, b""),
        (lambda sealed: sealed[:-1], KEY, CONTEXT),
        (lambda sealed: sealed[1:], KEY, CONTEXT),
        (lambda sealed: sealed + b"\0", KEY, CONTEXT),
        (lambda _: b"", KEY, CONTEXT),
        (lambda sealed: sealed[:27], KEY, CONTEXT),
    ],
    ids=["key", "context", "no context", "cut", "cut in front", "longer", "empty", "too short"],
)
def test_unseal_refuses(change, key, context):  # rule V1
    sealed = change(seal(b"value", key=KEY, context=CONTEXT))
    with pytest.raises(Damaged) as caught:
        unseal(sealed, key=key, context=context)
    assert caught.value.part == "sealed_value"


def test_two_sealings_of_a_value_differ():  # rule W3
    assert seal(b"value", key=KEY, context=b"") != seal(b"value", key=KEY, context=b"")


def test_neither_key_nor_value_opens_as_the_other_and_neither_without_its_label():
    bare = AESGCM(KEY)
    for sealed in (
        wrap_key(bytes(32), under=KEY, context=b""),
        seal(bytes(32), key=KEY, context=b""),
    ):
        with pytest.raises(InvalidTag):
            bare.decrypt(sealed[:12], sealed[12:], b"")
    with pytest.raises(Damaged):
        unseal(wrap_key(bytes(32), under=KEY, context=b""), key=KEY, context=b"")
    with pytest.raises(Damaged):
        unwrap_key(seal(bytes(32), key=KEY, context=b""), under=KEY, context=b"")


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_a_key_of_another_length_is_refused_without_showing_it(length):
    key = b"K" * length
    for use in (
        lambda: seal(b"", key=key, context=b""),
        lambda: unseal(bytes(28), key=key, context=b""),
        lambda: wrap_key(bytes(32), under=key, context=b""),
        lambda: wrap_key(key, under=bytes(32), context=b""),
        lambda: unwrap_key(bytes(60), under=key, context=b""),
    ):
        with pytest.raises(ValueError, match=r"^A key has 32 bytes\.$"):
            use()
