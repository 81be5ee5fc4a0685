"""An agent that speaks only part 1 hears from the panel what it always heard, byte for byte."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.fakes.clock import HeldClock
from tests.fakes.transcript import DATA, PATIENCE_S, SILENCE_S, Line, Scene, play, scenes, text_of
from tests.panel.support import PanelUnderTest, make_config, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FILE = DATA / "part1_panel.jsonl"
NODE = "node-1"
RANDOM = re.compile(r"cmd_[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids of commands and of servers."""


class PanelOnStage:
    """The whole panel on real sockets, with time that stands still; people who order things, and an agent that says what it is told to."""

    def __init__(self, panel: PanelUnderTest, clock: HeldClock, secret: str) -> None:
        self._panel = panel
        self._clock = clock
        self._secret = secret
        self._done: asyncio.Queue[str] = asyncio.Queue()
        self._connection: ClientConnection | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._orders: list[asyncio.Task[httpx.Response]] = []
        self._names: dict[str, str] = {}
        self._leaving: set[ClientConnection] = set()

    async def say(self, frame: str) -> None:
        for random, name in self._names.items():
            frame = frame.replace(name, random)
        assert self._connection is not None
        await self._connection.send(frame)

    async def next(self, timeout_s: float) -> str:
        async with asyncio.timeout(timeout_s):
            return await self._done.get()

    async def happen(self, name: str, details: Line) -> None:
        await getattr(self, name)(**details)

    async def agent_dials(self, *, secret: str | None = None, node: str = NODE, by_query: bool = False) -> None:
        """By the header, or as the address says."""
        token = {"Authorization": f"Bearer {secret or self._secret}"}
        url = f"{self._panel.agents_url}?nodeId={node}" if by_query else self._panel.agents_url
        headers = token if by_query else {**token, "X-Node-Id": node}
        self._connection = await connect(url, additional_headers=headers, max_size=None, compression=None)
        self._listening.append(asyncio.create_task(self._listen(self._connection)))

    async def agent_goes(self, *, close: bool = True) -> None:
        """The panel has noticed when this returns."""
        assert self._connection is not None
        self._leaving.add(self._connection)
        if close:
            await self._connection.close()
        else:
            self._connection.transport.abort()

        async def is_away() -> bool:
            return (await self._panel.admin.get(f"/api/nodes/{NODE}"))["online"] is False

        await until(is_away)

    async def agent_sends_bytes(self, *, hex: str) -> None:  # noqa: A002 - as in the transcript
        assert self._connection is not None
        await self._connection.send(bytes.fromhex(hex))

    async def agent_sends_too_much(self) -> None:
        assert self._connection is not None
        await self._connection.send(json.dumps({"type": "heartbeat", "data": {"padding": "x" * 1024 * 1024}}))

    async def time_passes(self, *, seconds: float) -> None:
        self._clock.advance(seconds)

    async def all_is_quiet(self, *, seconds: float = SILENCE_S) -> None:
        """What the panel still does after its last word is done, such as asking what is so at a node's coming."""
        with suppress(TimeoutError):
            raise AssertionError(f"more than there was: {await self.next(seconds)}")

    async def person_orders(self, *, method: str, path: str, body: Any = None) -> None:
        """The answer comes when the node has answered, so it is waited for by `person_is_told`."""
        for random, name in self._names.items():
            path = path.replace(name, random)
        work = self._panel.admin.api.request(method, path, json=body)
        self._orders.append(asyncio.create_task(work))

    async def person_is_told(self, *, status: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            response = await self._orders.pop(0)
        assert response.status_code == status, response.text

    async def person_sees(self, *, server: str, status: str) -> None:
        """What was said before has been taken in."""
        await self._panel.admin.sees(next(random for random, name in self._names.items() if name == server), status)

    async def person_changes_node(self, **change: Any) -> None:
        await self._panel.admin.patch(f"/api/nodes/{NODE}", change)

    async def person_renews_secret(self) -> None:
        self._secret = (await self._panel.admin.post(f"/api/nodes/{NODE}/secret", status=200))["secret"]

    async def person_removes_node(self) -> None:
        await self._panel.admin.delete(f"/api/nodes/{NODE}")

    async def panel_shuts_down(self) -> None:
        await self._panel.stop()

    async def leave(self) -> None:
        for order in self._orders:
            order.cancel()
        await asyncio.gather(*self._orders, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()
        await asyncio.gather(*self._listening)

    async def _listen(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in connection:
                assert isinstance(text, str), "frames are text"
                await self._done.put(f'{{"panel":{self._named(text)}}}')
        if connection not in self._leaving:
            await self._done.put(text_of({"closed": connection.close_code, "reason": connection.close_reason}))

    def _named(self, text: str) -> str:
        """What is random has its name, in the order in which it was seen."""

        def name_of(found: re.Match[str]) -> str:
            kind = "command" if found[0].startswith("cmd_") else "server"
            count = sum(name.startswith(f"<{kind}") for name in self._names.values())
            return self._names.setdefault(found[0], f"<{kind} {count + 1}>")

        return RANDOM.sub(name_of, text)


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PanelOnStage]:
    """Time that passes here is the node's silence, and not the panel's own standstill."""
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.watch.LATE_S", float("inf"))
    panel, clock = PanelUnderTest(make_config(tmp_path)), HeldClock()
    panel.clock = clock  # type: ignore[assignment]  # a clock that goes on would be another in every frame
    async with panel:
        node = await panel.admin.post("/api/nodes", {"id": NODE, "name": "A node"}, status=201)
        stage = PanelOnStage(panel, clock, node["secret"])
        yield stage
        await stage.leave()


@pytest.mark.parametrize("scene", scenes(FILE), ids=lambda scene: scene.name.replace(" ", "-"))
async def test_part_1_is_spoken_as_ever(stage: PanelOnStage, scene: Scene) -> None:
    await play(FILE, scene, stage, "agent")
