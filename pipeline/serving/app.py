"""What stands before MLflow's scoring server: limits, and errors as a sentence.

MLflow's own app takes bodies of any size, computes as many requests at once as come, and answers
mistakes with the stack trace and the whole input. This ASGI app passes on what is within the
limits; more is refused before it takes room.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.serving.request import RequestError, canonical

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HEALTH = ("/ping", "/health", "/version")
ENDPOINT = "/invocations"
LONGEST_SENTENCE = 400
DRAINED = 8
"""A refused body is read, and forgotten, up to so many times the limit: a client that still sends
does not see the answer."""

log = logging.getLogger("pipeline.serving.server")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the bodies in bytes, the requests in memory, and the seconds for a body or an answer."""

    body: int = 32 * 2**20
    at_once: int = 8
    seconds: float = 60.0


class Limited:
    """``app`` behind ``limits``; its inferences run one after the other."""

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.inside = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; ``lifespan`` (the start of the server) is passed on."""
        if scope["type"] != "http":
            # MLflow infers in the loop's threads; several at once would take several's memory
            one = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
            asyncio.get_running_loop().set_default_executor(one)
            await self.app(scope, receive, send)
            return
        try:
            await self._respond(scope, receive, _InTime(send, self.limits.seconds))
        except _NotTakenError:
            log.warning("an answer was not taken within %g seconds", self.limits.seconds)

    async def _respond(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] in HEALTH and scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        try:
            await self._invoke(scope, receive, send)
        except RequestError as error:
            if error.status != 408:  # who was too slow is not waited for again
                await _drain(scope, receive, DRAINED * self.limits.body, self.limits.seconds)
            await _answer(send, error.status, str(error))

    async def _invoke(self, scope: Message, receive: Receive, send: Send) -> None:
        _check_route(scope)
        if self.inside >= self.limits.at_once:
            raise RequestError(503, f"{self.inside} requests are waiting: try again in a moment")
        self.inside += 1
        try:
            body = await self._body(scope, receive)
            if body is None:
                return  # nobody is left to answer
            request = [await asyncio.to_thread(canonical, body)]
            del body
            scope["headers"] = [(b"content-type", b"application/json")]

            async def again() -> Message:
                if request:
                    return {"type": "http.request", "body": request.pop(), "more_body": False}
                return await receive()

            await self.app(scope, again, _Sentences(send))
        finally:
            self.inside -= 1

    async def _body(self, scope: Message, receive: Receive) -> bytes | None:
        """The whole body, None if the client went away."""
        most = self.limits.body
        declared = _header(scope, b"content-length")
        if declared.isdigit() and int(declared) > most:
            raise RequestError(413, _too_large(most))
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:  # a chunked body does not declare its length
                        raise RequestError(413, _too_large(most))
                    parts.append(part)
                    if not message.get("more_body"):
                        scope["read"] = True
                        return b"".join(parts)
        except TimeoutError:
            sentence = f"the body did not arrive within {self.limits.seconds:g} seconds"
            raise RequestError(408, sentence) from None


class _NotTakenError(Exception):
    """A client does not read what it asked for."""


class _InTime:
    """Passes answers on to a client that takes them within ``seconds``."""

    def __init__(self, send: Send, seconds: float) -> None:
        self.send, self.seconds = send, seconds

    async def __call__(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await self.send(message)
        except TimeoutError:
            raise _NotTakenError from None


class _Sentences:
    """Passes answers on, those of mistakes without stack trace and input."""

    def __init__(self, send: Send) -> None:
        self.send, self.status, self.parts = send, 200, list[bytes]()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if self.status < 400:
            await self.send(message)
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))
            if not message.get("more_body"):
                await _answer(self.send, self.status, sentence(b"".join(self.parts)))


def sentence(answer: bytes) -> str:
    """What a person reads of an error of MLflow's; its stack trace goes to the log."""
    text = answer.decode(errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        content = {"message": text}
    if isinstance(content, dict):
        if trace := content.get("stack_trace"):
            log.error("%s", trace)
        text = str(content.get("message", content.get("detail", text)))
    text = re.split(r"\n?Error: ", text)[-1].partition("\nInput:")[0].strip()
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:LONGEST_SENTENCE]}..."


def _check_route(scope: Message) -> None:
    if scope["path"] != ENDPOINT:
        raise RequestError(404, f"{scope['path'][:80]}: POST to {ENDPOINT}, GET /ping")
    if scope["method"] != "POST":
        raise RequestError(405, f"{ENDPOINT} takes POST, not {scope['method'][:20]}")
    kind = _header(scope, b"content-type").partition(";")[0].strip().lower()
    # CSV and Parquet say in few bytes what takes gigabytes
    if kind != "application/json":
        raise RequestError(415, "send JSON, with the header Content-Type: application/json")


async def _drain(scope: Message, receive: Receive, most: int, seconds: float) -> None:
    """Take what a client still sends, without keeping it."""
    if scope.get("read") or _header(scope, b"expect"):
        return  # there is nothing, or it waits to be asked
    try:
        async with asyncio.timeout(seconds):
            while most > 0:
                message = await receive()
                most -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        log.warning("a refused body did not end within %g seconds", seconds)


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"status": status, "message": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Message, name: bytes) -> str:
    """A header of the request, empty if it has none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _too_large(most: int) -> str:
    return f"the body is larger than {most / 2**20:g} MiB: send fewer or smaller images"
