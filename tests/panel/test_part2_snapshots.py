"""A snapshot in the middle of a connection, as of a node whose disk is full: what it tells is true at once, and the events that come later are
history, kept once and in order.
"""

from collections.abc import Sequence

from sqlalchemy import select
from tests.fakes.part2_agent import Data, Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.models import Event

BY_ITSELF = "The game ended by itself with exit code 0."


def becomes_unwritten(agent: Part2Agent, server_id: str, word: str, **more: str | int) -> Data:
    """The server is another thing, and the event of it cannot be sent yet."""
    agent.servers[server_id].update(observed=word, **more)
    return agent.write_down("server_status_changed", {"serverId": server_id, "currentStatus": word, **more})


async def kept(panel: PanelUnderTest, agent: Part2Agent) -> Sequence[int]:
    async with panel.app.state.database.reading() as session:
        query = select(Event.seq).where(Event.node_id == agent.node_id).order_by(Event.id)
        return (await session.scalars(query)).all()


async def shown(admin: Person, server_id: str, status: str) -> Data:
    await admin.sees(server_id, status)
    server: Data = await admin.get(f"/api/servers/{server_id}")
    return server


async def test_what_a_node_cannot_write_down_is_seen_and_its_events_change_nothing_when_they_come(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.become(server_id, "running", desired="on")
    await admin.sees(server_id, "RUNNING")
    late = [becomes_unwritten(agent, server_id, "crashed", exitCode=3)]
    await agent.tell_truth()
    assert (await shown(admin, server_id, "CRASHED"))["exit_code"] == 3
    late.append(becomes_unwritten(agent, server_id, "starting"))
    late.append(becomes_unwritten(agent, server_id, "running"))
    await agent.tell_truth()
    since = (await shown(admin, server_id, "RUNNING"))["status_since"]
    for event in late:
        await agent.send(event)
        await until(lambda seq=event["seq"]: agent.acked == seq)  # type: ignore[misc]
        now = await admin.get(f"/api/servers/{server_id}")
        assert (now["status"], now["status_since"]) == ("RUNNING", since)
    await agent.become(server_id, "stopped", desired="off")
    await admin.sees(server_id, "OFFLINE")
    assert await kept(panel, agent) == list(range(1, agent.seq + 1))


async def test_an_end_that_a_node_could_not_write_down_still_ends_its_operation(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"stop_server"}))
    server_id = await panel.server(agent)
    await agent.become(server_id, "running", desired="on")
    stop = await admin.post(f"/api/servers/{server_id}/stop")
    command = (await until(lambda: agent.commands("stop_server")))[0]
    late = [becomes_unwritten(agent, server_id, "stopped", desired="off")]
    ended = {"commandId": command["id"], "action": "stop_server", "serverId": server_id, "success": True}
    late.append(agent.write_down("command_completed", ended))
    await agent.tell_truth()
    await admin.sees(server_id, "OFFLINE")
    assert (await admin.get(f"/api/operations/{stop['id']}"))["state"] == "running"
    for event in late:
        await agent.send(event)
    assert (await admin.operation(stop))["state"] == "succeeded"


async def test_why_a_server_stopped_by_itself_is_kept_until_it_runs_again(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.become(server_id, "running", desired="on")
    await agent.become(server_id, "stopped", desired="off", exitCode=0, error=BY_ITSELF)
    stopped = await shown(admin, server_id, "OFFLINE")
    assert (stopped["last_error"], stopped["exit_code"]) == (BY_ITSELF, 0)
    await agent.become(server_id, "running", desired="on")
    assert (await shown(admin, server_id, "RUNNING"))["last_error"] is None
