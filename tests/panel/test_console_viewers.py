"""Consoles that are looked at: every kept line once and in order, whatever breaks in between; and nobody waits for the slowest."""

import asyncio
import json
from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.consoles import feed, service, viewer
from ctrl_alt_play.panel.consoles.batch import Batch
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.panel.consoles.viewer import Viewer
from ctrl_alt_play.protocol.live import Loss


async def game(panel: PanelUnderTest, **how: Any) -> tuple[Part2Agent, str]:
    agent = await panel.connected(await panel.part2_agent(**how))
    return agent, await panel.server(agent)


def consoles_of(panel: PanelUnderTest) -> Consoles:
    found: Consoles = panel.app.state.consoles
    return found


def lines_of(batch: Batch) -> list[str]:
    """As someone gets them who reads the JSON alone."""
    parts = json.loads(batch.json)["parts"]
    return [line for part in parts if part["text"] is not None for line in part["text"].split("\n")]


async def next_lines(looking: Viewer, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += lines_of(await anext(looking))
    return found


async def attached(agent: Part2Agent, server_id: str) -> None:
    await until(lambda: agent.consoles[server_id].told is not None)


def numbered(start: int, stop: int) -> list[str]:
    return [f"line {number}" for number in range(start, stop)]


async def test_a_viewer_begins_with_the_newest_lines_and_goes_on(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *numbered(0, 5))
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        assert await next_lines(looking, 5) == numbered(0, 5)
        await agent.write(server_id, *numbered(5, 8))
        assert await next_lines(looking, 3) == numbered(5, 8)
        assert looking.position == 8


async def test_a_batch_says_where_to_go_on(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, "one", "two")
    async with consoles_of(panel).watch(agent.node_id, server_id, 1) as looking:
        async with asyncio.timeout(5):
            batch = await anext(looking)
    at = "2026-01-01T00:00:00Z"
    part = {"offset": 1, "lines": 1, "at": at, "stream": "stdout", "text": "two", "lost": None}
    assert json.loads(batch.json) == {"parts": [part], "next": 2}


async def test_a_viewer_that_is_cut_a_hundred_times_sees_every_line_once(panel: PanelUnderTest) -> None:
    total, cuts = 100_000, 100
    agent, server_id = await game(panel)

    found: list[str] = []
    position = 0

    async def play() -> None:
        while (end := agent.consoles[server_id].end) < total:
            if end > len(found) + 3000:  # so that it goes on between the cuts
                await asyncio.sleep(0.001)
            else:
                await agent.write(server_id, *numbered(end, end + 200))

    playing = asyncio.create_task(play())
    async with asyncio.timeout(50):
        for cut in range(1, cuts + 1):
            async with consoles_of(panel).watch(agent.node_id, server_id, position) as looking:
                while len(found) < total * cut // cuts:
                    batch = await anext(looking)
                    found += lines_of(batch)
                    position = batch.next
            if cut % 10 == 0:
                agent.die()
                await panel.sees_node(agent, online=False)
                await agent.come()
    await playing
    assert found == numbered(0, total)


async def test_a_viewer_that_is_cancelled_while_it_waits_loses_nothing(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *numbered(0, 2000))
    found: list[str] = []
    cancelled = 0
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking, asyncio.timeout(20):
        await attached(agent, server_id)
        while len(found) < 4000:
            reading = asyncio.create_task(next_lines(looking, 1))
            for _ in range(cancelled % 7):
                await asyncio.sleep(0)
            reading.cancel()
            try:
                found += await reading
            except asyncio.CancelledError:
                cancelled += 1
            if cancelled % 5 == 0 and len(agent.consoles[server_id].texts) < 4000:
                end = agent.consoles[server_id].end
                await agent.write(server_id, *numbered(end, end + 100))
    assert found == numbered(0, 4000)
    assert cancelled


async def test_a_viewer_outlasts_a_restart_of_the_panel(own_panel: PanelUnderTest) -> None:
    agent, server_id = await game(own_panel)
    await agent.write(server_id, *numbered(0, 10))
    async with consoles_of(own_panel).watch(agent.node_id, server_id) as looking:
        found = await next_lines(looking, 10)
        position = looking.position
        assert position is not None
        await own_panel.stop()
        assert [batch async for batch in looking] == []
    await agent.write(server_id, *numbered(10, 2000))
    await own_panel.start()
    agent.url = own_panel.agents_url
    await own_panel.connected(agent)
    async with consoles_of(own_panel).watch(agent.node_id, server_id, position) as looking:
        await agent.write(server_id, *numbered(2000, 2010))
        found += await next_lines(looking, 2000)
    assert found == numbered(0, 2010)


async def test_a_viewer_waits_for_a_node_that_is_away(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    await agent.go()
    await panel.sees_node(agent, online=False)
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        waiting = asyncio.create_task(next_lines(looking, 3))
        await agent.write(server_id, *numbered(0, 2))
        await agent.come()
        await attached(agent, server_id)
        await agent.write(server_id, *numbered(2, 3))
        assert await waiting == numbered(0, 3)


async def test_lines_written_while_the_line_to_the_node_was_cut_come_after(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        await agent.write(server_id, *numbered(0, 3))
        found = await next_lines(looking, 3)
        agent.consoles[server_id].texts += numbered(3, 700)
        await agent.come()
        await attached(agent, server_id)
        await agent.write(server_id, *numbered(700, 705))
        found += await next_lines(looking, 702)
    assert found == numbered(0, 705)
    assert agent.consoles[server_id].asked[-1]["since"] == 3


async def test_a_node_that_lost_its_last_lines_gives_their_numbers_again(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        await agent.write(server_id, *numbered(0, 10))
        assert await next_lines(looking, 10) == numbered(0, 10)
        await agent.go()
        del agent.consoles[server_id].texts[7:]
        await agent.come()
        await until(lambda: agent.consoles[server_id].told == 7)
        await agent.write(server_id, "seven again")
        assert await next_lines(looking, 1) == ["seven again"]
        await agent.write(server_id, "eight again")
        assert await next_lines(looking, 1) == ["eight again"]


async def test_a_node_that_is_another_machine_begins_anew(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        await agent.write(server_id, *numbered(0, 10))
        assert await next_lines(looking, 10) == numbered(0, 10)
        await agent.go()
        del agent.consoles[server_id]
        agent.spool_id, agent.seq, agent.spool = "another", 0, []
        await agent.write(server_id, *(f"new {number}" for number in range(20)))
        await agent.come()
        assert await next_lines(looking, 20) == [f"new {number}" for number in range(20)]


async def test_an_offset_of_a_console_that_is_no_more_is_as_none(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *numbered(0, 3))
    async with consoles_of(panel).watch(agent.node_id, server_id, 5000) as looking:
        assert await next_lines(looking, 3) == numbered(0, 3)


async def test_a_hole_in_what_is_told_is_filled_from_the_history(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        agent.consoles[server_id].texts += numbered(0, 900)
        agent.consoles[server_id].told = 900
        await agent.write(server_id, *numbered(900, 905))
        assert await next_lines(looking, 905) == numbered(0, 905)


async def test_a_gap_of_unknown_length_is_told_once(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        away = {"offset": 0, "lines": 0, "lost": "away"}
        event = {"type": "event", "event": "console", "data": {"serverId": server_id, "parts": [away]}}
        await agent.send(event)
        await agent.send(event)
        await agent.write(server_id, "back")
        async with asyncio.timeout(5):
            batch = await anext(looking)
    assert [(part.offset, part.lost) for part in batch.parts] == [(0, Loss.AWAY), (0, None)]


async def test_who_is_too_slow_is_told_what_was_left_out(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "MOST_BEHIND_BYTES", 1024 * 1024)
    agent, server_id = await game(panel)
    long = "x" * 1000
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        await agent.write(server_id, "begun")
        await next_lines(looking, 1)
        async with consoles_of(panel).watch(agent.node_id, server_id, 1) as quick:
            for _ in range(10):
                await agent.write(server_id, *[long] * 300)
                assert await next_lines(quick, 300) == [long] * 300
        batches = [await anext(looking)]
        while batches[-1].next < 3001:
            batches.append(await anext(looking))
    (skipped,) = batches[0].parts
    assert (skipped.offset, skipped.lost, skipped.text) == (1, Loss.SKIPPED, None)
    assert sum(part.lines for batch in batches for part in batch.parts) == 3000
    assert sum(batch.size for batch in batches) <= 600 * 1024


async def test_who_is_a_little_slow_reads_the_history(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await attached(agent, server_id)
        written = [f"{number} {'x' * 1000}" for number in range(2000)]
        async with consoles_of(panel).watch(agent.node_id, server_id, 0) as quick:
            await agent.write(server_id, *written)
            await next_lines(quick, 2000)
        assert await next_lines(looking, 2000) == written
    assert any(asked["action"] == "console_history" for asked in agent.consoles[server_id].asked)


async def test_a_thousand_viewers_share_each_batch_and_the_node_tells_it_once(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *numbered(0, 3000))
    got: list[list[Batch]] = [[] for _ in range(1000)]

    async def look(seen: list[Batch]) -> None:
        async with consoles_of(panel).watch(agent.node_id, server_id, 2000) as looking:
            async for batch in looking:
                seen.append(batch)
                if batch.next >= 4000:
                    return

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for seen in got:
            group.create_task(look(seen))
        await attached(agent, server_id)
        await agent.write(server_id, *numbered(3000, 4000))
    assert [line for batch in got[0] for line in lines_of(batch)] == numbered(2000, 4000)
    assert all(seen == got[0] for seen in got)
    asked = [each["action"] for each in agent.consoles[server_id].asked]
    assert (asked.count("console_attach"), asked.count("console_history")) == (1, 2)


async def test_the_node_is_asked_to_tell_it_no_more_a_while_after_the_last_has_gone(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LINGER_S", 0.1)
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id):
        await attached(agent, server_id)
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        await agent.write(server_id, "still there")
        assert await next_lines(looking, 1) == ["still there"]
    await until(lambda: agent.consoles[server_id].told is None)
    asked = [each["action"] for each in agent.consoles[server_id].asked]
    assert asked.count("console_attach") == 1
    assert asked[-1] == "console_detach"


async def test_viewers_of_a_deleted_server_end(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        await attached(agent, server_id)
        await admin.operation(await admin.delete(f"/api/servers/{server_id}", 202))
        async with asyncio.timeout(5):
            assert [batch async for batch in looking] == []


async def test_a_viewer_of_a_part_1_node_sees_what_it_tells(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(knows_send_command=True))
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/command", {"command": "before"})
    await until(lambda: consoles_of(panel).memory.holds(agent.node_id, server_id))
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        assert await next_lines(looking, 1) == ["[game] before"]
        await admin.done(f"/api/servers/{server_id}/command", {"command": "after"})
        assert await next_lines(looking, 1) == ["[game] after"]
        position = looking.position
    await admin.done(f"/api/servers/{server_id}/command", {"command": "meanwhile"})
    async with consoles_of(panel).watch(agent.node_id, server_id, position) as looking:
        assert await next_lines(looking, 1) == ["[game] meanwhile"]


async def test_who_was_slow_is_told_at_once_what_there_is_besides(panel: PanelUnderTest) -> None:
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        await attached(agent, server_id)
        for number in range(5):
            await agent.write(server_id, f"line {number}")
        console = looking._feed
        await until(lambda: console.ring is not None and console.ring.end == 5)
        async with consoles_of(panel).watch(agent.node_id, server_id, 0) as another:
            together = await anext(looking)
            assert lines_of(together) == numbered(0, 5)
            assert await anext(another) is together
        await agent.write(server_id, "line 5")
        assert await next_lines(looking, 1) == ["line 5"]


async def test_who_is_told_is_not_woken_again_before_others_had_their_turn(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "REST", 1e9)
    agent, server_id = await game(panel)
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        console, at_first = looking._feed, looking._feed.changed
        await until(lambda: console.changed is not at_first)
        woken = console.changed
        for number in range(3):
            await agent.write(server_id, f"line {number}")
        await until(lambda: console.ring is not None and console.ring.end == 3)
        assert console.changed is woken
