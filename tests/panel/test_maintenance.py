"""A node in maintenance holds its servers down, also those of whom it hears only later, and lets them go when it is over."""

from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.servers.revisions.FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("ctrl_alt_play.panel.servers.revisions.LONGEST_PAUSE_S", 0.1)


async def become(admin: Person, agent: Part2Agent, openness: str, status: int = 200) -> Any:
    return await admin.patch(f"/api/nodes/{agent.node_id}", {"openness": openness}, status)


async def hold(admin: Person, server_id: str, hold: str, status: int = 202) -> Any:
    response = await admin.api.put(f"/api/servers/{server_id}/hold", json={"hold": hold})
    assert response.status_code == status, response.text
    return response.json()


async def held(admin: Person, server_id: str) -> str:
    return str((await admin.get(f"/api/servers/{server_id}"))["hold"])


async def has_taken_all(admin: Person, *server_ids: str) -> None:
    async def so() -> bool:
        found = [await admin.get(f"/api/servers/{server_id}") for server_id in server_ids]
        return all(each["node_revision"] == each["revision"] for each in found)

    await until(so)


def told_holds(agent: Part2Agent, server_id: str) -> list[str]:
    return [
        frame["payload"]["hold"]
        for frame in agent.commands("update_server")
        if (frame.get("serverId") or frame.get("server_id")) == server_id
    ]


async def test_servers_are_held_while_it_lasts_and_keep_what_is_wanted_of_them(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    plain, suspended, own = [await panel.server(agent) for _ in range(3)]
    await admin.done(f"/api/servers/{plain}/start")
    await hold(admin, suspended, "suspended")
    await hold(admin, own, "maintenance")
    view = await become(admin, agent, "maintenance")
    assert (view["openness"], view["health"]["id"]) == ("maintenance", "openness")
    assert [await held(admin, one) for one in (plain, suspended, own)] == ["maintenance", "suspended", "maintenance"]
    await has_taken_all(admin, plain, suspended, own)
    assert told_holds(agent, plain) == ["maintenance"]
    assert (await admin.get(f"/api/servers/{plain}"))["desired"] == "on"
    await admin.post(f"/api/servers/{plain}/start", status=409)
    view = await become(admin, agent, "draining")
    assert [await held(admin, one) for one in (plain, suspended, own)] == ["none", "suspended", "maintenance"]
    await has_taken_all(admin, plain)
    assert told_holds(agent, plain) == ["maintenance", "none"]
    assert (await become(admin, agent, "open"))["health"]["id"] != "openness"


async def test_a_node_that_is_away_takes_it_over_when_it_comes(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    await become(admin, agent, "maintenance")
    assert await held(admin, server_id) == "maintenance"
    await agent.come()
    await has_taken_all(admin, server_id)
    assert told_holds(agent, server_id) == ["maintenance"]


async def test_a_server_is_not_released_before_its_node(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id, suspended = await panel.server(agent), await panel.server(agent)
    await hold(admin, suspended, "suspended")
    await become(admin, agent, "maintenance")
    refused = await hold(admin, server_id, "none", 409)
    assert refused["code"] == "NODE_IN_MAINTENANCE"
    await hold(admin, suspended, "none")
    assert await held(admin, suspended) == "maintenance"
    await hold(admin, server_id, "suspended")
    await become(admin, agent, "open")
    assert [await held(admin, one) for one in (suspended, server_id)] == ["none", "suspended"]


async def test_a_server_that_is_being_made_is_held_once_it_is(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"create_server"}))
    operation = await admin.post("/api/servers", panel.new(agent))
    await become(admin, agent, "maintenance")
    server_id = operation["server_id"]
    assert await held(admin, server_id) == "maintenance"
    (command,) = agent.commands("create_server")
    await agent.become(server_id, "created")
    await agent.end(command, revision=1)
    await has_taken_all(admin, server_id)
    assert told_holds(agent, server_id) == ["maintenance"]


async def test_an_agent_that_cannot_hold_servers_has_no_maintenance(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    await panel.server(agent)
    refused = await admin.patch(f"/api/nodes/{agent.node_id}", {"openness": "maintenance"}, 409)
    assert refused["code"] == "AGENT_TOO_OLD"
    assert (await admin.get(f"/api/nodes/{agent.node_id}"))["openness"] == "open"
    await admin.patch(f"/api/nodes/{agent.node_id}", {"openness": "draining"})


async def test_what_is_adopted_meanwhile_is_held_as_well(panel: PanelUnderTest, admin: Person) -> None:
    orphan: dict[str, Any] = {
        "serverId": "lost",
        "containerId": "c1",
        "state": "running",
        "image": "quake",
        "isAdoptable": True,
    }
    orphan["specification"] = {"image": "games/quake:1"}
    agent = await panel.connected(await panel.part2_agent(orphans=[orphan]))

    async def is_told() -> bool:
        return bool((await admin.get(f"/api/nodes/{agent.node_id}"))["orphans"])

    await until(is_told)
    await become(admin, agent, "maintenance")
    await admin.done(f"/api/nodes/{agent.node_id}/orphans/lost/adopt", {"name": "found"})
    assert await held(admin, "lost") == "maintenance"
    await has_taken_all(admin, "lost")
