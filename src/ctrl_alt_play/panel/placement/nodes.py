"""Which node takes a server."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Node, Server
from ctrl_alt_play.protocol.specification import Limits

OPEN = "open"


async def choose(session: AsyncSession, limits: Limits, tags: Sequence[str] = ()) -> Node:
    """The node with the most memory that is not promised to servers, of those that are there, take servers and have all of the tags.

    Raises:
        Conflict: there is none.
    """
    query = select(Node).where(Node.enabled, Node.online, Node.openness == OPEN).order_by(Node.id)
    nodes = [node for node in (await session.scalars(query)).all() if set(tags) <= set(node.tags)]
    free = {node.id: _memory(node.system) for node in nodes}
    for node_id, specification in (await session.execute(select(Server.node_id, Server.specification))).all():
        if node_id in free:
            free[node_id] -= int((specification.get("limits") or {}).get("memory") or 0)
    fitting = [node for node in nodes if free[node.id] >= limits.memory]
    if not fitting:
        raise Conflict("No node has room for it: free some, or choose a node yourself.", "NO_NODE")
    return max(fitting, key=lambda node: free[node.id])


def _memory(system: dict[str, Any] | None) -> int:
    return int((system or {}).get("memory") or 0)
