"""A panel that is not ours: it speaks part 1 of the protocol as `docs/reference/protocol.md` has it, and knows nothing else of this project."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Frame = dict[str, Any]
DEFAULT_SECRET = "agent-secret"
"""What agents send that were told nothing else."""
REPLACED = 4409
MAX_FRAME_BYTES = 1024 * 1024


@dataclass
class Refusal:
    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Attempt:
    """Somebody knocked. `status` is 101 for those who were let in."""

    at: float
    node_id: str
    headers: dict[str, str]
    path: str
    status: int


@dataclass
class Heard:
    at: float
    frame: Frame


class Agent:
    """One connection of an agent. `heard` is all that came over it, in order."""

    def __init__(self, node_id: str, connection: ServerConnection) -> None:
        self.node_id = node_id
        self.heard: list[Heard] = []
        self.close_code: int | None = None
        self.closed = asyncio.Event()
        self._connection = connection
        self._changed = asyncio.Condition()

    async def send(self, message: Frame | str | bytes) -> float:
        """Sends a frame; gives the time, as `heard` counts it."""
        await self._connection.send(json.dumps(message) if isinstance(message, dict) else message)
        return time.monotonic()

    async def expect(self, *, after: int = 0, timeout_s: float = 5.0, **fields: Any) -> Frame:
        """The first frame, from the place `after` on, that holds these fields, and in objects these at least.

        Raises:
            AssertionError: it did not come in time.
        """
        return (await self.expect_that(lambda frame: _holds(fields, frame), after=after, timeout_s=timeout_s)).frame

    async def expect_that(self, condition: Callable[[Frame], bool], *, after: int = 0, timeout_s: float = 5.0) -> Heard:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                place = after
                while True:
                    for heard in self.heard[place:]:
                        if condition(heard.frame):
                            return heard
                    place = len(self.heard)
                    await self._changed.wait()
        except TimeoutError:
            last = [heard.frame for heard in self.heard[after:]][-20:]
            raise AssertionError(f"not within {timeout_s:g} s; heard last: {last}") from None

    async def command(self, id_: str, action: str, server_id: str | None = None, **payload: Any) -> Frame:
        """Sends a command; gives its response."""
        after = len(self.heard)
        await self.send(self.command_frame(id_, action, server_id, **payload))
        return await self.expect(after=after, type="response", id=id_)

    def command_frame(self, id_: str, action: str, server_id: str | None = None, **payload: Any) -> Frame:
        frame: Frame = {
            "id": id_,
            "type": "command",
            "timestamp": "2026-11-20T12:00:00Z",
            "agentId": self.node_id,
            "action": action,
        }
        if server_id is not None:
            frame["serverId"] = server_id
        if payload:
            frame["payload"] = payload
        return frame

    def responses(self, id_: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.frame["type"] == "response" and heard.frame["id"] == id_]

    def events(self, server_id: str, name: str = "server_status_changed") -> list[Frame]:
        """The data of a server's events."""
        events = [
            heard.frame for heard in self.heard if heard.frame["type"] == "event" and heard.frame["event"] == name
        ]
        return [event["data"] for event in events if event["data"]["serverId"] == server_id]

    async def ping(self) -> Awaitable[float]:
        """What gives the seconds that the answer took, once it has come."""
        return await self._connection.ping()

    async def close(self, code: int = 1000) -> None:
        await self._connection.close(code)

    def break_off(self) -> None:
        """Ends the connection without a word."""
        self._connection.transport.abort()

    async def listen(self) -> None:
        try:
            async for text in self._connection:
                assert isinstance(text, str), "frames are text"
                await self._add(json.loads(text))
        except ConnectionClosed:
            pass
        self.close_code = self._connection.close_code
        self.closed.set()

    async def _add(self, frame: Frame) -> None:
        async with self._changed:
            self.heard.append(Heard(time.monotonic(), frame))
            self._changed.notify_all()


class ForeignPanel:
    """`async with ForeignPanel() as panel:` listens on a free port of loopback. `refusal` and `closes_at_once` may change at any time."""

    def __init__(self, secret: str = DEFAULT_SECRET, port: int = 0) -> None:
        self.refusal: Refusal | None = None
        self.closes_at_once = False
        self.attempts: list[Attempt] = []
        self.agents: list[Agent] = []
        self._secret = secret
        self._port = port
        self._server: Server | None = None
        self._arrived = asyncio.Condition()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    async def __aenter__(self) -> "ForeignPanel":
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            self._port,
            process_request=self._admit,
            max_size=MAX_FRAME_BYTES,
            compression=None,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def agent(self, number: int | None = None, timeout_s: float = 10.0) -> Agent:
        """The newest connection, or that of this number, once it has said who it is."""
        place = -1 if number is None else number

        def is_there() -> bool:
            return len(self.agents) > max(place, 0) and (number is not None or not self.agents[-1].closed.is_set())

        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(is_there)
        agent = self.agents[place]
        await agent.expect(type="system_info")
        return agent

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        status = self._status(request)
        node_id = _node_id(request)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.attempts.append(Attempt(time.monotonic(), node_id, headers, request.path, status))
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            return None
        response = connection.respond(HTTPStatus(status), "refused\n")
        for name, value in (self.refusal.headers if self.refusal else {}).items():
            response.headers[name] = value
        return response

    def _status(self, request: Request) -> int:
        if self.refusal is not None:
            return self.refusal.status
        if request.headers.get("Authorization") != f"Bearer {self._secret}":
            return HTTPStatus.UNAUTHORIZED
        return HTTPStatus.SWITCHING_PROTOCOLS if _node_id(request) else HTTPStatus.FORBIDDEN

    async def _handle(self, connection: ServerConnection) -> None:
        if self.closes_at_once or connection.request is None:
            return
        agent = Agent(_node_id(connection.request), connection)
        for other in self.agents:
            if other.node_id == agent.node_id and not other.closed.is_set():
                await other.close(REPLACED)
        async with self._arrived:
            self.agents.append(agent)
            self._arrived.notify_all()
        await agent.listen()


def _node_id(request: Request) -> str:
    asked = parse_qs(urlsplit(request.path).query).get("nodeId", [""])
    return request.headers.get("X-Node-Id") or asked[0]


def _holds(expected: object, found: object) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and _holds(expected[key], found[key]) for key in expected)
    return expected == found
