"""A panel that speaks only part 1 hears from the agent what it always heard, byte for byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import datetime, tzinfo
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.fakes.clock import HeldClock
from tests.fakes.engine import FakeEngine, Game, Hold
from tests.fakes.transcript import DATA, PATIENCE_S, SILENCE_S, Line, Scene, play, scenes, text_of
from tests.fakes.until import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ctrl_alt_play.agent import link, main
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.protocol import agent_session
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

FILE = DATA / "part1_agent.jsonl"
SECRET = "a-secret-of-the-nodes-own"
OFFERED = {"protocol", "bootId", "spoolId", "clock", "queries", "cores", "disk", "diskPath"}
"""What `system_info` tells beside part 1: that the agent could do more. A panel of part 1 ignores it, as all that it does not know."""
MEASURED = {"os", "arch", "memory", "cpu", "agentVersion"}
"""What is another on every machine."""


class ScriptedPanel:
    """Hears texts, and says them. `is_there` may change at any time: who comes while it is not is refused."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.is_there = True
        self.dialled: list[Request] = []
        self._connection: ServerConnection | None = None
        self._arrived = asyncio.Event()

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.dialled.append(request)
        return None if self.is_there else connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")

    async def handle(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._arrived.set()
        try:
            async for text in connection:
                assert isinstance(text, str), "frames are text"
                await self.heard.put(text)
        except ConnectionClosed:
            return

    async def say(self, frame: str | bytes) -> None:
        assert self._connection is not None, "nobody has dialled yet"
        await self._connection.send(frame)

    async def arrival(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._arrived.wait()

    async def leave(self, *, close: bool) -> None:
        """The connection ends, and the agent has noticed."""
        self.is_there = False
        self._arrived.clear()
        assert self._connection is not None
        if close:
            await self._connection.close()
        else:
            self._connection.transport.abort()
        await self.attempts(1)

    async def attempts(self, count: int) -> None:
        """The agent tries so often to come back; between two attempts it has had time for all that it does meanwhile."""
        before = len(self.dialled)
        await until(lambda: len(self.dialled) >= before + count, PATIENCE_S)


class AgentOnStage:
    """The whole agent, as `main` wires it, on an engine in memory and with time that stands still."""

    def __init__(self, folder: Path, panel: ScriptedPanel, url: str, engine: FakeEngine, clock: HeldClock) -> None:
        self._config = AgentConfig(
            panel_url=url, node_id="node-1", agent_secret=SecretStr(SECRET), health_port=0, data=folder
        )
        self._panel = panel
        self._engine = engine
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._holds: dict[str, tuple[AsyncExitStack, Hold]] = {}

    async def say(self, frame: str) -> None:
        await self._panel.say(frame)

    async def next(self, timeout_s: float) -> str:
        async with asyncio.timeout(timeout_s):
            return f'{{"agent":{as_part_1(await self._panel.heard.get())}}}'

    async def happen(self, name: str, details: Line) -> None:
        await getattr(self, name)(**details)

    async def agent_begins(self) -> None:
        self._task = asyncio.create_task(main.run(self._config), name="agent")
        await self._panel.arrival()

    async def agent_ends(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def agent_begins_again(self) -> None:
        await self.agent_ends()
        self._panel._arrived.clear()
        await self.agent_begins()

    async def all_is_quiet(self, *, seconds: float = SILENCE_S) -> None:
        """What the agent still does after its last word is done; a word now would be one too many."""
        with suppress(TimeoutError):
            raise AssertionError(f"more than there was: {await self.next(seconds)}")

    async def time_passes(self, *, seconds: float) -> None:
        """Once all that the games wrote before is read."""
        await until(lambda: all(each.chunks.empty() for box in self._engine.boxes.values() for each in box.attachments))
        self._clock.advance(seconds)

    async def panel_goes_away(self, *, close: bool = False) -> None:
        await self._panel.leave(close=close)

    async def agent_tries_in_vain(self, *, times: int) -> None:
        await self._panel.attempts(times)

    async def panel_comes_back(self) -> None:
        self._panel.is_there = True
        await self._panel.arrival()

    async def panel_sends_bytes(self, *, hex: str) -> None:  # noqa: A002 - as in the transcript
        await self._panel.say(bytes.fromhex(hex))

    async def game_is(self, *, image: str, **how: Any) -> None:
        self._engine.images.add(image)
        self._engine.games[image] = Game(**{k: tuple(v) if isinstance(v, list) else v for k, v in how.items()})

    async def game_ends(self, *, server: str, code: int, out_of_memory: bool = False) -> None:
        self._engine.end_game(server, code, oom_killed=out_of_memory)

    async def game_writes(self, *, server: str, text: str, stream: str = "stdout", times: int = 1) -> None:
        for number in range(times):
            self._engine.output(server, text.replace("{n}", str(number)).encode(), stream)

    async def port_is_taken(self, *, port: int, protocol: str) -> None:
        self._engine.taken_ports.add((port, protocol))

    async def engine_refuses(self, *, call: str, code: str, message: str) -> None:
        self._engine.fail_next(call, Fault(ErrorCode(code), message))

    async def engine_goes_away(self, *, games_end: bool = False) -> None:
        self._engine.go_away(games_end=games_end)

    async def engine_comes_back(self) -> None:
        self._engine.come_back()

    async def engine_hesitates(self, *, call: str) -> None:
        stack = AsyncExitStack()
        self._holds[call] = stack, await stack.enter_async_context(self._engine.holding(call))

    async def engine_is_asked(self, *, call: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._holds[call][1].arrived.wait()

    async def engine_goes_on(self, *, call: str) -> None:
        await self._holds.pop(call)[0].aclose()


def as_part_1(text: str) -> str:
    """A frame without what is measured, and without the offer of part 2, which is allowed in one place only."""
    frame = json.loads(text)
    if frame["type"] != "system_info":
        return text
    assert text_of(frame) == text
    offered = {name: frame["data"].pop(name) for name in OFFERED & frame["data"].keys()}
    if offered:
        assert_offers_part_2(offered)
    frame["data"] = {
        name: f"<{name}>" if name in MEASURED and value else value for name, value in frame["data"].items()
    }
    return text_of(frame)


def assert_offers_part_2(offered: Line) -> None:
    assert offered.keys() == OFFERED
    assert offered["protocol"] == {"version": 2, "minimum": 1}
    assert offered["bootId"]
    assert offered["spoolId"]
    assert datetime.fromisoformat(offered["clock"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    """The agent's time and the engine's."""
    clock = HeldClock()

    class Held(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # any datetime will do
            return clock.utc().astimezone(tz)

    monkeypatch.setattr("tests.fakes.engine.datetime", Held)
    monkeypatch.setattr(main, "SystemClock", lambda: clock)
    return clock


@pytest.fixture
async def stage(tmp_path: Path, clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AgentOnStage]:
    engine, panel = FakeEngine(), ScriptedPanel()
    monkeypatch.setattr(main, "DockerEngine", lambda *_: engine)
    monkeypatch.setattr(link, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(link, "LONGEST_DELAY_S", 0.05)
    monkeypatch.setattr(link, "WELCOME_WAIT_S", 0.05, raising=False)  # what was recorded knew of no waiting
    async with serve(panel.handle, "127.0.0.1", 0, process_request=panel.admit, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        stage = AgentOnStage(tmp_path, panel, f"ws://127.0.0.1:{port}", engine, clock)
        yield stage
        await stage.agent_ends()


@pytest.mark.parametrize("scene", scenes(FILE), ids=lambda scene: scene.name.replace(" ", "-"))
async def test_part_1_is_spoken_as_ever(stage: AgentOnStage, scene: Scene) -> None:
    await play(FILE, scene, stage, "panel")


async def test_an_agent_dials_as_ever(stage: AgentOnStage) -> None:
    await stage.agent_begins()
    request = stage._panel.dialled[0]
    assert request.path == "/"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["X-Node-Id"] == "node-1"
    ours = {name for name, _ in request.headers.raw_items() if not name.lower().startswith(("sec-websocket", "accept"))}
    assert ours == {"Host", "Authorization", "X-Node-Id", "User-Agent", "Upgrade", "Connection"}


def test_a_panel_that_says_nothing_is_waited_for_no_longer_than_a_second() -> None:
    assert link.WELCOME_WAIT_S <= 1


async def test_a_heart_beats_as_ever(stage: AgentOnStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_session, "HEARTBEAT_INTERVAL_S", 0.05)
    await stage.agent_begins()
    await stage.next(PATIENCE_S)
    data = '{"nodeId":"node-1","timestamp":"2026-11-20T12:00:00Z","status":"online"}'
    beat = f'{{"type":"heartbeat","data":{data},"timestamp":"2026-11-20T12:00:00.000Z"}}'
    assert await stage.next(PATIENCE_S) == f'{{"agent":{beat}}}'
    assert await stage.next(PATIENCE_S) == f'{{"agent":{beat}}}'
