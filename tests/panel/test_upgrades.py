"""Another version of its template for a server, and the way back."""

from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until
from tests.panel.templates import kept
from tests.panel.test_rendering import GAME, template, variable
from tests.panel.test_servers_of_templates import fields, made

from ctrl_alt_play.panel.servers.rendering import Choices, render
from ctrl_alt_play.panel.servers.upgrades import Change, Plan, plan, rolled_back
from ctrl_alt_play.protocol.specification import Limits, Port, Specification, StopRule
from ctrl_alt_play.templates import model

IMAGES = {"Small": "quake:1", "Large": "quake:2", "Old": "quake:0"}
OLD = template(variable("MAP", "dm17"), variable("MOST", "8"), variable("GONE", "1"), images=IMAGES)
NEW = template(
    variable("MAP", "dm6"),
    variable("MOST", "16", "integer|max:32"),
    variable("MODE", "duel"),
    images={"Small": "quake:3", "Large": "quake:4"},
    startup_commands={"Usual": "./quake +mode {{MODE}}"},
    stop="save\nquit",
    configuration=(model.ConfigurationFile(path="a.ini", parser="ini", replacements=()),),
)


def server(old: model.Template = OLD, **changed: Any) -> Specification:
    made = render(old, Choices(ports=(GAME,)))
    environment = changed.pop("environment", {})
    whole = {**made.model_dump(), "environment": {**made.environment, **environment}, **changed}
    return Specification.model_validate(whole)


def planned(present: Specification, new: model.Template = NEW, **chosen: Any) -> Plan:
    return plan(OLD, new, present, Choices(**chosen), present.ports)


def test_what_nobody_touched_follows_the_template() -> None:
    after = planned(server()).specification
    assert (after.image, after.startup, after.stop.command) == ("quake:3", "./quake +mode {{MODE}}", "save\nquit")
    assert after.environment == {"MAP": "dm6", "MOST": "16", "MODE": "duel"}
    assert [file.path for file in after.configuration] == ["a.ini"]


def test_what_people_chose_stays() -> None:
    stop = StopRule(command="bye", timeout=5)
    present = server(image="quake:2", environment={"MAP": "dm1", "OWN": "x"}, stop=stop, limits=Limits(cpu=50))
    found = planned(present)
    after = found.specification
    assert (after.image, after.stop, after.limits.cpu) == ("quake:4", stop, 50)
    assert after.environment == {"OWN": "x", "MAP": "dm1", "MOST": "16", "MODE": "duel"}
    assert [(each.part, each.name) for each in found.kept] == [("stop", None)]
    assert found.problems == []


def test_an_image_and_a_command_of_ones_own_stay_and_are_said() -> None:
    found = planned(server(image="own/quake:9", startup="./mine"))
    assert (found.specification.image, found.specification.startup) == ("own/quake:9", "./mine")
    assert found.kept == [
        Change("image", None, "own/quake:9", "quake:3"),
        Change("startup", None, "./mine", "./quake +mode {{MODE}}"),
    ]


def test_what_is_not_offered_any_more_has_to_be_chosen() -> None:
    present = server(image="quake:0")
    assert [problem.field for problem in planned(present).problems] == ["image"]
    found = planned(present, image="Large")
    assert (found.problems, found.specification.image) == ([], "quake:4")


def test_a_value_that_breaks_new_rules_is_said_until_another_is_chosen() -> None:
    present = server(environment={"MOST": "64"})
    assert {each.field: each.message for each in planned(present).problems} == {"variables.MOST": "must be at most 32"}
    found = planned(present, variables={"MOST": "32"})
    assert (found.problems, found.specification.environment["MOST"]) == ([], "32")


def test_all_that_changes_is_told_in_parts() -> None:
    found = {(each.part, each.name): (each.before, each.after) for each in planned(server()).changes}
    assert found == {
        ("image", None): ("quake:1", "quake:3"),
        ("startup", None): ("./quake +map {{MAP}} -p {{SERVER_PORT}}", "./quake +mode {{MODE}}"),
        ("variables", "MAP"): ("dm17", "dm6"),
        ("variables", "MOST"): ("8", "16"),
        ("variables", "GONE"): ("1", None),
        ("variables", "MODE"): (None, "duel"),
        ("configuration", "a.ini"): (None, "ini"),
        ("stop", None): (
            "command: quit\nsignal: SIGTERM\ntimeout: 30.0",
            "command: save\nquit\nsignal: SIGTERM\ntimeout: 30.0",
        ),
    }
    assert planned(server(), OLD).changes == []


def test_back_is_what_the_template_had_with_limits_and_ports_as_they_are_now() -> None:
    before, ports = server(environment={"MAP": "dm1"}), (Port(internal=1, external=2, name="game"),)
    now = planned(before).specification.model_copy(update={"limits": Limits(cpu=9), "ports": ports})
    back = rolled_back(before, now)
    assert (back.image, back.environment, back.stop) == (before.image, before.environment, before.stop)
    assert (back.limits.cpu, back.ports) == (9, ports)


@pytest_asyncio.fixture(loop_scope="session")
async def agent(panel: PanelUnderTest) -> Part2Agent:
    return await panel.connected(await panel.part2_agent())


FIRST = template(variable("MAP", "dm17"))
SECOND = template(variable("MAP", "dm6"), variable("MODE", "duel", "required"), startup_commands={"Usual": "./new"})


async def test_a_server_is_upgraded_and_goes_one_step_back(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await made(panel, agent, await kept(panel, FIRST, SECOND), version=1)
    path = f"/api/servers/{server_id}"
    shown = await admin.get(f"{path}/startup")
    assert (shown["template"]["version"], shown["template"]["newest"], shown["rollback"]) == (1, 2, None)
    preview = await admin.post(f"{path}/upgrade/preview", {}, 200)
    assert [(each["part"], each["name"]) for each in preview["changes"]] == [
        ("startup", None),
        ("variables", "MAP"),
        ("variables", "MODE"),
    ]
    assert (preview["version"], preview["to"], preview["startup"]["command"]) == (1, 2, "./new")
    operation = await admin.done(f"{path}/upgrade", {})
    assert operation["arguments"] == {
        "changed": ["environment", "startup"],
        "revision": 2,
        "template_version": {"before": 1, "after": 2},
    }
    view = await admin.get(path)
    assert (view["startup"], view["template_version"]) == ("./new", 2)
    assert view["environment"] == {"MAP": "dm6", "MODE": "duel"}
    assert (await admin.get(f"{path}/startup"))["rollback"] == 1
    assert (await admin.post(f"{path}/upgrade", {}, 409))["code"] == "SAME_VERSION"
    await admin.done(f"{path}/rollback")
    view = await admin.get(path)
    assert (view["template_version"], view["environment"]) == (1, {"MAP": "dm17"})
    assert (await admin.post(f"{path}/rollback", status=409))["code"] == "NOT_UPGRADED"
    payload = agent.commands("update_server")[-1]["payload"]
    assert (payload["revision"], payload["environment"]) == (3, {"MAP": "dm17"})


async def test_some_are_upgraded_first_and_each_has_an_answer_of_its_own(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    strict = template(variable("MAP", "dm6", "max:4"))
    template_id = await kept(panel, FIRST, strict)
    good, bad, later = [
        await made(panel, agent, template_id, version=1, variables={"MAP": name})
        for name in ("dm17", "too long", "dm17")
    ]
    other = await panel.server(agent)
    path = f"/api/templates/{template_id}/upgrades"
    listed = {each["server_id"]: each for each in (await admin.get(path))["items"]}
    assert listed.keys() == {good, bad, later}
    assert (listed[good]["changes"], listed[good]["problems"]) == (1, [])
    assert fields(listed[bad]) == {"variables.MAP": "must have at most 4 characters"}
    answers = (await admin.post(path, {"servers": [good, bad, other, "absent", good]}, 200))["items"]
    assert [(each["server_id"], each["operation"] is not None) for each in answers] == [
        (good, True),
        (bad, False),
        (other, False),
        ("absent", False),
    ]
    assert fields(answers[1], "fields") == {"variables.MAP": "must have at most 4 characters"}
    assert (await admin.operation(answers[0]["operation"]))["state"] == "succeeded"
    versions = [(await admin.get(f"/api/servers/{each}"))["template_version"] for each in (good, bad, later)]
    assert versions == [2, 1, 1]
    await admin.get(path, 422, version=9)
    await admin.get("/api/templates/absent/upgrades", 404)


async def test_a_new_version_gets_the_ports_that_it_wants_beside(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    wants = template(
        variable("QUERY"), ports=(model.Port(name="game"), model.Port(name="query", protocol="udp", variable="QUERY"))
    )
    server_id = await made(panel, agent, await kept(panel, template(), wants), version=1)
    await admin.done(f"/api/servers/{server_id}/upgrade", {})
    view = await admin.get(f"/api/servers/{server_id}")
    (query,) = [port for port in view["ports"] if port["name"] == "query"]
    assert len(view["ports"]) == 3
    assert view["environment"] == {"QUERY": str(query["internal"])}


@pytest.mark.parametrize("order", ["upgrade", "rollback"])
async def test_what_its_node_refuses_leaves_the_server_of_the_version_that_it_was(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent, order: str
) -> None:
    server_id = await made(panel, agent, await kept(panel, FIRST, SECOND), version=1)
    path = f"/api/servers/{server_id}"
    if order == "rollback":
        await admin.done(f"{path}/upgrade", {})
    before = await admin.get(f"{path}/startup")
    agent.refusals["update_server"] = ("CONFIG_INVALID", "not so")
    answer = await admin.api.post(f"{path}/{order}", json={} if order == "upgrade" else None)
    assert answer.status_code == 422, answer.text
    after = await admin.get(f"{path}/startup")
    assert after == before


async def test_what_its_node_refuses_only_later_goes_back_to_its_version(
    panel: PanelUnderTest, admin: Person, agent: Part2Agent
) -> None:
    server_id = await made(panel, agent, await kept(panel, FIRST, SECOND), version=1)
    path = f"/api/servers/{server_id}"
    await agent.go()
    await panel.sees_node(agent, online=False)
    await admin.done(f"{path}/upgrade", {})
    assert (await admin.get(path))["template_version"] == 2
    agent.refusals["update_server"] = ("CONFIG_INVALID", "not so")
    await panel.connected(agent)

    async def is_back() -> bool:
        return (await admin.get(path))["template_version"] == 1

    await until(is_back, 10)
    assert (await admin.get(f"{path}/startup"))["rollback"] is None


async def test_upgrades_are_for_administrators(panel: PanelUnderTest, owner: Person, agent: Part2Agent) -> None:
    template_id = await kept(panel, FIRST, SECOND)
    server_id = await made(panel, agent, template_id, owner, version=1)
    for path in ("upgrade", "upgrade/preview", "rollback"):
        await owner.post(f"/api/servers/{server_id}/{path}", {}, 403)
    await owner.get(f"/api/templates/{template_id}/upgrades", 403)
    for path, body in (
        ("upgrades", {"servers": [server_id]}),
        ("servers", {"name": "Mine"}),
        ("servers/preview", {}),
    ):
        await owner.post(f"/api/templates/{template_id}/{path}", body, 403)
    assert (await owner.get(f"/api/servers/{server_id}/startup"))["installer"] is None
