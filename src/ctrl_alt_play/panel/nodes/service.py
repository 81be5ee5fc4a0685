"""The rules of nodes: each has a secret of its own, is there while its agent is connected, and goes only when it holds no server."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.doctor import unknown, worst
from ctrl_alt_play.panel.db import Database, Touched, touch
from ctrl_alt_play.panel.errors import Conflict, NotFound
from ctrl_alt_play.panel.gateway.base import Arrival, Gateway
from ctrl_alt_play.panel.gateway.refusals import Refusals
from ctrl_alt_play.panel.models import Node, Openness, Server
from ctrl_alt_play.panel.nodes.capacity import PROMISED, capacity_of
from ctrl_alt_play.panel.nodes.doctor import Facts, Measured, examine
from ctrl_alt_play.panel.nodes.pulls import Pulls
from ctrl_alt_play.panel.nodes.schemas import NewNode, NodeChange, NodeView, OrphanView, System
from ctrl_alt_play.panel.paging import read_cursor
from ctrl_alt_play.panel.security import hash_secret, make_secret
from ctrl_alt_play.protocol.contents import Action, SystemInfo
from ctrl_alt_play.protocol.doctor import Examination, Finding
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.messages import VERSION
from ctrl_alt_play.protocol.part2 import Orphan

_TABLE = cast("Table", Node.__table__)  # as mapped, it is one
_BY_IDS = select(Node).where(Node.id.in_(bindparam("ids", expanding=True)))
_SEEN = update(_TABLE).where(_TABLE.c.id == bindparam("its_id"), _TABLE.c.last_seen_at < bindparam("at"))
_BEHIND = func.count(case((Server.node_revision < Server.revision, 1)))
_COUNTS = (func.count(Server.id), _BEHIND, *PROMISED)
_COUNTED = select(Node, *_COUNTS).outerjoin(Server, Server.node_id == Node.id).group_by(Node.id).order_by(Node.id)
EXAMINE_TIMEOUT_S = 10.0
Open = Callable[[AsyncSession, Node, Openness, datetime], Awaitable[None]]


class Nodes:
    """What administrators do with nodes."""

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        refusals: Refusals,
        measured: Callable[[str], Measured | None],
        pulls: Pulls,
        clock: Clock,
        open_: Open,
        forget: Sequence[Callable[[str], None]] = (),
    ) -> None:
        """`measured` tells what a node was last seen to use; `open_` changes what it is open to, and what that means to its servers.
        `forget` are to be told of one that is removed: those who keep something of nodes in memory.
        """
        self._database = database
        self._gateway = gateway
        self._refusals = refusals
        self._measured = measured
        self._pulls = pulls
        self._clock = clock
        self._open = open_
        self._forget = (refusals.forget, pulls.forget, *forget)

    async def enrol(self, new: NewNode) -> tuple[NodeView, str]:
        """The node and its secret, which is told here and never again."""
        secret = make_secret()
        async with self._database.writing() as session:
            if await session.get(Node, new.id):
                raise Conflict(f"There is already a node {new.id}.", "NODE_EXISTS")
            node = new_node(new, secret, self._clock.utc())
            session.add(node)
            counts = await _count(session, node.id)
        return self._view(node, *counts), secret

    async def change(self, node_id: str, change: NodeChange) -> NodeView:
        async with self._database.writing() as session:
            node = await get(session, node_id, lock=True)
            for name, value in change.model_dump(mode="json", exclude_unset=True, exclude={"openness"}).items():
                setattr(node, name, value)
            if change.openness is not None:
                await self._open(session, node, change.openness, self._clock.utc())
            counts = await _count(session, node_id)
        if not node.enabled:
            self._gateway.disconnect(node_id, "this node was disabled")
        return self._view(node, *counts)

    async def renew_secret(self, node_id: str) -> str:
        secret = make_secret()
        async with self._database.writing() as session:
            (await get(session, node_id)).secret_hash = hash_secret(secret)
        self._gateway.disconnect(node_id, "this node has a new secret")
        return secret

    async def delete(self, node_id: str) -> None:
        async with self._database.writing() as session:
            node = await get(session, node_id)
            if servers := await count_servers(session, node_id):
                raise Conflict(
                    f"Node {node_id} holds {servers} server{'s' if servers > 1 else ''}: delete them first.",
                    "NODE_HOLDS_SERVERS",
                )
            await session.delete(node)
        self._gateway.disconnect(node_id, "this node was removed")
        for forget in self._forget:
            forget(node_id)

    async def view(self, session: AsyncSession, node_id: str) -> NodeView:
        return self._view(await get(session, node_id), *await _count(session, node_id))

    async def examine(self, session: AsyncSession, node_id: str) -> list[Finding]:
        """What the panel knows, without waiting for the node."""
        _, behind, *_ = await _count(session, node_id)
        return examine(self._facts(await get(session, node_id), behind))

    async def ask_for_examination(self, node_id: str) -> Sequence[Finding]:
        """What the node itself finds; that it cannot be asked is a finding, too. Raises: NotFound."""
        async with self._database.reading() as session:
            await get(session, node_id)
        try:
            told = await self._gateway.ask(node_id, Action.EXAMINE_NODE, "", None, EXAMINE_TIMEOUT_S)
        except Fault as fault:
            return [unknown("own", fault.message)]
        return Examination.model_validate(told).findings

    async def views(self, session: AsyncSession, limit: int, cursor: str | None) -> list[NodeView]:
        """One more than `limit`, by id."""
        query = _COUNTED.limit(limit + 1)
        if after := read_cursor(cursor, 1):
            query = query.where(Node.id > after[0])
        return [self._view(*row) for row in (await session.execute(query))]

    async def views_of(self, session: AsyncSession, node_ids: Iterable[str]) -> list[NodeView]:
        """Those of them that are there, by id."""
        found = await session.execute(_COUNTED.where(Node.id.in_(node_ids)))
        return [self._view(*row) for row in found]

    def _facts(self, node: Node, behind: int) -> Facts:
        return Facts(
            node,
            self._clock.utc(),
            self._gateway.last_heard_at(node.id) or node.last_seen_at,
            self._gateway.warning(node.id),
            self._refusals.of(node.id),
            self._measured(node.id),
            behind,
        )

    def _view(self, node: Node, servers: int, behind: int, *promised: float) -> NodeView:
        facts = self._facts(node, behind)
        return NodeView(
            id=node.id,
            name=node.name,
            enabled=node.enabled,
            online=node.online,
            since=node.since,
            last_seen_at=facts.last_heard_at,
            warning=facts.rivalry,
            system=facts.system,
            protocol_version=node.protocol_version,
            orphans=[_orphan(told) for told in node.orphans],
            pulls=self._pulls.of(node.id),
            servers=servers,
            address=node.address,
            tags=node.tags,
            openness=node.openness,
            openness_since=node.openness_since,
            extra_memory=node.extra_memory,
            extra_cpu=node.extra_cpu,
            extra_disk=node.extra_disk,
            capacity=capacity_of(node, promised),
            health=worst(examine(facts)),
            created_at=node.created_at,
        )


def _orphan(told: dict[str, Any]) -> OrphanView:
    return OrphanView(**Orphan.model_validate(told).model_dump())


def new_node(new: NewNode, secret: str, now: datetime) -> Node:
    return Node(
        id=new.id,
        name=new.name,
        secret_hash=hash_secret(secret),
        enabled=True,
        online=False,
        since=now,
        protocol_version=1,
        orphans=[],
        created_at=now,
    )


async def get(session: AsyncSession, node_id: str, *, lock: bool = False) -> Node:
    node = await session.get(Node, node_id, with_for_update=lock or None)
    if node is None:
        raise NotFound("There is no such node.")
    return node


async def by_ids(session: AsyncSession, node_ids: set[str]) -> dict[str, Node]:
    nodes: Sequence[Node] = (await session.scalars(_BY_IDS, {"ids": list(node_ids)})).all()
    return {node.id: node for node in nodes}


async def _count(session: AsyncSession, node_id: str) -> Sequence[Any]:
    """Its servers, those of which it holds an older specification than the panel, and what is `PROMISED` to them."""
    return (await session.execute(select(*_COUNTS).where(Server.node_id == node_id))).one()


async def count_servers(session: AsyncSession, node_id: str) -> int:
    return await session.scalar(select(func.count()).where(Server.node_id == node_id)) or 0


async def mark_connected(session: AsyncSession, arrival: Arrival, now: datetime) -> Node | None:
    """None when the node lost the right to be there between the door and here."""
    node = await session.get(Node, arrival.node_id)
    secret_hash = arrival.admission.secret_hash
    if node is None or not node.enabled or secret_hash not in (None, node.secret_hash):
        return None
    if not node.online:
        node.online, node.since = True, now
    node.last_seen_at = now
    node.protocol_version = arrival.version
    if arrival.system is not None:
        node.system = _system(arrival.system)
    return node


async def mark_away(session: AsyncSession, node_id: str, now: datetime) -> bool:
    """Whether there still is such a node."""
    node = await session.get(Node, node_id)
    if node is not None and node.online:
        node.online, node.since, node.last_seen_at = False, now, now
    return node is not None


async def mark_all_away(session: AsyncSession, now: datetime) -> None:
    """A panel that starts knows of no agent. One that it did not see go is away since it was last heard, for then the panel went."""
    heard_at = func.coalesce(Node.last_seen_at, now)
    await session.execute(update(Node).where(Node.online).values(online=False, since=heard_at))


async def mark_seen(connection: AsyncConnection, times: Iterable[tuple[str, datetime]]) -> None:
    """Nodes with when they were last heard of. One that has gone since is known better."""
    await connection.execute(_SEEN, [{"its_id": node_id, "last_seen_at": at, "at": at} for node_id, at in times])


async def keep_system(session: AsyncSession, node_id: str, info: SystemInfo) -> None:
    """What an agent says of its machine; and, where that comes too late for this connection, of what it speaks."""
    told: dict[str, Any] = {"system": _system(info)}
    if info.protocol is not None:
        told["protocol_version"] = min(VERSION, info.protocol.version)
    await session.execute(update(Node).where(Node.id == node_id).values(told))
    touch(session, touched(node_id))


def touched(node_id: str) -> Touched:
    return Touched(_TABLE.name, node_id)


def _system(info: SystemInfo) -> dict[str, Any]:
    told = info.model_dump(mode="json", exclude={"node_id", "memory"})
    return System(memory_bytes=info.memory, disk_bytes=info.disk, **told).model_dump(mode="json")
