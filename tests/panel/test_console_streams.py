"""Consoles as server-sent events: they go on where they were cut, show signs of life, end with their viewer, the right to them, and the panel."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.panel.support import PanelUnderTest, Person, narrow_socket, until
from tests.panel.test_console_viewers import attached, consoles_of, game, next_lines, numbered

from ctrl_alt_play.panel.consoles import stream


async def events(person: Person, server_id: str, **headers: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    path = f"/api/servers/{server_id}/console/stream"
    async with asyncio.timeout(10), person.api.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        data = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                data = value
            elif name == "id":
                yield value, json.loads(data)


async def test_a_stream_goes_on_where_it_was_cut(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *numbered(0, 3))
    id_, batch = await anext(events(admin, server_id))
    assert (id_, batch["parts"][0]["text"]) == ("3", "line 0\nline 1\nline 2")
    await agent.write(server_id, "line 3")
    id_, batch = await anext(events(admin, server_id, **{"Last-Event-ID": id_}))
    assert (id_, batch["parts"][0]["text"]) == ("4", "line 3")


async def test_a_stream_ends_when_the_right_to_it_does(panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOKED_AT_EVERY_S", 0.05)
    watcher = await panel.person("wanda")
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, watcher)
    await agent.write(server_id, "hello")
    seen: list[str] = []

    async def look() -> None:
        async for id_, _ in events(watcher, server_id):
            seen.append(id_)

    looking = asyncio.create_task(look())
    await until(lambda: seen)
    await panel.admin.patch(f"/api/users/{watcher.id}", {"password": "another correct horse"})
    await looking


async def test_a_stream_in_which_nothing_comes_has_signs_of_life(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LOOKED_AT_EVERY_S", 0.05)
    _, server_id = await game(panel)
    async with asyncio.timeout(10), admin.api.stream("GET", f"/api/servers/{server_id}/console/stream") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(4)] == [": ping", "", ": ping", ""]


async def test_a_stream_ends_when_its_viewer_leaves(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, "hello")
    async with consoles_of(panel).watch(agent.node_id, server_id) as looking:
        reading = events(admin, server_id)
        await anext(reading)
        assert looking._feed.viewers == 2
        await reading.aclose()
        await until(lambda: looking._feed.viewers == 1)


async def test_a_stream_that_nobody_reads_delays_no_other_and_ends_when_the_right_to_it_does(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LOOKED_AT_EVERY_S", 0.05)
    watcher = await panel.person("wilma")
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, watcher)
    asked = f"GET /api/servers/{server_id}/console/stream?after=0 HTTP/1.1\r\nHost: panel\r\n"
    _, writer = await asyncio.open_connection(sock=narrow_socket(panel))
    async with consoles_of(panel).watch(agent.node_id, server_id, 0) as looking:
        writer.write(f"{asked}Authorization: {watcher.api.headers['Authorization']}\r\n\r\n".encode())
        await attached(agent, server_id)
        await until(lambda: looking._feed.viewers == 2)
        for _ in range(100):  # more than the sockets between them hold
            await agent.write(server_id, *["x" * 1000] * 100)
            assert len(await next_lines(looking, 100)) == 100
        assert looking._feed.viewers == 2
        await panel.admin.patch(f"/api/users/{watcher.id}", {"password": "another correct horse"})
        await until(lambda: looking._feed.viewers == 1)
    writer.close()


async def test_a_stream_ends_with_the_panel(own_panel: PanelUnderTest) -> None:
    agent, server_id = await game(own_panel)
    await agent.write(server_id, "hello")
    seen: list[str] = []

    async def look() -> None:
        async for id_, _ in events(own_panel.admin, server_id):
            seen.append(id_)

    looking = asyncio.create_task(look())
    await until(lambda: seen)
    await own_panel.stop()
    await looking
