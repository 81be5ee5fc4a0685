"""How a change of a server ends: within the transaction that takes in what its node said, or notes that nothing was heard.

What its node refuses for good fails, and leaves all as it was. Everything else is kept, whatever became of the command that told the node:
`revisions` tells it again until it has it. Should the node refuse it for good only then, the server goes back to what its node has.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import OPEN_STATES, Node, Operation, OperationKind, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.specification import Specification

FOR_GOOD = (ErrorCode.CONFIG_INVALID, ErrorCode.INVALID_PAYLOAD, ErrorCode.CANCELLED)
"""Said of a change itself, and not of the moment at which it came."""
KEPT = "Kept; the node takes it over when it is back."
KEPT_FOR_LATER = "Kept; the node takes it over later. Until now:"
KEPT_UNTIL_INSTALLED = "Kept; it is used when the server is installed."


def memory(server: Server) -> dict[str, Any]:
    """What the server is before a change. Once it was changed, `undoing` makes of it what its operation has to remember."""
    return {
        "specification": server.specification,
        "revision": server.revision,
        "hold": server.hold,
        "hold_since": None if server.hold_since is None else server.hold_since.isoformat(),
        "name": server.name,
        "tags": server.tags,
        "template_version": server.template_version,
        "before_upgrade": server.before_upgrade,
    }


def undoing(before: dict[str, Any], server: Server) -> dict[str, Any]:
    return {**before, "became": memory(server)}


async def take(session: AsyncSession, server: Server) -> None:
    """Something became of a change, or of what its node has: ports that neither may use any more others may have."""
    undos = [_undo_of(waiting) for waiting in await _open(session, server.id)]
    if server.node_revision == server.revision:
        server.node_specification = None
    elif server.node_specification is None:
        had = [undo["specification"] for undo in undos if undo["revision"] == server.node_revision]
        server.node_specification = had[0] if had else None
    waiting = [each.get("specification") for undo in undos for each in (undo, undo["became"])]
    used = [server.specification, server.node_specification, *waiting]
    ports = [port for one in used if one is not None for port in Specification.model_validate(one).ports]
    await service.release(session, server, ports)


async def refuse(session: AsyncSession, operation: Operation, server: Server, failure: Failure, now: datetime) -> None:
    """Its node did not take a change, or nothing is known of that: the operation ends."""
    if failure.code in FOR_GOOD:
        await _put_back(session, operation, server)
        operations.fail(operation, now, failure)
    elif failure.code == ErrorCode.AGENT_OFFLINE:
        operations.succeed(operation, now, KEPT)
    else:
        operations.succeed(operation, now, f"{KEPT_FOR_LATER} {failure.message}")
    await take(session, server)


async def keep(session: AsyncSession, changes: Iterable[Operation], failure: Failure, now: datetime) -> None:
    """Nothing more will be heard of these."""
    for operation in changes:
        server = await session.get(Server, operation.server_id)
        if server is None:
            operations.fail(operation, now, Failure("SERVER_DELETED", "The server was deleted."))
        else:
            await refuse(session, operation, server, failure, now)


async def give_up(session: AsyncSession, server_id: str, revision: int, failure: Failure) -> Failure | None:
    """Its node refused a revision for good that was kept: the server goes back to what its node has, as its next revision.

    What there is to say of that; None where the server is another by now, or someone waits for a change of it.
    """
    server = await session.get(Server, server_id)
    if server is None:
        return None
    await _lock(session, server)
    if server.revision != revision or await _open(session, server_id):
        return None
    had = None if server.node_specification is None else Specification.model_validate(server.node_specification)
    if had is None or service.is_made_of(server, had):
        return failure
    refused = f"The node refused a change that was kept: {failure.message}"
    try:
        await service.change(session, server, had)
    except Conflict as conflict:
        return Failure(failure.code, f"{refused} It cannot be undone: {conflict.detail}")
    before = server.before_upgrade
    if before is not None and before["specification"] == server.specification:
        server.template_version, server.before_upgrade = before["version"], None
    await take(session, server)
    return Failure(failure.code, f"{refused} The server is again what its node has.")


async def _lock(session: AsyncSession, server: Server) -> None:
    """The node before the server, as whoever changes it does."""
    await session.flush()
    await session.get(Node, server.node_id, with_for_update=True)
    await session.refresh(server, with_for_update=True)


async def _put_back(session: AsyncSession, operation: Operation, server: Server) -> None:
    """What was changed on top of this change stays, and is undone to what was before this one, should it be refused as well."""
    undo = operation.undo
    if undo is None:
        return
    await _lock(session, server)
    became = undo["became"]
    later = [one for one in await _open(session, server.id) if one.id != operation.id]
    later = [one for one in later if _undo_of(one)["revision"] >= became["revision"]]
    for own in ("name", "tags"):
        if getattr(server, own) == became.get(own) and not later:
            setattr(server, own, undo[own])
    if server.revision == became["revision"] and not later:
        _restore(server, undo)
        server.revision = undo["revision"]
    else:
        _take_out(undo, later, server)


def _take_out(undo: dict[str, Any], later: Sequence[Operation], server: Server) -> None:
    """Takes a change out from beneath what was made on top of it, of which `later` may still be undone. What that left alone goes back as a
    new revision.
    """
    became, revision, before = undo["became"], server.revision, memory(server)
    _restore(server, _without(before, undo, became))
    if (server.specification, server.hold) != (before["specification"], before["hold"]):
        service.revise(server)
    for one in later:
        its = _undo_of(one)
        is_next, is_newest = its["revision"] == became["revision"], its["became"]["revision"] == revision
        its_became = {**its["became"], "revision": server.revision} if is_newest else its["became"]
        one.undo = {**(undo if is_next else _without(its, undo, became)), "became": its_became}


def _without(kept: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is kept, and in it, as it was before, whatever a change made of it and others left alone since."""
    specification = dict(kept["specification"])
    was, is_ = before["specification"], after["specification"]
    for name in was.keys() | is_.keys():
        if was.get(name) != is_.get(name) == specification.get(name):
            specification[name] = was.get(name)
    hold = before if before["hold"] != after["hold"] == kept["hold"] else kept
    of = "template_version"
    version = before if before.get(of) != after.get(of) == kept.get(of) else kept
    return {
        **kept,
        "specification": specification,
        **{name: hold[name] for name in ("hold", "hold_since")},
        **{name: version.get(name) for name in (of, "before_upgrade")},
    }


def _restore(server: Server, memory: dict[str, Any]) -> None:
    since = memory["hold_since"]
    server.specification = memory["specification"]
    server.hold, server.hold_since = memory["hold"], None if since is None else datetime.fromisoformat(since)
    server.template_version, server.before_upgrade = memory.get("template_version"), memory.get("before_upgrade")


async def _open(session: AsyncSession, server_id: str) -> Sequence[Operation]:
    """Changes that may still be undone."""
    query = select(Operation).where(
        Operation.server_id == server_id,
        Operation.state.in_(OPEN_STATES),
        Operation.kind == OperationKind.UPDATE,
        Operation.undo.is_not(None),
    )
    return (await session.scalars(query)).all()


def _undo_of(operation: Operation) -> dict[str, Any]:
    """Raises: ValueError, for one that has none."""
    if operation.undo is None:
        raise ValueError(f"{operation.id} cannot be undone")
    return operation.undo
