"""What the tests of the panel share: the panel itself on real sockets, its people, and patience."""

import asyncio
import inspect
import itertools
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from tests.fakes.part2_agent import Part2Agent
from tests.foreign.agent import ForeignAgent

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.panel.bootstrap import Bootstrapped, bootstrap
from ctrl_alt_play.panel.config import Config, load
from ctrl_alt_play.panel.main import create_app, end_streams
from ctrl_alt_play.panel.serving import Server, listen, uvicorn_config

PASSWORD = "correct horse battery"
TICK_S = 0.1
T = TypeVar("T")
AnyAgent = TypeVar("AnyAgent", ForeignAgent, Part2Agent)
_numbers = itertools.count(1)

SPECIFICATION = {
    "image": "example.org/games/quake:1",
    "startup": "./quake",
    "environment": {"MODE": "duel"},
    "limits": {"memory": 536870912, "cpu": 100},
    "stop": {"signal": "SIGINT", "timeout": 5},
}


def unique(stem: str) -> str:
    return f"{stem}-{next(_numbers)}"


async def until(condition: Callable[[], T | Awaitable[T]], timeout_s: float = 5.0) -> T:
    """Waits until it holds, and gives what held."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            result = await found if inspect.isawaitable(found) else found
            if result:
                return result
            await asyncio.sleep(0.01)


def narrow_socket(panel: "PanelUnderTest") -> socket.socket:
    """A connection to the panel that holds little of what is not read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", panel.people_port))
    return narrow


class HeldClock(SystemClock):
    """The machine's clock, and as far ahead of it as a test puts it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def utc(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


def make_config(folder: Path, **more: Any) -> Config:
    return load(**{"data": folder, "host": "127.0.0.1", "port": 0, "websocket_port": 0, **more})


@dataclass
class Person:
    """Someone at a browser: `api` carries their token."""

    api: httpx.AsyncClient
    id: str = ""
    username: str = ""

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        return self._checked(await self.api.get(path, params=query), status)

    async def post(self, path: str, body: Any = None, status: int = 202) -> Any:
        return self._checked(await self.api.post(path, json=body), status)

    async def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return self._checked(await self.api.patch(path, json=body), status)

    async def delete(self, path: str, status: int = 204) -> Any:
        return self._checked(await self.api.delete(path), status)

    async def operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The operation, once it has ended."""

        async def ended() -> Any:
            found = await self.get(f"/api/operations/{operation['id']}")
            return found if found["finished_at"] else None

        return await until(ended)

    async def done(self, path: str, body: Any = None) -> dict[str, Any]:
        """Orders something, and waits for its end."""
        operation = await self.operation(await self.post(path, body))
        assert operation["state"] == "succeeded", operation
        return operation

    async def status(self, server_id: str) -> str:
        return (await self.get(f"/api/servers/{server_id}/status"))["status"]

    async def sees(self, server_id: str, status: str) -> None:
        async def so() -> bool:
            return await self.status(server_id) == status

        await until(so)

    def _checked(self, response: httpx.Response, status: int) -> Any:
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        assert response.headers["x-request-id"]
        return response.json() if response.content else None


class PanelUnderTest:
    """A whole panel: its own database, two sockets on free ports, and an administrator."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = HeldClock()
        self._stack = AsyncExitStack()
        self._serving: asyncio.Task[None] | None = None
        self._agents: list[ForeignAgent | Part2Agent] = []

    async def __aenter__(self) -> Self:
        self.bootstrapped: Bootstrapped = await bootstrap(self.config, "first", "The first node")
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Also again after `stop`, on the same database and the same ports' numbers being new."""
        await self.serve()
        self.admin = await self._with_token(self.bootstrapped.access_token)

    async def serve(self) -> None:
        sockets = listen(self.config)
        self.people_port, self.agents_port = (bound.getsockname()[1] for bound in sockets)
        self.app = create_app(self.config, self.clock, TICK_S)
        self._server = Server(uvicorn_config(self.app), self.app.state.gateway, lambda: end_streams(self.app))
        self._serving = asyncio.create_task(self._server.serve(sockets=sockets), name="panel under test")
        await until(lambda: self._server.started)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
            self._serving = None
        await self._stack.aclose()
        await self.dismiss_agents()

    async def dismiss_agents(self) -> None:
        agents, self._agents = self._agents, []
        for agent in agents:
            await agent.go()

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.people_port}", headers=headers, timeout=20)

    async def visitor(self) -> Person:
        """Someone who is not signed in."""
        return Person(await self._stack.enter_async_context(self.client()))

    async def browser(self, **headers: str | bytes) -> Person:
        """Someone at the panel's page, who is not signed in: keeps cookies, and says where a request comes from."""
        person = await self.visitor()
        person.api.headers["Origin"] = str(person.api.base_url).rstrip("/")
        person.api.headers.update(headers)
        return person

    async def at_page(self, username: str, password: str = PASSWORD, **headers: str | bytes) -> Person:
        """Someone with an account, signed in from the page."""
        person = await self.browser(**headers)
        me = await person.post("/api/auth/sessions", {"username": username, "password": password}, 201)
        person.id, person.username = me["id"], me["username"]
        return person

    async def person(self, username: str) -> Person:
        """Someone with an account, signed in."""
        await self.admin.post("/api/users", {"username": username, "password": PASSWORD}, status=201)
        visitor = await self.visitor()
        credentials = {"username": username, "password": PASSWORD}
        return await self._with_token((await visitor.post("/api/auth/login", credentials, 200))["access_token"])

    async def _with_token(self, token: str) -> Person:
        person = Person(await self._stack.enter_async_context(self.client(token)))
        me = await person.get("/api/auth/me")
        person.id, person.username = me["id"], me["username"]
        return person

    @property
    def agents_url(self) -> str:
        return f"ws://127.0.0.1:{self.agents_port}/"

    async def agent(self, **how: Any) -> ForeignAgent:
        """An agent for a node of its own, not yet there."""
        node_id = unique("node")
        node = await self.admin.post("/api/nodes", {"id": node_id, "name": "A node"}, status=201)
        return ForeignAgent(self.agents_url, node_id, node["secret"], **how)

    async def part2_agent(self, **how: Any) -> Part2Agent:
        """As `agent`, one that speaks part 2."""
        agent = await self.agent()
        return Part2Agent(agent.url, agent.node_id, agent.secret, **how)

    async def connected(self, agent: AnyAgent) -> AnyAgent:
        await agent.come()
        self._agents.append(agent)
        await self.sees_node(agent, online=True)
        return agent

    async def sees_node(self, agent: ForeignAgent | Part2Agent, *, online: bool) -> dict[str, Any]:
        async def so() -> Any:
            node = await self.admin.get(f"/api/nodes/{agent.node_id}")
            return node if node["online"] is online else None

        return await until(so)

    async def server(self, agent: ForeignAgent | Part2Agent, owner: Person | None = None, **more: Any) -> str:
        """The id of a server that the agent has created."""
        operation = await self.admin.operation(await self.admin.post("/api/servers", self.new(agent, owner, **more)))
        assert operation["state"] == "succeeded", operation
        return str(operation["server_id"])

    def new(self, agent: ForeignAgent | Part2Agent, owner: Person | None = None, **more: Any) -> dict[str, Any]:
        owned = {} if owner is None else {"owner_id": owner.id}
        return {**SPECIFICATION, "name": unique("server"), "node_id": agent.node_id, **owned, **more}
