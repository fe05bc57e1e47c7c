"""What only a real server over real sockets can show."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from config.edge.exchange import LINGER_BYTES
from tests.config.edge.server import MIB, Server, running
from tests.config.edge.site import CONTENT

SITE = "tests.config.edge.process:application"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(SITE) as started:
        yield started


def read_answer(client: socket.socket) -> tuple[int, http.client.HTTPResponse]:
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response


def journal(server: Server) -> list[str]:
    return list(json.loads(server.get("/journal")[1]))


def wait_for(server: Server, expected: list[str]) -> None:
    deadline = time.monotonic() + 30
    while (now := journal(server)) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert now == expected


def test_slow_bodies_do_not_hold_up_pages(server: Server) -> None:
    slow = [
        server.open("PUT", target, "Content-Length: 1000", body=b"a")
        for target in ("/receive", "/echo") * 50
    ]
    took_s = []
    for _ in range(20):
        began = time.monotonic()
        assert server.get("/hello") == (200, b"hello")
        took_s.append(time.monotonic() - began)
    for client in slow:
        client.close()
    assert max(took_s) < 5  # who waits for a thread does so for 10 s
    wait_for(server, ["abort"] * 50)


def test_an_upload_that_is_cut_is_aborted(server: Server) -> None:
    before = journal(server)
    client = server.open("PUT", "/receive", "Content-Length: 1000", body=b"abc")
    time.sleep(0.2)
    assert journal(server) == before
    client.close()
    wait_for(server, [*before, "abort"])


def test_an_answer_that_ends_with_the_connection_is_whole_or_reset(server: Server) -> None:
    def answer_to(target: str) -> Iterator[bytes]:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"GET {target} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
            while piece := client.recv(65536):
                yield piece

    whole = b"".join(answer_to("/pieces/5"))
    assert b" 200 " in whole
    assert len(whole.partition(b"\r\n\r\n")[2]) == 5 * 1024
    with pytest.raises(ConnectionResetError):
        list(answer_to("/pieces/40?breaks_at=3"))


def test_ranges_and_head_and_keep_alive(server: Server) -> None:
    connection = server.http()
    connection.request("GET", "/content", headers={"Range": "bytes=1000-300000"})
    response = connection.getresponse()
    assert (response.status, response.read()) == (206, CONTENT[1000:300_001])
    connection.request("HEAD", "/content")
    response = connection.getresponse()
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.read() == b""
    connection.request("GET", "/content", headers={"Range": "bytes=9999999-"})
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (416, "range_not_satisfiable")
    connection.request("GET", "/content")
    assert connection.getresponse().read() == CONTENT
    connection.close()


def test_a_connection_lives_on_after_a_refusal_that_saw_its_whole_body(server: Server) -> None:
    connection = server.http()
    refused = [("/receive?fail=write", 415), ("/nowhere", 404)]
    for target, status in [*refused * 20, ("/receive", 201)]:
        connection.request("PUT", target, body=b"abc")  # sent on its own, behind the head
        local = connection.sock.getsockname()
        response = connection.getresponse()
        response.read()
        assert response.status == status
        connection.request("GET", "/hello")
        assert connection.getresponse().read() == b"hello"
        assert connection.sock.getsockname() == local
    connection.close()


def test_a_refusal_reaches_a_client_that_is_still_sending(server: Server) -> None:
    size = LINGER_BYTES // 2
    headers = (f"Content-Length: {size}", "Authorization: none")
    client = server.open("PUT", "/receive", *headers)
    client.sendall(bytes(size))
    status, response = read_answer(client)
    assert status == 401
    assert b"not_authenticated" in response.read()
    client.close()


def test_a_refused_giant_is_not_read(server: Server) -> None:
    headers = ("Content-Length: 5000000000", "Authorization: none")
    began, sent = time.monotonic(), 0
    client = server.open("PUT", "/receive", *headers)
    try:
        while sent < 500 * MIB:
            sent += client.send(bytes(MIB))
    except OSError:
        pass
    client.close()
    assert sent < LINGER_BYTES + 64 * MIB  # what fits into the buffers of both ends
    assert time.monotonic() - began < 15  # in which time it is not cut for its pace


@pytest.mark.parametrize(
    "chunks",
    [b"3\r\nhello\r\n0\r\n\r\n", b"zz\r\nhello\r\n", b"10000000000000005\r\nhello\r\n"],
    ids=["too short", "no number", "beyond 64 bits"],
)
def test_a_malformed_chunk_is_the_clients_mistake(server: Server, chunks: bytes) -> None:
    client = server.open("PUT", "/receive", "Transfer-Encoding: chunked", body=chunks)
    status, response = read_answer(client)
    assert (status, json.loads(response.read())["code"]) == (400, "body_broken")
    client.close()


def test_who_asks_first_is_let_in_or_refused_before_sending(server: Server) -> None:
    expecting = ("Content-Length: 3", "Expect: 100-continue")
    client = server.open("PUT", "/receive", *expecting)
    assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
    client.sendall(b"abc")
    assert read_answer(client)[0] == 201
    client.close()
    client = server.open("PUT", "/receive", *expecting, "Authorization: none")
    assert client.recv(100).startswith(b"HTTP/1.1 401 ")
    client.close()


@pytest.mark.parametrize("target", ["/content?breaks_at=700000", "/content?ends_at=700000"])
def test_a_client_notices_that_content_broke_off(server: Server, target: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        server.get(target)


def test_two_hundred_listeners_hear_an_event(server: Server) -> None:
    listeners = [server.open("GET", "/events/anna") for _ in range(200)]
    for client in listeners:
        heard = b""
        while b"retry:" not in heard:
            heard += client.recv(4096)
    began = time.monotonic()
    assert server.get("/announce/anna?data=ping")[0] == 204
    for client in listeners:
        heard = b""
        while b"data: ping" not in heard:
            heard += client.recv(4096)
    took_s = time.monotonic() - began
    for client in listeners:
        client.close()
    assert took_s < 5  # and not when their lines are looked after, after 15 s


def test_memory_does_not_grow_with_what_passes_through(server: Server) -> None:
    size = 512 * MIB
    before = server.reset_peak()
    client = server.open("PUT", "/count", f"Content-Length: {size}")
    piece = bytes(MIB)
    for _ in range(size // MIB):
        client.sendall(piece)
    status, response = read_answer(client)
    count = json.loads(response.read())["count"] - (1 << 40)
    client.close()
    assert (status, count) == (201, size)
    client = server.open("GET", f"/zeros/{size}")
    status, response = read_answer(client)
    total = 0
    while piece_length := len(response.read(MIB)):
        total += piece_length
    client.close()
    assert total == size
    assert server.peak() - before < 64 * MIB


def test_a_stop_with_everything_in_flight_takes_less_than_five_seconds() -> None:
    with running(SITE) as server:
        upload = server.open("PUT", "/receive", "Content-Length: 1000", body=b"abc")
        download = server.open("GET", f"/zeros/{1 << 40}")
        events = server.open("GET", "/events/anna")
        half = server.connect()
        half.sendall(b"GET /hello HTT")
        assert b"200 OK" in events.recv(4096)
        assert b"200 OK" in download.recv(15)
        answers: list[int] = []
        reading = threading.Thread(target=lambda: answers.append(read_answer(upload)[0]))
        reading.start()
        time.sleep(0.3)
        family = psutil.Process(server.process.pid).children(recursive=True)
        assert server.stop() < 5
        reading.join(1)
        assert answers == [503]
        assert not any(process.is_running() for process in family)
        for client in (upload, download, events, half):
            client.close()
