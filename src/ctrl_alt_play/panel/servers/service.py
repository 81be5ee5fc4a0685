"""Servers as the panel keeps them: which there are, who may see them, and which ports they hold."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import Select, Text, bindparam, select
from sqlalchemy import cast as cast_to
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.accounts import service as accounts
from ctrl_alt_play.panel.db import Database, touch
from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid, NotFound
from ctrl_alt_play.panel.models import Allocation, Node, Server
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.paging import read_cursor
from ctrl_alt_play.panel.placement.nodes import ensure_open, ensure_room
from ctrl_alt_play.panel.placement.ports import ANY_ADDRESS
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers.recipe import ensure_known
from ctrl_alt_play.panel.servers.schemas import NewServer
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.messages import OLDEST_VERSION
from ctrl_alt_play.protocol.specification import Desired, Hold, Port, Specification

_BY_ID = select(Server).where(Server.id == bindparam("its_id"))
_OWN_BY_ID = _BY_ID.where(Server.owner_id == bindparam("its_owner"))
_TARGET = "SELECT node_id, hold, revision, CAST(specification AS TEXT) FROM servers WHERE id = :its_id"
_OWN_TARGET = f"{_TARGET} AND owner_id = :its_owner"


@dataclass(frozen=True, slots=True)
class Target:
    """A server as far as an order that changes nothing of it needs to know."""

    id: str
    node_id: str
    hold: str
    revision: int
    stored: str

    @property
    def specification(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.stored))  # nothing else is ever stored


def visible_to(actor: Actor) -> Select[Server]:
    """Where all reading of servers begins."""
    query = select(Server)
    return query if actor.is_admin else query.where(Server.owner_id == actor.id)


async def get_visible(session: AsyncSession, actor: Actor, server_id: str) -> Server:
    """Raises: NotFound, also for what is another's."""
    query = _BY_ID if actor.is_admin else _OWN_BY_ID
    server = await session.scalar(query, {"its_id": server_id, "its_owner": actor.id})
    if server is None:
        raise NotFound("There is no such server.")
    return server


async def get_target(database: Database, actor: Actor, server_id: str) -> Target:
    """As `get_visible`, in one question."""
    if actor.is_admin:
        found = await database.row(_TARGET, its_id=server_id)
    else:
        found = await database.row(_OWN_TARGET, its_id=server_id, its_owner=actor.id)
    if found is None:
        raise NotFound("There is no such server.")
    return Target(server_id, *found)


async def list_visible(
    session: AsyncSession,
    actor: Actor,
    limit: int,
    cursor: str | None,
    *,
    node_id: str | None,
    name: str | None,
    tag: str | None,
) -> Sequence[Server]:
    """One more than `limit`, by name; `name` is any part of it, `tag` is one whole."""
    query = visible_to(actor).order_by(Server.name, Server.id).limit(limit + 1)
    if node_id is not None:
        query = query.where(Server.node_id == node_id)
    if name:
        query = query.where(Server.name.icontains(name, autoescape=True))
    if tag is not None:
        query = query.where(cast_to(Server.tags, Text).contains(json.dumps(tag), autoescape=True))
    if after := read_cursor(cursor, 2):
        last_name, last_id = after
        query = query.where(
            (Server.name > last_name) | ((Server.name == last_name) & (Server.id > last_id)),
        )
    return (await session.scalars(query)).all()


async def ids_of_node(session: AsyncSession, node_id: str) -> Sequence[str]:
    return (await session.scalars(select(Server.id).where(Server.node_id == node_id))).all()


async def on_node(session: AsyncSession, server_id: str, node_id: str) -> Server | None:
    """The server, if that node holds it: a node has no say in another's. It needs no lock: its node's news alone change it."""
    server = await session.get(Server, server_id)
    return server if server is not None and server.node_id == node_id else None


async def remove(session: AsyncSession, server: Server) -> None:
    """At once, so that what follows in the same transaction does not find it any more."""
    await session.delete(server)
    await session.flush()


async def add(session: AsyncSession, actor: Actor, new: NewServer, now: datetime) -> Server:
    """Raises: Invalid, for a node or an owner that is not there, or what its node cannot do; Conflict, for a port that another server holds,
    or a node that takes no servers, or has no room and is not forced.
    """
    node = await _node_for(session, new.node_id)
    ensure_open(node)
    owner_id = await _owner_for(session, new.owner_id or actor.id)
    specification = new.specification()
    _ensure_known_query(node, specification)
    _ensure_installs(node, specification)
    await ensure_free(session, node.id, new.ports)
    if not new.force:
        await ensure_room(session, node, new.limits)
    server = Server(
        id=str(uuid4()),
        name=new.name,
        tags=list(new.tags),
        node_id=node.id,
        owner_id=owner_id,
        specification=stored(specification),
        desired=Desired.OFF,
        observed=ServerState.ABSENT,
        observed_at=now,
        observed_since=now,
        hold=Hold.NONE,
        created_at=now,
    )
    session.add(server)
    await session.flush()
    _allocate(session, server, new.ports)
    return server


async def change(session: AsyncSession, server: Server, specification: Specification) -> None:
    """What the server is made of from here on, as its next revision. Ports that it has no more use for it holds until they are `release`d.

    Raises: Conflict, for a port that another server holds; nothing was changed then.
    """
    _ensure_known_query(await _node_for(session, server.node_id), specification)
    await ensure_free(session, server.node_id, specification.ports, but=server.id)
    held = {_address(one) for one in await _allocations(session, server)}
    _allocate(session, server, [port for port in specification.ports if _asked(port) not in held])
    revise(server)
    if specification.limits != specification_of(server).limits:
        touch(session, nodes.touched(server.node_id))
    server.specification = stored(specification)


def revise(server: Server) -> None:
    """Its next revision begins, which its node does not have. What the node has is remembered."""
    if server.node_revision == server.revision:
        server.node_specification = server.specification
    server.revision += 1


async def release(session: AsyncSession, server: Server, ports: Iterable[Port]) -> None:
    """Others may have what the server holds besides these."""
    wanted = {_asked(port) for port in ports}
    for allocation in await _allocations(session, server):
        if _address(allocation) not in wanted:
            await session.delete(allocation)


async def _allocations(session: AsyncSession, server: Server) -> Sequence[Allocation]:
    return (await session.scalars(select(Allocation).where(Allocation.server_id == server.id))).all()


def _address(allocation: Allocation) -> tuple[str, int, str]:
    return allocation.address, allocation.port, allocation.protocol


def _asked(port: Port) -> tuple[str, int, str]:
    return port.address, port.external, port.protocol


async def allocate_free(session: AsyncSession, server: Server, ports: Sequence[Port]) -> None:
    """For a server that its node has already: it is given what no other holds; what it uses beside that is a matter of the node."""
    for port in ports:
        with suppress(Conflict):
            await ensure_free(session, server.node_id, (port,), but=server.id)
            _allocate(session, server, (port,))


def specification_of(server: Server | Target) -> Specification:
    """All of it, also what has columns of its own."""
    return Specification.model_validate({**server.specification, "hold": server.hold, "revision": server.revision})


def is_made_of(server: Server, specification: Specification) -> bool:
    return stored(specification) == stored(specification_of(server))


def stored(specification: Specification) -> dict[str, Any]:
    return specification.model_dump(mode="json", exclude={"hold", "revision"})


def _allocate(session: AsyncSession, server: Server, ports: Sequence[Port]) -> None:
    session.add_all(
        Allocation(
            server_id=server.id,
            node_id=server.node_id,
            address=port.address,
            port=port.external,
            protocol=port.protocol,
        )
        for port in ports
    )


async def _node_for(session: AsyncSession, node_id: str) -> Node:
    """Locked, so that two servers cannot both be given a port that they both found free."""
    node = await session.get(Node, node_id, with_for_update=True)
    if node is None:
        raise Invalid("There is no such node.", fields=(FieldProblem("node_id", "there is no such node"),))
    return node


def _ensure_known_query(node: Node, specification: Specification) -> None:
    ensure_known((node.system or {}).get("queries"), specification)


def _ensure_installs(node: Node, specification: Specification) -> None:
    """An agent of part 1 would make the server without its files, and say nothing."""
    is_too_old = node.system is not None and node.protocol_version == OLDEST_VERSION
    if specification.installer is not None and is_too_old:
        sentence = f"The agent of node {node.id} is too old to install a server: upgrade it first."
        raise Conflict(sentence, "AGENT_TOO_OLD")


async def _owner_for(session: AsyncSession, user_id: str) -> str:
    try:
        return (await accounts.get(session, user_id)).id
    except NotFound as error:
        raise Invalid("There is no such user.", fields=(FieldProblem("owner_id", "there is no such user"),)) from error


async def ensure_free(session: AsyncSession, node_id: str, ports: Sequence[Port], but: str | None = None) -> None:
    """`but` is the server whose own ports are no hindrance."""
    numbers = {port.external for port in ports}
    query = (
        select(Allocation, Server.name)
        .join(Server, Server.id == Allocation.server_id)
        .where(Allocation.node_id == node_id, Allocation.port.in_(numbers))
    )
    if but is not None:
        query = query.where(Allocation.server_id != but)
    held = (await session.execute(query)).all()
    problems, holders = [], []
    for index, port in enumerate(ports):
        for allocation, holder in held:
            if _collide(port, allocation):
                problems.append(FieldProblem(f"ports.{index}.external", f"held by {holder}"))
                named = "" if port.name is None else f" ({port.name})"
                holders.append(f"port {port.external}/{port.protocol}{named} is held by server {holder}")
    if problems:
        sentence = f"On node {node_id}, {'; '.join(holders)}: choose another."
        raise Conflict(sentence, "PORT_CONFLICT", tuple(problems))


def _collide(port: Port, allocation: Allocation) -> bool:
    same = (port.external, port.protocol) == (allocation.port, allocation.protocol)
    everywhere = port.address in ANY_ADDRESS or allocation.address in ANY_ADDRESS
    return same and (everywhere or port.address == allocation.address)
