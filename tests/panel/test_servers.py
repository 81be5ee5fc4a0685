"""Making, finding and refusing servers, where nothing goes wrong with connections."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update
from tests.panel.support import PanelUnderTest, Person, unique, until

from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.protocol.specification import Hold


def port(external: int, **more: Any) -> dict[str, Any]:
    return {"internal": 27960, "external": external, "protocol": "udp", **more}


async def test_a_port_that_another_server_holds_is_refused_with_its_holders_name(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    name = unique("holder")
    await panel.server(agent, name=name, ports=[port(27960)])
    problem = await admin.post("/api/servers", panel.new(agent, ports=[port(27961), port(27960)]), 409)
    assert problem["code"] == "PORT_CONFLICT"
    assert name in problem["detail"]
    assert problem["fields"] == [{"field": "ports.1.external", "message": f"held by {name}"}]
    assert len(agent.commands("create_server")) == 1


async def test_what_is_no_conflict_is_not_refused(panel: PanelUnderTest) -> None:
    agent, elsewhere = await panel.connected(await panel.agent()), await panel.connected(await panel.agent())
    await panel.server(agent, ports=[port(27960, address="127.0.0.1")])
    await panel.server(agent, ports=[port(27960, address="127.0.0.2")])
    await panel.server(agent, ports=[port(27960, protocol="tcp")])
    await panel.server(elsewhere, ports=[port(27960)])


async def test_a_port_on_all_addresses_collides_with_the_same_on_one(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    await panel.server(agent, ports=[port(27960, address="127.0.0.1")])
    await admin.post("/api/servers", panel.new(agent, ports=[port(27960)]), 409)


async def test_a_deleted_servers_ports_are_free_again(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent, ports=[port(27960)])
    await admin.operation(await admin.delete(f"/api/servers/{server_id}", 202))
    await panel.server(agent, ports=[port(27960)])


async def test_all_that_is_wrong_in_a_specification_is_named_in_its_place(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.agent()
    new = panel.new(
        agent,
        name="a\u202eb",
        image=" ",
        limits={"memory": 1, "cpu": -1},
        ports=[port(1), port(70000)],
        stop={"signal": "SIGNOTHING"},
        unknown=True,
    )
    problem = await admin.post("/api/servers", new, 422)
    assert {wrong["field"] for wrong in problem["fields"]} == {
        "name",
        "image",
        "limits.memory",
        "limits.cpu",
        "ports.1.external",
        "stop.signal",
        "unknown",
    }


@pytest.mark.parametrize("field", ["node_id", "owner_id"])
async def test_a_node_or_an_owner_that_is_not_there_is_named(panel: PanelUnderTest, admin: Person, field: str) -> None:
    agent = await panel.agent()
    problem = await admin.post("/api/servers", panel.new(agent) | {field: "nobody"}, 422)
    assert [wrong["field"] for wrong in problem["fields"]] == [field]


async def test_a_creation_that_is_refused_leaves_a_row_that_can_be_deleted(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent(refusals={"create_server": ("IMAGE_NOT_FOUND", "no such image")}))
    problem = await admin.post("/api/servers", panel.new(agent), 422)
    assert problem["code"] == "IMAGE_NOT_FOUND"
    operation = await admin.get(f"/api/operations/{problem['operation_id']}")
    server_id = operation["server_id"]
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["status"], server["last_error"]) == ("INSTALL_FAILED", "no such image")
    assert server["detail"] == "not installed: no such image"
    deletion = await admin.operation(await admin.delete(f"/api/servers/{server_id}", 202))
    assert deletion["state"] == "succeeded"
    await admin.get(f"/api/servers/{server_id}", 404)


async def test_a_creation_that_fails_later_tells_why(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"create_server"}))
    operation = await admin.post("/api/servers", panel.new(agent))
    data = {"serverId": operation["server_id"], "status": "create_failed", "error": "the disk is full"}
    await agent.event("server_status_changed", data)
    ended = await admin.operation(operation)
    assert (ended["code"], ended["message"]) == ("CREATE_FAILED", "the disk is full")
    server = await admin.get(f"/api/servers/{operation['server_id']}")
    assert (server["status"], server["last_error"]) == ("INSTALL_FAILED", "the disk is full")


async def test_without_its_node_a_server_is_not_made_and_the_order_says_so(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.agent()
    new = panel.new(agent, ports=[port(27960)])
    problem = await admin.post("/api/servers", new, 503)
    assert problem["code"] == "AGENT_OFFLINE"
    operation = await admin.get(f"/api/operations/{problem['operation_id']}")
    assert (operation["state"], "is not connected" in operation["message"]) == ("failed", True)
    await admin.get(f"/api/servers/{operation['server_id']}", 404)
    await panel.connected(agent)
    await admin.operation(await admin.post("/api/servers", new))


async def test_a_creation_that_may_have_reached_its_node_leaves_a_server_to_look_after(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent(unanswered={"create_server"}))

    async def go_after_the_command() -> None:
        await until(lambda: agent.commands("create_server"))
        agent.die()

    going = asyncio.create_task(go_after_the_command())
    problem = await admin.post("/api/servers", panel.new(agent), 503)
    await going
    operation = await admin.get(f"/api/operations/{problem['operation_id']}")
    server = await admin.get(f"/api/servers/{operation['server_id']}")
    assert server["status"] == "INSTALL_FAILED"
    assert server["last_error"] == operation["message"]


async def test_what_the_node_refuses_is_told_with_its_code_and_sentence(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    agent.refusals["start_server"] = ("INVALID_STATE", "The server runs already.")
    problem = await admin.post(f"/api/servers/{server_id}/start", status=409)
    assert (problem["code"], problem["detail"]) == ("INVALID_STATE", "The server runs already.")


async def test_a_start_that_fails_later_tells_why(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    operation = await admin.post(f"/api/servers/{server_id}/start")
    assert await admin.status(server_id) == "STARTING"
    data = {"serverId": server_id, "status": "start_failed", "error": "no such image\x00"}
    await agent.event("server_status_changed", data)
    ended = await admin.operation(operation)
    assert (ended["state"], ended["message"]) == ("failed", "no such image")
    assert (await admin.get(f"/api/servers/{server_id}"))["detail"] == "It could not be started: no such image"


async def test_a_kill_ends_a_start_that_hangs(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    hanging = await admin.post(f"/api/servers/{server_id}/start")
    await admin.done(f"/api/servers/{server_id}/kill")
    assert (await admin.operation(hanging))["code"] == "KILLED"


@pytest.mark.parametrize("action", ["stop", "kill"])
async def test_a_crash_that_was_ordered_is_no_crash(panel: PanelUnderTest, admin: Person, action: str) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"stop_server", "kill_server"}, tells_legacy=True))
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    operation = await admin.post(f"/api/servers/{server_id}/{action}")
    assert await admin.status(server_id) == "STOPPING"
    await agent.become(server_id, "crashed", exitCode=137)
    assert (await admin.operation(operation))["state"] == "succeeded"
    await admin.done(f"/api/servers/{server_id}/status")
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["status"], server["exit_code"]) == ("OFFLINE", 137)
    await agent.become(server_id, "running")
    await admin.sees(server_id, "RUNNING")
    await agent.become(server_id, "crashed", exitCode=1)
    await admin.sees(server_id, "CRASHED")


async def test_an_outcome_told_before_its_acceptance_counts(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unanswered={"start_server"}))
    server_id = await panel.server(agent)

    async def answer_late() -> None:
        command = (await until(lambda: agent.commands("start_server")))[0]
        await agent.become(server_id, "running")
        await agent.respond(command["id"], success=True, message="start_server command received")

    async with panel.client() as api:
        api.headers.update(admin.api.headers)
        asking = asyncio.create_task(api.post(f"/api/servers/{server_id}/start"))
        await answer_late()
        assert (await asking).json()["state"] == "succeeded"


async def test_a_state_that_nobody_knows_is_unknown_and_quoted(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await agent.become(server_id, "hibernating")
    await admin.sees(server_id, "UNKNOWN")
    assert "hibernating" in (await admin.get(f"/api/servers/{server_id}"))["last_error"]


async def test_periodic_figures_are_kept_and_settle_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"restart_server"}))
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    operation = await admin.post(f"/api/servers/{server_id}/restart")
    stats = {"cpu": 12.5, "memory": 536870912, "disk": 1048576, "network": {"in": 10, "out": 20}, "players": 3}
    await agent.tell("server_status", {"serverId": server_id, "status": "running", "stats": stats})

    async def figures() -> Any:
        return (await admin.get(f"/api/servers/{server_id}/status"))["figures"]

    kept = await until(figures)
    assert (kept["cpu_percent"], kept["players"], kept["network_received_bytes"]) == (12.5, 3, 10)
    assert (await admin.get(f"/api/operations/{operation['id']}"))["state"] == "running"


async def test_a_server_on_hold_is_not_started(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    async with panel.app.state.database.writing() as session:
        held = {"hold": Hold.SUSPENDED, "hold_since": panel.clock.utc()}
        await session.execute(update(Server).where(Server.id == server_id).values(held))
    assert await admin.status(server_id) == "SUSPENDED"
    assert (await admin.post(f"/api/servers/{server_id}/start", status=409))["code"] == "SERVER_ON_HOLD"


async def test_servers_are_found_by_part_of_their_name_and_by_node(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    for name in ("Alpha Quake", "Beta quake", "100% pure_c"):
        await panel.server(agent, name=name)
    path, where = "/api/servers", {"node_id": agent.node_id}
    assert [found["name"] for found in (await admin.get(path, **where, name="QUAKE"))["items"]] == [
        "Alpha Quake",
        "Beta quake",
    ]
    assert [found["name"] for found in (await admin.get(path, **where, name="%"))["items"]] == ["100% pure_c"]
    assert (await admin.get(path, node_id="elsewhere"))["items"] == []


async def test_servers_are_found_by_a_whole_tag(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    tags = [["eu", "100%"], ["eu west", 'a"eu"'], ["EU ", "é\\", "eu"]]
    made = [await panel.server(agent, tags=each) for each in tags]

    async def tagged(tag: str) -> set[int]:
        found = (await admin.get("/api/servers", node_id=agent.node_id, tag=tag))["items"]
        return {made.index(server["id"]) for server in found}

    assert (await admin.get(f"/api/servers/{made[2]}"))["tags"] == ["eu", "é\\"]
    assert [await tagged(tag) for tag in ("eu", "Eu", "eu west", "É\\", "100%", "1", "e%", "west")] == [
        *({0, 2}, {0, 2}, {1}, {2}, {0}),
        *(set[int](), set[int](), set[int]()),
    ]


@pytest.mark.parametrize("tags", [["a"] * 11, ["x" * 33], ["a,b"], [" "], ["a\u202eb"], "eu"])
async def test_tags_that_nobody_could_use_are_refused(panel: PanelUnderTest, admin: Person, tags: Any) -> None:
    agent = await panel.agent()
    problem = await admin.post("/api/servers", panel.new(agent, tags=tags), 422)
    assert problem["fields"][0]["field"].startswith("tags")


async def test_servers_come_in_pages_also_where_names_are_the_same(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    made = {await panel.server(agent, name=name) for name in ("same", "same", "same", "other", "third")}
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await admin.get("/api/servers", node_id=agent.node_id, limit=2, **cursor)
        found += [server["id"] for server in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(found) == 5
    assert set(found) == made


@pytest.mark.parametrize("cursor", ["nonsense", "e30", "", "WyJhIl0", "WyJcdTAwMDAiLCAiYSJd"])
async def test_a_cursor_that_is_not_ours_is_refused(admin: Person, cursor: str) -> None:
    problem = await admin.get("/api/servers", 422, cursor=cursor)
    assert [wrong["field"] for wrong in problem["fields"]] == ["cursor"]


@pytest.mark.parametrize("limit", [0, 201, "many"])
async def test_a_page_has_one_to_two_hundred_items(admin: Person, limit: Any) -> None:
    problem = await admin.get("/api/servers", 422, limit=limit)
    assert [wrong["field"] for wrong in problem["fields"]] == ["limit"]


async def test_a_servers_operations_are_listed_with_the_latest_first(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    await admin.done(f"/api/servers/{server_id}/stop")
    page = await admin.get(f"/api/servers/{server_id}/operations", limit=2)
    assert [operation["kind"] for operation in page["items"]] == ["stop", "start"]
    rest = await admin.get(f"/api/servers/{server_id}/operations", cursor=page["next_cursor"])
    assert [operation["kind"] for operation in rest["items"]] == ["create"]


async def test_what_is_wanted_is_kept_beside_what_is(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await admin.done(f"/api/servers/{server_id}/start")
    await agent.become(server_id, "crashed", exitCode=1, oomKilled=True)
    await admin.sees(server_id, "CRASHED")
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["desired"], server["observed"], server["exit_code"]) == ("on", "crashed", 1)
    assert "memory" in server["last_error"]
