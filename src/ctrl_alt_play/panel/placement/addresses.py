"""How players reach a server: by the alias of the range that its port is of, by its node's address, or by the port's own."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.models import Node, PortRange
from ctrl_alt_play.panel.placement.ports import ANY_ADDRESS
from ctrl_alt_play.protocol.specification import Port

_NAMED = select(PortRange).where(PortRange.node_id.in_(bindparam("ids", expanding=True)), PortRange.alias.is_not(None))


async def named_ranges(session: AsyncSession, node_ids: Collection[str]) -> Mapping[str, Sequence[PortRange]]:
    """Those with an alias, by their nodes."""
    found: dict[str, list[PortRange]] = defaultdict(list)
    for each in await session.scalars(_NAMED, {"ids": list(node_ids)}):
        found[each.node_id].append(each)
    return found


def address_of(port: Port, node: Node, named: Sequence[PortRange]) -> str | None:
    """As players type it; None where only the port is known."""
    host = next((each.alias for each in named if _is_of(port, each)), None)
    if host is None:
        host = node.address if port.address in ANY_ADDRESS else port.address
    if host is None:
        return None
    return f"[{host}]:{port.external}" if ":" in host else f"{host}:{port.external}"


def _is_of(port: Port, each: PortRange) -> bool:
    is_within = each.first <= port.external <= each.last
    return is_within and each.address == port.address and each.protocol in ("both", port.protocol)
