"""A real server on loopback, in a process of its own, and clients that waste its time."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).resolve().parents[3]

SERVER = """
import socket, sys
from pipeline.serving.app import Limited, Limits
from pipeline.serving.connections import run_server

async def inner(scope, receive, send):
    if scope["type"] == "http":
        body = (await receive()).get("body", b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        size = 50_000_000 if b"long" in body else 9
        for _ in range(2):
            await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
limits = Limits(at_once=2, seconds=3)
run_server(Limited(inner, limits), listening, connections=8, headers_seconds=2)
"""

ASKED = (
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
HALF = ASKED % (5_000, b"half of it")
LONG = b'{"inputs": ["long"]}'


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            port = int(process.stdout.readline())
            assert ping(port) == 200
            yield port
        finally:
            process.terminate()
            process.wait(30)


def ping(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
        return int(answer.status)


def post(port: int) -> int:
    """The status of a request of an honest client."""
    headers = {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}/invocations", b'{"inputs": ["QQ=="]}', headers)
    try:
        with urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def connect(port: int, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.sendall(sent)
    return made


def seconds_until_closed(one: socket.socket, started: float) -> float:
    """When the server ended the connection, without an answer."""
    with suppress(ConnectionResetError):
        assert one.recv(1) == b""
    return time.monotonic() - started


def is_closed(one: socket.socket) -> bool:
    one.settimeout(0.05)
    try:
        return one.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("sent", "asks"),
    [(b"", post), (b"POST /invocations HTTP/1.1\r\nHost: x\r\n", post), (HALF, ping)],
    ids=["nothing", "half of the headers", "half of the body"],
)
def test_who_sends_nothing_does_not_lock_others_out(
    port: int, sent: bytes, asks: Callable[[int], int]
) -> None:
    """There are eight places, of which one is free again after each connection."""
    with ExitStack() as stack:
        idle = [stack.enter_context(closing(connect(port, sent))) for _ in range(30)]
        assert [asks(port) for _ in range(3)] == [200] * 3
        assert sum(map(is_closed, idle)) >= 22


def test_a_place_is_kept_by_who_asks(port: int) -> None:
    with ExitStack() as stack:
        stack.enter_context(closing(connect(port)))
        asks = stack.enter_context(closing(connect(port)))
        time.sleep(0.2)
        request = ASKED % (20, b'{"inputs": ["QQ=="]}')
        asks.sendall(request[:-3])
        for _ in range(6):
            stack.enter_context(closing(connect(port)))
        assert ping(port) == 200
        asks.sendall(request[-3:])
        assert asks.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("pieces", [[b""], [b"GET /ping HTTP/1.1\r\nX: "], [b"GET"] + [b"x"] * 20])
def test_headers_have_to_be_whole_in_time(port: int, pieces: list[bytes]) -> None:
    """Also of who sends a byte now and then."""
    started = time.monotonic()
    with closing(connect(port)) as one:
        one.settimeout(0.2)
        ended = False
        while not ended and time.monotonic() - started < 15:
            try:
                if pieces:
                    one.sendall(pieces.pop(0))
                ended = one.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                ended = True
    assert 1.8 < time.monotonic() - started < 6


def test_the_next_request_has_to_come_in_time_as_well(port: int) -> None:
    request = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(connect(port, request)) as one:
        for _ in range(2):
            while b"0\r\n\r\n" not in one.recv(1000):
                pass
            one.sendall(request)
        started = time.monotonic()
        while b"0\r\n\r\n" not in one.recv(1000):
            pass
        one.sendall(request[:-4])
        assert 1.8 < seconds_until_closed(one, started) < 6


def test_a_slow_body_is_waited_for_once(port: int) -> None:
    started = time.monotonic()
    with closing(connect(port, HALF)) as one:
        assert one.recv(12) == b"HTTP/1.1 408"
    assert 2.8 < time.monotonic() - started < 5


def test_who_does_not_read_gives_way(port: int) -> None:
    """Two answers of 100 MB that nobody takes are all that this server has in memory at once."""
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(closing(connect(port, ASKED % (len(LONG), LONG))))
        time.sleep(0.5)
        assert post(port) == 503
        time.sleep(3.5)
        assert post(port) == 200
        idle = [stack.enter_context(closing(connect(port))) for _ in range(10)]
        assert ping(port) == 200
        assert len(idle) == 10


def test_json_of_a_refusal(port: int) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://127.0.0.1:{port}/docs", timeout=5)
    with refused.value as error:
        assert json.load(error)["status"] == 404
