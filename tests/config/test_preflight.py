"""What stops a start, each with one sentence."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.startup import preflight
from config.startup.preflight import (
    Address,
    CannotStart,
    address_from,
    check_address,
    claim_data_dir,
)
from tests.stack import free_port


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        # What the web server sets, and why a second copy of it would not notice the first.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_without_settings_it_listens_on_this_machine_only() -> None:
    assert address_from({}) == Address("127.0.0.1", 8000)
    assert address_from({}).url == "http://localhost:8000"


@pytest.mark.parametrize(
    "port", ["", "eighty", "0", "65536", "-1", "80 80", "9" * 5000, "\u0668\u0660"]
)
def test_a_port_that_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(CannotStart, match="between 1 and 65535"):
        address_from({"STRONGROOM_PORT": port})


def test_a_port_in_use_is_refused(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(CannotStart, match=rf"^Port {port} is in use\. .*STRONGROOM_PORT="):
        check_address(Address("127.0.0.1", port))


def test_a_port_that_is_bound_but_does_not_answer_is_refused() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match="is in use"):
            check_address(Address("127.0.0.1", port))


def test_a_port_where_localhost_leads_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "_somebody_listens", lambda host, port: host == "::1")
    with pytest.raises(CannotStart, match="is in use"):
        check_address(Address("127.0.0.1", free_port()))


def test_a_port_that_was_in_use_a_moment_ago_is_accepted() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            served, _ = server.accept()
            served.close()  # first, so that this side has to wait for stray packets
            client.recv(1)
    check_address(Address("127.0.0.1", port))


def test_a_port_in_use_on_every_address_is_refused(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(CannotStart, match="is in use"):
        check_address(Address("0.0.0.0", port))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotStart, match="STRONGROOM_HOST"):
        check_address(Address("192.0.2.1", free_port()))


def test_a_free_port_is_accepted_again_and_again() -> None:
    address = Address("127.0.0.1", free_port())
    check_address(address)
    check_address(address)


def test_the_data_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with claim_data_dir(folder):
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "run").stat().st_mode & 0o077 == 0


def test_who_may_enter_the_data_folder_is_decided_once(tmp_path: Path) -> None:
    claim_data_dir(tmp_path).close()
    tmp_path.chmod(0o750)
    claim_data_dir(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"cannot be written \(Not a directory\).*DATA_DIR"):
        claim_data_dir(tmp_path / "file" / "data")


def test_two_starts_on_one_data_folder_are_refused(tmp_path: Path) -> None:
    with claim_data_dir(tmp_path), pytest.raises(CannotStart, match="already running"):
        claim_data_dir(tmp_path)
    claim_data_dir(tmp_path).close()
