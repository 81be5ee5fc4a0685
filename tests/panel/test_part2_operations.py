"""Operations of part 2: ended by their node's own word alone, and sent again wherever the answer was lost."""

import asyncio
from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.intake.catching_up import CatchingUp
from ctrl_alt_play.panel.models import Operation
from ctrl_alt_play.panel.operations.sweeper import sweep
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers.orders import Orders
from ctrl_alt_play.panel.servers.schemas import StopRequest


def orders(panel: PanelUnderTest) -> Orders:
    found: Orders = panel.app.state.orders
    return found


def actor(person: Person) -> Actor:
    return Actor(person.id, person.username, is_admin=True)


async def state(person: Person, operation: dict[str, Any]) -> tuple[str, str | None]:
    found = await person.get(f"/api/operations/{operation['id']}")
    return found["state"], found["code"]


async def test_an_operation_ends_by_its_own_completion_and_by_no_status(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server", "stop_server"}))
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    stopped = await admin.post(f"/api/servers/{server_id}/stop")
    await agent.become(server_id, "running", desired="on")
    await agent.become(server_id, "stopped", desired="off")
    await until(lambda: agent.acked == agent.seq)
    assert (await admin.get(f"/api/servers/{server_id}"))["observed"] == "stopped"
    assert (await state(admin, started), await state(admin, stopped)) == (("running", None), ("running", None))
    await agent.end(agent.commands("stop_server")[0], forced=True, exitCode=137)
    ended = await admin.operation(stopped)
    assert (ended["state"], ended["result"]) == ("succeeded", {"forced": True, "exitCode": 137})
    assert "was killed" in ended["message"]
    await agent.end(agent.commands("start_server")[0], ("IMAGE_NOT_FOUND", "There is no such image."))
    ended = await admin.operation(started)
    assert (ended["code"], ended["message"]) == ("IMAGE_NOT_FOUND", "There is no such image.")


async def test_a_start_that_was_not_seen_to_be_ready_says_so(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    await agent.end(agent.commands("start_server")[0], ready=False)
    assert "was not seen to be ready" in (await admin.operation(started))["message"]


async def test_a_completion_that_overtakes_the_response_counts(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unanswered={"start_server"}))
    server_id = await panel.server(agent)
    ordering = asyncio.create_task(admin.post(f"/api/servers/{server_id}/start"))
    (command,) = await until(lambda: agent.commands("start_server"))
    await until(lambda: agent.acked == agent.seq)
    await agent.send(agent._answers[command["id"]])
    assert (await ordering)["state"] == "succeeded"


async def test_a_refusal_fails_at_once(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(refusals={"start_server": ("INVALID_STATE", "It runs.")}))
    server_id = await panel.server(agent)
    problem = await admin.post(f"/api/servers/{server_id}/start", status=409)
    assert await state(admin, {"id": problem["operation_id"]}) == ("failed", "INVALID_STATE")


async def test_an_order_for_a_node_that_is_away_fails_at_once(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert (await admin.post(f"/api/servers/{server_id}/start", status=503))["code"] == "AGENT_OFFLINE"
    await panel.connected(agent)
    await admin.done(f"/api/servers/{server_id}/status")
    assert not agent.commands("start_server")


async def cut_off(panel: PanelUnderTest, agent: Part2Agent, action: str) -> tuple[str, dict[str, Any]]:
    """A server, and an operation that the agent took without a word before the line was cut."""
    server_id = await panel.server(agent)
    agent.unanswered.add(f"{action}_server")
    agent.unfinished.add(f"{action}_server")
    ordering = asyncio.create_task(panel.admin.post(f"/api/servers/{server_id}/{action}"))
    await until(lambda: agent.commands(f"{action}_server"))
    agent.die()
    operation = await ordering
    assert operation["state"] == "queued"
    await panel.sees_node(agent, online=False)
    agent.unanswered.clear()
    return server_id, operation


async def test_what_was_not_answered_is_sent_again_by_its_id_and_done_once(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    _, operation = await cut_off(panel, agent, "start")
    await agent.come()
    (again,) = await until(lambda: agent.commands("start_server"))
    assert again["id"] == operation["id"]
    assert agent.done.count(operation["id"]) == 1

    async def accepted() -> bool:
        return await state(admin, operation) == ("running", None)

    await until(accepted)
    await agent.end(again)
    assert (await admin.operation(operation))["state"] == "succeeded"


async def test_catching_up_is_tried_until_it_is_done(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.SYNCHRONISE_PAUSE_S", 0)
    agent = await panel.connected(await panel.part2_agent())
    _, operation = await cut_off(panel, agent, "start")
    catch_up, failures = CatchingUp.catch_up, [1, 2]

    async def fail_twice(self: CatchingUp, node_id: str) -> None:
        if failures:
            failures.pop()
            raise OSError("the database is locked")
        await catch_up(self, node_id)

    monkeypatch.setattr(CatchingUp, "catch_up", fail_twice)
    await agent.come()
    (again,) = await until(lambda: agent.commands("start_server"))
    await agent.end(again)
    assert (await admin.operation(operation))["state"] == "succeeded"


async def test_a_completion_from_the_time_apart_ends_what_was_never_answered(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id, operation = await cut_off(panel, agent, "start")
    await agent.end({"id": operation["id"], "action": "start_server", "serverId": server_id})
    await agent.come()
    assert (await admin.operation(operation))["state"] == "succeeded"


async def test_what_a_panel_that_died_left_queued_is_sent_again_by_the_next(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.part2_agent())
    server_id = await own_panel.server(agent)
    agent.unanswered, agent.unfinished = {"start_server"}, {"start_server"}
    started = asyncio.create_task(own_panel.admin.api.post(f"/api/servers/{server_id}/start"))
    await until(lambda: agent.commands("start_server"))
    await own_panel.stop()
    operation = (await started).json()
    assert operation["state"] == "queued"
    await own_panel.start()
    assert await state(own_panel.admin, operation) == ("queued", None)
    agent.unanswered.clear()
    agent.url = own_panel.agents_url
    await own_panel.connected(agent)
    (again,) = await until(lambda: agent.commands("start_server"))
    await agent.end(again)
    assert (await own_panel.admin.operation(operation))["state"] == "succeeded"
    assert agent.done.count(operation["id"]) == 1


async def test_a_question_without_an_answer_is_over(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unanswered={"get_status"}))
    server_id = await panel.server(agent)
    asking = asyncio.create_task(admin.post(f"/api/servers/{server_id}/status", status=503))
    await until(lambda: agent.commands("get_status"))
    agent.die()
    problem = await asking
    assert await state(admin, {"id": problem["operation_id"]}) == ("failed", "AGENT_OFFLINE")


async def test_time_that_is_up_is_corrected_by_the_truth(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    agent = await own_panel.connected(await own_panel.part2_agent())
    server_id, operation = await cut_off(own_panel, agent, "start")
    own_panel.clock.ahead_s += 121
    ended = await admin.operation(operation)
    assert (ended["state"], ended["code"]) == ("failed", "TIMEOUT")
    await agent.end({"id": operation["id"], "action": "start_server", "serverId": server_id}, ready=None)
    await agent.come()

    async def corrected() -> bool:
        return await state(admin, operation) == ("succeeded", None)

    await until(corrected)
    assert not agent.commands("start_server")


async def passes(panel: PanelUnderTest, agent: Part2Agent, seconds: float) -> None:
    """Time in which the node is there, and the panel looks for what is overdue."""
    app = panel.app.state
    while seconds > 0:
        panel.clock.ahead_s += min(seconds, 60)
        seconds -= 60
        await agent.event("audit", {})
        await until(lambda: agent.acked == agent.seq)
        await sweep(app.database, app.gateway, app.progress, panel.clock)


def progress_of(operation: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = {"commandId": operation["id"], "serverId": operation["server_id"], "phase": "pulling", **more}
    return {"type": "event", "event": "operation_progress", "data": data}


async def test_an_operation_that_its_node_is_at_is_given_time_up_to_a_limit(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    agent = await own_panel.connected(await own_panel.part2_agent(unfinished={"start_server"}))
    server_id = await own_panel.server(agent)
    operation = await admin.post(f"/api/servers/{server_id}/start")
    behind = await admin.post(f"/api/servers/{server_id}/start")
    elsewhere = await admin.post(f"/api/servers/{await own_panel.server(agent)}/start")
    await passes(own_panel, agent, 60)
    await agent.send(progress_of(operation, percent=40.5, message="layer 2 of 5"))
    step = await until(lambda: own_panel.app.state.progress.heard(agent.node_id, operation["id"]))
    assert (step.phase, step.percent, step.message) == ("pulling", 40.5, "layer 2 of 5")
    await passes(own_panel, agent, 3600)
    assert await state(admin, operation) == await state(admin, behind) == ("running", None)
    assert await state(admin, elsewhere) == ("failed", "TIMEOUT")
    await passes(own_panel, agent, 180)
    ended = await admin.operation(operation)
    assert (ended["code"], "an hour" in ended["message"]) == ("TIMEOUT", True)
    assert own_panel.app.state.progress.heard(agent.node_id, operation["id"]) is None
    assert await state(admin, behind) == ("failed", "TIMEOUT")


async def test_an_operation_that_the_snapshot_tells_is_under_way_is_given_time(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    agent = await own_panel.connected(await own_panel.part2_agent(unfinished={"start_server"}))
    server_id = await own_panel.server(agent)
    operation = await admin.post(f"/api/servers/{server_id}/start")
    await agent.go()
    under_way = {"commandId": operation["id"], "action": "start_server", "phase": "pulling"}
    agent.servers[server_id]["operation"] = under_way
    await own_panel.connected(agent)
    await passes(own_panel, agent, 600)
    assert await state(admin, operation) == ("running", None)
    assert (await admin.get(f"/api/operations/{operation['id']}"))["progress"]["phase"] == "pulling"
    del agent.servers[server_id]["operation"]
    await agent.tell_truth()
    assert (await admin.operation(operation))["code"] == "TIMEOUT"


async def test_an_operation_whose_node_went_away_is_given_a_little_time(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    agent = await own_panel.connected(await own_panel.part2_agent(unfinished={"start_server"}))
    server_id = await own_panel.server(agent)
    operation = await admin.post(f"/api/servers/{server_id}/start")
    await passes(own_panel, agent, 60)
    await agent.send(progress_of(operation))
    await until(lambda: own_panel.app.state.progress.heard(agent.node_id, operation["id"]))
    await passes(own_panel, agent, 60)
    await agent.go()
    await own_panel.sees_node(agent, online=False)
    assert await state(admin, operation) == ("running", None)
    own_panel.clock.ahead_s += 61
    assert (await admin.operation(operation))["code"] == "TIMEOUT"


async def test_a_late_response_on_the_same_connection_still_counts(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.part2_agent(unanswered={"start_server"}))
    agent.unfinished.add("start_server")
    server_id = await own_panel.server(agent)
    ordering = asyncio.create_task(own_panel.admin.post(f"/api/servers/{server_id}/start"))
    (command,) = await until(lambda: agent.commands("start_server"))
    own_panel.clock.ahead_s += 11
    operation = await ordering
    assert operation["state"] == "queued"
    await agent.send(agent._answers[command["id"]])

    async def accepted() -> bool:
        return await state(own_panel.admin, operation) == ("running", None)

    await until(accepted)


async def test_a_deletion_ends_by_its_completion(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"delete_server"}))
    server_id = await panel.server(agent)
    deletion = await admin.delete(f"/api/servers/{server_id}", 202)
    await agent.become(server_id, "deleted")
    await until(lambda: agent.acked == agent.seq)
    await admin.get(f"/api/servers/{server_id}")
    await agent.end(agent.commands("delete_server")[0])
    assert (await admin.operation(deletion))["state"] == "succeeded"
    await admin.get(f"/api/servers/{server_id}", 404)


async def test_a_named_request_is_done_once(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    wanted = [orders(panel).start(actor(admin), server_id, key="k-1") for _ in range(8)]
    ids = {operation.id for operation in await asyncio.gather(*wanted)}
    assert len(ids) == len(agent.commands("start_server")) == 1
    with pytest.raises(Conflict) as refused:
        await orders(panel).stop(actor(admin), server_id, StopRequest(), key="k-1")
    assert refused.value.code == "KEY_TAKEN"
    other = await panel.server(agent)
    with pytest.raises(Conflict):
        await orders(panel).start(actor(admin), other, key="k-1")


async def test_the_same_name_of_two_people_is_two_requests(panel: PanelUnderTest, admin: Person, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    first: Operation = await orders(panel).start(actor(admin), server_id, key="k-2")
    second = await orders(panel).start(Actor(owner.id, "olga", is_admin=False), server_id, key="k-2")
    assert first.id != second.id


async def test_a_named_deletion_is_still_known_when_the_server_is_gone(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    first = await orders(panel).delete(actor(admin), server_id, keep_data=False, key="k-3")
    await admin.operation({"id": first.id})
    again = await orders(panel).delete(actor(admin), server_id, keep_data=False, key="k-3")
    assert (again.id, again.state) == (first.id, "succeeded")
