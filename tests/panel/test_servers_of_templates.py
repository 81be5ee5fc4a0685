"""Servers of templates: previewed, made, and changed by their people."""

from typing import Any

import pytest_asyncio
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, unique
from tests.panel.templates import QUAKE, kept
from tests.panel.test_rendering import template, variable

from ctrl_alt_play.templates import model


@pytest_asyncio.fixture(loop_scope="session")
async def agent(panel: PanelUnderTest) -> Part2Agent:
    return await panel.connected(await panel.part2_agent())


async def made(
    panel: PanelUnderTest, agent: Part2Agent, template_id: str, owner: Person | None = None, **more: Any
) -> str:
    owned = {} if owner is None else {"owner_id": owner.id}
    body = {"name": unique("server"), "node_id": agent.node_id, **owned, **more}
    operation = await panel.admin.done(f"/api/templates/{template_id}/servers", body)
    return str(operation["server_id"])


def fields(answer: dict[str, Any], where: str = "problems") -> dict[str, str]:
    return {each["field"]: each["message"] for each in answer[where]}


async def test_a_preview_of_nothing_but_a_template_tells_all_that_is_there_and_all_that_lacks(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    path = f"/api/templates/{await kept(panel, QUAKE)}/servers/preview"
    told = await admin.post(path, {"node_id": agent.node_id, "variables": {"MAP": "", "MOST": "99"}}, 200)
    assert fields(told) == {
        "name": "it must not be empty",
        "variables.MAP": "is required",
        "variables.MOST": "must be 1 to 64",
    }
    assert {(port["name"], port["protocol"]) for port in told["ports"]} == {("game", "tcp"), ("game", "udp")}
    startup = told["startup"]
    assert startup["image"]["name"] == "Small"
    assert [option["name"] for option in startup["startup"]["options"]] == ["Usual", "Other"]
    assert startup["command"] == "./quake +map  +rcon hunter2"
    assert [each["input"]["kind"] for each in startup["variables"]] == ["text", "integer", "secret"]
    assert told["recipe"]["environment"]["MOST"] == "99"


async def test_a_server_is_made_of_a_template_with_free_ports_and_its_version(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    template_id = await kept(panel, QUAKE, QUAKE.model_copy(update={"stop": "bye"}))
    first = await made(panel, agent, template_id, version=1, variables={"MAP": "dm6"})
    second = await made(panel, agent, template_id)
    views = [await admin.get(f"/api/servers/{server_id}") for server_id in (first, second)]
    assert [(view["template_id"], view["template_version"]) for view in views] == [(template_id, 1), (template_id, 2)]
    assert views[0]["environment"] == {"MAP": "dm6", "MOST": "8", "RCON_PASSWORD": "hunter2"}
    numbers = [{port["external"] for port in view["ports"]} for view in views]
    assert not numbers[0] & numbers[1]
    (payload,) = [each["payload"] for each in agent.commands("create_server") if each["serverId"] == first]
    assert payload["launch"] == "image"
    assert payload["startup"] == "./quake +map {{MAP}} +rcon {{RCON_PASSWORD}}"


async def test_nothing_is_made_where_anything_is_wrong(panel: PanelUnderTest, admin: Person, agent: Part2Agent) -> None:
    template_id = await kept(panel, QUAKE)
    held = await made(panel, agent, template_id)
    (number, *_) = {port["external"] for port in (await admin.get(f"/api/servers/{held}"))["ports"]}
    body = {
        "name": "Wrong",
        "node_id": agent.node_id,
        "image": "None",
        "variables": {"MAP": "x" * 11, "NONE": "1"},
        "ports": [{"name": "game", "external": number}],
        "owner_id": "nobody",
    }
    told = await admin.post(f"/api/templates/{template_id}/servers", body, 422)
    name = (await admin.get(f"/api/servers/{held}"))["name"]
    assert fields(told, "fields") == {
        "owner_id": "there is no such user",
        "ports.game": f"held by {name}",
        "image": "the template has none of that name; there are: Small, Large",
        "variables.NONE": "the template has no such variable",
        "variables.MAP": "must have at most 10 characters",
    }
    assert (await admin.get("/api/servers", name="Wrong"))["items"] == []
    assert fields(await admin.post(f"/api/templates/{template_id}/servers", {**body, "version": 9}, 422), "fields") == {
        "version": "there is no such version"
    }


async def test_ports_are_chosen_by_name_and_the_rest_is_proposed_beside_them(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    wanted = (model.Port(name="game", protocol="udp"), model.Port(name="query", protocol="tcp", variable="QUERY"))
    template_id = await kept(panel, template(variable("QUERY"), ports=wanted))
    chosen = [{"name": "query", "external": 25565}, {"name": "rcon", "protocol": "tcp"}]
    server_id = await made(panel, agent, template_id, ports=chosen)
    view = await admin.get(f"/api/servers/{server_id}")
    assert [(port["name"], port["protocol"], port["external"]) for port in view["ports"]] == [
        ("game", "udp", 25565),
        ("query", "tcp", 25565),
        ("rcon", "tcp", 25566),
    ]
    assert view["environment"] == {"QUERY": "25565"}
    ports = [{**port, "internal": 4000, "external": 4000} for port in view["ports"] if port["name"] == "query"]
    await admin.operation(await admin.patch(f"/api/servers/{server_id}", {"ports": ports}, 202))
    assert (await admin.get(f"/api/servers/{server_id}"))["environment"] == {"QUERY": "4000"}


async def test_the_same_request_twice_makes_one_server(panel: PanelUnderTest, admin: Person, agent: Part2Agent) -> None:
    path = f"/api/templates/{await kept(panel, QUAKE)}/servers"
    body = {"name": unique("once"), "node_id": agent.node_id}
    headers = {"Idempotency-Key": unique("key")}
    answers = [(await admin.api.post(path, json=body, headers=headers)).json() for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]
    assert len((await admin.get("/api/servers", name=body["name"]))["items"]) == 1


async def test_without_a_node_the_one_with_room_is_taken_or_it_is_said_that_there_is_none(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    path = f"/api/templates/{await kept(panel, QUAKE)}/servers/preview"
    assert (await admin.post(path, {"name": "Any"}, 200))["node_id"] is not None
    told = await admin.post(path, {"name": "Large", "node_tags": ["nowhere"]}, 200)
    assert told["node_id"] is None
    assert list(fields(told)) == ["node_id"]


async def test_owners_see_what_is_theirs_to_see_and_change_what_is_theirs_to_change(
    panel: PanelUnderTest, admin: Person, owner: Person, agent: Part2Agent
) -> None:
    server_id = await made(panel, agent, await kept(panel, QUAKE), owner)
    path = f"/api/servers/{server_id}/startup"
    theirs = await owner.get(path)
    assert [each["environment_name"] for each in theirs["variables"]] == ["MAP", "MOST"]
    assert theirs["command"] == "./quake +map dm17 +rcon {{RCON_PASSWORD}}"
    assert (await admin.get(path))["command"] == "./quake +map dm17 +rcon hunter2"
    assert (await owner.get(f"/api/servers/{server_id}"))["environment"] == {}
    assert (await owner.get("/api/servers", name=""))["items"][0]["environment"] == {}
    bad = {"variables": {"MAP": "x" * 11, "MOST": "9", "RCON_PASSWORD": "mine", "NONE": ""}, "image": "None"}
    assert fields(await owner.patch(path, bad, 422), "fields") == {
        "image": "the template has none of that name; there are: Small, Large",
        "variables.MAP": "must have at most 10 characters",
        "variables.MOST": "only administrators may change it",
        "variables.RCON_PASSWORD": "the template has no such variable",
        "variables.NONE": "the template has no such variable",
    }
    preview = await owner.post(f"{path}/preview", bad | {"startup": "Other"}, 200)
    assert len(fields(preview)) == 5
    assert (preview["command"], [each["value"] for each in preview["variables"]]) == ("./other", ["x" * 11, "9"])
    assert await owner.get(path) == theirs
    good = {"variables": {"MAP": "dm6"}, "image": "Large", "startup": "Other"}
    operation = await owner.operation(await owner.patch(path, good, 202))
    assert operation["arguments"] == {"changed": ["environment", "image", "startup"], "revision": 2}
    view = await admin.get(f"/api/servers/{server_id}")
    assert (view["image"], view["startup"]) == ("example.org/quake:2", "./other")
    assert view["environment"] == {"MAP": "dm6", "MOST": "8", "RCON_PASSWORD": "hunter2"}
    assert (await admin.get(path))["image"]["name"] == "Large"


async def test_a_change_does_not_overwrite_anothers(panel: PanelUnderTest, owner: Person, agent: Part2Agent) -> None:
    server_id = await made(panel, agent, await kept(panel, QUAKE), owner)
    path = f"/api/servers/{server_id}/startup"
    await owner.operation(await owner.patch(path, {"variables": {"MAP": "dm6"}}, 202))
    stale = await owner.api.patch(path, json={"variables": {"MAP": "dm7"}}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "STALE")


async def test_a_server_without_a_template_shows_what_runs_and_is_changed_by_administrators(
    panel: PanelUnderTest, admin: Person, owner: Person, agent: Part2Agent
) -> None:
    server_id = await panel.server(agent, owner)
    path = f"/api/servers/{server_id}/startup"
    told = await owner.get(path)
    assert (told["template"], told["variables"], told["command"]) == (None, [], "./quake")
    answer = await owner.patch(path, {"variables": {"MODE": "duel"}}, 409)
    assert answer["code"] == "NO_TEMPLATE"
