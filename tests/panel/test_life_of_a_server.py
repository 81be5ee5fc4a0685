"""From creation to deletion, through the REST API, with an agent that is not ours at the other end."""

from datetime import timedelta
from typing import Any

import pytest
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.servers.orders import FORGOTTEN


@pytest.mark.parametrize(
    "told_by",
    [
        {"tells_events": True},
        {"tells_events": False, "tells_legacy": True},
        {"tells_events": True, "tells_legacy": True},
    ],
    ids=["events", "legacy messages", "both"],
)
async def test_a_server_lives_from_creation_to_deletion(
    panel: PanelUnderTest, admin: Person, told_by: dict[str, Any]
) -> None:
    agent = await panel.connected(await panel.agent(**told_by))
    server_id = await panel.server(agent)
    path = f"/api/servers/{server_id}"
    assert await admin.status(server_id) == "OFFLINE"
    await admin.done(f"{path}/start")
    assert await admin.status(server_id) == "RUNNING"
    await admin.done(f"{path}/restart")
    assert await admin.status(server_id) == "RUNNING"
    await admin.done(f"{path}/stop", {"signal": "SIGTERM", "timeout": 3})
    assert agent.commands("stop_server")[0]["payload"] == {"signal": "SIGTERM", "timeout": 3}
    assert await admin.status(server_id) == "OFFLINE"
    await admin.done(f"{path}/start")
    await admin.done(f"{path}/kill")
    assert await admin.status(server_id) == "OFFLINE"
    deletion = await admin.operation(await admin.delete(path, 202))
    assert deletion["state"] == "succeeded"
    await admin.get(path, 404)
    assert (await admin.get(f"/api/operations/{deletion['id']}"))["state"] == "succeeded"


async def test_the_agent_is_given_the_whole_specification(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.agent())
    await panel.server(agent, ports=[{"internal": 27960, "external": 27960, "protocol": "udp"}])
    payload = agent.commands("create_server")[0]["payload"]
    assert payload["image"] == "example.org/games/quake:1"
    assert payload["environment"] == {"MODE": "duel"}
    assert payload["limits"]["memory"] == 536870912
    assert payload["ports"] == [{"internal": 27960, "external": 27960, "protocol": "udp", "address": "0.0.0.0"}]
    assert payload["stop"]["signal"] == "SIGINT"


async def test_a_stop_without_a_body_follows_the_servers_own_rule(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    await admin.done(f"/api/servers/{server_id}/stop")
    assert agent.commands("stop_server")[0]["payload"] == {}


async def test_fresh_status_is_what_the_agent_measured_and_the_panel_keeps_it(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    operation = await admin.done(f"/api/servers/{server_id}/status")
    assert operation["result"]["resources"]["cpu"] == 45.2
    known = await admin.get(f"/api/servers/{server_id}/status")
    assert known["figures"]["cpu_percent"] == 45.2
    assert known["figures"]["memory_used_bytes"] == 1073741824
    assert known["figures"]["players"] is None
    assert known["age_s"] < 5


async def test_an_old_agent_gets_the_legacy_console_message_and_is_asked_only_once(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    for line in ("say one", "say two"):
        operation = await admin.done(f"/api/servers/{server_id}/command", {"command": line})
        assert operation["message"] == "sent; this agent does not confirm"
    assert len(agent.commands("send_command")) == 1
    console = await until(lambda: _console_with(admin, server_id, "[game] say two"))
    assert [line["text"] for line in console["lines"]] == ["[game] say one", "[game] say two"]


async def test_an_agent_that_knows_the_console_command_confirms_it(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(knows_send_command=True))
    server_id = await panel.server(agent)
    operation = await admin.done(f"/api/servers/{server_id}/command", {"command": "say hi"})
    assert operation["message"] == "written"
    assert not [frame for frame in agent.received if frame.get("type") == "server_command"]


async def test_a_script_can_wait_for_the_answer_to_its_command(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(knows_send_command=True))
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/command", {"command": "before"})
    before = await until(lambda: _console_with(admin, server_id, "[game] before"))
    await admin.done(f"/api/servers/{server_id}/command", {"command": "after"})
    after = await until(lambda: _console_with(admin, server_id, "[game] after", after=before["cursor"]))
    assert [(line["number"], line["text"]) for line in after["lines"]] == [(int(before["cursor"]), "[game] after")]
    assert after["missed"] == 0


async def _console_with(person: Person, server_id: str, text: str, **query: Any) -> Any:
    console = await person.get(f"/api/servers/{server_id}/console", **query)
    return console if any(line["text"] == text for line in console["lines"]) else None


async def test_a_change_told_twice_settles_only_one_operation(panel: PanelUnderTest, admin: Person) -> None:
    """Agents of ours tell a change by an event and by a legacy message."""
    agent = await panel.connected(await panel.agent(tells_legacy=True, unfinished={"start_server", "restart_server"}))
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    restarted = await admin.post(f"/api/servers/{server_id}/restart")
    await agent.become(server_id, "running")
    assert (await admin.operation(started))["state"] == "succeeded"
    await admin.done(f"/api/servers/{server_id}/status")
    assert (await admin.get(f"/api/operations/{restarted['id']}"))["state"] == "running"
    await agent.become(server_id, "stopped", exitCode=0)
    await agent.become(server_id, "running")
    assert (await admin.operation(restarted))["state"] == "succeeded"


async def test_a_failure_keeps_the_agents_own_code(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    failure = {"serverId": server_id, "status": "start_failed", "error": "taken", "code": "PORT_CONFLICT"}
    await agent.event("server_status_changed", failure)
    ended = await admin.operation(started)
    assert (ended["state"], ended["code"], ended["message"]) == ("failed", "PORT_CONFLICT", "taken")


async def test_what_ended_long_ago_is_forgotten_but_for_how_a_server_came_to_be(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    started = await admin.done(f"/api/servers/{server_id}/start")
    later = SystemClock().utc() + operations.KEPT + timedelta(minutes=1)
    async with panel.app.state.database.writing() as session:
        await operations.forget_old(session, later)
    await admin.get(f"/api/operations/{started['id']}", 404)
    kept = (await admin.get(f"/api/servers/{server_id}/operations"))["items"]
    assert [operation["kind"] for operation in kept] == ["create"]
    assert await admin.status(server_id) == "RUNNING"


async def test_what_is_forgotten_is_forgotten_in_pieces(
    own_panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.operations.service.MOST_FORGOTTEN", 2)
    agent = await own_panel.connected(await own_panel.agent())
    server_id = await own_panel.server(agent)
    for action in ("start", "stop", "start"):
        await own_panel.admin.done(f"/api/servers/{server_id}/{action}")
    later = SystemClock().utc() + operations.KEPT + timedelta(minutes=1)
    async with own_panel.app.state.database.writing() as session:
        assert await operations.forget_old(session, later) == 2
    assert len((await own_panel.admin.get(f"/api/servers/{server_id}/operations"))["items"]) == 2


async def test_a_forced_stop_says_so(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"stop_server"}))
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    stopped = await admin.post(f"/api/servers/{server_id}/stop", {"timeout": 1})
    await agent.become(server_id, "stopped", exitCode=137, forced=True)
    ended = await admin.operation(stopped)
    assert ended["state"] == "succeeded"
    assert "was killed" in ended["message"]


async def test_a_server_of_a_node_that_is_gone_for_good_can_be_forgotten(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    await admin.delete(f"/api/servers/{server_id}", 503)
    forgotten = await admin.delete(f"/api/servers/{server_id}?force=true", 202)
    assert (forgotten["state"], forgotten["message"]) == ("succeeded", FORGOTTEN)
    await admin.get(f"/api/servers/{server_id}", 404)
    await admin.delete(f"/api/nodes/{agent.node_id}")
