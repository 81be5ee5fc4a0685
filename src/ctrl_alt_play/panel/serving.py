"""One server on two sockets, opened and closed in order."""

import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.gateway.local import LocalGateway
from ctrl_alt_play.protocol.messages import MAX_FRAME_BYTES
from ctrl_alt_play.supervision import Supervisor

GRACE_S = 1
"""What requests that are being answered get when the panel ends; agents get theirs from the gateway before."""


class Server(uvicorn.Server):
    """Tells agents good-bye, and ends replies that would go on for ever, before it stops listening; tells a supervisor when it has begun, and
    when it begins to end.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        gateway: LocalGateway,
        end_streams: Callable[[], Awaitable[None]],
        supervisor: Supervisor | None = None,
    ) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._end_streams = end_streams
        self._supervisor = supervisor or Supervisor()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._supervisor.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._supervisor.stopping()
        await self._gateway.close()
        await self._end_streams()
        await super().shutdown(sockets)


def uvicorn_config(app: Callable[..., Any]) -> uvicorn.Config:
    """Silence is judged by the protocol's own rule, so the server sends no pings of its own."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return uvicorn.Config(
        app,
        loop="uvloop",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """The server takes an agent that was answered by a refusal for one that was not answered."""
    return record.msg != "ASGI callable returned without completing handshake."


def listen(config: Config) -> list[socket.socket]:
    """The sockets for people and for agents; one when both have the same port.

    Raises:
        StartupError: a port is taken, or may not be bound.
    """
    sockets: list[socket.socket] = []
    try:
        sockets.append(_bind(config.host, config.port))
        if config.port == 0 or config.websocket_port != config.port:
            sockets.append(_bind(config.host, config.websocket_port))
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"HOST {host} is not an address of this machine: {error.strerror}.") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()
    except PermissionError as error:
        bound.close()
        raise StartupError(
            f"Port {port} may not be used without more rights: choose one above 1023, by PORT or WEBSOCKET_PORT."
        ) from error
    except OSError as error:
        bound.close()
        raise StartupError(
            f"Port {port} on {host} cannot be used ({error.strerror}): another program may hold it; choose another by PORT or WEBSOCKET_PORT."
        ) from error
    bound.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return bound


@contextmanager
def signals_once() -> Iterator[None]:
    """The server acts on a signal and then raises it again for whoever was there before; here it has done its work."""
    kept = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
