"""Viewers of a console whose sockets are cut a hundred times, with the programs killed in between: nothing is missing, and nothing comes twice."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fakes.until import until
from tests.faults.proxy import Link
from tests.integration.defects import puppet as puppets
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.panel.live.support import sent_events
from tests.waiting import until as wait_until
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
LINES, CUTS = 100_000, 100
STEP = LINES // CUTS
KILLED = {25: ("agent",), 50: ("panel",), 75: ("agent", "panel")}
"""At which cut."""
LOST = (OSError, EOFError, WebSocketException, httpx.HTTPError)
AGAIN_AFTER_S = 0.02
CAUGHT_UP_WITHIN_S = 60

Frames = AsyncGenerator[dict[str, Any]]
Connect = Callable[[str, str, str, int], Frames]
"""Takes where the panel is, the token, a console's topic and the line to go on from."""


async def by_websocket(panel: str, token: str, topic: str, after: int) -> Frames:
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(f"ws://{panel}/api/live", additional_headers=headers, max_size=None) as socket:
        await socket.send(json.dumps({"subscribe": topic, "after": after}))
        async for text in socket:
            yield json.loads(text)


async def by_server_sent_events(panel: str, token: str, topic: str, after: int) -> Frames:
    headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": f"{topic}={after}"}
    async with (
        httpx.AsyncClient(base_url=f"http://{panel}", headers=headers, timeout=30) as api,
        api.stream("GET", "/api/live/events", params={"topic": topic}) as stream,
    ):
        async for _, frame in sent_events(stream):
            yield frame


class Viewer:
    """Looks at a console through a link that others cut, and goes on from where it was. `texts` and `gaps` are what it was told."""

    def __init__(self, connect: Connect, link: Link) -> None:
        self.link = link
        self.place = 0
        self.texts: list[str] = []
        self.gaps: list[tuple[int, str]] = []
        self._connect = connect

    async def look(self, token: str, topic: str, end: int) -> None:
        while self.place < end:
            try:
                async with aclosing(self._connect(f"127.0.0.1:{self.link.port}", token, topic, self.place)) as frames:
                    async for frame in frames:
                        if self._take(frame) >= end:
                            return
            except LOST:
                pass
            await asyncio.sleep(AGAIN_AFTER_S)

    def _take(self, frame: dict[str, Any]) -> int:
        if frame["kind"] == "lines":
            for part in frame["data"]["parts"]:
                if part["text"] is None:
                    self.gaps.append((part["lines"], part["lost"]))
                else:
                    self.texts += part["text"].split("\n")
            self.place = frame["id"]
        return self.place


class Feed:
    """What the game writes is written here first."""

    def __init__(self, game: Puppet) -> None:
        game.types("busybox mkfifo -m 666 feed; busybox cat feed")
        file = game.installation.folder / "agent" / "servers" / game.id / "feed"
        wait_until(file.is_fifo, "the game is there to read")
        self._file = file.open("wb", buffering=0)

    def write(self, start: int, stop: int) -> None:
        self._file.write("".join(f"line {number}\n" for number in range(start, stop)).encode())

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def game(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    with puppets.image(tmp_path) as image:
        made = Puppet(installation, image)
        made.does("start")
        yield made
        installation.do("DELETE", made.path)


@asynccontextmanager
async def viewers_of(panel_port: int) -> AsyncIterator[list[Viewer]]:
    made = [Viewer(connect, Link(panel_port)) for connect in (by_websocket, by_server_sent_events)]
    for viewer in made:
        await viewer.link.open()
    try:
        yield made
    finally:
        for viewer in made:
            await viewer.link.close()


async def all_see(viewers: list[Viewer], number: int) -> None:
    await until(lambda: all(viewer.place > number + 1 for viewer in viewers), CAUGHT_UP_WITHIN_S)


def kill(installation: Installation, *names: str) -> None:
    for name in names:
        installation.kill(getattr(installation, name))


def start(installation: Installation, *names: str) -> None:
    for name in names:
        getattr(installation, f"start_{name}")()


async def test_viewers_cut_a_hundred_times_see_each_of_100000_lines_once_and_in_order(
    installation: Installation, game: Puppet
) -> None:
    token = installation.api.headers["Authorization"].removeprefix("Bearer ")
    async with viewers_of(installation.port) as viewers, asyncio.TaskGroup() as looking:
        for viewer in viewers:
            looking.create_task(viewer.look(token, f"console:{game.id}", LINES + 1))
        feed = await asyncio.to_thread(Feed, game)
        for cut in range(CUTS):
            first = cut * STEP
            feed.write(first, first + STEP // 2)
            await all_see(viewers, first)
            for viewer in viewers:
                viewer.link.cut()
            kill(installation, *KILLED.get(cut, ()))
            feed.write(first + STEP // 2, first + STEP)
            start(installation, *KILLED.get(cut, ()))
        feed.close()
    written = ["ready", *(f"line {number}" for number in range(LINES))]
    for viewer in viewers:
        assert viewer.link.hits >= CUTS
        assert viewer.gaps == []
        assert viewer.texts == written
    assert installation.api.get(f"{game.path}/console/download").text.splitlines() == written
