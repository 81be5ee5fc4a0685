"""Servers with an installer: what people see while it runs and after it failed, and how it is run once more."""

from datetime import datetime, timedelta
from typing import Any

from tests.fakes.part2_agent import Part2Agent
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, Person

INSTALLER = {"image": "games/installer:1", "script": "curl -O https://example.org/game.jar"}
FAILED = "The installer failed with exit code 3, after 2 s.\nno such release"
EMPTY = "The installer ended well, but left no file."


async def reinstalling(admin: Person, agent: Part2Agent, server_id: str, *, wipe: bool = False) -> dict[str, Any]:
    """A reinstallation whose installer is at work."""
    agent.unfinished.add("reinstall_server")
    operation: dict[str, Any] = await admin.post(f"/api/servers/{server_id}/reinstall", {"wipe": wipe})
    await agent.become(server_id, "absent", desired="off")
    await admin.sees(server_id, "INSTALLING")
    return operation


async def test_a_server_is_reinstalled_by_its_owner(panel: PanelUnderTest, owner: Person, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner, installer=INSTALLER)
    assert (await owner.get(f"/api/servers/{server_id}"))["has_installer"] is True
    operation = await reinstalling(owner, agent, server_id, wipe=True)
    command = agent.commands("reinstall_server")[-1]
    assert command["payload"]["wipe"] is True
    assert command["payload"]["specification"]["installer"]["script"] == INSTALLER["script"]
    problem = await owner.post(f"/api/servers/{server_id}/reinstall", status=409)
    assert problem["code"] == "SERVER_INSTALLING"
    await agent.become(server_id, "created")
    await agent.end(command, revision=1, warning=EMPTY)
    ended = await owner.operation(operation)
    assert (ended["kind"], ended["state"], ended["message"]) == ("reinstall", "succeeded", EMPTY)
    assert await owner.status(server_id) == "OFFLINE"


async def test_a_failed_reinstallation_is_explained_and_tried_again(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, installer=INSTALLER)
    operation = await reinstalling(admin, agent, server_id)
    await agent.end(agent.commands("reinstall_server")[-1], ("INSTALL_FAILED", FAILED))
    assert (await admin.operation(operation))["code"] == "INSTALL_FAILED"
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["status"], server["last_error"]) == ("INSTALL_FAILED", FAILED)
    assert server["detail"] == "not installed: The installer failed with exit code 3, after 2 s."
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert await admin.status(server_id) == "INSTALL_FAILED"
    await panel.connected(agent)
    await admin.sees(server_id, "INSTALL_FAILED")
    agent.unfinished.clear()
    await admin.done(f"/api/servers/{server_id}/reinstall")
    assert await admin.status(server_id) == "OFFLINE"


async def test_a_reinstallation_goes_on_while_its_node_is_away(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, installer=INSTALLER)
    operation = await reinstalling(admin, agent, server_id)
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert await admin.status(server_id) == "UNKNOWN"
    agent.servers[server_id]["observed"] = "created"
    agent.write_down("server_status_changed", {"serverId": server_id, "currentStatus": "created"})
    command = {"id": operation["id"], "action": "reinstall_server", "serverId": server_id}
    data = {"commandId": command["id"], "action": command["action"], "serverId": server_id, "success": True}
    agent.write_down("command_completed", {**data, "result": {"revision": 1}})
    await panel.connected(agent)
    assert (await admin.operation(operation))["state"] == "succeeded"
    await admin.sees(server_id, "OFFLINE")


async def test_a_server_without_an_installer_is_only_emptied(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    assert (await admin.get(f"/api/servers/{server_id}"))["has_installer"] is False
    problem = await admin.post(f"/api/servers/{server_id}/reinstall", status=409)
    assert problem["code"] == "SERVER_INSTALLED"
    await admin.done(f"/api/servers/{server_id}/reinstall", {"wipe": True})


async def test_an_agent_that_is_too_old_installs_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent: ForeignAgent = await panel.connected(await panel.agent())
    problem = await admin.post("/api/servers", panel.new(agent, installer=INSTALLER), status=409)
    assert problem["code"] == "AGENT_TOO_OLD"
    server_id = await panel.server(agent)
    problem = await admin.post(f"/api/servers/{server_id}/reinstall", {"wipe": True}, status=409)
    assert problem["code"] == "AGENT_TOO_OLD"


async def test_an_installation_may_take_as_long_as_its_installer(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    agent.unfinished.add("create_server")
    slow = {**INSTALLER, "timeout": 7200}
    operation = await admin.post("/api/servers", panel.new(agent, installer=slow))
    kept = await admin.get(f"/api/operations/{operation['id']}")
    allowed = datetime.fromisoformat(kept["deadline_at"]) - datetime.fromisoformat(kept["created_at"])
    assert allowed == timedelta(hours=2, minutes=30)


async def test_another_owners_server_is_not_reinstalled(panel: PanelUnderTest, owner: Person, stranger: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner, installer=INSTALLER)
    await stranger.post(f"/api/servers/{server_id}/reinstall", {"wipe": True}, status=404)
    assert agent.commands("reinstall_server") == []
