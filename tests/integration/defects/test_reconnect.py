"""Reconnecting: no herd, and nothing lost in a queue. How delays are drawn is tests/agent/test_link.py's."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.integration.defects.puppet import events
from tests.integration.installation import Installation
from tests.waiting import until
from websockets.sync.server import ServerConnection, serve

from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import Entry, News
from ctrl_alt_play.protocol.contents import StatusChanged

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
WATCHED_S = 5.0
MOST_ATTEMPTS = 7
"""In that time. Where delays are drawn anew from the first second each time there are about ten; with those that grow, four."""
MANY = 600
MORE_THAN_THERE_IS_ROOM_FOR = 20_001
FIRST = 10**8
"""No process of this machine has such a number."""


@contextmanager
def door_that_shuts() -> Iterator[tuple[str, list[float]]]:
    """A panel that accepts each connection and closes it: its address, and when they came."""
    came: list[float] = []

    def close(_connection: ServerConnection) -> None:
        came.append(time.monotonic())

    with serve(close, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, name="door")
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", came
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def away(installation: Installation) -> Iterator[Path]:
    """The agent, gone for as long as its journal is written by others."""
    installation.end(installation.agent)
    try:
        yield installation.folder / "agent" / "journal.db"
    finally:
        installation.start_agent()
        installation.wait_for_node()


def test_a_panel_that_accepts_and_closes_does_not_make_the_back_off_small_again(installation: Installation) -> None:
    with away(installation), door_that_shuts() as (address, came):
        installation.start_agent(PANEL_URL=address)
        try:
            until(lambda: came and time.monotonic() > came[0] + WATCHED_S, "it was watched long enough", 20)
        finally:
            installation.end(installation.agent)
    assert 2 <= len(came) <= MOST_ATTEMPTS


def test_of_more_than_500_events_of_a_lonely_node_none_is_lost_and_none_told_twice(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet()
    with away(installation) as journal:
        asyncio.run(happen(journal, game.id, MANY))
    until(lambda: len(numbers(installation, game.path)) >= MANY, "all are told")
    assert numbers(installation, game.path) == list(range(MANY))
    assert sum(event["missing"] for event in events(installation, f"/api/nodes/{installation.node_id}")) == 0
    game.does("start")
    assert (game.status(), numbers(installation, game.path)) == ("RUNNING", list(range(MANY)))


def test_what_a_lonely_node_had_to_give_up_is_counted(installation: Installation, puppet: MakePuppet) -> None:
    game = puppet()
    with away(installation) as journal:
        asyncio.run(happen(journal, game.id, MORE_THAN_THERE_IS_ROOM_FOR))
    until(lambda: numbers(installation, game.path)[-1:] == [MORE_THAN_THERE_IS_ROOM_FOR - 1], "the newest is told", 30)
    told = [event for event in game.events() if "pid" in event["data"]]
    assert len(told) + sum(event["missing"] for event in told) == MORE_THAN_THERE_IS_ROOM_FOR
    game.does("start")


async def happen(file: Path, server_id: str, count: int) -> None:
    """So many changes of a server wait in the journal for a panel; their pids count up from `FIRST`."""
    journal = await Journal.open(file)
    try:
        changes = (
            StatusChanged(server_id=server_id, current_status="created", pid=FIRST + number) for number in range(count)
        )
        news = tuple(News("server_status_changed", server_id, each, datetime.now(UTC)) for each in changes)
        assert await journal.written(Entry(news=news), 20)
    finally:
        await journal.close()


def numbers(installation: Installation, path: str) -> list[int]:
    """Which of the changes that `happen` made were told, in the order of their being told."""
    pids = [event["data"].get("pid") or 0 for event in events(installation, path)]
    return [pid - FIRST for pid in pids if pid >= FIRST]
