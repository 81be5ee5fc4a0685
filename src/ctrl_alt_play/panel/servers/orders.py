"""What people order done with servers: written down, sent to the node, and answered with the operation that tells how it ends."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, NodeRefused
from ctrl_alt_play.panel.gateway.base import COMMAND_TIMEOUT_S, Gateway, Undelivered
from ctrl_alt_play.panel.models import INSTALLS, Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.watched import Watched
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers import changes, drafts, endings, service, startups
from ctrl_alt_play.panel.servers.dispatch import AGAIN, Dispatch, end_refused, payload_of
from ctrl_alt_play.panel.servers.schemas import ConsoleCommand, NewServer, ServerChange, StopRequest
from ctrl_alt_play.panel.servers.template_schemas import ServerOfTemplate
from ctrl_alt_play.protocol.contents import Action, CancelPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Hold

_FORBIDDEN_ON_HOLD = (*INSTALLS, OperationKind.START, OperationKind.RESTART, OperationKind.COMMAND)

FORGOTTEN = "The node is away, so the panel only forgot the server; what the node holds of it is still there."
WITH_FORCE = (
    "If it is gone for good, delete with --force (over REST with force=true): then the panel forgets the server."
)
NEVER_TAKEN = "It was cancelled before the node had taken it."

Written = tuple[Operation, Server | None]
"""An operation that is not committed yet, and the server that it is about, where the panel knows that."""


class Orders:
    """Each order returns its operation once the node answered, or once it may have taken what it did not answer.

    With a `key` that the same actor gave before it is that operation, and nothing is done a second time.

    Raises:
        NotFound: the server is not there, or not theirs to see.
        NodeRefused: with the operation's id; the operation has failed.
        Conflict: the `key` was given for something else.
    """

    def __init__(
        self, database: Database, gateway: Gateway, dispatch: Dispatch, watched: Watched, clock: Clock
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._dispatch = dispatch
        self._watched = watched
        self._clock = clock

    async def create(self, actor: Actor, new: NewServer, *, key: str | None = None) -> Operation:
        """Raises also: Invalid, Conflict, as `service.add`; nothing was done then."""

        return await self._create(actor, lambda session: service.add(session, actor, new, self._clock.utc()), key)

    async def create_of(
        self, actor: Actor, template_id: str, new: ServerOfTemplate, *, key: str | None = None
    ) -> Operation:
        """Raises also: NotFound, there is no such template; Invalid, as `drafts.make`; nothing was done then."""

        async def made(session: AsyncSession) -> Server:
            return await drafts.make(session, actor, template_id, new, self._clock.utc())

        return await self._create(actor, made, key)

    async def _create(
        self, actor: Actor, made: Callable[[AsyncSession], Awaitable[Server]], key: str | None
    ) -> Operation:
        async def write(session: AsyncSession) -> Written:
            server = await made(session)
            return self._new(server, actor, OperationKind.CREATE, {}, key), server

        return await self._place(actor, (OperationKind.CREATE,), None, write, key)

    async def reinstall(self, actor: Actor, server_id: str, *, wipe: bool = False, key: str | None = None) -> Operation:
        """Runs the server's installer once more, from what the server is made of by now; what its node has nothing of it makes. With `wipe`
        all its files are removed before.

        Raises also: Conflict, there is nothing to do, or it is being installed, or on hold.
        """

        async def write(session: AsyncSession) -> Written:
            server, kind = await changes.lock_for_installation(session, actor, server_id, wipe=wipe)
            arguments = {"wipe": wipe} if kind is OperationKind.REINSTALL else AGAIN
            return self._new(server, actor, kind, arguments, key), server

        return await self._place(actor, INSTALLS, server_id, write, key)

    async def delete(
        self, actor: Actor, server_id: str, *, keep_data: bool, force: bool = False, key: str | None = None
    ) -> Operation:
        """With `force` a server whose node is away is forgotten: a machine that is gone for good must not keep its servers in the panel."""
        try:
            return await self._order(actor, server_id, OperationKind.DELETE, {"keep_data": keep_data}, key)
        except NodeRefused as refused:
            if refused.code != ErrorCode.AGENT_OFFLINE:
                raise
            operation_id = str(refused.extras["operation_id"])
            if force:
                return await self._forget(operation_id)
            advice = Fault(ErrorCode.AGENT_OFFLINE, f"{refused.detail} {WITH_FORCE}")
            raise NodeRefused(advice, operation_id) from refused

    async def _forget(self, operation_id: str) -> Operation:
        async with self._database.writing() as session:
            operation = await operations.existing(session, operation_id)
            operations.succeed(operation, self._clock.utc(), FORGOTTEN)
            server = await session.get(Server, operation.server_id)
            if server is not None:
                await session.delete(server)
        return operation

    async def start(self, actor: Actor, server_id: str, *, key: str | None = None) -> Operation:
        return await self._order(actor, server_id, OperationKind.START, {}, key)

    async def stop(self, actor: Actor, server_id: str, how: StopRequest, *, key: str | None = None) -> Operation:
        return await self._order(actor, server_id, OperationKind.STOP, how.model_dump(exclude_none=True), key)

    async def restart(self, actor: Actor, server_id: str, how: StopRequest, *, key: str | None = None) -> Operation:
        return await self._order(actor, server_id, OperationKind.RESTART, how.model_dump(exclude_none=True), key)

    async def kill(self, actor: Actor, server_id: str, *, key: str | None = None) -> Operation:
        return await self._order(actor, server_id, OperationKind.KILL, {}, key)

    async def ask_status(self, actor: Actor, server_id: str, *, key: str | None = None) -> Operation:
        """The operation's result is what the node measured just now."""
        return await self._order(actor, server_id, OperationKind.STATUS, {}, key)

    async def command(
        self, actor: Actor, server_id: str, command: ConsoleCommand, *, key: str | None = None
    ) -> Operation:
        return await self._order(actor, server_id, OperationKind.COMMAND, {"command": command.command}, key)

    async def update(
        self,
        actor: Actor,
        server_id: str,
        change: ServerChange,
        *,
        revision: int | None = None,
        key: str | None = None,
    ) -> Operation:
        """What the server is made of from here on; its node takes it over at once, or later, and the game at its next start. What the node
        refuses for good changes nothing.

        Raises also: Conflict, for a port that another server holds, or where the node's agent is too old; Stale, where the server is not of
        that `revision` any more; nothing was changed then.
        """

        async def remade(session: AsyncSession, server: Server) -> changes.Remade:
            specification = change.applied_to(service.specification_of(server))
            _call(server, change)
            return await startups.following(session, server, specification), _told_of(change)

        if change.changes_recipe:
            return await self.remake(actor, server_id, remade, revision=revision, key=key)

        async def write(session: AsyncSession) -> Written:
            return await self._rename(session, actor, server_id, change, key)

        return await self._place(actor, (OperationKind.UPDATE,), server_id, write, key)

    async def remake(
        self,
        actor: Actor,
        server_id: str,
        remade: changes.Remaking,
        *,
        revision: int | None = None,
        key: str | None = None,
    ) -> Operation:
        """As `update`, whatever it is that is changed. Raises also what `remade` raises."""

        async def write(session: AsyncSession) -> Written:
            server = await changes.lock(session, actor, server_id)
            changes.ensure_revision(server, revision)
            before = endings.memory(server)
            specification, told = await remade(session, server)
            await changes.respecify(session, server, specification)
            return await self._change(session, server, actor, before, told | {"revision": server.revision}, key)

        return await self._place(actor, (OperationKind.UPDATE,), server_id, write, key)

    async def _rename(
        self, session: AsyncSession, actor: Actor, server_id: str, change: ServerChange, key: str | None
    ) -> Written:
        """A name and tags are the panel's own, so no node has a part in them."""
        server = await service.get_visible(session, actor, server_id)
        _call(server, change)
        told = _told_of(change) | {"revision": server.revision}
        operation = self._new(server, actor, OperationKind.UPDATE, told, key)
        operations.succeed(operation, self._clock.utc())
        return operation, server

    async def hold(self, actor: Actor, server_id: str, hold: Hold, *, key: str | None = None) -> Operation:
        """As `update`: with a hold the node stops the server and keeps it down; without one it goes on with what is wanted."""

        async def write(session: AsyncSession) -> Written:
            server = await changes.lock(session, actor, server_id)
            before = endings.memory(server)
            await changes.hold(session, server, hold, self._clock.utc())
            arguments = {"revision": server.revision, "hold": server.hold}
            return await self._change(session, server, actor, before, arguments, key)

        return await self._place(actor, (OperationKind.UPDATE,), server_id, write, key)

    async def adopt(
        self,
        actor: Actor,
        node_id: str,
        server_id: str,
        name: str,
        owner_id: str | None = None,
        *,
        key: str | None = None,
    ) -> Operation:
        """A container that the node found and the panel knows nothing of. It is a server of the panel once the operation has succeeded:
        only then the node has told what it is made of.

        Raises also: Invalid, there is no such owner; Conflict, it cannot be adopted.
        """

        async def write(session: AsyncSession) -> Written:
            arguments = await changes.adoption(session, actor, node_id, server_id, name, owner_id)
            allowed = operations.time_allowed(OperationKind.ADOPT)
            now = self._clock.utc()
            new = operations.new(server_id, node_id, OperationKind.ADOPT, actor, now, arguments, allowed, key)
            return new, None

        return await self._place(actor, (OperationKind.ADOPT,), server_id, write, key)

    async def cancel(self, actor: Actor, operation_id: str) -> Operation:
        """Asks the node to stop what it is at. The operation then ends as cancelled, by the node's own word; asked twice, it is as once.

        Raises also: Conflict, it has ended.
        """
        async with self._database.reading() as session:
            operation = await operations.get_visible(session, actor, operation_id)
        if operation.finished_at is not None:
            raise Conflict("It has ended already.", "OPERATION_ENDED")
        if self._watched.call_off(operation.id):
            return await self._end_untaken(operation.id)
        payload, command_id = CancelPayload(command_id=operation.id), operations.make_id(self._clock.utc())
        try:
            await self._gateway.command(
                operation.node_id, Action.CANCEL, operation.server_id, payload, command_id, COMMAND_TIMEOUT_S
            )
        except Fault as fault:
            return await self._after_refused_cancel(operation, fault)
        async with self._database.reading() as session:
            return await operations.get_visible(session, actor, operation_id)

    async def _after_refused_cancel(self, operation: Operation, fault: Fault) -> Operation:
        """The node takes things in their order: what is still without an answer, and not on its way, it never had."""
        if fault.code in (ErrorCode.INVALID_STATE, ErrorCode.SERVER_NOT_FOUND) and operation.id not in self._watched:
            latest = await self._end_untaken(operation.id)
            if latest.code == ErrorCode.CANCELLED:
                return latest
        raise NodeRefused(fault, operation.id)

    async def _end_untaken(self, operation_id: str) -> Operation:
        async with self._database.writing() as session:
            operation = await operations.existing(session, operation_id)
            if operation.state == OperationState.QUEUED:
                cancelled = Undelivered(ErrorCode.CANCELLED, NEVER_TAKEN)
                await end_refused(session, operation, cancelled, self._clock.utc())
        return operation

    async def _order(
        self, actor: Actor, server_id: str, kind: OperationKind, arguments: dict[str, Any], key: str | None
    ) -> Operation:
        """What changes nothing of the server itself: a row of its own is all that is written."""
        if (first := await self._before(actor, (kind,), server_id, key)) is not None:
            return first
        target = await service.get_target(self._database, actor, server_id)
        operation = self._new(target, actor, kind, arguments, key)
        with self._watched.watching(operation):
            try:
                touched = operations.touched(operation.id, server_id)
                await self._database.change(operations.insertion(operation), touched={touched})
            except Conflict:
                if (first := await self._before(actor, (kind,), server_id, key)) is None:
                    raise
                return first
            return await self._dispatch.send(operation, payload_of(operation, None))

    def _new(
        self,
        server: Server | service.Target,
        actor: Actor,
        kind: OperationKind,
        arguments: dict[str, Any],
        key: str | None,
    ) -> Operation:
        if kind in _FORBIDDEN_ON_HOLD and server.hold != Hold.NONE:
            raise Conflict(f"The server is on hold ({server.hold}).", "SERVER_ON_HOLD")
        specification = None if operations.has_fixed_time(kind) else service.specification_of(server)
        allowed = operations.time_allowed(kind, specification, arguments.get("timeout"))
        now = self._clock.utc()
        return operations.new(server.id, server.node_id, kind, actor, now, arguments, allowed, key)

    async def _change(
        self,
        session: AsyncSession,
        server: Server,
        actor: Actor,
        before: dict[str, Any],
        arguments: dict[str, Any],
        key: str | None,
    ) -> Written:
        operation = self._new(server, actor, OperationKind.UPDATE, arguments, key)
        if await changes.is_uninstalled(session, server):
            operations.succeed(operation, self._clock.utc(), endings.KEPT_UNTIL_INSTALLED)
            await endings.take(session, server)
        else:
            operation.undo = endings.undoing(before, server)
        return operation, server

    async def _place(
        self,
        actor: Actor,
        kinds: tuple[OperationKind, ...],
        server_id: str | None,
        write: Callable[[AsyncSession], Awaitable[Written]],
        key: str | None,
    ) -> Operation:
        """The operation is committed before anything is sent."""
        with ExitStack() as watches:
            try:
                async with self._database.writing() as session:
                    if key is not None and (first := await operations.named(session, actor, key)) is not None:
                        return _same(first, kinds, server_id)
                    operation, server = await write(session)
                    await operations.write(session, operation)
                    watches.enter_context(self._watched.watching(operation))
            except Conflict:
                if (first := await self._before(actor, kinds, server_id, key)) is None:
                    raise
                return first
            if operation.finished_at is not None:
                return operation
            return await self._dispatch.send(operation, payload_of(operation, server))

    async def _before(
        self, actor: Actor, kinds: tuple[OperationKind, ...], server_id: str | None, key: str | None
    ) -> Operation | None:
        """What the same actor asked for before by the same name. Raises: Conflict, it is something else."""
        if key is None:
            return None
        async with self._database.reading() as session:
            first = await operations.named(session, actor, key)
        return None if first is None else _same(first, kinds, server_id)


def _call(server: Server, change: ServerChange) -> None:
    server.name = change.name or server.name
    server.tags = server.tags if change.tags is None else list(change.tags)


def _told_of(change: ServerChange) -> dict[str, Any]:
    """What changed, by its names alone: variables may hold what is nobody else's to see."""
    return {"changed": sorted(change.model_fields_set)}


def _same(first: Operation, kinds: tuple[OperationKind, ...], server_id: str | None) -> Operation:
    if first.kind not in kinds or server_id not in (None, first.server_id):
        sentence = f"That key was given before, for the operation {first.id}, which is another: choose a new one."
        raise Conflict(sentence, "KEY_TAKEN")
    return first
