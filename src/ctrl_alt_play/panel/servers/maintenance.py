"""What it means to servers that their node is in maintenance: each is held down, by the way on which every hold is told, and let go at the end."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Node, Openness, Server
from ctrl_alt_play.panel.servers import changes
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.specification import Hold


async def open_node(session: AsyncSession, node: Node, openness: Openness, now: datetime) -> None:
    """The node is locked. A node that is away takes the holds over when it is back.

    Raises: Conflict, its agent is too old to hold servers.
    """
    if openness == node.openness:
        return
    was, since = node.openness, node.openness_since
    node.openness, node.openness_since = openness, now
    if Openness.MAINTENANCE not in (was, openness):
        return
    servers = select(Server).where(Server.node_id == node.id).order_by(Server.id)
    found = (await session.scalars(servers.with_for_update())).all()
    if openness is Openness.MAINTENANCE:
        _hold(node, found, now)
    else:
        _let_go(found, since, now)


def _hold(node: Node, servers: Iterable[Server], now: datetime) -> None:
    """What is suspended stays so."""
    for server in servers:
        if changes.is_too_old(node) and server.observed != ServerState.ABSENT:
            raise Conflict(
                f"The agent of node {node.id} is too old to hold servers: upgrade it first.", "AGENT_TOO_OLD"
            )
        if server.hold == Hold.NONE:
            changes.put_on_hold(server, Hold.MAINTENANCE, now)


def _let_go(servers: Iterable[Server], since: datetime | None, now: datetime) -> None:
    """But not what was in maintenance of its own before."""
    for server in servers:
        is_of_node = since is not None and server.hold_since is not None and server.hold_since >= since
        if server.hold == Hold.MAINTENANCE and is_of_node:
            changes.put_on_hold(server, Hold.NONE, now)
