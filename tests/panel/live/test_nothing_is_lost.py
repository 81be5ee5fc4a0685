"""Snapshots and changes, events and lines: each once, whatever happens in between."""

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.panel.live.support import Viewer, sent_events, token_of
from tests.panel.support import PanelUnderTest, Person, unique, until

from ctrl_alt_play.panel.live import events, hub, views
from ctrl_alt_play.panel.models import Server


async def game(panel: PanelUnderTest, owner: Person | None = None) -> tuple[Part2Agent, str]:
    agent = await panel.connected(await panel.part2_agent())
    return agent, await panel.server(agent, owner)


async def crash(agent: Part2Agent, server_id: str, count: int = 1) -> None:
    for _ in range(count):
        await agent.event("players_changed", {"serverId": server_id, "online": agent.seq})


def ids(viewer: Viewer, topic: str) -> list[int]:
    return [one["id"] for one in viewer.of(topic, "event")]


async def all_ids(person: Person, server_id: str) -> list[int]:
    """As the database has them."""
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await person.get(f"/api/servers/{server_id}/events", limit=200, **({"cursor": cursor} if cursor else {}))
        found += [event["id"] for event in page["items"]]
        cursor = page["next_cursor"]
    return found[::-1]


async def test_events_go_on_after_a_cut_each_once_and_in_order(own_panel: PanelUnderTest) -> None:
    agent, server_id = await game(own_panel)
    topic = f"server:{server_id}"
    telling = asyncio.create_task(crash(agent, server_id, 600))
    seen: list[int] = []
    place = 0
    while not telling.done() or seen != await all_ids(own_panel.admin, server_id):
        async with Viewer(own_panel, own_panel.admin) as viewer:
            await viewer.subscribe(topic, after=place)
            await until(lambda viewer=viewer: len(ids(viewer, topic)) >= 50 or telling.done())
        seen += ids(viewer, topic)
        place = seen[-1] if seen else 0
        assert seen == sorted(set(seen))
    assert len(seen) >= 600


async def test_more_events_at_once_than_are_kept_are_read_from_the_database(own_panel: PanelUnderTest) -> None:
    agent, server_id = await game(own_panel)
    topic = f"server:{server_id}"
    async with Viewer(own_panel, own_panel.admin) as viewer:
        await viewer.subscribe(topic)
        hub = own_panel.app.state.live
        async with hub._turn:
            await crash(agent, server_id, 2 * events.MOST_KEPT)
            await until(lambda: agent.acked == agent.seq)
        await until(lambda: len(ids(viewer, topic)) == 2 * events.MOST_KEPT)
        await crash(agent, server_id, 3)
        await until(lambda: len(ids(viewer, topic)) == 2 * events.MOST_KEPT + 3)
        assert ids(viewer, topic) == (await all_ids(own_panel.admin, server_id))[-len(ids(viewer, topic)) :]


async def test_a_place_that_never_was_is_the_newest(panel: PanelUnderTest, owner: Person) -> None:
    agent, server_id = await game(panel, owner)
    topic = f"server:{server_id}"
    newest = (await all_ids(owner, server_id))[-1]
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe(topic, after=2**53)
        assert viewer.of(topic, "subscribed")[0]["id"] == newest
        await crash(agent, server_id)
        await until(lambda: len(ids(viewer, topic)) == 1)


async def _walk(panel: PanelUnderTest, owner: Person, agents: list[Part2Agent], steps: int) -> None:
    """Servers are made, renamed, started, stopped and deleted."""
    dice = random.Random(4)  # noqa: S311 - a walk that can be walked again
    servers = [await panel.server(agent, owner) for agent in agents for _ in range(4)]
    for _ in range(steps):
        server_id, what = dice.choice(servers), dice.randrange(5)
        if what == 0 and len(servers) > 6:
            servers.remove(server_id)
            await panel.admin.operation(await panel.admin.delete(f"/api/servers/{server_id}", 202))
        elif what == 1:
            servers.append(await panel.server(dice.choice(agents), owner))
        elif what == 2:
            await panel.admin.patch(f"/api/servers/{server_id}", {"name": unique("walked")}, 202)
        else:
            await owner.post(f"/api/servers/{server_id}/{dice.choice(['start', 'stop', 'restart'])}")


async def test_whoever_subscribes_while_all_changes_ends_with_what_the_database_has(
    own_panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of two, so that most changes come between them."""
    monkeypatch.setattr(views, "PAGE", 2)
    panel, admin = own_panel, own_panel.admin
    owner = await panel.person("olga")
    agents = [await panel.connected(await panel.part2_agent()) for _ in range(3)]
    walking = asyncio.create_task(_walk(panel, owner, agents, 60))
    async with AsyncExitStack() as stack:
        viewers: list[Viewer] = []
        while not walking.done():
            for person in (admin, owner) if len(viewers) < 40 else ():
                viewers.append(await stack.enter_async_context(Viewer(panel, person)))
                for topic in ("servers", "operations"):
                    await viewers[-1].say(subscribe=topic)
            await asyncio.wait([walking], timeout=0.1)
        await walking

        async def agree() -> bool:
            truths = [await _truth(person) for person in (admin, owner)]
            return all(_lasting(each.listed("servers")) == truths[at % 2] for at, each in enumerate(viewers))

        await until(agree, 10)
        for viewer in viewers:
            await until(lambda viewer=viewer: all(one["finished_at"] for one in viewer.listed("operations").values()))
        assert len(viewers) >= 6


async def _truth(person: Person) -> dict[str, Any]:
    return _lasting({one["id"]: one for one in (await person.get("/api/servers", limit=200))["items"]})


def _lasting(servers: dict[str, Any]) -> dict[str, Any]:
    """Without when their nodes were last heard of, which is not told by itself."""
    return {id_: {**view, "observed_at": None} for id_, view in servers.items()}


async def test_what_cannot_be_told_keeps_nothing_else_waiting(panel: PanelUnderTest, owner: Person) -> None:
    """A server that no view can be made of, and names that no server has."""
    agent, good = await game(panel, owner)
    bad = await panel.server(agent, owner)
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe("servers")
        async with panel.app.state.database.writing() as session:
            for id_ in (bad, good):
                (await session.get(Server, id_)).name = "renamed"
            (await session.get(Server, bad)).observed = "nonsense"
        told = {"commandId": "\x00", "serverId": "\x00", "phase": "pull"}
        await agent.send({"type": "event", "event": "operation_progress", "data": told})
        await until(lambda: viewer.listed("servers")[good]["name"] == "renamed")
        async with panel.app.state.database.writing() as session:
            (await session.get(Server, bad)).observed = "stopped"
        await until(lambda: viewer.listed("servers")[bad]["name"] == "renamed")


async def test_what_is_told_waits_for_a_database_that_is_away(
    panel: PanelUnderTest, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, server_id = await game(panel, owner)
    database = panel.app.state.database
    reading, failures = database.reading, iter([True] * 3)

    def away() -> Any:
        if next(failures, False):
            raise OSError("the database is away")
        return reading()

    async def is_reachable() -> bool:
        return False

    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe("servers")
        monkeypatch.setattr(hub, "RETRY_S", 0.01)
        monkeypatch.setattr(database, "is_reachable", is_reachable)
        async with panel.app.state.live._turn, database.writing() as session:
            (await session.get(Server, server_id)).name = "renamed"
        monkeypatch.setattr(database, "reading", away)
        await until(lambda: viewer.listed("servers")[server_id]["name"] == "renamed")


async def test_a_console_goes_on_after_a_cut_line_for_line(panel: PanelUnderTest, owner: Person) -> None:
    agent, server_id = await game(panel, owner)
    topic = f"console:{server_id}"
    await agent.write(server_id, *(f"line {number}" for number in range(50)))
    seen: list[str] = []
    after: dict[str, int] = {}
    for start in range(50, 1050, 100):
        async with Viewer(panel, owner) as viewer:
            await viewer.subscribe(topic, **after)
            writing = asyncio.create_task(agent.write(server_id, *(f"line {n}" for n in range(start, start + 100))))
            await viewer.sees(topic, "lines")
            await writing
        for one in viewer.of(topic, "lines"):
            seen += [line for part in one["data"]["parts"] for line in part["text"].split("\n")]
            after = {"after": one["id"]}
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe(topic, **after)
        if after["after"] < 1050:
            await until(lambda: viewer.of(topic, "lines") and viewer.of(topic, "lines")[-1]["id"] == 1050)
        for one in viewer.of(topic, "lines"):
            seen += [line for part in one["data"]["parts"] for line in part["text"].split("\n")]
    assert seen == [f"line {number}" for number in range(1050)]


async def test_scripts_go_on_by_the_last_events_id(panel: PanelUnderTest, owner: Person) -> None:
    agent, server_id = await game(panel, owner)
    topics = [f"server:{server_id}", "servers", f"console:{server_id}"]
    headers = {"Last-Event-ID": f"server:{server_id}=0"}
    seen: list[int] = []
    for _ in range(5):
        async with panel.client(token_of(owner)) as api:
            request = api.stream("GET", "/api/live/events", params={"topic": topics}, headers=headers)
            async with request as stream:
                await crash(agent, server_id, 10)
                await agent.write(server_id, "a line")
                async for id_, told in sent_events(stream):
                    headers = {"Last-Event-ID": id_}
                    seen += [told["id"]] if told["kind"] == "event" else []
                    if told["kind"] == "event" and len(seen) % 7 == 0:
                        break
    assert f"server:{server_id}={seen[-1]}" in headers["Last-Event-ID"]
    assert seen == (await all_ids(owner, server_id))[: len(seen)]
    assert len(seen) == 35
