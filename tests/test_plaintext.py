"""The search for plaintext finds what is there, in each form, also across its pieces."""

import sqlite3

import pytest

from tests import plaintext
from tests.plaintext import files_below, find, forms, new_marker

MARKER = "AbcdefghijklmnopqrstuvwX"


@pytest.mark.parametrize("form", sorted(forms(MARKER)))
@pytest.mark.parametrize("before", [0, 1, 7, 64])
def test_every_form_is_found(tmp_path, form, before, monkeypatch):
    monkeypatch.setattr(plaintext, "PIECE", 50)
    raw = forms(MARKER)[form]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" * before + raw + b"\xff" * 100)
    found = find([MARKER, new_marker()], files_below(tmp_path))
    assert (MARKER, form, str(tmp_path / "deep" / "file")) in found
    assert {marker for marker, _, _ in found} == {MARKER}


@pytest.mark.parametrize("form", sorted(forms(MARKER)))
def test_every_form_is_found_among_many_of_a_family(tmp_path, form):
    family = [new_marker(MARKER) for _ in range(5)]
    (tmp_path / "file").write_bytes(b"\0" + forms(family[3])[form] + b"\0")
    assert {marker for marker, _, _ in find(family, files_below(tmp_path))} == {family[3]}


@pytest.mark.parametrize("shift", range(6))
def test_base64_is_found_wherever_it_begins(tmp_path, shift):
    import base64

    encoded = base64.b64encode(b"x" * shift + MARKER.encode() + b"and so on")
    (tmp_path / "file").write_bytes(encoded)
    assert find([MARKER], files_below(tmp_path))


def test_a_row_is_found_in_the_log_of_a_database(tmp_path):
    database = sqlite3.connect(tmp_path / "d.sqlite3")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (?)", [MARKER])
    database.commit()
    assert any(path.endswith("-wal") for _, _, path in find([MARKER], files_below(tmp_path)))
    database.close()
