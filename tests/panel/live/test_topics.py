"""Each topic: what it begins with, and what it goes on with."""

from typing import Any

from tests.fakes.part2_agent import Part2Agent
from tests.panel.live.support import Viewer
from tests.panel.support import PanelUnderTest, Person, unique, until

from ctrl_alt_play.panel.permissions import granted


async def test_a_server_is_told_as_it_is_and_then_as_it_changes(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    topic = f"server:{server_id}"
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe(topic)
        (first,) = await viewer.sees(topic, "server")
        assert first["data"] == await owner.get(f"/api/servers/{server_id}")
        assert "id" in viewer.of(topic, "subscribed")[0]
        started = await owner.done(f"/api/servers/{server_id}/start")
        await until(lambda: viewer.of(topic, "server")[-1]["data"]["status"] == "RUNNING")
        await until(lambda: viewer.of(topic, "operation")[-1]["data"]["state"] == "succeeded")
        assert viewer.of(topic, "operation")[-1]["data"] == started
        events = await viewer.sees(topic, "event")
        assert {event["data"]["kind"] for event in events} & {"server_status_changed", "command_completed"}
        assert [event["id"] for event in events] == sorted(event["data"]["id"] for event in events)


async def test_a_list_of_servers_follows_what_is_made_changed_and_deleted(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    first = await panel.server(agent, owner)
    async with Viewer(panel, panel.admin) as admin, Viewer(panel, owner) as viewer:
        for each in (admin, viewer):
            await each.subscribe("servers")
        assert first in viewer.listed("servers")
        second = await panel.server(agent, owner)
        await panel.admin.patch(f"/api/servers/{first}", {"name": "renamed"}, 202)
        for each in (admin, viewer):
            await until(lambda each=each: each.listed("servers").get(second, {}).get("status") == "OFFLINE")
            await until(lambda each=each: each.listed("servers")[first]["name"] == "renamed")
        await panel.admin.operation(await panel.admin.delete(f"/api/servers/{first}", 202))
        for each in (admin, viewer):
            await until(lambda each=each: first not in each.listed("servers"))


async def test_a_node_that_goes_changes_its_servers_too(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    async with Viewer(panel, panel.admin) as viewer:
        for topic in ("nodes", f"node:{agent.node_id}", "servers", f"server:{server_id}"):
            await viewer.subscribe(topic)
        await agent.go()
        await until(lambda: viewer.listed("servers")[server_id]["status"] == "UNKNOWN")
        await until(lambda: viewer.of(f"server:{server_id}", "server")[-1]["data"]["status"] == "UNKNOWN")
        await until(lambda: not viewer.listed("nodes")[agent.node_id]["online"])
        await until(lambda: not viewer.of(f"node:{agent.node_id}", "node")[-1]["data"]["online"])


async def test_nodes_come_and_go(panel: PanelUnderTest) -> None:
    async with Viewer(panel, panel.admin) as viewer:
        await viewer.subscribe("nodes")
        node_id = unique("node")
        await panel.admin.post("/api/nodes", {"id": node_id, "name": "A node"}, status=201)
        await until(lambda: node_id in viewer.listed("nodes"))
        await viewer.subscribe(f"node:{node_id}")
        await panel.admin.delete(f"/api/nodes/{node_id}")
        await until(lambda: node_id not in viewer.listed("nodes"))
        assert await viewer.sees(f"node:{node_id}", "removed")


async def progress(agent: Part2Agent, operation: dict[str, Any], percent: int) -> None:
    told = {"commandId": operation["id"], "serverId": operation["server_id"], "phase": "pull", "percent": percent}
    await agent.send({"type": "event", "event": "operation_progress", "data": told})


async def test_operations_are_told_with_their_progress_which_is_gathered(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server"}))
    server_id = await panel.server(agent, owner)
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe("operations")
        await viewer.subscribe(f"server:{server_id}")
        operation = await owner.post(f"/api/servers/{server_id}/start")
        for percent in range(100):
            await progress(agent, operation, percent)
        await until(lambda: viewer.of(f"server:{server_id}", "operation"))
        for topic in ("operations", f"server:{server_id}"):
            await until(lambda topic=topic: _percent(viewer, topic) == 99)
        assert len(viewer.of("operations", "changed")) < 20


def _percent(viewer: Viewer, topic: str) -> float | None:
    told = [one["data"]["progress"] for one in viewer.of(topic) if one["kind"] in ("changed", "operation")]
    return told[-1]["percent"] if told and told[-1] else None


async def test_who_says_their_token_first_needs_no_header(panel: PanelUnderTest, owner: Person) -> None:
    async with Viewer(panel, owner, by_header=False) as viewer:
        await viewer.subscribe("servers")
        assert viewer.frames[0] == {"kind": "hello", "user": owner.username, "permissions": granted(is_admin=False)}
        assert viewer.of("servers")[0]["kind"] == "page"


async def test_pings_are_answered(panel: PanelUnderTest, owner: Person) -> None:
    async with Viewer(panel, owner) as viewer:
        await viewer.say(ping=7)
        await until(lambda: {"kind": "pong", "pong": 7} in viewer.frames)
