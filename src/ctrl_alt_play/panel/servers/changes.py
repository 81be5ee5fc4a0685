"""What changes a server's revision, and what takes an orphan in: the rules, within the transaction that also writes the operation."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid, NotFound, Stale
from ctrl_alt_play.panel.models import INSTALLS, OPEN_STATES, Node, Openness, Operation, OperationKind, Server, User
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.messages import OLDEST_VERSION
from ctrl_alt_play.protocol.specification import Hold, Specification

LONGEST_ID = 36
Remade = tuple[Specification, dict[str, Any]]
"""What a server is made of from here on, and what may be told of that."""
Remaking = Callable[[AsyncSession, Server], Awaitable[Remade]]
"""Within the transaction that changes it, while it is locked."""


async def lock(session: AsyncSession, actor: Actor, server_id: str) -> Server:
    """The node is locked before the server, as whoever takes in its news does.

    Raises:
        NotFound: the server is not there, or not theirs to see.
        Conflict: its node could not take a change over.
    """
    server = await service.get_visible(session, actor, server_id)
    node = await session.get(Node, server.node_id, with_for_update=True)
    await session.refresh(server, with_for_update=True)
    if node is not None and is_too_old(node) and not await is_uninstalled(session, server):
        sentence = f"The agent of node {server.node_id} is too old to take over a change of a server: upgrade it first."
        raise Conflict(sentence, "AGENT_TOO_OLD")
    return server


def is_too_old(node: Node) -> bool:
    """For changes of servers, so far as its agent told."""
    return node.system is not None and node.protocol_version == OLDEST_VERSION


def ensure_revision(server: Server, revision: int | None) -> None:
    """Raises: Stale, it is another than what a change was made from."""
    if revision is not None and server.revision != revision:
        sentence = (
            f"The server was changed meanwhile: it is of revision {server.revision}, not {revision}. Look at it anew."
        )
        raise Stale(sentence)


async def lock_for_installation(
    session: AsyncSession, actor: Actor, server_id: str, *, wipe: bool
) -> tuple[Server, OperationKind]:
    """The server, and what its node can be asked for: one of part 1 only creates what it has nothing of.

    Raises:
        NotFound: the server is not there, or not theirs to see.
        Conflict: there is nothing to do, or it is being done already, or its node is too old for it.
    """
    server = await service.get_visible(session, actor, server_id)
    await session.refresh(server, with_for_update=True)
    is_there = server.observed != ServerState.ABSENT
    if is_there and not wipe and service.specification_of(server).installer is None:
        raise Conflict("The server is installed, and has no installer: there is nothing to do.", "SERVER_INSTALLED")
    if await _is_being_made(session, server):
        raise Conflict("The server is being installed already: wait for the end of that.", "SERVER_INSTALLING")
    node = await session.get(Node, server.node_id)
    if node is None or node.protocol_version > OLDEST_VERSION:
        return server, OperationKind.REINSTALL
    if is_there or wipe:
        sentence = f"The agent of node {server.node_id} is too old to reinstall a server: upgrade it first."
        raise Conflict(sentence, "AGENT_TOO_OLD")
    return server, OperationKind.CREATE


async def is_uninstalled(session: AsyncSession, server: Server) -> bool:
    """Whether its node has nothing of it, and is not about to: its creation failed, or it was lost."""
    return server.observed == ServerState.ABSENT and not await _is_being_made(session, server)


async def _is_being_made(session: AsyncSession, server: Server) -> bool:
    making = select(Operation.id).where(
        Operation.server_id == server.id,
        Operation.state.in_(OPEN_STATES),
        Operation.kind.in_((*INSTALLS, OperationKind.ADOPT)),
    )
    return (await session.scalars(making.limit(1))).first() is not None


async def respecify(session: AsyncSession, server: Server, specification: Specification) -> None:
    """What is the same is no new revision. Raises: Conflict, for a port that another server holds."""
    if not service.is_made_of(server, specification):
        await service.change(session, server, specification)


async def hold(session: AsyncSession, server: Server, wanted: Hold, now: datetime) -> None:
    """Of a server that is `lock`ed. While its node is in maintenance, it is so at the least: then that is what follows another hold.

    Raises: Conflict, it is in maintenance with its node.
    """
    node = await session.get(Node, server.node_id)
    if wanted is Hold.NONE and node is not None and node.openness == Openness.MAINTENANCE:
        if server.hold == Hold.MAINTENANCE:
            sentence = f"The server's node, {node.name}, is in maintenance: it is released when that is over."
            raise Conflict(sentence, "NODE_IN_MAINTENANCE")
        wanted = Hold.MAINTENANCE
    put_on_hold(server, wanted, now)


def put_on_hold(server: Server, wanted: Hold, now: datetime) -> None:
    if server.hold != wanted:
        server.hold, server.hold_since = wanted, None if wanted is Hold.NONE else now
        service.revise(server)


async def adoption(
    session: AsyncSession, actor: Actor, node_id: str, server_id: str, name: str, owner_id: str | None
) -> dict[str, Any]:
    """What the operation has to remember.

    Raises:
        NotFound: the node is not there, or told of no such orphan.
        Invalid: there is no such owner.
        Conflict: nobody could say what the server is made of, or the panel has one of that id.
    """
    node = await session.get(Node, node_id)
    orphans = {} if node is None else {orphan.get("server_id"): orphan for orphan in node.orphans}
    if server_id not in orphans:
        raise NotFound("The node told of no such container.")
    if not orphans[server_id].get("is_adoptable") or len(server_id) > LONGEST_ID:
        raise Conflict("The container does not tell what it is made of, so it cannot be adopted.", "NOT_ADOPTABLE")
    if await session.scalar(select(Server.id).where(Server.id == server_id)) is not None:
        raise Conflict("The panel has a server of that id already.", "SERVER_EXISTS")
    owner = owner_id or actor.id
    if await session.get(User, owner) is None:
        raise Invalid("There is no such user.", fields=(FieldProblem("owner_id", "there is no such user"),))
    return {"name": name, "owner_id": owner}
