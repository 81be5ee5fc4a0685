"""Servers whose creation failed: changed without their node, and created once more."""

from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, Person, until
from tests.panel.test_part2_revisions import has_taken, port, ports_held
from tests.panel.test_surface_changes import held

from ctrl_alt_play.panel.servers.endings import KEPT_UNTIL_INSTALLED


async def not_made(panel: PanelUnderTest, agent: Part2Agent, **more: Any) -> str:
    """The id of a server whose creation failed."""
    agent.unfinished.add("create_server")
    creation = await panel.admin.post("/api/servers", panel.new(agent, **more))
    server_id = str(creation["server_id"])
    error = "There is no such image."
    await agent.event(
        "server_status_changed", {"serverId": server_id, "currentStatus": "create_failed", "error": error}
    )
    await agent.end(agent.commands("create_server")[-1], ("IMAGE_NOT_FOUND", error))
    assert (await panel.admin.operation(creation))["state"] == "failed"
    agent.unfinished.clear()
    await panel.admin.sees(server_id, "INSTALL_FAILED")
    return server_id


async def test_a_server_that_was_not_made_is_changed_at_once_and_made_of_the_newest(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await not_made(panel, agent, ports=[port(3201)])
    change = {"image": "games/there:1", "ports": [port(3202)]}
    operation = await admin.patch(f"/api/servers/{server_id}", change, 202)
    assert (operation["state"], operation["message"]) == ("succeeded", KEPT_UNTIL_INSTALLED)
    assert not agent.commands("update_server")
    assert await ports_held(panel, server_id) == {3202}
    made = await admin.done(f"/api/servers/{server_id}/reinstall")
    assert (made["kind"], made["server_id"]) == ("reinstall", server_id)
    sent = agent.commands("reinstall_server")[-1]["payload"]
    assert (sent["wipe"], sent["specification"]["image"], sent["specification"]["revision"]) == (
        False,
        "games/there:1",
        2,
    )
    await has_taken(panel, server_id, 2)
    assert await admin.status(server_id) == "OFFLINE"
    problem = await admin.post(f"/api/servers/{server_id}/reinstall", status=409)
    assert (problem["code"], problem["detail"]) == (
        "SERVER_INSTALLED",
        "The server is installed, and has no installer: there is nothing to do.",
    )


async def test_a_reinstallation_can_fail_again_and_be_repeated(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await not_made(panel, agent)
    agent.refusals["reinstall_server"] = ("INSUFFICIENT_RESOURCES", "The disk is full.")
    await admin.post(f"/api/servers/{server_id}/reinstall", status=503)
    assert await admin.status(server_id) == "INSTALL_FAILED"
    agent.refusals.clear()
    agent.unfinished.add("reinstall_server")
    operation = await admin.post(f"/api/servers/{server_id}/reinstall")
    assert await admin.status(server_id) == "INSTALLING"
    problem = await admin.post(f"/api/servers/{server_id}/reinstall", status=409)
    assert problem["code"] == "SERVER_INSTALLING"
    command = agent.commands("reinstall_server")[-1]
    agent.servers[server_id] = {"revision": 1}
    await agent.become(server_id, "created")
    await agent.end(command)
    assert (await admin.operation(operation))["state"] == "succeeded"


async def test_a_reinstallation_on_a_node_that_is_away_leaves_the_server(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await not_made(panel, agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert (await admin.patch(f"/api/servers/{server_id}", {"image": "games/there:1"}, 202))["state"] == "succeeded"
    problem = await admin.post(f"/api/servers/{server_id}/reinstall", status=503)
    assert problem["code"] == "AGENT_OFFLINE"
    assert await admin.status(server_id) == "INSTALL_FAILED"
    await panel.connected(agent)

    async def is_made() -> bool:
        answer = await admin.api.post(f"/api/servers/{server_id}/reinstall")
        return answer.status_code == 202

    await until(is_made)
    await has_taken(panel, server_id, 2)


async def test_a_server_on_hold_is_not_reinstalled(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await not_made(panel, agent)
    assert (await held(admin, server_id, "suspended"))["message"] == KEPT_UNTIL_INSTALLED
    assert (await admin.post(f"/api/servers/{server_id}/reinstall", status=409))["code"] == "SERVER_ON_HOLD"
    await held(admin, server_id, "none")
    await admin.done(f"/api/servers/{server_id}/reinstall")
    await has_taken(panel, server_id, 3)


async def test_a_server_that_its_node_lost_is_made_once_more(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    agent.servers.clear()
    await panel.connected(agent)

    async def is_gone() -> bool:
        return bool((await admin.get(f"/api/servers/{server_id}"))["observed"] == "absent")

    await until(is_gone)
    await admin.done(f"/api/servers/{server_id}/reinstall")
    await has_taken(panel, server_id, 1)


async def test_a_server_that_an_older_agent_did_not_make_is_changed_and_made_once_more(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent: ForeignAgent = await panel.connected(await panel.agent(unfinished={"create_server"}))
    creation = await admin.post("/api/servers", panel.new(agent))
    server_id = creation["server_id"]
    await agent.event("server_status_changed", {"serverId": server_id, "status": "create_failed", "error": "no"})
    assert (await admin.operation(creation))["state"] == "failed"
    agent.unfinished = set()
    assert (await admin.patch(f"/api/servers/{server_id}", {"image": "games/there:1"}, 202))["state"] == "succeeded"
    await admin.done(f"/api/servers/{server_id}/reinstall")
    await admin.sees(server_id, "OFFLINE")


@pytest.mark.parametrize("force", [False, True])
async def test_what_to_do_with_a_server_whose_node_is_gone_is_said(
    panel: PanelUnderTest, admin: Person, *, force: bool
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    if force:
        assert (await admin.delete(f"/api/servers/{server_id}?force=true", 202))["state"] == "succeeded"
        return
    problem = await admin.delete(f"/api/servers/{server_id}", 503)
    assert problem["code"] == "AGENT_OFFLINE"
    assert "--force" in problem["detail"]
    assert "force=true" in problem["detail"]
