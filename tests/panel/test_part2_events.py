"""Durable events: each once, whatever breaks; and the snapshot, which they do not undo."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.gateway.connection import BATCH_FACTS, CANNOT_KEEP
from ctrl_alt_play.panel.intake.recorder import Recorder
from ctrl_alt_play.panel.models import Event, Node, Server
from ctrl_alt_play.panel.operations import service as operations


async def kept(panel: PanelUnderTest, agent: Part2Agent) -> Sequence[Event]:
    async with panel.app.state.database.reading() as session:
        query = select(Event).where(Event.node_id == agent.node_id).order_by(Event.id)
        return (await session.scalars(query)).all()


async def row(panel: PanelUnderTest, server_id: str) -> Server:
    async with panel.app.state.database.reading() as session:
        server = await session.get(Server, server_id)
        assert server is not None
        return server


async def acked(panel: PanelUnderTest, agent: Part2Agent) -> None:
    """All that the agent wrote down is kept, and the panel says so."""
    await until(lambda: agent.acked == agent.seq)
    async with panel.app.state.database.reading() as session:
        node = await session.get(Node, agent.node_id)
        assert node is not None
        assert (node.acked_seq, node.spool_id) == (agent.seq, agent.spool_id)


async def test_each_event_is_kept_once_and_acknowledged(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    await acked(panel, agent)
    assert not agent.spool
    events = await kept(panel, agent)
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert [event.kind for event in events] == ["server_status_changed", "command_completed"] * 2
    assert {event.server_id for event in events} == {server_id}


async def test_what_is_told_twice_is_acknowledged_twice_and_kept_once(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    running = await agent.become(server_id, "running", desired="on")
    await agent.become(server_id, "stopped", desired="off")
    await acked(panel, agent)
    acks = len(agent.of("ack"))
    await agent.send(running)
    await until(lambda: len(agent.of("ack")) > acks)
    assert agent.of("ack")[-1]["data"]["seq"] == agent.seq
    assert (await row(panel, server_id)).observed == "stopped"
    assert len(await kept(panel, agent)) == agent.seq


async def test_events_that_were_written_down_while_the_panel_was_away_come_in_order(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    agent.die()
    await panel.sees_node(agent, online=False)
    for turn in range(600):
        await agent.become(server_id, "running" if turn % 2 else "stopped", desired="on")
    await agent.come()
    await acked(panel, agent)
    assert [event.seq for event in await kept(panel, agent)] == list(range(1, agent.seq + 1))
    await admin.sees(server_id, "RUNNING")


async def test_a_panel_that_dies_between_commit_and_acknowledgement_keeps_nothing_twice(
    own_panel: PanelUnderTest,
) -> None:
    agent = await own_panel.connected(await own_panel.part2_agent())
    server_id = await own_panel.server(agent)
    agent.is_forgetting_acks = True
    await agent.become(server_id, "running", desired="on")
    await until(lambda: agent.acked == agent.seq)
    await own_panel.stop()
    await own_panel.start()
    agent.url, agent.is_forgetting_acks = own_panel.agents_url, False
    await agent.dial()
    await until(lambda: agent.of("welcome"))
    await agent.tell_truth()
    for event in list(agent.spool):
        await agent.send(event)
    await agent.become(server_id, "stopped", desired="off")
    await acked(own_panel, agent)
    assert [event.seq for event in await kept(own_panel, agent)] == list(range(1, agent.seq + 1))
    await agent.go()


async def test_a_commit_whose_answer_was_lost_is_not_done_again(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.KEEP_PAUSE_S", 0)
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await acked(panel, agent)
    finish, failures = Recorder._finish, [1]

    def lose_once(self: Recorder, *arguments: Any) -> Any:
        if failures:
            failures.pop()
            raise OSError("the database went away after it committed")
        return finish(self, *arguments)

    monkeypatch.setattr(Recorder, "_finish", lose_once)
    await agent.become(server_id, "running", desired="on")
    await acked(panel, agent)
    assert [event.seq for event in await kept(panel, agent)] == list(range(1, agent.seq + 1))
    assert (await row(panel, server_id)).observed == "running"


async def test_nothing_is_kept_after_what_could_not_be_kept(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.KEEP_PAUSE_S", 0)
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await acked(panel, agent)
    keep, lost, may_fail = Recorder.apply, [agent.seq + 1], asyncio.Event()

    async def fail_at_one(self: Recorder, node_id: str, facts: Sequence[Any]) -> Any:
        if node_id == agent.node_id and any(getattr(fact, "seq", None) in lost for fact in facts):
            await may_fail.wait()
            raise OSError("the disk is full")
        return await keep(self, node_id, facts)

    monkeypatch.setattr(Recorder, "apply", fail_at_one)
    await agent.become(server_id, "running", desired="on")
    await agent.become(server_id, "stopped", desired="off")
    for _ in range(BATCH_FACTS):
        await agent.event("audit", {})
    may_fail.set()
    assert await until(lambda: agent.closed_with) == CANNOT_KEEP
    assert agent.acked < lost[0]
    assert [event.seq for event in await kept(panel, agent)] == list(range(1, lost[0]))
    await panel.sees_node(agent, online=False)
    lost.clear()
    await agent.come()
    await acked(panel, agent)
    assert [event.seq for event in await kept(panel, agent)] == list(range(1, agent.seq + 1))


async def test_an_event_that_does_not_follow_on_what_is_kept_ends_the_connection(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await acked(panel, agent)
    agent.write_down("server_status_changed", {"serverId": server_id, "currentStatus": "running", "desired": "on"})
    await agent.become(server_id, "stopped", desired="off")
    assert await until(lambda: agent.closed_with) == CANNOT_KEEP
    assert agent.acked == agent.seq - 2
    await panel.sees_node(agent, online=False)
    await agent.come()
    await acked(panel, agent)
    assert [event.seq for event in await kept(panel, agent)] == list(range(1, agent.seq + 1))


async def test_what_an_agent_gave_up_may_have_been_kept_already(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await acked(panel, agent)
    data = {"serverId": server_id, "currentStatus": "running"}
    agent.seq += 1
    event = {
        "type": "event",
        "event": "server_status_changed",
        "data": data,
        "seq": agent.seq,
        "missing": agent.seq - 1,
    }
    await agent.send(event)
    await acked(panel, agent)


async def test_one_event_that_cannot_be_applied_is_kept_and_does_not_stop_the_next(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    monkeypatch.setattr("ctrl_alt_play.panel.intake.axes.take_crash", fail)
    await agent.event("server_crashed", {"serverId": server_id, "summary": "it broke"})
    await agent.become(server_id, "crashed", exitCode=3)
    await acked(panel, agent)
    await admin.sees(server_id, "CRASHED")
    assert [event.kind for event in await kept(panel, agent)][2:] == ["server_crashed", "server_status_changed"]


async def test_what_happened_before_the_snapshot_is_history(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    for word in ("running", "crashed"):
        agent.write_down("server_status_changed", {"serverId": server_id, "currentStatus": word, "desired": "on"})
    agent.write_down("server_crashed", {"serverId": server_id, "summary": "long ago"})
    agent.servers[server_id].update(observed="stopped", desired="off")
    await panel.connected(agent)
    await acked(panel, agent)
    server = await row(panel, server_id)
    assert (server.observed, server.desired, server.last_error) == ("stopped", "off", None)
    assert len(await kept(panel, agent)) == agent.seq


async def test_a_snapshot_replaces_all_that_was_believed(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent(part_size=2))
    servers = [await panel.server(agent) for _ in range(5)]
    for server_id in servers:
        await agent.become(server_id, "running", desired="on", ready=True)
    await acked(panel, agent)
    await agent.go()
    crashed = {
        "observed": "crashed",
        "desired": "on",
        "exitCode": 139,
        "crashes": 3,
        "since": "2025-01-01T00:00:00Z",
        "restartAt": "2100-01-01T00:00:00Z",
        "revision": 1,
    }
    agent.servers[servers[0]] = crashed
    agent.servers[servers[4]] = {**agent.servers[servers[4]], "ready": False}
    del agent.servers[servers[1]]
    await panel.connected(agent)

    async def told() -> bool:
        return (await row(panel, servers[1])).observed == "absent"

    await until(told)
    server = await row(panel, servers[0])
    assert (server.observed, server.exit_code, server.crashes, server.ready) == ("crashed", 139, 3, None)
    assert (server.observed_since.year, server.restart_at.year if server.restart_at else None) == (2025, 2100)
    assert [(await row(panel, server_id)).ready for server_id in servers[1:]] == [None, True, True, False]


async def test_what_a_running_game_suffers_from_is_told_until_it_is_over(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    for error, ready in (("The game is paused.", False), (None, True), ("The game is paused.", False), (None, None)):
        await agent.become(server_id, "running", ready=ready, error=error)
        await acked(panel, agent)
        server = await row(panel, server_id)
        assert (server.observed, server.ready, server.last_error) == ("running", ready, error)


async def test_readiness_desire_and_restarts_are_the_nodes_own_word(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.become(server_id, "starting", desired="on")
    await agent.become(server_id, "running", ready=False)
    await acked(panel, agent)
    server = await row(panel, server_id)
    assert (server.observed, server.ready, server.desired) == ("running", False, "on")
    await agent.become(server_id, "crashed", exitCode=1, restartAt="2100-01-01T00:00:00Z")
    crash = {"serverId": server_id, "summary": "It ran out of memory.", "exitCode": 137, "crashes": 2}
    await agent.event("server_crashed", {**crash, "restartAt": "2100-01-01T00:00:10Z"})
    await acked(panel, agent)
    server = await row(panel, server_id)
    assert (server.last_error, server.exit_code, server.crashes) == ("It ran out of memory.", 137, 2)
    assert server.restart_at is not None
    assert (server.observed, server.ready) == ("crashed", None)
    await agent.become(server_id, "running", ready=True)
    await acked(panel, agent)
    server = await row(panel, server_id)
    assert (server.last_error, server.exit_code, server.restart_at, server.ready) == (None, None, None, True)
    assert server.crashes == 2
    await agent.become(server_id, "running", ready=True, crashes=0)
    await acked(panel, agent)
    assert (await row(panel, server_id)).crashes == 0


async def test_what_the_agent_gave_up_is_on_record(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.event("server_status_changed", {"serverId": server_id, "currentStatus": "running"}, missing=12)
    await acked(panel, agent)
    last = (await kept(panel, agent))[-1]
    assert (last.seq, last.missing) == (agent.seq, 12)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("server_status_changed", {"serverId": "nobody-knows-it", "currentStatus": "running"}),
        ("a_kind_of_tomorrow", {"serverId": "s", "more": [1, 2]}),
        ("server_status_changed", {"currentStatus": "running"}),
        ("command_completed", {"commandId": "with a \x00", "action": "?", "serverId": "\x00", "success": True}),
        ("server_crashed", {"serverId": "s", "exitCode": 2**70, "crashedAt": "0001-01-01T00:00:00+14:00"}),
        ("audit", {"text": "x" * 100_000}),
    ],
    ids=["unknown server", "unknown kind", "no server", "NUL", "out of all bounds", "too large"],
)
async def test_what_cannot_be_understood_is_kept_all_the_same(
    panel: PanelUnderTest, name: str, data: dict[str, Any]
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    await agent.event(name, data)
    await acked(panel, agent)
    (event,) = await kept(panel, agent)
    assert event.kind == name
    assert len(str(event.data)) < 70_000


async def test_a_number_beyond_all_numbers_is_not_taken(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    await agent.send({"type": "event", "event": "audit", "data": {}, "seq": 2**63})
    await agent.event("audit", {})
    await acked(panel, agent)
    assert len(await kept(panel, agent)) == 1


async def test_a_node_has_no_say_in_anothers_servers_by_events_or_snapshots(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent, rogue = await panel.connected(await panel.part2_agent()), await panel.connected(await panel.part2_agent())
    agent.unfinished.add("delete_server")
    server_id = await panel.server(agent)
    deletion = await admin.delete(f"/api/servers/{server_id}", 202)
    await acked(panel, agent)
    before = vars(await row(panel, server_id)).copy()
    await rogue.become(server_id, "running", desired="on")
    await rogue.event("server_crashed", {"serverId": server_id, "summary": "lies"})
    await rogue.end({"id": deletion["id"], "action": "delete_server", "serverId": server_id})
    await rogue.end({"id": "cmd_of_its_own", "action": "update_server", "serverId": server_id}, revision=9)
    rogue.servers[server_id] = {"observed": "crashed", "exitCode": 1, "revision": 7}
    rogue.orphans.append({"serverId": server_id, "containerId": "c", "state": "running"})
    await rogue.tell_truth()
    await acked(panel, rogue)
    await panel.server(rogue)
    after = vars(await row(panel, server_id)).copy()
    assert {key: value for key, value in after.items() if key[0] != "_"} == {
        key: value for key, value in before.items() if key[0] != "_"
    }
    assert (await admin.get(f"/api/operations/{deletion['id']}"))["state"] == "running"
    assert server_id not in {event.server_id for event in await kept(panel, rogue)}
    assert not rogue.commands("adopt_server")


async def test_statuses_without_a_number_say_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    data = {"serverId": server_id, "currentStatus": "running"}
    await agent.send({"type": "event", "event": "server_status_changed", "data": data})
    await agent.tell("server_status", {"serverId": server_id, "status": "running"})
    operation = await admin.done(f"/api/servers/{server_id}/status")
    assert operation["result"]["status"] == "created"
    server = await row(panel, server_id)
    assert (server.observed, server.figures) == ("created", {"cpu_percent": 12.5})


async def test_a_new_journal_is_counted_from_the_beginning(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    await acked(panel, agent)
    await agent.go()
    agent.spool_id, agent.seq, agent.spool = "another", 0, []
    await panel.connected(agent)
    assert agent.of("welcome")[0]["data"]["ackedSeq"] == 0
    ended = await admin.operation(started)
    assert (ended["state"], ended["code"]) == ("failed", "INTERRUPTED")
    await agent.become(server_id, "running", desired="on")
    await acked(panel, agent)
    await admin.sees(server_id, "RUNNING")
    assert [event.seq for event in await kept(panel, agent)] == [1, 2, 1]


async def test_events_are_forgotten_after_a_month(own_panel: PanelUnderTest) -> None:
    panel = own_panel  # they go by the thousand, so nobody else's may be before them
    agent = await panel.connected(await panel.part2_agent())
    await agent.event("audit", {})
    await acked(panel, agent)
    clock = panel.app.state.clock
    async with panel.app.state.database.writing() as session:
        await operations.forget_old_events(session, clock.utc() + operations.KEPT - timedelta(hours=1))
    assert len(await kept(panel, agent)) == 1
    async with panel.app.state.database.writing() as session:
        await operations.forget_old_events(session, clock.utc() + operations.KEPT + timedelta(hours=1))
    assert not await kept(panel, agent)
    await agent.event("audit", {})
    await acked(panel, agent)
    assert [event.seq for event in await kept(panel, agent)] == [2]
