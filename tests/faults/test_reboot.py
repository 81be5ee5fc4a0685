"""A node that loses its power while there is no panel: it sees to its games by itself, and tells all of it later."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.until import until
from tests.faults import chronicle, game, records
from tests.faults.calm import Settling, is_running
from tests.faults.world import NODE, World

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run an engine of its own"),
]
AGAIN_WITHIN_S = 20.0


@pytest_asyncio.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    world = World(folder)
    try:
        await world.open()
        yield world
    finally:
        await world.close()


async def do(world: World, method: str, path: str, body: Any = None) -> str:
    """Asks for something that succeeds; gives the server's id."""
    answer = await world.api.order(f"{method} {path} {body}"[:100], method, path, body)
    assert answer.operation_id is not None, answer
    await world.api.wait_for_end(answer.operation_id, 20)
    operation = await world.api.get(f"/api/operations/{answer.operation_id}")
    assert operation["state"] == "succeeded", operation
    return str(operation["server_id"])


async def make(world: World, name: str, *, is_running: bool) -> str:
    made = game.specification(name, slow_s=0, is_stopped_by_line=False)
    server_id = await do(world, "POST", "/api/servers", {"name": name, "node_id": NODE, **made})
    if is_running:
        await do(world, "POST", f"/api/servers/{server_id}/start")
    return server_id


def runs(world: World, server_id: str, unlike: int = 0) -> Callable[[], Awaitable[int]]:
    """A question whether it runs, as another process than `unlike`; answered by its id."""

    async def ask() -> int:
        container = (await world.engine.containers()).get(server_id)
        found = int(container["State"]["Pid"]) if container is not None and is_running(container) else 0
        return found if found != unlike else 0

    return ask


async def test_a_node_rebooted_without_its_panel_runs_what_should_run_and_tells_it_once_in_order(world: World) -> None:
    on = [await make(world, f"on {number}", is_running=True) for number in range(3)]
    off = await make(world, "off", is_running=False)
    crashing = await make(world, "crashing", is_running=True)
    before = records.events(world.panel.database)
    await world.panel.terminate()

    pid = await until(runs(world, crashing), AGAIN_WITHIN_S)
    await world.engine.kill_game(crashing)
    await until(runs(world, crashing, unlike=pid), AGAIN_WITHIN_S)
    await until(lambda: records.has_told(world.agent.database, crashing, "running"), AGAIN_WITHIN_S)
    await world.lose_power()
    await world.boot()
    pids = {server_id: await until(runs(world, server_id), AGAIN_WITHIN_S) for server_id in (*on, crashing)}
    await until(lambda: records.has_told(world.agent.database, on[0], "running"), AGAIN_WITHIN_S)
    await world.engine.kill_game(on[0])
    await until(runs(world, on[0], unlike=pids[on[0]]), AGAIN_WITHIN_S)
    assert not await runs(world, off)()

    await world.panel.start()
    settling = Settling(world, set())
    calm = await settling.wait()
    assert settling.violations == []
    assert {server_id for server_id, view in calm.servers.items() if view["status"] == "RUNNING"} == {*on, crashing}

    events = records.events(world.panel.database)
    spool, acknowledged = records.spool(world.agent.database), records.acknowledged(world.panel.database)
    assert chronicle.check_sequence(events, acknowledged, spool) == []
    assert chronicle.check_changes(events) == []
    told = events[len(before) :]
    crashed = [event.server_id for event in told if event.kind == "server_crashed"]
    assert crashed == [crashing, on[0]]
    for server_id, lives in ((on[0], 2), (on[1], 1), (on[2], 1), (crashing, 2), (off, 0)):
        assert told_lives(told, server_id) == lives
        assert len(calm.diaries[server_id].starts if server_id in calm.diaries else ()) == lives + (server_id != off)


async def test_a_game_that_ended_while_docker_was_dead_reads_its_lines_again(world: World) -> None:
    server_id = await make(world, "game", is_running=True)
    pid = await until(runs(world, server_id), AGAIN_WITHIN_S)
    await world.engine.kill()
    await world.engine.kill_process(pid)
    await world.engine.start()
    await until(runs(world, server_id, unlike=pid), AGAIN_WITHIN_S)
    await until(lambda: ready(world, server_id), AGAIN_WITHIN_S)
    await do(world, "POST", f"/api/servers/{server_id}/command", {"command": "say 1"})
    await until(lambda: game.read_diary(world.games / server_id).count("say 1") == 1, AGAIN_WITHIN_S)


def ready(world: World, server_id: str) -> bool:
    """Whether it was told to run once more."""
    told = [
        event.data.get("currentStatus")
        for event in records.events(world.panel.database)
        if event.server_id == server_id
    ]
    return told.count("running") >= 2


def told_lives(events: list[records.Event], server_id: str) -> int:
    """How often a server, which ran before, was told to run anew."""
    changes = [
        event.data.get("currentStatus")
        for event in events
        if event.server_id == server_id and event.kind == "server_status_changed"
    ]
    return sum(after == "running" != before for before, after in pairwise(("running", *changes)))
