"""Changing servers, holding them, and keeping requests from being done twice: over HTTP, with an agent that speaks part 2."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, unique, until

from ctrl_alt_play.panel.models import Allocation, Server

KEY = "Idempotency-Key"


def port(external: int) -> dict[str, Any]:
    return {"internal": 27960, "external": external, "protocol": "udp"}


@pytest_asyncio.fixture(loop_scope="session")
async def agent(panel: PanelUnderTest) -> Part2Agent:
    return await panel.connected(await panel.part2_agent())


async def patched(admin: Person, server_id: str, change: dict[str, Any]) -> dict[str, Any]:
    operation = await admin.operation(await admin.patch(f"/api/servers/{server_id}", change, 202))
    assert operation["state"] == "succeeded", operation
    return operation


async def held(admin: Person, server_id: str, hold: str) -> dict[str, Any]:
    answer = await admin.api.put(f"/api/servers/{server_id}/hold", json={"hold": hold})
    assert answer.status_code == 202, answer.text
    return await admin.operation(answer.json())


async def test_a_change_reaches_the_node_as_the_next_revision(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    change = {"image": "games/quake:2", "limits": {"cpu": 50}, "readiness": {"text": "Done", "strip_ansi": True}}
    operation = await patched(admin, server_id, change)
    assert operation["arguments"] == {"changed": ["image", "limits", "readiness"], "revision": 2}
    (sent,) = agent.commands("update_server")
    assert (sent["payload"]["image"], sent["payload"]["revision"]) == ("games/quake:2", 2)
    assert sent["payload"]["limits"] == {"memory": 536870912, "swap": 0, "disk": 0, "cpu": 50.0}
    assert sent["payload"]["readiness"]["stripAnsi"] is True
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["image"], server["revision"], server["node_revision"]) == ("games/quake:2", 2, 2)
    assert server["readiness"]["strip_ansi"] is True
    assert server["environment"] == {"MODE": "duel"}


async def test_a_change_of_what_was_changed_meanwhile_is_refused_whole(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    path, name, is_first = f"/api/servers/{server_id}", unique("change"), {"If-Match": '"1"'}
    change = {"image": "games/quake:2"}
    answers = [await admin.api.patch(path, json=change, headers={**is_first, KEY: name}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], "the same request, sent again"
    late = await admin.api.patch(path, json={"image": "games/quake:3", "name": "late"}, headers=is_first)
    assert (late.status_code, late.json()["code"]) == (412, "STALE")
    server = await admin.get(path)
    assert (server["image"], server["revision"], server["name"] == "late") == ("games/quake:2", 2, False)
    nonsense = await admin.api.patch(path, json=change, headers={"If-Match": "1"})
    assert (nonsense.status_code, nonsense.json()["fields"][0]["field"]) == (422, "If-Match")


async def test_a_game_that_nobody_is_to_ask_any_more(panel: PanelUnderTest, admin: Person, agent: Part2Agent) -> None:
    server_id = await panel.server(agent, query={"protocol": "quake3", "port": 27960})
    await patched(admin, server_id, {"query": None})
    assert (await admin.get(f"/api/servers/{server_id}"))["query"] is None
    assert "query" not in agent.commands("update_server")[-1]["payload"]


async def test_values_of_variables_are_no_part_of_an_operation(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    operation = await patched(admin, server_id, {"environment": {"RCON": "hunter2"}})
    assert "hunter2" not in str(operation)
    assert (await admin.get(f"/api/servers/{server_id}"))["environment"] == {"RCON": "hunter2"}


async def test_a_change_of_name_and_tags_alone_is_done_without_the_node(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent, tags=["eu"])
    await agent.go()
    await panel.sees_node(agent, online=False)
    for change in ({"name": "Another"}, {"tags": ["Duel", " eu", "duel"]}):
        operation = await admin.patch(f"/api/servers/{server_id}", change, 202)
        assert (operation["kind"], operation["state"]) == ("update", "succeeded")
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["name"], server["tags"], server["revision"]) == ("Another", ["duel", "eu"], 1)
    await admin.patch(f"/api/servers/{server_id}", {"name": "Third", "tags": None}, 202)
    assert (await admin.get(f"/api/servers/{server_id}"))["tags"] == ["duel", "eu"]
    await admin.patch(f"/api/servers/{server_id}", {"tags": []}, 202)
    assert (await admin.get(f"/api/servers/{server_id}"))["tags"] == []


async def test_a_server_of_an_older_agent_can_be_renamed_but_not_changed(panel: PanelUnderTest, admin: Person) -> None:
    older = await panel.connected(await panel.agent())
    server_id = await panel.server(older)
    await patched(admin, server_id, {"name": "Another"})
    problem = await admin.patch(f"/api/servers/{server_id}", {"name": "Third", "image": "games/quake:2"}, 409)
    assert problem["code"] == "AGENT_TOO_OLD"
    assert (await admin.get(f"/api/servers/{server_id}"))["name"] == "Another"


async def test_ports_move_with_a_change_and_what_another_holds_is_refused_whole(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    holder = unique("holder")
    await panel.server(agent, name=holder, ports=[port(1001)])
    server_id = await panel.server(agent, name="before", ports=[port(1002), port(1003)])
    change = {"name": "after", "ports": [port(1002), port(1001)], "image": "games/quake:2"}
    problem = await admin.patch(f"/api/servers/{server_id}", change, 409)
    assert (problem["code"], holder in problem["detail"]) == ("PORT_CONFLICT", True)
    assert [wrong["field"] for wrong in problem["fields"]] == ["ports.1.external"]
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["name"], server["revision"], len(server["ports"])) == ("before", 1, 2)
    await patched(admin, server_id, {"ports": [port(1002), port(1004)]})
    await panel.server(agent, ports=[port(1003)])
    async with panel.app.state.database.reading() as session:
        held = await session.scalars(select(Allocation.port).where(Allocation.server_id == server_id))
        assert set(held) == {1002, 1004}


@pytest.mark.parametrize("change", [{}, {"node_id": "x"}, {"image": " "}, {"limits": {"memory": 1}}, {"image": None}])
async def test_a_change_that_makes_no_sense_changes_nothing(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent, change: dict[str, Any]
) -> None:
    server_id = await panel.server(agent)
    await admin.patch(f"/api/servers/{server_id}", change, 422)
    assert (await admin.get(f"/api/servers/{server_id}"))["revision"] == 1


async def test_a_change_made_while_the_node_is_away_is_told_as_not_yet_there(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    await patched(admin, server_id, {"image": "games/quake:2"})
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["revision"], server["node_revision"]) == (2, 1)
    assert server["detail"].startswith("the node is away since ")
    await agent.come()

    async def told() -> bool:
        return (await admin.get(f"/api/servers/{server_id}"))["node_revision"] == 2

    await until(told)


async def test_a_server_on_hold_is_suspended_until_it_is_released(
    panel: PanelUnderTest, admin: Person, owner: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent, owner)
    assert (await held(admin, server_id, "suspended"))["state"] == "succeeded"
    assert agent.commands("update_server")[-1]["payload"]["hold"] == "suspended"
    server = await owner.get(f"/api/servers/{server_id}")
    assert (server["status"], server["hold"], server["revision"]) == ("SUSPENDED", "suspended", 2)
    assert server["detail"].startswith("on hold since ")
    for action, body in (("start", None), ("restart", None), ("command", {"command": "say hi"})):
        assert (await owner.post(f"/api/servers/{server_id}/{action}", body, 409))["code"] == "SERVER_ON_HOLD"
    await held(admin, server_id, "none")
    assert (await owner.get(f"/api/servers/{server_id}"))["status"] == "OFFLINE"
    await owner.done(f"/api/servers/{server_id}/start")


async def test_a_game_that_a_hold_has_not_ended_yet_is_not_called_suspended(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    await admin.sees(server_id, "RUNNING")
    await agent.go()
    await panel.sees_node(agent, online=False)
    await held(admin, server_id, "suspended")
    away = await admin.get(f"/api/servers/{server_id}/status")
    assert (away["status"], away["hold"]) == ("UNKNOWN", "suspended")
    assert away["detail"].endswith("; the hold takes effect when it is back")
    await agent.come()
    await admin.sees(server_id, "RUNNING")
    await agent.become(server_id, "stopping")
    await admin.sees(server_id, "STOPPING")
    await agent.become(server_id, "stopped")
    await admin.sees(server_id, "SUSPENDED")


async def test_a_request_sent_again_by_its_name_is_not_done_again(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    name = unique("request")
    new = panel.new(agent)
    answers = [await admin.api.post("/api/servers", json=new, headers={KEY: name}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    first, again = (answer.json() for answer in answers)
    assert first["id"] == again["id"]
    await admin.operation(first)
    async with panel.app.state.database.reading() as session:
        query = select(func.count()).select_from(Server).where(Server.node_id == agent.node_id)
        assert await session.scalar(query) == 1
    path = f"/api/servers/{first['server_id']}/start"
    taken = await admin.api.post(path, headers={KEY: name})
    assert (taken.status_code, taken.json()["code"]) == (409, "KEY_TAKEN")


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb", "ä"])
async def test_a_name_of_a_request_that_cannot_be_one_is_refused(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent, key: str
) -> None:
    answer = await admin.api.post("/api/servers", json=panel.new(agent), headers={KEY: key.encode("latin-1")})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, KEY)


async def test_every_route_that_makes_an_operation_documents_the_key(panel: PanelUnderTest) -> None:
    async with panel.client() as api:
        paths = (await api.get("/openapi.json")).json()["paths"]
    orders = {
        (method, path): {parameter["name"] for parameter in route.get("parameters", ())}
        for path, routes in paths.items()
        for method, route in routes.items()
        if "202" in route["responses"] and not path.endswith("/cancel")
    }
    assert len(orders) == 16
    assert {order for order, parameters in orders.items() if KEY not in parameters} == set()


async def test_how_far_an_operation_is_is_told_until_it_ends(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    agent.unfinished.add("start_server")
    operation = await admin.post(f"/api/servers/{server_id}/start")
    assert operation["progress"] is None
    (command,) = agent.commands("start_server")
    told_so_far = {
        "commandId": command["id"],
        "serverId": server_id,
        "phase": "pull",
        "percent": 45,
        "message": "3 of 7",
    }
    await agent.send({"type": "event", "event": "operation_progress", "data": told_so_far})

    async def told() -> Any:
        return (await admin.get(f"/api/operations/{operation['id']}"))["progress"]

    assert await until(told) == {"phase": "pull", "percent": 45.0, "message": "3 of 7"}
    listed = (await admin.get(f"/api/servers/{server_id}/operations", limit=1))["items"][0]
    assert listed["progress"]["phase"] == "pull"
    await agent.end(command, ready=False)
    ended = await admin.operation(operation)
    assert (ended["state"], ended["progress"]) == ("succeeded", None)


async def test_a_cancelled_operation_ends_as_cancelled(
    panel: PanelUnderTest, admin: Person, owner: Person, stranger: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent, owner)
    agent.unfinished.add("start_server")
    operation = await owner.post(f"/api/servers/{server_id}/start")
    path = f"/api/operations/{operation['id']}/cancel"
    await stranger.post(path, status=404)
    await owner.post(path)
    assert agent.commands("cancel")[0]["payload"] == {"commandId": operation["id"]}
    await agent.end(agent.commands("start_server")[0], ("CANCELLED", "It was cancelled."))
    ended = await owner.operation(operation)
    assert (ended["state"], ended["code"]) == ("failed", "CANCELLED")
    assert (await owner.post(path, status=409))["code"] == "OPERATION_ENDED"


async def test_an_operation_that_waits_for_its_node_says_so(panel: PanelUnderTest, admin: Person) -> None:
    silent = {"start_server"}
    agent = await panel.connected(await panel.part2_agent(unanswered=silent, unfinished=silent))
    server_id = await panel.server(agent)

    async def go_after_the_command() -> None:
        await until(lambda: agent.commands("start_server"))
        agent.die()

    going = asyncio.create_task(go_after_the_command())
    operation = await admin.post(f"/api/servers/{server_id}/start")
    await going
    await panel.sees_node(agent, online=False)
    waiting = await admin.get(f"/api/operations/{operation['id']}")
    assert waiting["state"] == "queued"
    assert waiting["message"].startswith(f"It waits for node {agent.node_id}, which is away since ")
    await agent.come()
    await until(lambda: agent.commands("start_server"))
    await agent.end(agent.commands("start_server")[0])
    ended = await admin.operation(operation)
    assert (ended["state"], ended["message"]) == ("succeeded", None)


async def test_a_container_that_nobody_knows_is_shown_and_adopted(panel: PanelUnderTest, admin: Person) -> None:
    lost = unique("lost")
    orphan: dict[str, Any] = {"serverId": lost, "containerId": "4cd1", "state": "running", "image": "games/quake:1"}
    specification = {"image": "games/quake:1", "revision": 3}
    orphan |= {"isAdoptable": True, "specification": specification}
    agent = await panel.connected(await panel.part2_agent(orphans=[orphan]))
    path = f"/api/nodes/{agent.node_id}"

    async def shown() -> Any:
        return (await admin.get(path))["orphans"]

    assert await until(shown) == [
        {
            "server_id": lost,
            "container_id": "4cd1",
            "state": "running",
            "image": "games/quake:1",
            "is_adoptable": True,
        }
    ]
    assert (await admin.get(path))["protocol_version"] == 2
    await admin.post(f"{path}/orphans/nothing/adopt", {"name": "Found"}, 404)
    await admin.post(f"{path}/orphans/{lost}/adopt", {"name": "Found", "node_id": "x"}, 422)
    operation = await admin.done(f"{path}/orphans/{lost}/adopt", {"name": "Found"})
    assert (operation["kind"], operation["server_id"]) == ("adopt", lost)
    server = await admin.get(f"/api/servers/{lost}")
    assert (server["name"], server["owner_id"], server["revision"]) == ("Found", admin.id, 3)
    assert (await admin.get(path))["orphans"] == []


async def test_a_server_that_runs_without_having_been_seen_ready_says_so(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    await agent.become(server_id, "running", ready=False)
    await admin.sees(server_id, "RUNNING")
    view = await admin.get(f"/api/servers/{server_id}/status")
    assert (view["ready"], view["detail"]) == (False, "running, readiness not seen")


async def test_a_crash_is_told_with_its_reason_and_when_it_starts_again(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent)
    again = "2126-01-01T12:00:10Z"
    await agent.become(server_id, "running", ready=True)
    await agent.become(server_id, "crashed", exitCode=137, restartAt=again)
    crash = {"serverId": server_id, "cause": "out_of_memory", "summary": "It ran out of memory.", "exitCode": 137}
    await agent.event("server_crashed", {**crash, "crashes": 2, "restartAt": again})

    async def told() -> Any:
        view = await admin.get(f"/api/servers/{server_id}/status")
        return view if view["crashes"] else None

    view = await until(told)
    assert (view["status"], view["crashes"], view["restart_at"]) == ("CRASHED", 2, again)
    assert view["detail"] == "crashed: It ran out of memory; starts again at 2126-01-01 12:00:10 UTC"
    (report,) = (await admin.get(f"/api/servers/{server_id}/crashes"))["items"]
    assert (report["cause"], report["restart_at"]) == ("out_of_memory", again)


async def test_what_a_node_that_is_there_told_last_is_true_now(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    agent = await own_panel.connected(await own_panel.part2_agent())
    server_id, unseen = await own_panel.server(agent), await own_panel.server(agent)
    await agent.become(server_id, "running", ready=True)
    await agent.become(unseen, "unknown")
    await until(lambda: agent.acked == agent.seq)
    for _ in range(3):
        own_panel.clock.ahead_s += 60
        await agent.tell("heartbeat", {"nodeId": agent.node_id})
        await agent.event("audit", {})
        await until(lambda: agent.acked == agent.seq)
    assert (await admin.get(f"/api/servers/{server_id}/status"))["age_s"] < 5
    assert (await admin.get(f"/api/servers/{unseen}/status"))["age_s"] >= 180
    own_panel.clock.ahead_s += 20
    known = await admin.get(f"/api/servers/{server_id}/status")
    assert 20 <= known["age_s"] < 25
    shown = {one["id"]: one["observed_at"] for one in (await admin.get("/api/servers"))["items"]}
    alone = await admin.get(f"/api/servers/{server_id}")
    assert min(shown[server_id], known["observed_at"], alone["observed_at"]) > shown[unseen]
    await agent.go()
    await own_panel.sees_node(agent, online=False)
    own_panel.clock.ahead_s += 100
    assert (await admin.get(f"/api/servers/{server_id}/status"))["age_s"] >= 100


async def test_who_ordered_something_is_told_by_name_also_when_their_account_is_gone(
    panel: PanelUnderTest, admin: Person
) -> None:
    path = f"/api/servers/{await panel.server(await panel.connected(await panel.agent()))}"
    guest = await panel.person(unique("guest"))
    await admin.patch(f"/api/users/{guest.id}", {"is_admin": True})
    assert (await guest.done(f"{path}/start"))["created_by_name"] == guest.username
    await admin.delete(f"/api/users/{guest.id}")
    started, created = (await admin.get(f"{path}/operations"))["items"]
    assert (started["created_by"], started["created_by_name"]) == (None, guest.username)
    assert created["created_by_name"] == admin.username
