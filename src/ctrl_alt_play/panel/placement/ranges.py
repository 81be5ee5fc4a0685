"""Which ports of a node servers are given by themselves, and who holds them."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, distinct, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid, NotFound
from ctrl_alt_play.panel.models import Allocation, Node, PortRange, Server
from ctrl_alt_play.panel.paging import read_numbers
from ctrl_alt_play.panel.placement.ports import ANY_ADDRESS, protocols_of
from ctrl_alt_play.panel.placement.schemas import AllocationView, NewPortRange, PortRangeChange, PortRangeView

MOST_RANGES = 64
"""Of a node."""
MOST_NAMED = 5

_OVERLAPS = (
    or_(PortRange.protocol == "both", Allocation.protocol == PortRange.protocol)
    & Allocation.port.between(PortRange.first, PortRange.last)
    & or_(
        PortRange.address == Allocation.address,
        PortRange.address.in_(ANY_ADDRESS),
        Allocation.address.in_(ANY_ADDRESS),
    )
)
_VIEWED = (
    select(PortRange, PortRange.last - PortRange.first + 1 - func.count(distinct(Allocation.port)))
    .outerjoin(Allocation, (Allocation.node_id == PortRange.node_id) & _OVERLAPS)
    .group_by(PortRange.id)
    .order_by(PortRange.first, PortRange.id)
)


class Ranges:
    """Raises in all it does: NotFound, there is no such node, or it has no such range."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, node_id: str, new: NewPortRange) -> PortRangeView:
        """Raises also: Invalid, it ends before it begins; Conflict, another has some of these ports, or the node has too many."""
        async with self._database.writing() as session:
            await _node(session, node_id, lock=True)
            added = PortRange(id=str(uuid4()), node_id=node_id, **new.model_dump())
            others = await _of_node(session, node_id)
            if len(others) >= MOST_RANGES:
                raise Conflict(
                    f"The node has {MOST_RANGES} ranges, and may have no more: join some.", "TOO_MANY_RANGES"
                )
            _ensure_apart(added, others)
            session.add(added)
            await session.flush()
            return await _view(session, added)

    async def change(self, node_id: str, range_id: str, change: PortRangeChange) -> PortRangeView:
        """Raises also: as `add`, and Conflict where servers hold ports that would be outside."""
        async with self._database.writing() as session:
            await _node(session, node_id, lock=True)
            changed = await _range(session, node_id, range_id)
            before = _within(changed)
            for name, value in change.model_dump(exclude_unset=True).items():
                setattr(changed, name, value)
            _ensure_apart(changed, [one for one in await _of_node(session, node_id) if one.id != range_id])
            await _ensure_unheld(session, changed, before & not_(_within(changed)), "they would be outside of it")
            await session.flush()
            return await _view(session, changed)

    async def remove(self, node_id: str, range_id: str) -> None:
        """Raises also: Conflict, where servers hold ports of it."""
        async with self._database.writing() as session:
            await _node(session, node_id, lock=True)
            removed = await _range(session, node_id, range_id)
            await _ensure_unheld(session, removed, _within(removed), "give those servers other ports first")
            await session.delete(removed)


async def ranges_of(session: AsyncSession, node_id: str) -> list[PortRangeView]:
    """In the order of their numbers. Raises: NotFound."""
    await _node(session, node_id)
    return [_shown(*row) for row in await session.execute(_VIEWED.where(PortRange.node_id == node_id))]


async def held(
    session: AsyncSession, node_id: str, range_id: str | None, limit: int, cursor: str | None
) -> Sequence[tuple[Allocation, Server]]:
    """One more than `limit`, in the order of their numbers; with a range, what of it is not free. Raises: NotFound."""
    await _node(session, node_id)
    query = select(Allocation, Server).join(Server, Server.id == Allocation.server_id)
    query = query.where(Allocation.node_id == node_id).order_by(Allocation.port, Allocation.id).limit(limit + 1)
    if range_id is not None:
        await _range(session, node_id, range_id)
        query = query.join(PortRange, (PortRange.id == range_id) & _OVERLAPS)
    if after := read_numbers(cursor, 2):
        port, id_ = after
        query = query.where((Allocation.port > port) | ((Allocation.port == port) & (Allocation.id > id_)))
    return [(allocation, server) for allocation, server in await session.execute(query)]


def held_view(allocation: Allocation, server: Server) -> AllocationView:
    key = (allocation.port, allocation.protocol, allocation.address)
    names = {(port["external"], port["protocol"], port["address"]): port.get("name") for port in _ports(server)}
    return AllocationView(
        port=allocation.port,
        protocol=allocation.protocol,
        address=allocation.address,
        name=names.get(key),
        server_id=server.id,
        server_name=server.name,
    )


def _ports(server: Server) -> Sequence[dict[str, Any]]:
    ports: Sequence[dict[str, Any]] = server.specification.get("ports", ())
    return ports


async def _node(session: AsyncSession, node_id: str, *, lock: bool = False) -> None:
    if await session.get(Node, node_id, with_for_update=lock or None) is None:
        raise NotFound("There is no such node.")


async def _range(session: AsyncSession, node_id: str, range_id: str) -> PortRange:
    found = await session.get(PortRange, range_id)
    if found is None or found.node_id != node_id:
        raise NotFound("The node has no such range of ports.")
    return found


async def _of_node(session: AsyncSession, node_id: str) -> Sequence[PortRange]:
    with session.no_autoflush:
        return (await session.scalars(select(PortRange).where(PortRange.node_id == node_id))).all()


def _ensure_apart(one: PortRange, others: Sequence[PortRange]) -> None:
    """Each port is of one range, so that it is clear what players call it."""
    if one.last < one.first:
        raise Invalid("A range cannot end before it begins.", fields=(FieldProblem("last", f"at least {one.first}"),))
    for other in others:
        is_same = one.address == other.address or {one.address, other.address} & set(ANY_ADDRESS)
        if is_same and _shares(one, other):
            sentence = f"The range {_called(other)} has some of these ports already: change that, or give others."
            raise Conflict(sentence, "RANGES_OVERLAP")


def _shares(one: PortRange, other: PortRange) -> bool:
    is_apart = one.last < other.first or other.last < one.first
    return not is_apart and bool(protocols_of(one.protocol) & protocols_of(other.protocol))


def _called(one: PortRange) -> str:
    return f"{one.address} {one.first}-{one.last} {'tcp and udp' if one.protocol == 'both' else one.protocol}"


def _within(one: PortRange) -> ColumnElement[bool]:
    """Allocations of it: on its very address."""
    is_within = Allocation.port.between(one.first, one.last) & (Allocation.address == one.address)
    return is_within & Allocation.protocol.in_(protocols_of(one.protocol)) & (Allocation.node_id == one.node_id)


async def _ensure_unheld(session: AsyncSession, one: PortRange, which: ColumnElement[bool], why: str) -> None:
    query: Select[str] = select(Server.name).join(Allocation, Allocation.server_id == Server.id).where(which).distinct()
    names = (await session.scalars(query.order_by(Server.name).limit(MOST_NAMED + 1))).all()
    if names:
        who = ", ".join([*names[:MOST_NAMED], *(["others"] if len(names) > MOST_NAMED else [])])
        raise Conflict(f"Ports of the range {_called(one)} are held by {who}: {why}.", "PORTS_HELD")


async def _view(session: AsyncSession, one: PortRange) -> PortRangeView:
    return _shown(*(await session.execute(_VIEWED.where(PortRange.id == one.id))).one())


def _shown(one: PortRange, free: int) -> PortRangeView:
    return PortRangeView(
        id=one.id,
        first=one.first,
        last=one.last,
        address=one.address,
        protocol=one.protocol,
        alias=one.alias,
        free=free,
    )
