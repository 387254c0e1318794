"""Which connections a server keeps: none that does nothing may take the place of one that asks.

uvicorn alone waits without end for the headers of a request, and refuses everybody while its places
are taken. Here a connection has some seconds for the headers, the first time and after every
answer; and if all places are taken, the one that has been idle for the longest makes room.
"""

import asyncio
import socket
from typing import cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from pipeline.serving.app import App

CONNECTIONS = 64
"""More are answered with 503, if none of them is idle."""

HEADERS_SECONDS = 10
"""How long a connection may be open without the whole headers of a request."""


class Connection(H11Protocol):
    """A connection that is closed when it is late, or idle while another needs its place."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It begins: it has to send headers, and may need another's place."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._await_headers()
        limit = self.limit_concurrency
        if limit is not None and len(self.connections) >= limit:
            others = [one for one in self.connections if one is not self]
            idle = [one for one in cast(list[Connection], others) if one.is_idle()]
            if idle:
                # one that is sending a body, however slowly, only where all others do so too
                longest = min(idle, key=lambda one: (one._is_asked(), one.active))
                longest.transport.abort()
                self.connections.discard(longest)  # now, as more may begin before it has ended

    def data_received(self, data: bytes) -> None:
        """Something came: if the headers are whole by now they are no longer waited for."""
        self.active = self.loop.time()
        super().data_received(data)
        if self._is_asked() and self._timer is not None:
            self._timer.cancel()

    def on_response_complete(self) -> None:
        """It was answered: the same again."""
        super().on_response_complete()
        if not self._is_asked():
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Whether nothing is computed for it: a part of its request is missing, or all of it."""
        return not self._is_asked() or self.cycle.more_body or self.transport.is_closing()

    def _is_asked(self) -> bool:
        """Whether the headers of a request are whole, and its answer is not."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _await_headers(self) -> None:
        self.active = self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
        # at once, as a client that does not read would keep what is yet to be sent for ever
        self._timer = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)


def run_server(
    app: App,
    listening: socket.socket,
    *,
    connections: int = CONNECTIONS,
    headers_seconds: int = HEADERS_SECONDS,
) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_level="warning",
        limit_concurrency=connections,
        timeout_keep_alive=headers_seconds,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])
