"""Which ports a server is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Allocation, PortRange
from ctrl_alt_play.protocol.specification import Port
from ctrl_alt_play.templates import model

EVERYWHERE = "0.0.0.0"  # noqa: S104 - games are meant to be reached
USUAL, HIGHEST = 25565, 65535


@dataclass(frozen=True, slots=True)
class _Place:
    address: str
    number: int
    protocols: frozenset[str]


async def propose(
    session: AsyncSession, node_id: str, wanted: Sequence[model.Port], beside: Sequence[Port] = ()
) -> list[Port]:
    """A free port of the node for each that a template wants, `beside` what the server has; where it is for both protocols, of the same
    number.

    From the node's ranges, in their order; where it has none, from the usual number of the game upwards. Nothing is held by that:
    whoever holds it first has it.

    Raises:
        Conflict: none is free.
    """
    ranges = (
        await session.scalars(select(PortRange).where(PortRange.node_id == node_id).order_by(PortRange.first))
    ).all()
    held = (await session.scalars(select(Allocation).where(Allocation.node_id == node_id))).all()
    taken = {(each.port, each.protocol) for each in held} | {(each.external, each.protocol) for each in beside}
    found: list[Port] = []
    for want in wanted:
        protocols = protocols_of(want.protocol)
        for place in _places(ranges, want):
            if protocols <= place.protocols and not any((place.number, each) in taken for each in protocols):
                break
        else:
            raise Conflict(f"Node {node_id} has no free port for {want.name}: give it more ports.", "NO_FREE_PORT")
        taken |= {(place.number, each) for each in protocols}
        found += ports_of(want, place.number, place.address)
    return found


def ports_of(want: model.Port, external: int, address: str = EVERYWHERE) -> list[Port]:
    """What a template's port is for a server: one, or one for each protocol."""
    internal = want.internal or external
    return [
        Port.model_validate(
            {"internal": internal, "external": external, "protocol": each, "address": address, "name": want.name}
        )
        for each in sorted(protocols_of(want.protocol))
    ]


def protocols_of(protocol: str) -> frozenset[str]:
    return frozenset(("tcp", "udp") if protocol == "both" else (protocol,))


def _places(ranges: Sequence[PortRange], want: model.Port) -> Iterator[_Place]:
    if not ranges:
        every = protocols_of("both")
        yield from (_Place(EVERYWHERE, number, every) for number in range(want.internal or USUAL, HIGHEST + 1))
    for each in ranges:
        protocols = protocols_of(each.protocol)
        yield from (_Place(each.address, number, protocols) for number in range(each.first, each.last + 1))
