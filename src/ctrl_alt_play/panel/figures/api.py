"""Graphs over HTTP: what servers and nodes used, now and for a year back."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.figures import service
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.figures.schemas import Graph, NodeSample, ServerSample
from ctrl_alt_play.panel.moments import Moment
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed
from ctrl_alt_play.panel.servers import service as servers

router = APIRouter(prefix="/api", tags=["figures"])

Since = Annotated[Moment | None, Query(description="an hour before `until`, where it is left out; 366 days at most")]
Until = Annotated[Moment | None, Query(description="now, where it is left out")]
Points = Annotated[
    int, Query(ge=1, le=service.MOST_POINTS, description="about so many steps, never more than one more")
]


async def _meters(request: Request) -> Meters:
    return cast("Meters", request.app.state.meters)


async def _clock(request: Request) -> Clock:
    return cast("Clock", request.app.state.clock)


Measured = Annotated[Meters, Depends(_meters)]
Time = Annotated[Clock, Depends(_clock)]


@router.get("/servers/{server_id}/figures")
async def graph_server(
    server_id: str,
    session: Reading,
    meters: Measured,
    clock: Time,
    actor: Annotated[Actor, Depends(Allowed(Permission.SERVERS_SEE))],
    since: Since = None,
    until: Until = None,
    points: Points = 500,
) -> Graph[ServerSample]:
    """What a server used: by the second for the last ten minutes in which somebody looked, by the minute for a week, by the quarter of an hour for
    a year. What happened meanwhile is at `/api/servers/{server_id}/events`.
    """
    server = await servers.get_visible(session, actor, server_id)
    meter, now = meters.server(server.id, server.node_id), clock.utc()
    spanned = service.span(since, until, points, now, meter.often_since_s if meter else None)
    return await service.of_server(session, server.id, spanned, meter, now)


@router.get("/nodes/{node_id}/figures", dependencies=[Depends(Allowed(Permission.NODES_MANAGE))])
async def graph_node(
    node_id: str,
    session: Reading,
    meters: Measured,
    clock: Time,
    since: Since = None,
    until: Until = None,
    points: Points = 500,
) -> Graph[NodeSample]:
    """What a node used, as of servers. It has neither pids nor players, and reads and writes of its disks are not told."""
    node = await nodes.get(session, node_id)
    meter, now = meters.node(node.id), clock.utc()
    spanned = service.span(since, until, points, now, meter.often_since_s if meter else None)
    return await service.of_node(session, node.id, spanned, meter, now)
