"""The whole truth about a node, which replaces what was believed: its servers as they are, what it lacks, and what it holds that it does not know."""

from sqlalchemy import select, update

from ctrl_alt_play.panel.db import touch
from ctrl_alt_play.panel.intake import axes
from ctrl_alt_play.panel.intake.taking import Taking
from ctrl_alt_play.panel.models import Node, Server
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.part2 import StateSnapshot

MOST_ORPHANS = 1000


async def apply(taking: Taking, snapshot: StateSnapshot) -> None:
    """One part. With the last one known, what was in none of them is absent."""
    presence = taking.presence
    if snapshot.part <= 1:
        presence.listed, presence.orphans = set(), {}
    presence.snapshot_seq = snapshot.seq
    for told in snapshot.servers:
        if (server := taking.server(told.server_id)) is not None:
            axes.take_snapshot(server, told, taking.now)
            presence.listed.add(server.id)
    for orphan in snapshot.orphans:
        if len(presence.orphans) < MOST_ORPHANS:
            presence.orphans[orphan.server_id] = orphan
    if not snapshot.more:
        await _complete(taking)


async def _complete(taking: Taking) -> None:
    presence, session = taking.presence, taking.session
    believed = await session.scalars(
        select(Server.id).where(Server.node_id == presence.node_id, Server.observed != ServerState.ABSENT)
    )
    if lost := set(believed) - presence.listed:
        for server in await session.scalars(select(Server).where(Server.id.in_(lost))):
            axes.take_absence(server, taking.now)
    orphans = [orphan.model_dump(mode="json") for orphan in presence.orphans.values()]
    told = {"orphans": orphans, "last_seen_at": taking.now}
    await session.execute(update(Node).where(Node.id == presence.node_id).values(told))
    touch(session, nodes.touched(presence.node_id))
    taking.is_truth = True
