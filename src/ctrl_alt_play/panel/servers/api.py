"""Servers over HTTP. What a node does is answered with 202 and an operation; what the panel knows is answered at once."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query, Request, status

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database, Reading, database_of
from ctrl_alt_play.panel.errors import Forbidden
from ctrl_alt_play.panel.models import OperationKind
from ctrl_alt_play.panel.names import Tag
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.schemas import OperationView
from ctrl_alt_play.panel.operations.views import Showing
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission, is_granted
from ctrl_alt_play.panel.security import Actor, Allowed
from ctrl_alt_play.panel.servers import service, views
from ctrl_alt_play.panel.servers.orders import Orders
from ctrl_alt_play.panel.servers.schemas import (
    Adoption,
    ConsoleCommand,
    HoldRequest,
    NewServer,
    ReinstallRequest,
    ServerChange,
    ServerStatusView,
    ServerView,
    StopRequest,
)

router = APIRouter(prefix="/api/servers", tags=["servers"])
elsewhere = APIRouter(prefix="/api")
"""Orders that are not given by a server's own address."""
ACCEPTED = status.HTTP_202_ACCEPTED


async def _orders(request: Request) -> Orders:
    return cast("Orders", request.app.state.orders)


async def _clock(request: Request) -> Clock:
    return cast("Clock", request.app.state.clock)


async def _present(request: Request) -> views.Present:
    return cast("views.Present", request.app.state.present)


Ordering = Annotated[Orders, Depends(_orders)]
Present = Annotated[views.Present, Depends(_present)]
Viewer = Annotated[Actor, Depends(Allowed(Permission.SERVERS_SEE))]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x20-\x7e]+$",
        description="A name of your choice for this request. Sent again by the same name it is not done again: the operation is the first one's.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9]{1,9}"$',
        description='The `revision` that the change was made from, in quotes: `"7"`. If it is another by now, nothing is changed (412).',
    ),
]


def revision_of(if_match: str | None) -> int | None:
    return None if if_match is None else int(if_match.strip('"'))


Canceller = Annotated[Actor, Depends(Allowed(Permission.OPERATIONS_CANCEL))]
ORDERED_BY = {
    OperationKind.CREATE: Permission.SERVERS_CREATE,
    OperationKind.START: Permission.SERVERS_START,
    OperationKind.STOP: Permission.SERVERS_STOP,
    OperationKind.RESTART: Permission.SERVERS_RESTART,
    OperationKind.KILL: Permission.SERVERS_KILL,
    OperationKind.DELETE: Permission.SERVERS_DELETE,
    OperationKind.COMMAND: Permission.SERVERS_COMMAND,
    OperationKind.STATUS: Permission.SERVERS_STATUS,
    OperationKind.UPDATE: Permission.SERVERS_UPDATE,
    OperationKind.ADOPT: Permission.SERVERS_ADOPT,
    OperationKind.REINSTALL: Permission.SERVERS_REINSTALL,
}


@router.get("")
async def list_servers(
    session: Reading,
    actor: Viewer,
    present: Present,
    limit: Limit = 50,
    cursor: str | None = None,
    node_id: str | None = None,
    name: Annotated[str | None, Query(max_length=128)] = None,
    tag: Tag | None = None,
) -> Page[ServerView]:
    found = await service.list_visible(session, actor, limit, cursor, node_id=node_id, name=name, tag=tag)
    servers, next_cursor = cut(found, limit, lambda server: (server.name, server.id))
    items = await views.views(session, servers, present)
    return Page(items=items if actor.is_admin else list(map(views.guarded, items)), next_cursor=next_cursor)


@router.post("", status_code=ACCEPTED)
async def create_server(
    new: NewServer,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_CREATE))],
    key: Key = None,
) -> OperationView:
    return await show.view(await orders.create(actor, new, key=key))


@router.get("/{server_id}")
async def get_server(server_id: str, session: Reading, actor: Viewer, present: Present) -> ServerView:
    view = await views.view(session, await service.get_visible(session, actor, server_id), present)
    return view if actor.is_admin else views.guarded(view)


@router.patch("/{server_id}", status_code=ACCEPTED)
async def change_server(
    server_id: str,
    change: ServerChange,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_UPDATE))],
    key: Key = None,
    if_match: IfMatch = None,
) -> OperationView:
    """What it is made of takes effect at its next start. A name and tags are the panel's own: a change of them alone has succeeded at once."""
    return await show.view(await orders.update(actor, server_id, change, revision=revision_of(if_match), key=key))


@router.put("/{server_id}/hold", status_code=ACCEPTED)
async def hold_server(
    server_id: str,
    request: HoldRequest,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_HOLD))],
    key: Key = None,
) -> OperationView:
    """What is on hold is stopped, and is not started until the hold ends, whatever was wanted of it."""
    return await show.view(await orders.hold(actor, server_id, request.hold, key=key))


@router.delete("/{server_id}", status_code=ACCEPTED)
async def delete_server(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_DELETE))],
    keep_data: bool = False,  # noqa: FBT001, FBT002 - a query parameter has no other place
    force: bool = False,  # noqa: FBT001, FBT002 - as above
    key: Key = None,
) -> OperationView:
    """With `force` also when the node is away: then the panel forgets the server, and the node keeps what it holds of it."""
    return await show.view(await orders.delete(actor, server_id, keep_data=keep_data, force=force, key=key))


@router.post("/{server_id}/reinstall", status_code=ACCEPTED)
async def reinstall_server(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_REINSTALL))],
    request: ReinstallRequest | None = None,
    key: Key = None,
) -> OperationView:
    """Stops the server and runs its installer once more, from what it is made of by now; also where it could not be installed, or is not on
    its node any more. With `wipe` all its files are removed before.
    """
    wipe = request is not None and request.wipe
    return await show.view(await orders.reinstall(actor, server_id, wipe=wipe, key=key))


@router.post("/{server_id}/start", status_code=ACCEPTED)
async def start_server(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_START))],
    key: Key = None,
) -> OperationView:
    return await show.view(await orders.start(actor, server_id, key=key))


@router.post("/{server_id}/stop", status_code=ACCEPTED)
async def stop_server(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_STOP))],
    how: StopRequest | None = None,
    key: Key = None,
) -> OperationView:
    return await show.view(await orders.stop(actor, server_id, how or StopRequest(), key=key))


@router.post("/{server_id}/restart", status_code=ACCEPTED)
async def restart_server(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_RESTART))],
    how: StopRequest | None = None,
    key: Key = None,
) -> OperationView:
    return await show.view(await orders.restart(actor, server_id, how or StopRequest(), key=key))


@router.post("/{server_id}/kill", status_code=ACCEPTED)
async def kill_server(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_KILL))],
    key: Key = None,
) -> OperationView:
    return await show.view(await orders.kill(actor, server_id, key=key))


@router.post("/{server_id}/command", status_code=ACCEPTED)
async def send_command(
    server_id: str,
    command: ConsoleCommand,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_COMMAND))],
    key: Key = None,
) -> OperationView:
    return await show.view(await orders.command(actor, server_id, command, key=key))


@router.post("/{server_id}/status", status_code=ACCEPTED)
async def ask_status(
    server_id: str,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_STATUS))],
    key: Key = None,
) -> OperationView:
    """Asks the node, now; the operation's `result` is what it measured."""
    return await show.view(await orders.ask_status(actor, server_id, key=key))


@router.get("/{server_id}/status")
async def get_status(
    server_id: str, session: Reading, actor: Viewer, present: Present, clock: Annotated[Clock, Depends(_clock)]
) -> ServerStatusView:
    """What the panel last knew and how old that is; no node is waited for."""
    server = await service.get_visible(session, actor, server_id)
    return await views.status_view(session, server, clock.utc(), present)


@router.get("/{server_id}/operations")
async def list_operations(
    server_id: str, session: Reading, show: Showing, actor: Viewer, limit: Limit = 50, cursor: str | None = None
) -> Page[OperationView]:
    found = await operations.list_of_server(session, actor, server_id, limit, cursor)
    rows, next_cursor = cut(found, limit, lambda operation: (operation.id,))
    return Page(items=await show.views(session, rows), next_cursor=next_cursor)


async def _may_cancel(
    operation_id: str, actor: Canceller, database: Annotated[Database, Depends(database_of)]
) -> Actor:
    """What only administrators may order, only they may cancel."""
    async with database.reading() as session:
        operation = await operations.get_visible(session, actor, operation_id)
    if not is_granted(ORDERED_BY[OperationKind(operation.kind)], is_admin=actor.is_admin):
        raise Forbidden("That is for administrators.")
    return actor


@elsewhere.post("/operations/{operation_id}/cancel", status_code=ACCEPTED, tags=["operations"])
async def cancel_operation(
    operation_id: str, orders: Ordering, show: Showing, actor: Annotated[Actor, Depends(_may_cancel)]
) -> OperationView:
    """It ends as failed, with code CANCELLED, and the server is as it was before; or as it would have, where it was too late."""
    return await show.view(await orders.cancel(actor, operation_id))


@elsewhere.post("/nodes/{node_id}/orphans/{orphan_id}/adopt", status_code=ACCEPTED, tags=["nodes"])
async def adopt_orphan(
    node_id: str,
    orphan_id: str,
    adoption: Adoption,
    orders: Ordering,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_ADOPT))],
    key: Key = None,
) -> OperationView:
    """Makes a server of a container that the node found and nobody knows; it runs on undisturbed."""
    operation = await orders.adopt(actor, node_id, orphan_id, adoption.name, adoption.owner_id, key=key)
    return await show.view(operation)
