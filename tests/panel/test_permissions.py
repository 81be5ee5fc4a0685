"""Every route against everybody."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import WebSocketRoute
from tests.panel.support import PanelUnderTest, Person

from ctrl_alt_play.panel.config import load
from ctrl_alt_play.panel.main import create_app
from ctrl_alt_play.panel.models import OperationKind
from ctrl_alt_play.panel.page import api as page
from ctrl_alt_play.panel.permissions import GRANTED, Permission, Role
from ctrl_alt_play.panel.security import Allowed, public
from ctrl_alt_play.panel.servers.api import ORDERED_BY

PAGE = {("GET", path) for path in (*page.ADDRESSES, "/assets/{name}", "/icon.svg")}
PUBLIC = PAGE | {
    ("GET", "/docs"),
    ("GET", "/api/health"),
    ("GET", "/metrics"),
    ("GET", "/api/agents/admittance"),
    ("POST", "/api/enrolment"),
    ("GET", "/api/enrolment/{file}"),
    ("GET", "/api/setup"),
    ("POST", "/api/setup"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/sessions"),
}


def _calls(dependant: Any) -> Iterator[Any]:
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)


def _routes(folder: Any) -> list[Any]:
    app = create_app(load(data=folder))
    routes = [context for context in iter_route_contexts(app.routes) if isinstance(context.original_route, APIRoute)]
    assert len(routes) > 35
    return routes


def test_every_route_names_one_permission_or_says_that_it_is_public(tmp_path: Any) -> None:
    found_public = set()
    for route in _routes(tmp_path):
        calls = list(_calls(route.dependant))
        named = [call.permission for call in calls if isinstance(call, Allowed)]
        assert len(named) + (public in calls) == 1, f"{route.methods} {route.path}"
        if public in calls:
            found_public |= {(method, route.path) for method in route.methods}
    assert found_public == PUBLIC


def test_every_permission_is_granted_to_someone_and_all_to_administrators() -> None:
    assert set(GRANTED) == set(Permission)
    assert all(Role.ADMIN in roles for roles in GRANTED.values())


def test_every_permission_is_used(tmp_path: Any) -> None:
    used = {
        call.permission for route in _routes(tmp_path) for call in _calls(route.dependant) if isinstance(call, Allowed)
    }
    assert used == set(Permission)


@pytest_asyncio.fixture(loop_scope="session")
async def owned(panel: PanelUnderTest, owner: Person) -> str:
    agent = await panel.connected(await panel.agent(knows_send_command=True))
    return await panel.server(agent, owner)


def paths(app: Any, **ids: str) -> Iterator[tuple[str, str, str]]:
    """Method, path, and the path as the route has it."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for method in route.methods or ():
                path = route.path or ""
                yield method, re.sub(r"{(\w+)(:path)?}", lambda name: ids.get(name[1], "any"), path), path


def test_every_socket_is_one_that_judges_for_itself(tmp_path: Any) -> None:
    """Agents by the door; viewers as tests/panel/live has it."""
    app = create_app(load(data=tmp_path))
    sockets = {each.path for each in iter_route_contexts(app.routes) if isinstance(each.original_route, WebSocketRoute)}
    assert sockets == {"/", "/api/live"}


async def test_nobody_does_anything_without_signing_in(panel: PanelUnderTest, owned: str) -> None:
    ids = {
        "server_id": owned,
        "node_id": "first",
        "user_id": panel.admin.id,
        "operation_id": "cmd_1",
        "session_id": "one",
        "orphan_id": "lost",
        "template_id": "absent",
        "registry_id": "none",
    }
    async with panel.client() as api:
        for method, path, route in paths(panel.app, **ids):
            status = (await api.request(method, path)).status_code
            assert (status == 401) == ((method, route) not in PUBLIC), f"{method} {path}: {status}"


async def test_anothers_server_does_not_exist_on_any_route(panel: PanelUnderTest, owned: str, stranger: Person) -> None:
    ids = {
        "server_id": owned,
        "node_id": "first",
        "user_id": panel.admin.id,
        "operation_id": "cmd_1",
        "session_id": "one",
        "orphan_id": "lost",
        "template_id": "absent",
        "registry_id": "none",
    }
    tried = 0
    for method, path, route in paths(panel.app, **ids):
        if "{server_id}" in route:
            answer = await stranger.api.request(method, path, json={"command": "say hi"})
            assert answer.status_code == 404, f"{method} {path}: {answer.text}"
            tried += 1
    assert tried >= 15
    assert (await stranger.get("/api/servers"))["items"] == []


async def test_anothers_operations_do_not_exist(panel: PanelUnderTest, owned: str, stranger: Person) -> None:
    operation = (await panel.admin.get(f"/api/servers/{owned}/operations"))["items"][0]
    await stranger.get(f"/api/operations/{operation['id']}", 404)
    await stranger.post(f"/api/operations/{operation['id']}/cancel", status=404)


async def test_an_owner_cannot_cancel_what_only_administrators_order(
    panel: PanelUnderTest, owner: Person, owned: str
) -> None:
    creation = (await owner.get(f"/api/servers/{owned}/operations"))["items"][0]
    assert creation["kind"] == "create"
    await owner.post(f"/api/operations/{creation['id']}/cancel", status=403)


def test_there_is_a_permission_for_cancelling_each_kind_of_operation() -> None:
    assert set(ORDERED_BY) == set(OperationKind)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/users"),
        ("POST", "/api/users"),
        ("GET", "/api/nodes"),
        ("POST", "/api/nodes"),
        ("POST", "/api/servers"),
        ("DELETE", "/api/servers/{owned}"),
        ("POST", "/api/servers/{owned}/kill"),
        ("PATCH", "/api/servers/{owned}"),
        ("PUT", "/api/servers/{owned}/hold"),
        ("POST", "/api/servers/{owned}/upgrade"),
        ("POST", "/api/servers/{owned}/upgrade/preview"),
        ("POST", "/api/servers/{owned}/rollback"),
        ("POST", "/api/templates/any/servers"),
        ("POST", "/api/templates/any/servers/preview"),
        ("GET", "/api/templates/any/upgrades"),
        ("POST", "/api/templates/any/upgrades"),
        ("PATCH", "/api/nodes/first"),
        ("GET", "/api/nodes/first/ports"),
        ("POST", "/api/nodes/first/ports"),
        ("PATCH", "/api/nodes/first/ports/one"),
        ("DELETE", "/api/nodes/first/ports/one"),
        ("GET", "/api/nodes/first/allocations"),
        ("GET", "/api/nodes/first/events"),
        ("POST", "/api/nodes/first/orphans/{owned}/adopt"),
    ],
)
async def test_what_is_for_administrators_is_refused_to_owners(
    owned: str, owner: Person, method: str, path: str
) -> None:
    answer = await owner.api.request(method, path.format(owned=owned), json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_an_owner_sees_and_runs_what_is_theirs(owner: Person, owned: str) -> None:
    path = f"/api/servers/{owned}"
    assert owned in {server["id"] for server in (await owner.get("/api/servers"))["items"]}
    for action in ("start", "restart", "stop", "status"):
        await owner.done(f"{path}/{action}")
    await owner.done(f"{path}/command", {"command": "say hi"})
    for view in ("", "/status", "/console", "/operations", "/events", "/crashes", "/startup"):
        await owner.get(f"{path}{view}")


async def test_whoever_ordered_something_sees_it_after_the_servers_deletion(
    panel: PanelUnderTest, owner: Person, stranger: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent, owner)
    started = await owner.done(f"/api/servers/{server_id}/start")
    await panel.admin.operation(await panel.admin.delete(f"/api/servers/{server_id}", 202))
    await owner.get(f"/api/servers/{server_id}", 404)
    assert (await owner.get(f"/api/operations/{started['id']}"))["state"] == "succeeded"
    await stranger.get(f"/api/operations/{started['id']}", 404)
