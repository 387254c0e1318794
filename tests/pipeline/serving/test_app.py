import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pipeline.serving.app import Limited, Limits, Message, Receive, Send, sentence

REQUEST = b'{"inputs": ["QQ=="]}'
JSON = (b"content-type", b"application/json")


class Inner:
    """Stands for MLflow's app: answers with ``status`` and ``answer``, keeps what it was sent."""

    def __init__(self, answer: bytes = b"{}", status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.bodies: list[bytes] = []
        self.seconds = 0.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            self.bodies.append((await receive())["body"])
            await asyncio.sleep(self.seconds)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        half = len(self.answer) // 2
        await send({"type": "http.response.body", "body": self.answer[:half], "more_body": True})
        await send({"type": "http.response.body", "body": self.answer[half:]})


class Client:
    """One request in ``parts``; ``left`` counts those that the server did not take."""

    def __init__(
        self,
        parts: Sequence[bytes] = (REQUEST,),
        headers: Sequence[tuple[bytes, bytes]] = (JSON,),
        *,
        path: str = "/invocations",
        method: str = "POST",
        stalls: bool = False,
    ) -> None:
        scope = {"type": "http", "path": path, "method": method, "headers": list(headers)}
        self.scope: Message = scope
        self.parts, self.stalls, self.left = self._messages(list(parts)), stalls, len(parts)
        self.status, self.body = 0, b""

    def _messages(self, parts: list[bytes]) -> Iterator[Message]:
        for number, part in enumerate(parts, start=1):
            self.left -= 1
            more = self.stalls or number < len(parts)
            yield {"type": "http.request", "body": part, "more_body": more}

    async def receive(self) -> Message:
        message = next(self.parts, None)
        if message is None and self.stalls:
            await asyncio.sleep(60)
        return message or {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")

    async def ask(self, app: Limited) -> tuple[int, str]:
        await app(self.scope, self.receive, self.send)
        return self.status, json.loads(self.body).get("message", "") if self.body else ""


def ask(app: Limited, client: Client) -> tuple[int, str]:
    return asyncio.run(client.ask(app))


def test_request_is_passed_on_in_one_form() -> None:
    inner = Inner()
    assert ask(Limited(inner, Limits()), Client([REQUEST[:7], REQUEST[7:]])) == (200, "")
    (body,) = inner.bodies
    assert json.loads(body)["dataframe_split"]["data"] == [["QQ=="]]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_answered_while_all_places_are_taken(method: str) -> None:
    app = Limited(Inner(), Limits(at_once=0))
    assert ask(app, Client([], [], path="/ping", method=method))[0] == 200


def test_declared_size_is_refused_and_read_to_its_end() -> None:
    inner, client = Inner(), Client([b"x" * 50] * 3, [JSON, (b"content-length", b"150")])
    answer = ask(Limited(inner, Limits(body=2**5)), client)
    assert answer == (413, "the body is larger than 3.05176e-05 MiB: send fewer or smaller images")
    assert (inner.bodies, client.left) == ([], 0)


def test_chunked_size_is_refused() -> None:
    client = Client([b"x" * 20] * 4)
    assert ask(Limited(Inner(), Limits(body=32)), client)[0] == 413
    assert client.left == 0


def test_endless_body_is_not_read_for_ever() -> None:
    client = Client([b"x" * 20] * 100)
    assert ask(Limited(Inner(), Limits(body=32)), client)[0] == 413
    assert 80 < client.left < 90  # after 8 times the limit


def test_client_that_waits_to_be_asked_is_not() -> None:
    client = Client([b"x"], [JSON, (b"content-length", b"99"), (b"expect", b"100-continue")])
    assert ask(Limited(Inner(), Limits(body=32)), client)[0] == 413
    assert client.left == 1


def test_slow_body() -> None:
    app = Limited(Inner(), Limits(seconds=0.05))
    answer = ask(app, Client([b"x"], stalls=True))
    assert answer == (408, "the body did not arrive within 0.05 seconds")
    assert app.inside == 0


def test_client_that_left_gets_no_answer() -> None:
    inner, client = Inner(), Client([])
    assert ask(Limited(inner, Limits()), client) == (0, "")
    assert inner.bodies == []


@pytest.mark.parametrize(
    ("client", "status", "text"),
    [
        (Client(path="/docs"), 404, "/docs: POST to /invocations, GET /ping"),
        (Client([], method="GET"), 405, "/invocations takes POST, not GET"),
        (Client(headers=[]), 415, "send JSON, with the header Content-Type: application/json"),
        (Client(headers=[(b"content-type", b"text/csv")]), 415, "send JSON, with the header"),
        (Client([b"{"]), 400, "the body is not JSON"),
    ],
)
def test_what_is_refused(client: Client, status: int, text: str) -> None:
    inner = Inner()
    found = ask(Limited(inner, Limits()), client)
    assert found[0] == status
    assert found[1].startswith(text)
    assert inner.bodies == []


def test_too_many_at_once() -> None:
    inner = Inner()
    inner.seconds = 0.2
    app = Limited(inner, Limits(at_once=2))

    async def together() -> list[tuple[int, str]]:
        return list(await asyncio.gather(*(Client().ask(app) for _ in range(3))))

    found = sorted(asyncio.run(together()))
    assert found[:2] == [(200, ""), (200, "")]
    assert found[2] == (503, "2 requests are waiting: try again in a moment")
    assert app.inside == 0


def test_inferences_run_one_after_the_other() -> None:
    at_work, most = 0, 0
    lock = threading.Lock()

    def inference() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        threading.Event().wait(0.01)
        with lock:
            at_work -= 1

    async def lifespan(*_: Any) -> None:
        await asyncio.gather(*(asyncio.to_thread(inference) for _ in range(8)))

    asyncio.run(Limited(lifespan, Limits())({"type": "lifespan"}, Client().receive, Client().send))
    assert most == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"message": "Failed to predict data 'x'. \nError: row 0: no", "stack_trace": "T"},
            "row 0: no",
        ),
        ({"message": "Not JSON. Error: 'bad'\nInput: \nAAAA"}, "'bad'"),
        ({"message": "A" * 5000}, "A" * 400 + "..."),
        ({"detail": "Not Found"}, "Not Found"),
    ],
)
def test_errors_of_mlflow_become_a_sentence(answer: dict[str, str], text: str) -> None:
    assert sentence(json.dumps(answer).encode()) == text
    app = Limited(Inner(json.dumps(answer).encode(), 400), Limits())
    assert ask(app, Client()) == (400, text)


def test_answer_that_is_no_json() -> None:
    app = Limited(Inner(b"Internal Server Error", 500), Limits())
    assert ask(app, Client()) == (500, "Internal Server Error")
