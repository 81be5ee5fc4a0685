"""How a node of part 2 is met: what of its journal is kept, and which of its servers the panel knows."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play import __version__
from ctrl_alt_play.panel.gateway.base import Arrival
from ctrl_alt_play.panel.intake.presence import Presence
from ctrl_alt_play.panel.models import Node, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.servers import endings
from ctrl_alt_play.protocol.messages import OLDEST_VERSION, VERSION
from ctrl_alt_play.protocol.panel_session import PART2_HEARTBEAT_S
from ctrl_alt_play.protocol.part2 import KnownServer, ProtocolRange, Welcome


async def prepare(session: AsyncSession, node: Node, arrival: Arrival, presence: Presence) -> Welcome:
    """A journal that is new counts from the beginning; what the node had accepted by an older one will never be told to its end."""
    told = arrival.system.spool_id if arrival.system is not None else None
    spool_id = (told or "").replace("\x00", "")
    if node.spool_id != spool_id:
        node.spool_id, node.acked_seq = spool_id, 0
        await operations.fail_forgotten(session, node.id, presence.connected_at)
        forgotten = Failure("INTERRUPTED", "interrupted: the node lost its journal")
        accepted = await operations.accepted_changes(session, node.id)
        await endings.keep(session, accepted, forgotten, presence.connected_at)
    presence.spool_id, presence.acked_seq = spool_id, node.acked_seq
    known = await session.execute(select(Server.id, Server.revision).where(Server.node_id == node.id))
    return Welcome(
        protocol=ProtocolRange(version=VERSION, minimum=OLDEST_VERSION),
        panel_version=__version__,
        heartbeat_interval=PART2_HEARTBEAT_S,
        acked_seq=node.acked_seq,
        servers=tuple(KnownServer(server_id=server_id, revision=revision) for server_id, revision in known),
    )
