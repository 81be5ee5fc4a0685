"""Lines to a game, of which there are many: their answers and their ends are kept with nothing read, as everything else is kept with care."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.gateway.base import Fact
from ctrl_alt_play.panel.intake.recorder import Recorder
from ctrl_alt_play.panel.models import Event
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.panel_session import Answered, Told
from ctrl_alt_play.protocol.part2 import CommandCompleted

LINE = {"command": "say hi"}


@pytest.fixture
def careful(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was not kept plainly."""
    begin, taken = Recorder._begin, list[Any]()

    async def note(self: Recorder, taking: Any, facts: Any) -> Any:
        taken.extend(facts)
        return await begin(self, taking, facts)

    monkeypatch.setattr(Recorder, "_begin", note)
    return taken


async def events(panel: PanelUnderTest, agent: Part2Agent) -> list[tuple[int, str, str | None]]:
    async with panel.app.state.database.reading() as session:
        query = select(Event.seq, Event.kind, Event.server_id).where(Event.node_id == agent.node_id)
        return [(seq, kind, server_id) for seq, kind, server_id in await session.execute(query.order_by(Event.id))]


async def test_a_line_ends_by_its_completion_and_both_are_kept_plainly(
    panel: PanelUnderTest, admin: Person, careful: list[Any]
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"send_command"}))
    server_id = await panel.server(agent)
    await until(lambda: agent.acked == agent.seq)
    careful.clear()
    line = await admin.post(f"/api/servers/{server_id}/command", LINE)
    assert line["state"] == "running"
    await agent.end(agent.commands("send_command")[0], written=True)
    ended = await admin.operation(line)
    assert (ended["state"], ended["result"], ended["message"]) == ("succeeded", {"written": True}, None)
    await until(lambda: agent.acked == agent.seq)
    assert (await events(panel, agent))[-1] == (agent.seq, "command_completed", server_id)
    assert careful == []


async def test_a_line_does_not_end_before_it_was_ordered_whatever_its_nodes_clock_says(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"send_command"}))
    server_id = await panel.server(agent)
    line = await admin.post(f"/api/servers/{server_id}/command", LINE)
    (command,) = agent.commands("send_command")
    done = {"commandId": command["id"], "action": "send_command", "serverId": server_id, "success": True}
    await agent.event("command_completed", {**done, "finishedAt": "1999-01-01T00:00:00Z"})
    ended = await admin.operation(line)
    assert ended["finished_at"] == ended["created_at"]


async def test_an_answer_and_an_end_that_come_at_once_are_kept_at_once(
    panel: PanelUnderTest, admin: Person, careful: list[Any]
) -> None:
    agent = await panel.connected(await panel.part2_agent(unanswered={"send_command"}, unfinished={"send_command"}))
    server_id = await panel.server(agent)
    await until(lambda: agent.acked == agent.seq)
    careful.clear()
    ordering = asyncio.create_task(admin.post(f"/api/servers/{server_id}/command", LINE))
    (command,) = await until(lambda: agent.commands("send_command"))
    id_ = command["id"]
    completed = CommandCompleted.model_validate(
        {"commandId": id_, "action": "send_command", "serverId": server_id, "success": True}
    )
    facts: list[Fact] = [
        Answered(id_, Response(id=id_, success=True, timestamp=datetime.now(UTC))),
        Told("command_completed", completed, seq=agent.seq + 1),
    ]
    recorder: Recorder = panel.app.state.gateway._sink
    assert (await recorder.apply(agent.node_id, facts)).acked_seq == agent.seq + 1
    assert careful == []
    await agent.send(agent._answers[id_])
    answered = await ordering
    assert (answered["state"], (await admin.operation(answered))["state"]) == ("succeeded", "succeeded")


async def test_the_end_of_a_line_that_was_never_answered_is_kept_with_care(
    panel: PanelUnderTest, admin: Person, careful: list[Any]
) -> None:
    agent = await panel.connected(await panel.part2_agent(unanswered={"send_command"}))
    server_id = await panel.server(agent)
    careful.clear()
    ordering = asyncio.create_task(admin.post(f"/api/servers/{server_id}/command", LINE))
    (command,) = await until(lambda: agent.commands("send_command"))
    await until(lambda: agent.acked == agent.seq)
    assert [fact.kind for fact in careful if isinstance(fact, Told)][-1] == "command_completed"
    await agent.send(agent._answers[command["id"]])
    assert (await ordering)["state"] == "succeeded"


async def test_a_node_ends_no_line_of_anothers(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"send_command"}))
    another = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    line = await admin.post(f"/api/servers/{server_id}/command", LINE)
    await another.end(agent.commands("send_command")[0])
    await until(lambda: another.acked == another.seq)
    assert (await admin.get(f"/api/operations/{line['id']}"))["state"] == "running"
    assert (await events(panel, another))[-1] == (another.seq, "command_completed", None)


async def test_an_end_that_is_told_twice_is_kept_once(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"send_command"}))
    server_id = await panel.server(agent)
    line = await admin.post(f"/api/servers/{server_id}/command", LINE)
    event = await agent.end(agent.commands("send_command")[0])
    await agent.send(event)
    await admin.operation(line)
    await agent.become(server_id, "running")
    await until(lambda: agent.acked == agent.seq)
    assert [seq for seq, _, _ in await events(panel, agent)] == list(range(1, agent.seq + 1))
