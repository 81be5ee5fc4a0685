"""Which ports a server is given."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, literal, select, true, union
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Allocation, Node, PortRange
from ctrl_alt_play.protocol.specification import Port
from ctrl_alt_play.templates import model

EVERYWHERE = "0.0.0.0"  # noqa: S104 - games are meant to be reached
ANY_ADDRESS = (EVERYWHERE, "::")
"""What a port on all addresses is called."""
USUAL, HIGHEST = 25565, 65535


@dataclass(frozen=True, slots=True)
class _Place:
    """Numbers of one address that a port may be of."""

    address: str
    first: int
    last: int


async def propose(
    session: AsyncSession, node_id: str, wanted: Sequence[model.Port], beside: Sequence[Port] = ()
) -> list[Port]:
    """A free port of the node for each that a template wants, `beside` what the server has; where it is for both protocols, of the same
    number.

    From the node's ranges, in their order; where it has none, from the usual number of the game upwards. The node is locked, so whoever writes
    them down in the same transaction has them.

    Raises:
        Conflict: none is free.
    """
    await session.get(Node, node_id, with_for_update=True)
    ranges = (
        await session.scalars(select(PortRange).where(PortRange.node_id == node_id).order_by(PortRange.first))
    ).all()
    found: list[Port] = []
    for want in wanted:
        for place in _places(ranges, want):
            number = await _lowest(session, node_id, place, want, _numbers((*beside, *found), want))
            if number is not None:
                found += ports_of(want, number, place.address)
                break
        else:
            raise Conflict(f"Node {node_id} has no free port for {want.name}: give it more ports.", "NO_FREE_PORT")
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


def is_in_the_way(address: str) -> ColumnElement[bool]:
    """Of an allocation of the same number and protocol: one on all addresses is in everybody's way, and everybody in its."""
    return true() if address in ANY_ADDRESS else Allocation.address.in_((address, *ANY_ADDRESS))


def _places(ranges: Sequence[PortRange], want: model.Port) -> Iterator[_Place]:
    if not ranges:
        yield _Place(EVERYWHERE, want.internal or USUAL, HIGHEST)
    for each in ranges:
        if protocols_of(want.protocol) <= protocols_of(each.protocol):
            yield _Place(each.address, each.first, each.last)


def _numbers(ports: Iterable[Port], want: model.Port) -> set[int]:
    """Those that it cannot have beside these. A number of both is two ports, which may be of two purposes."""
    return {port.external for port in ports if port.protocol in protocols_of(want.protocol)}


async def _lowest(
    session: AsyncSession, node_id: str, place: _Place, want: model.Port, proposed: set[int]
) -> int | None:
    """The lowest number that nobody holds, and that is not proposed already."""
    held = select(Allocation.port).where(
        Allocation.node_id == node_id,
        Allocation.protocol.in_(protocols_of(want.protocol)),
        Allocation.port.between(place.first, place.last),
        is_in_the_way(place.address),
    )
    after = held.with_only_columns(Allocation.port + 1)
    first = place.first
    while True:
        numbers = union(select(literal(first).label("number")), after.where(Allocation.port >= first)).subquery()
        free = numbers.c.number.not_in(held) & (numbers.c.number <= place.last)
        number: int | None = await session.scalar(select(func.min(numbers.c.number)).where(free))
        if number not in proposed:
            return number
        first = number + 1
