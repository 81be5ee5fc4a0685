"""Servers over HTTP. What a node does is answered with 202 and an operation; what the panel knows is answered at once."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, status

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.schemas import OperationView
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed
from ctrl_alt_play.panel.servers import service, views
from ctrl_alt_play.panel.servers.console import Consoles
from ctrl_alt_play.panel.servers.orders import Orders
from ctrl_alt_play.panel.servers.schemas import (
    ConsoleCommand,
    ConsoleView,
    NewServer,
    ServerStatusView,
    ServerView,
    StopRequest,
)

router = APIRouter(prefix="/api/servers", tags=["servers"])
ACCEPTED = status.HTTP_202_ACCEPTED


def _orders(request: Request) -> Orders:
    return cast("Orders", request.app.state.orders)


def _consoles(request: Request) -> Consoles:
    return cast("Consoles", request.app.state.consoles)


def _clock(request: Request) -> Clock:
    return cast("Clock", request.app.state.clock)


Ordering = Annotated[Orders, Depends(_orders)]
Viewer = Annotated[Actor, Depends(Allowed(Permission.SERVERS_SEE))]


@router.get("")
async def list_servers(
    session: Reading,
    actor: Viewer,
    limit: Limit = 50,
    cursor: str | None = None,
    node_id: str | None = None,
    name: str | None = None,
) -> Page[ServerView]:
    found = await service.list_visible(session, actor, limit, cursor, node_id, name)
    servers, next_cursor = cut(found, limit, lambda server: (server.name, server.id))
    return Page(items=await views.views(session, servers), next_cursor=next_cursor)


@router.post("", status_code=ACCEPTED)
async def create_server(
    new: NewServer, orders: Ordering, actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_CREATE))]
) -> OperationView:
    return OperationView.model_validate(await orders.create(actor, new))


@router.get("/{server_id}")
async def get_server(server_id: str, session: Reading, actor: Viewer) -> ServerView:
    return await views.view(session, await service.get_visible(session, actor, server_id))


@router.delete("/{server_id}", status_code=ACCEPTED)
async def delete_server(
    server_id: str,
    orders: Ordering,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_DELETE))],
    keep_data: bool = False,  # noqa: FBT001, FBT002 - a query parameter has no other place
    force: bool = False,  # noqa: FBT001, FBT002 - as above
) -> OperationView:
    """With `force` also when the node is away: then the panel forgets the server, and the node keeps what it holds of it."""
    return OperationView.model_validate(await orders.delete(actor, server_id, keep_data=keep_data, force=force))


@router.post("/{server_id}/start", status_code=ACCEPTED)
async def start_server(
    server_id: str, orders: Ordering, actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_START))]
) -> OperationView:
    return OperationView.model_validate(await orders.start(actor, server_id))


@router.post("/{server_id}/stop", status_code=ACCEPTED)
async def stop_server(
    server_id: str,
    orders: Ordering,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_STOP))],
    how: StopRequest | None = None,
) -> OperationView:
    return OperationView.model_validate(await orders.stop(actor, server_id, how or StopRequest()))


@router.post("/{server_id}/restart", status_code=ACCEPTED)
async def restart_server(
    server_id: str,
    orders: Ordering,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_RESTART))],
    how: StopRequest | None = None,
) -> OperationView:
    return OperationView.model_validate(await orders.restart(actor, server_id, how or StopRequest()))


@router.post("/{server_id}/kill", status_code=ACCEPTED)
async def kill_server(
    server_id: str, orders: Ordering, actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_KILL))]
) -> OperationView:
    return OperationView.model_validate(await orders.kill(actor, server_id))


@router.post("/{server_id}/command", status_code=ACCEPTED)
async def send_command(
    server_id: str,
    command: ConsoleCommand,
    orders: Ordering,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_COMMAND))],
) -> OperationView:
    return OperationView.model_validate(await orders.command(actor, server_id, command))


@router.post("/{server_id}/status", status_code=ACCEPTED)
async def ask_status(
    server_id: str, orders: Ordering, actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_STATUS))]
) -> OperationView:
    """Asks the node, now; the operation's `result` is what it measured."""
    return OperationView.model_validate(await orders.ask_status(actor, server_id))


@router.get("/{server_id}/status")
async def get_status(
    server_id: str, session: Reading, actor: Viewer, clock: Annotated[Clock, Depends(_clock)]
) -> ServerStatusView:
    """What the panel last knew and how old that is; no node is waited for."""
    server = await service.get_visible(session, actor, server_id)
    return await views.status_view(session, server, clock.utc())


@router.get("/{server_id}/console")
async def read_console(
    server_id: str,
    session: Reading,
    consoles: Annotated[Consoles, Depends(_consoles)],
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_CONSOLE))],
    lines: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: str | None = None,
) -> ConsoleView:
    """The last lines; or, with the `cursor` of an earlier answer as `after`, those that follow it."""
    server = await service.get_visible(session, actor, server_id)
    return ConsoleView.model_validate(consoles.read(server.node_id, server.id, lines, after))


@router.get("/{server_id}/operations")
async def list_operations(
    server_id: str, session: Reading, actor: Viewer, limit: Limit = 50, cursor: str | None = None
) -> Page[OperationView]:
    found = await operations.list_of_server(session, actor, server_id, limit, cursor)
    rows, next_cursor = cut(found, limit, lambda operation: (operation.id,))
    return Page(items=[OperationView.model_validate(row) for row in rows], next_cursor=next_cursor)
