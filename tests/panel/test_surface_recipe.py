"""What a server is made of, as the REST API takes it and tells it."""

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import update
from tests.panel.support import SPECIFICATION, PanelUnderTest, Person

from ctrl_alt_play.panel.errors import Invalid
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.servers.schemas import ServerChange
from ctrl_alt_play.protocol.specification import Recipe, Specification

READINESS = {
    "text": ["Done"],
    "strip_ansi": True,
    "probe": {"kind": "tcp", "port": 25565, "protocol": None},
    "timeout": 60.0,
    "lost": 30.0,
}
CRASH = {"restart": False, "backoff": [1.0, 2.0], "limit": 3, "window": 60.0, "clean": "restart", "then": "retry"}


def names(value: Any) -> set[str]:
    """Every name in a JSON document, however deep; an environment's names are its owner's own."""
    match value:
        case dict():
            return set(value) | {name for key, inner in value.items() if key != "environment" for name in names(inner)}
        case list():
            return {name for inner in value for name in names(inner)}
        case _:
            return set()


async def test_readiness_and_crash_policy_go_in_and_come_out_as_they_went_in(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent, readiness=READINESS, crash=CRASH)
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["readiness"], server["crash"]) == (READINESS, CRASH)
    assert (server["revision"], server["hold"]) == (1, "none")


async def test_every_name_in_an_answer_is_in_snake_case(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent, readiness=READINESS, crash=CRASH)
    for path in (f"/api/servers/{server_id}", f"/api/servers/{server_id}/status", f"/api/nodes/{agent.node_id}"):
        found = names(await admin.get(path))
        assert {name for name in found if name != name.lower()} == set()


async def test_the_documentation_calls_every_field_what_the_answers_call_it(panel: PanelUnderTest) -> None:
    async with panel.client() as api:
        shapes = (await api.get("/openapi.json")).json()["components"]["schemas"]
    readiness = [shape["properties"] for name, shape in shapes.items() if name.endswith("Readiness")]
    assert readiness
    assert all("strip_ansi" in properties for properties in readiness)
    for name, shape in shapes.items():
        assert all(field == field.lower() for field in shape.get("properties", {})), name


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"readiness": {"stripAnsi": True}}, "readiness.stripAnsi"),
        ({"limits": {"memroy": 1}}, "limits.memroy"),
        ({"hold": "suspended"}, "hold"),
        ({"revision": 7}, "revision"),
        ({"readiness": {"text": ["regex:("]}}, "readiness.text.0"),
        ({"readiness": {"probe": {"kind": "query"}}}, "readiness.probe"),
        ({"crash": {"backoff": []}}, "crash.backoff"),
        ({"startup": "./run 'unclosed"}, "startup"),
        ({"image": "../../x"}, "image"),
        ({"image": "example.org/Games/quake"}, "image"),
        ({"image": "Quake:1"}, "image"),
        ({"image": "quake:" + "x" * 129}, "image"),
        ({"image": "a" * 256}, "image"),
        ({"ports": [{"internal": 1, "external": 2, "address": "1.2.3.4.5"}]}, "ports.0.address"),
        ({"ports": [{"internal": 1, "external": 2, "address": "::1::"}]}, "ports.0.address"),
        ({"readiness": {"probe": {"kind": "tcp"}}}, "readiness.probe.port"),
        ({"readiness": {"probe": {"kind": "query", "protocol": "quake3"}}}, "readiness.probe.port"),
    ],
)
async def test_what_is_unknown_or_not_given_by_people_is_named(
    panel: PanelUnderTest, admin: Person, wrong: dict[str, Any], field: str
) -> None:
    problem = await admin.post("/api/servers", panel.new(await panel.agent(), **wrong), 422)
    assert [each["field"] for each in problem["fields"]] == [field]


@pytest.mark.parametrize(
    "image",
    [
        "quake",
        "localhost:5000/a/b__c.d-e:1.0_x",
        "[::1]:5000/q",
        f"q@sha256:{'a' * 64}",
        f"sha256:{'a' * 64}",
        "EXAMPLE.org/q",
    ],
)
def test_what_docker_takes_for_an_image_is_taken(image: str) -> None:
    assert ServerChange.model_validate({"image": image}).image == image


@pytest.mark.parametrize("startup", ["", "./run 'one argument' \"two\"", './run $(echo "$(date)") # don\'t'])
def test_a_startup_that_can_be_read_is_taken(startup: str) -> None:
    assert ServerChange.model_validate({"startup": startup}).startup == startup


def test_an_address_has_one_spelling() -> None:
    port = {"internal": 1, "external": 2, "address": "0:0:0:0:0:0:0:0"}
    assert ServerChange.model_validate({"ports": [port]}).ports[0].address == "::"


def test_a_probe_is_not_left_without_a_port_by_a_change() -> None:
    before = Specification(image="quake", ports=({"internal": 1, "external": 2},), readiness={"probe": {"kind": "tcp"}})
    with pytest.raises(Invalid, match="no ports"):
        ServerChange.model_validate({"ports": []}).applied_to(before)
    ServerChange.model_validate({"ports": [], "readiness": {"probe": {"port": 7}}}).applied_to(before)


def test_what_was_taken_before_is_no_hindrance_to_other_changes() -> None:
    before = Specification(image="Old/Quake", readiness={"probe": {"kind": "tcp"}})
    assert ServerChange.model_validate({"limits": {"cpu": 50}}).applied_to(before).limits.cpu == 50


async def test_a_query_that_the_node_does_not_know_is_told_with_those_it_knows(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(queries=["quake3", "source"]))
    known, unknown = ({"probe": {"kind": "query", "protocol": name, "port": 1}} for name in ("quake3", "quake9"))
    problem = await admin.post("/api/servers", panel.new(agent, readiness=unknown), 422)
    assert [each["field"] for each in problem["fields"]] == ["readiness.probe.protocol"]
    assert "quake3, source" in problem["detail"]
    server_id = await panel.server(agent, readiness=known)
    await admin.patch(f"/api/servers/{server_id}", {"readiness": unknown}, 422)
    assert (await admin.get(f"/api/nodes/{agent.node_id}"))["system"]["queries"] == ["quake3", "source"]


async def test_a_node_that_tells_no_queries_is_asked(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    await panel.server(agent, readiness={"probe": {"kind": "query", "protocol": "quake9", "port": 1}})


async def test_a_server_of_an_odd_address_is_shown(panel: PanelUnderTest, admin: Person) -> None:
    """As one that was adopted may have it: what nodes tell is read as it always was."""
    server_id = await panel.server(await panel.connected(await panel.agent()))
    odd = {**SPECIFICATION, "image": "Old/Quake", "ports": [{"internal": 1, "external": 2, "address": "1.2.3.4.5"}]}
    async with panel.app.state.database.writing() as session:
        await session.execute(update(Server).where(Server.id == server_id).values(specification=odd))
    assert (await admin.get(f"/api/servers/{server_id}"))["ports"][0]["address"] == "1.2.3.4.5"


async def test_a_server_made_before_there_was_readiness_is_shown_with_its_defaults(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    async with panel.app.state.database.writing() as session:
        older = {name: value for name, value in SPECIFICATION.items() if name not in {"readiness", "crash"}}
        await session.execute(update(Server).where(Server.id == server_id).values(specification=older))
    server = await admin.get(f"/api/servers/{server_id}")
    assert server["readiness"]["timeout"] == 300
    assert server["crash"]["restart"] is True
    await admin.done(f"/api/servers/{server_id}/start")


def test_what_is_left_out_of_a_change_stays() -> None:
    before = Specification(
        image="games/quake:1",
        environment={"A": "1", "B": "2"},
        limits={"memory": 2**30, "cpu": 150},
        ports=({"internal": 1, "external": 2},),
        readiness={"text": "Done", "timeout": 60, "probe": {"kind": "tcp", "port": 5}},
        hold="maintenance",
        revision=4,
    )
    change = ServerChange.model_validate(
        {"environment": {"C": "3"}, "limits": {"cpu": 50}, "readiness": {"probe": None, "lost": 9}, "ports": None}
    )
    after = change.applied_to(before)
    assert after.environment == {"C": "3"}
    assert (after.limits.memory, after.limits.cpu) == (2**30, 50)
    assert (after.readiness.text, after.readiness.timeout, after.readiness.lost) == (("Done",), 60, 9)
    assert after.readiness.probe is None
    unchanged = {"image", "startup", "ports", "stop", "crash", "hold", "revision"}
    assert after.model_dump(include=unchanged) == before.model_dump(include=unchanged)


@pytest.mark.parametrize(
    "fields", [{}, {"name": None}, {"image": ""}, {"image": " "}, {"node_id": "x"}, {"owner_id": "x"}, {"hold": "none"}]
)
def test_a_change_of_nothing_or_of_what_is_not_changed_so_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerChange.model_validate(fields)


def test_a_change_can_name_all_that_a_person_decides() -> None:
    assert set(Recipe.model_fields) | {"name", "tags"} == set(ServerChange.model_fields)
