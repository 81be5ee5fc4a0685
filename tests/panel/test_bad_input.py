"""Silly values on every route: each is refused, or does no harm, and none is our failure."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from tests.panel.support import SPECIFICATION, PanelUnderTest, Person, make_config
from tests.panel.test_postgresql import postgresql as postgresql  # noqa: PLC0414 - a fixture
from tests.panel.test_postgresql import pytestmark as needs_postgresql
from tests.panel.test_surface_recipe import CRASH, READINESS
from tests.templates.test_formats import document

from ctrl_alt_play.panel.requests import parameters
from ctrl_alt_play.templates.reading import read

PORT = {"internal": 1, "external": 27960, "protocol": "udp", "address": "127.0.0.1"}
STOP = {"signal": "SIGINT", "timeout": 5, "command": "quit"}
RECIPE = {**SPECIFICATION, "ports": [PORT], "stop": STOP, "readiness": READINESS, "crash": CRASH}
EGG = document(variables=[{"env_variable": "MAP", "rules": "max:20"}], config={"files": {}})
TEMPLATE = read(json.dumps(EGG)).model_dump(mode="json")
DRAFT = {"document": json.dumps(EGG), "source": "https://example.org/egg.json"}
DECIDED = {"image": "Small", "startup": "Usual", "variables": {"MAP": "dm17"}, "version": 1}
NEW_SERVER = {
    "name": "bad",
    "tags": ["a"],
    "node_id": "first",
    "owner_id": "absent",
    "limits": {"memory": 2**29},
    "ports": [{"name": "game", "external": 1, "internal": 1, "protocol": "udp", "address": "127.0.0.1"}],
    **DECIDED,
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/auth/login"): {"username": "nobody", "password": "a password"},
    ("POST", "/api/auth/sessions"): {"username": "nobody", "password": "a password"},
    ("PATCH", "/api/auth/me"): {"current_password": "a password", "new_password": "a long password"},
    ("POST", "/api/setup"): {"code": "a code", "username": "bad", "password": "a long password"},
    ("POST", "/api/users"): {"username": "bad", "password": "a long password", "is_admin": False},
    ("PATCH", "/api/users/{user_id}"): {"username": "bad", "password": "a long password", "is_admin": True},
    ("POST", "/api/nodes"): {"id": "bad", "name": "Bad"},
    ("PATCH", "/api/nodes/{node_id}"): {
        "name": "Bad",
        "enabled": True,
        "address": "here",
        "tags": ["a"],
        "extra_cpu": 1,
    },
    ("POST", "/api/nodes/{node_id}/ports"): {
        "first": 1,
        "last": 2,
        "address": "::1",
        "protocol": "tcp",
        "alias": "here",
    },
    ("PATCH", "/api/nodes/{node_id}/ports/{range_id}"): {"first": 1, "last": 2, "alias": "here"},
    ("POST", "/api/nodes/{node_id}/images/pull"): {"image": "bad:1"},
    ("POST", "/api/nodes/{node_id}/images/prune"): {"everything": False},
    ("POST", "/api/registries"): {"host": "bad.example.org", "username": "bad", "password": "a password"},
    ("PATCH", "/api/registries/{registry_id}"): {"username": "bad", "password": "a password"},
    ("POST", "/api/enrolment"): {"token": "absent"},
    ("POST", "/api/servers"): {**RECIPE, "name": "bad", "node_id": "first", "owner_id": "absent"},
    ("PATCH", "/api/servers/{server_id}"): {**RECIPE, "name": "bad"},
    ("PUT", "/api/servers/{server_id}/hold"): {"hold": "none"},
    ("POST", "/api/servers/{server_id}/stop"): {"signal": "SIGINT", "timeout": 5},
    ("POST", "/api/servers/{server_id}/restart"): {"signal": "SIGINT", "timeout": 5},
    ("POST", "/api/servers/{server_id}/command"): {"command": "say hi"},
    ("POST", "/api/templates"): {**DRAFT, "category": "castles", "is_new": False, "compared_with": 1},
    ("POST", "/api/templates/preview"): {**DRAFT, "template_id": "absent", "version": 1, "is_new": False},
    ("PUT", "/api/templates/{template_id}"): {"content": TEMPLATE},
    ("PATCH", "/api/templates/{template_id}"): {"category": "castles"},
    ("POST", "/api/templates/{template_id}/rollback"): {"version": 1},
    ("POST", "/api/templates/{template_id}/servers"): NEW_SERVER,
    ("POST", "/api/templates/{template_id}/servers/preview"): NEW_SERVER,
    ("POST", "/api/templates/{template_id}/upgrades"): {"version": 1, "servers": ["absent"]},
    ("PATCH", "/api/servers/{server_id}/startup"): {"image": "Small", "startup": "Usual", "variables": {"MAP": "a"}},
    ("POST", "/api/servers/{server_id}/startup/preview"): {"image": "Small", "variables": {"MAP": "a"}},
    ("POST", "/api/servers/{server_id}/upgrade"): DECIDED,
    ("POST", "/api/servers/{server_id}/upgrade/preview"): DECIDED,
    ("POST", "/api/nodes/{node_id}/orphans/{orphan_id}/adopt"): {"name": "bad", "owner_id": "absent"},
}
"""A good body for each route that takes one."""
HALF = "\ud800"
"""Of a character, which is none in UTF-8."""
SILLY: list[Any] = ["", "\x00", HALF, "\u202e", "x" * 60000, -1, 10**30, float("nan"), True, None, [], {HALF: "\x00"}]
PARAMETERS = [
    "",
    "\x00",
    "\u202e",
    "x" * 60000,
    "-1",
    str(10**30),
    "nan",
    "WyJcdWQ4MDAiXQ",
    "WyJcdWQ4MDAiLCAiYSJd",
    "WyI5OTk5OTk5OTk5OTk5OTk5OTkiXQ",
]
"""The last are cursors: of halves of characters, and of a great number."""
NOT_JSON = [b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b'{"a": 1e400}', b'{"a": ' + b"9" * 5000 + b"}"]


def routes(panel: PanelUnderTest) -> Iterator[tuple[str, str, list[str]]]:
    """Method, path, and the parameters of the query."""
    for context in iter_route_contexts(panel.app.routes):
        if isinstance(context.original_route, APIRoute) and (context.path or "").startswith("/api"):
            for method in context.methods or ():
                yield method, str(context.path), list(parameters(context.dependant))


def spoilt(good: Any, silly: Any) -> Iterator[Any]:
    """`good`, with `silly` in place of each of its parts in turn, and beside them."""
    yield silly
    match good:
        case dict():
            for name, part in good.items():
                yield from ({**good, name: bad} for bad in spoilt(part, silly))
            yield {**good, "unknown": silly}
            yield {**good, HALF: silly}
        case [first, *rest]:
            for bad in spoilt(first, silly):
                yield [bad, *rest]


def sent(body: Any) -> bytes:
    """As any program could: with what is no JSON number, and with halves of characters."""
    return json.dumps(body).encode()


async def ask(person: Person, method: str, path: str, content: bytes | None = None, **query: Any) -> int:
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    answer = await person.api.request(method, path, content=content, params=query, headers=headers)
    is_ours = answer.status_code >= 500 and answer.json()["code"] != "AGENT_OFFLINE"
    assert not is_ours, f"{method} {path} {query} {(content or b'')[:300]!r}: {answer.text}"
    if answer.status_code == 422:
        assert answer.json()["fields"], f"{method} {path}: {answer.text}"
        assert len(answer.content) < 20_000
    return answer.status_code


async def throw_all(panel: PanelUnderTest) -> None:
    """At a server whose node is away, so that what is taken is written down, and that is all that comes of it."""
    ids = dict.fromkeys(
        ("user_id", "operation_id", "orphan_id", "session_id", "registry_id", "file", "range_id"), "absent"
    ) | {"node_id": "first"}
    ids["server_id"] = await made(panel)
    ids["template_id"] = (await panel.admin.post("/api/templates", {"content": TEMPLATE}, 201))["id"]
    thrown = set()
    for method, path, named in routes(panel):
        if method == "DELETE":
            continue
        address = re.sub(r"{(\w+)}", lambda name: ids[name[1]], path)
        for parameter in named:
            for text in PARAMETERS:
                await ask(panel.admin, method, address, **{parameter: text})
        assert await ask(panel.admin, method, address, unknown="1") == 422
        if (good := BODIES.get((method, path))) is not None:
            for body in (spoiled for silly in SILLY for spoiled in spoilt(good, silly)):
                await ask(panel.admin, method, address, sent(body))
            for content in NOT_JSON:
                status = await ask(panel.admin, method, address, content)
                assert status in {400, 422}, (method, path, content[:20], status)
            thrown.add((method, path))
    assert thrown == BODIES.keys()


async def made(panel: PanelUnderTest) -> str:
    """The id of a server whose node is away."""
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await panel.dismiss_agents()
    await panel.sees_node(agent, online=False)
    return server_id


@pytest.mark.parametrize(
    "name", ["a\x1b[31m", "a\nb", "a\u202eb", "a\u200bb", "\ufeffa", "a\x7fb", "a\x85b", "a\u2028b", "", " ", "x" * 129]
)
async def test_a_name_that_cannot_be_seen_as_it_is_is_refused(panel: PanelUnderTest, admin: Person, name: str) -> None:
    agent = await panel.connected(await panel.agent())
    server = f"/api/servers/{await panel.server(agent)}"
    adopt = f"/api/nodes/{agent.node_id}/orphans/lost/adopt"
    for method, path, body in (
        ("POST", "/api/servers", panel.new(agent)),
        ("PATCH", server, {}),
        ("POST", "/api/nodes", {"id": "named"}),
        ("PATCH", f"/api/nodes/{agent.node_id}", {}),
        ("POST", adopt, {}),
    ):
        answer = await admin.api.request(method, path, json={**body, "name": name})
        assert answer.status_code == 422, answer.text
        assert [each["field"] for each in answer.json()["fields"]] == ["name"], path


@pytest.mark.parametrize("name", ["Arena", "Ärena 2, «größte»", "アリーナ", "ملعب", "🎮 play ❤️", "  trimmed  "])
async def test_a_name_in_any_script_is_taken(admin: Person, panel: PanelUnderTest, name: str) -> None:
    agent = await panel.agent()
    assert (await admin.patch(f"/api/nodes/{agent.node_id}", {"name": name}))["name"] == name.strip()


async def test_a_field_at_fault_is_named_with_what_to_do(admin: Person) -> None:
    problem = await admin.post("/api/nodes", {"id": "no/id", "name": "a\u202eb"}, 422)
    reasons = {each["field"]: each["message"] for each in problem["fields"]}
    assert reasons["id"].startswith("begin with a letter or a digit")
    assert reasons["name"] == "leave out what cannot be seen in a name: \\u202e"
    assert problem["detail"] == "Invalid: " + "; ".join(f"{field}: {reason}" for field, reason in reasons.items())


async def test_text_that_nothing_can_keep_is_named_in_its_place(panel: PanelUnderTest, admin: Person) -> None:
    body = panel.new(
        await panel.agent(), startup="a\x00", environment={"A": HALF}, readiness={"text": ["good", "\x00"]}
    )
    answer = await admin.api.post("/api/servers", content=sent(body), headers={"Content-Type": "application/json"})
    assert {each["field"] for each in answer.json()["fields"]} == {"startup", "environment.A", "readiness.text.1"}


async def test_a_body_that_is_no_json_is_said_where(admin: Person) -> None:
    headers = {"Content-Type": "application/json"}
    problem = (await admin.api.post("/api/nodes", content=b'{"id": 1,}', headers=headers)).json()
    assert problem["fields"][0]["field"] == "body"
    assert "it is no JSON" in problem["detail"]


async def test_a_misspelt_parameter_is_told_before_it_does_harm(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    problem = await admin.delete(f"/api/servers/{server_id}?keep-data=true", 422)
    assert [each["field"] for each in problem["fields"]] == ["keep-data"]
    assert "keep_data" in problem["detail"]
    await admin.get(f"/api/servers/{server_id}")


@pytest.mark.parametrize(
    "after", ["xx", "", "-", "0123abcd", "0123abcd-", "0123abcd-x", "0123abcd--1", "-1", str(2**53 + 1), "9" * 30]
)
async def test_a_console_cursor_that_is_none_is_named(panel: PanelUnderTest, admin: Person, after: str) -> None:
    server_id = await panel.server(await panel.connected(await panel.agent()))
    path = f"/api/servers/{server_id}/console"
    problem = await admin.get(path, 422, after=after)
    assert [each["field"] for each in problem["fields"]] == ["after"]
    await admin.get(path, after=(await admin.get(path))["cursor"])


@pytest.mark.timeout(300)
async def test_no_silly_value_on_any_route_is_our_failure(own_panel: PanelUnderTest) -> None:
    await throw_all(own_panel)


@pytest.mark.timeout(300)
@needs_postgresql
async def test_no_silly_value_is_our_failure_on_postgresql(
    postgresql: str,
    tmp_path: Path,
) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        await throw_all(panel)
