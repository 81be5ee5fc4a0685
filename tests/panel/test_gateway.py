"""What an agent may do wrong without harm, and how its connection ends."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.gateway.local import LocalGateway

GARBAGE = [
    "",
    "no JSON",
    "[]",
    "7",
    "null",
    '"text"',
    "{}",
    '{"type": 7}',
    '{"type": "no such type"}',
    '{"type": "event"}',
    '{"type": "event", "event": "server_status_changed", "data": {"serverId": 5, "currentStatus": []}}',
    '{"type": "event", "event": "server_status_changed", "data": {"serverId": "../../etc", "currentStatus": "running"}}',
    '{"type": "response", "id": 7}',
    '{"type": "command", "id": "c", "action": "start_server"}',
    '{"type": "server_output", "data": null}',
    '{"type": "server_status", "data": {"serverId": "s", "status": "running", "stats": {"cpu": "NaN"}}}',
    '{"type": "system_info", "data": {"memory": 1e400}}',
    b"\xff\xfe",
    "[" * 100_000,
]


def counts(panel: PanelUnderTest, agent: ForeignAgent) -> dict[str, int]:
    gateway: LocalGateway = panel.app.state.gateway
    return dict(gateway._connections[agent.node_id].session.counts)


@pytest.mark.parametrize("frame", GARBAGE, ids=lambda frame: repr(frame[:40]))
async def test_garbage_leaves_the_connection_as_it_was(panel: PanelUnderTest, frame: str | bytes) -> None:
    agent = await panel.connected(await panel.agent())
    await agent.send(frame)
    await agent.tell("system_info", {"os": "still here"})

    async def still_heard() -> bool:
        return bool((await panel.admin.get(f"/api/nodes/{agent.node_id}"))["system"]["os"] == "still here")

    await until(still_heard)
    assert agent.closed_with is None


async def test_a_frame_that_is_not_json_is_answered_by_an_error(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.agent())
    await agent.send("{ this is not JSON")
    error = await until(lambda: [frame for frame in agent.received if frame.get("type") == "error"])
    assert error[0]["data"]["code"] == "INVALID_MESSAGE"


async def test_a_frame_over_one_mebibyte_closes_the_connection(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.agent())
    await agent.send(json.dumps({"type": "heartbeat", "data": {"padding": "x" * 1024 * 1024}}))
    assert await until(lambda: agent.closed_with) == 1009
    await panel.sees_node(agent, online=False)


async def test_a_frame_just_under_one_mebibyte_is_taken(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.agent())
    await agent.send(json.dumps({"type": "heartbeat", "data": {"padding": "x" * (1024 * 1024 - 100)}}))
    await panel.server(agent)


async def test_a_newer_connection_of_a_node_replaces_the_older(panel: PanelUnderTest) -> None:
    older = await panel.connected(await panel.agent())
    newer = ForeignAgent(older.url, older.node_id, older.secret)
    await panel.connected(newer)
    assert await until(lambda: older.closed_with) == 4409
    await panel.server(newer)
    assert not older.commands("create_server")
    await panel.sees_node(newer, online=True)


async def test_a_node_is_away_at_once_when_its_socket_closes(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.agent())
    agent.die()
    node = await panel.sees_node(agent, online=False)
    assert node["last_seen_at"]


async def test_a_node_that_says_nothing_for_long_is_away(
    own_panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock's leaps are the node's silence here, and not the panel's own standstill."""
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.watch.LATE_S", float("inf"))
    agent = await own_panel.connected(await own_panel.agent())
    own_panel.clock.ahead_s += 80
    await agent.tell("heartbeat", {"nodeId": agent.node_id, "timestamp": "2025-01-23T10:00:00Z", "status": "online"})
    await until(lambda: counts(own_panel, agent)["received"] == 2)
    own_panel.clock.ahead_s += 80
    await own_panel.server(agent)
    own_panel.clock.ahead_s += 91
    assert await until(lambda: agent.closed_with) == 1001
    await own_panel.sees_node(agent, online=False)


async def test_orders_for_a_frozen_node_fail_at_once_after_the_first(
    own_panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.watch.LATE_S", float("inf"))
    agent = await own_panel.connected(await own_panel.part2_agent(unanswered={"start_server"}))
    agent.unfinished.add("start_server")
    server_id = await own_panel.server(agent)
    asking = asyncio.create_task(own_panel.admin.post(f"/api/servers/{server_id}/start"))
    await until(lambda: agent.commands("start_server"))
    own_panel.clock.ahead_s += 11
    assert (await asking)["state"] == "queued"
    own_panel.clock.ahead_s += 5
    assert await until(lambda: agent.closed_with) == 1001
    await own_panel.sees_node(agent, online=False)
    assert (await own_panel.admin.post(f"/api/servers/{server_id}/stop", status=503))["code"] == "AGENT_OFFLINE"
    assert await own_panel.admin.status(server_id) == "UNKNOWN"


async def test_two_agents_of_one_node_are_told_to_people_and_the_one_that_is_there_is_kept(
    panel: PanelUnderTest, admin: Person
) -> None:
    first = await panel.part2_agent(instance="cellar")
    second = Part2Agent(first.url, first.node_id, first.secret, instance="attic")
    agents = [first, second]
    for turn in range(3):
        agents[turn % 2].closed_with = None
        await panel.connected(agents[turn % 2])
    assert (await admin.get(f"/api/nodes/{first.node_id}"))["warning"] is None
    await second.dial()
    assert await until(lambda: second.closed_with) == 4409
    assert second.closed_for == "another agent uses this node's id, from 127.0.0.1"
    warning = (await admin.get(f"/api/nodes/{first.node_id}"))["warning"]
    assert "Two agents use this node's id, both from 127.0.0.1" in warning
    await panel.server(first)


async def test_what_a_node_says_of_itself_is_shown(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())

    async def system() -> Any:
        return (await admin.get(f"/api/nodes/{agent.node_id}"))["system"]

    told = await until(system)
    assert told["memory_bytes"] == 8589934592
    assert told["docker_version"] == "28.2.2"
    assert told["networks"] == {"bridge": "172.17.0.0/16"}


async def test_an_agent_that_never_answers_is_a_timeout(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.agent(unanswered={"start_server"}))
    server_id = await own_panel.server(agent)
    asking = asyncio.create_task(own_panel.admin.post(f"/api/servers/{server_id}/start", status=504))
    await until(lambda: agent.commands("start_server"))
    own_panel.clock.ahead_s += 11
    problem = await asking
    assert problem["code"] == "TIMEOUT"
    operation = await own_panel.admin.get(f"/api/operations/{problem['operation_id']}")
    assert (operation["state"], operation["code"]) == ("failed", "TIMEOUT")
    await agent.respond(operation["id"], success=True, message="late", data={})
    await until(lambda: counts(own_panel, agent).get("unmatched") == 1)
    assert (await own_panel.admin.get(f"/api/operations/{operation['id']}"))["state"] == "failed"


async def test_an_agent_that_goes_before_it_answers_is_offline(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unanswered={"start_server"}))
    server_id = await panel.server(agent)
    asking = asyncio.create_task(admin.post(f"/api/servers/{server_id}/start", status=503))
    await until(lambda: agent.commands("start_server"))
    agent.die()
    assert (await asking)["code"] == "AGENT_OFFLINE"


async def test_responses_to_nothing_are_counted_and_ignored(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.agent())
    await agent.respond("", success=False, error={"code": "EXECUTION_ERROR", "message": "unknown action: "})
    await agent.respond("cmd_never_sent", success=True, message="?", data={})
    await until(lambda: counts(panel, agent).get("unmatched") == 2)
    await panel.server(agent)


async def test_a_second_response_to_one_command_changes_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    operation = await admin.post(f"/api/servers/{server_id}/start")
    await agent.respond(operation["id"], success=False, error={"code": "INTERNAL", "message": "on second thought"})
    await until(lambda: counts(panel, agent).get("unmatched") == 1)
    assert (await admin.get(f"/api/operations/{operation['id']}"))["state"] == "running"


async def test_a_refusal_without_a_word_is_still_a_refusal(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unanswered={"start_server"}))
    server_id = await panel.server(agent)
    asking = asyncio.create_task(admin.post(f"/api/servers/{server_id}/start", status=502))
    command = (await until(lambda: agent.commands("start_server")))[0]
    await agent.respond(command["id"], success=False)
    assert (await asking)["code"] == "INTERNAL"


async def test_an_unknown_error_code_is_internal(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(refusals={"start_server": ("EXECUTION_ERROR", "it broke")}))
    server_id = await panel.server(agent)
    problem = await admin.post(f"/api/servers/{server_id}/start", status=502)
    assert (problem["code"], problem["detail"]) == ("INTERNAL", "it broke")


async def test_a_node_has_no_say_in_another_nodes_servers(panel: PanelUnderTest, admin: Person) -> None:
    agent, rogue = await panel.connected(await panel.agent()), await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await rogue.become(server_id, "running")
    await rogue.become(server_id, "deleted")
    await rogue.tell("server_output", {"serverId": server_id, "output": "lies", "stream": "stdout"})
    rogue_server = await panel.server(rogue)
    await admin.done(f"/api/servers/{rogue_server}/start")
    assert await admin.status(server_id) == "OFFLINE"
    assert (await admin.get(f"/api/servers/{server_id}/console"))["lines"] == []


async def test_a_flood_of_news_is_taken_in_whole_and_in_order(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.INBOX_FACTS", 8)
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    for turn in range(300):
        await agent.become(server_id, "running" if turn % 2 else "stopped")
    await agent.become(server_id, "crashed", exitCode=139)
    await admin.sees(server_id, "CRASHED")
    assert (await admin.get(f"/api/servers/{server_id}"))["exit_code"] == 139
    assert not counts(panel, agent)["failed"]


async def test_one_fact_that_cannot_be_kept_does_not_stop_the_next(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    monkeypatch.setattr("ctrl_alt_play.panel.nodes.service.keep_system", _fails)
    await agent.tell("system_info", {"nodeId": agent.node_id})
    await admin.done(f"/api/servers/{server_id}/start")
    assert counts(panel, agent)["failed"] == 1


async def _fails(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "take_away",
    [
        lambda person, node_id: person.patch(f"/api/nodes/{node_id}", {"enabled": False}),
        lambda person, node_id: person.post(f"/api/nodes/{node_id}/secret", status=200),
        lambda person, node_id: person.delete(f"/api/nodes/{node_id}"),
    ],
    ids=["disabled", "new secret", "deleted"],
)
async def test_a_node_that_loses_its_right_loses_its_connection_at_once(
    panel: PanelUnderTest, admin: Person, take_away: Callable[[Person, str], Any]
) -> None:
    agent = await panel.connected(await panel.agent())
    await take_away(admin, agent.node_id)
    assert await until(lambda: agent.closed_with) == 1008
