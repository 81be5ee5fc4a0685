"""What happened to servers and on nodes. Nothing here can be changed."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.events import service
from ctrl_alt_play.panel.events.schemas import CrashReport, EventView
from ctrl_alt_play.panel.models import Event
from ctrl_alt_play.panel.moments import Moment
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed

router = APIRouter(prefix="/api", tags=["events"])

Viewer = Annotated[Actor, Depends(Allowed(Permission.SERVERS_EVENTS))]
Kind = Annotated[
    list[Annotated[str, StringConstraints(pattern="^[a-z0-9_]{1,64}$")]] | None,
    Query(max_length=16, description="such as server_status_changed; given several times, all of these"),
]
Since = Annotated[Moment | None, Query(description="what happened then or later")]
Until = Annotated[Moment | None, Query(description="what happened before")]


@router.get("/servers/{server_id}/events")
async def list_server_events(
    server_id: str,
    session: Reading,
    actor: Viewer,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Page[EventView]:
    """What its node told of a server, the latest first. Nodes with agents of the first protocol tell nothing for good."""
    found = await service.list_of_server(session, actor, server_id, service.Wanted(kind, since, until), limit, cursor)
    events, next_cursor = _cut(found, limit)
    return Page(items=[service.view(event) for event in events], next_cursor=next_cursor)


@router.get("/servers/{server_id}/crashes")
async def list_crashes(
    server_id: str, session: Reading, actor: Viewer, limit: Limit = 50, cursor: str | None = None
) -> Page[CrashReport]:
    """A server's crash reports, the latest first."""
    found = await service.list_of_server(session, actor, server_id, service.Wanted([service.CRASHED]), limit, cursor)
    events, next_cursor = _cut(found, limit)
    return Page(items=[service.crash_report(event) for event in events], next_cursor=next_cursor)


@router.get("/nodes/{node_id}/events", dependencies=[Depends(Allowed(Permission.NODES_MANAGE))])
async def list_node_events(
    node_id: str,
    session: Reading,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Page[EventView]:
    """What a node told, of servers that are gone too, the latest first."""
    found = await service.list_of_node(session, node_id, service.Wanted(kind, since, until), limit, cursor)
    events, next_cursor = _cut(found, limit)
    return Page(items=[service.view(event) for event in events], next_cursor=next_cursor)


def _cut(found: Sequence[Event], limit: int) -> tuple[list[Event], str | None]:
    return cut(found, limit, lambda event: (str(event.id),))
