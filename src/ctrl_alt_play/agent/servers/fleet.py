"""All servers of this node: the door that requests come in by, and the watch on the engine."""

import asyncio
import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice

import structlog

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.records import Known, Memory, OperationRecord, ServerRecord
from ctrl_alt_play.agent.servers import lines, readiness, telling
from ctrl_alt_play.agent.servers.life import INSTALLS
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.server import Server
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.protocol.contents import Action, AdoptPayload, LinePayload, ReinstallPayload, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import Orphan, StateSnapshot
from ctrl_alt_play.protocol.specification import Desired, Model, Specification

ENGINE_RETRY_S = 0.5
LOOKS_AT_ONCE = 16
PULSE_EVERY_S = 10.0
LIST_EVERY = 6
"""Every so many pulses the engine's containers are compared with what was seen."""
LEAVE_TIMEOUT_S = 0.5
ORPHANS_EVERY_S = 5.0
"""However often they change."""
SERVERS_A_SNAPSHOT = 500
MOST_ORPHANS_TOLD = 200
log = structlog.get_logger(__name__)


class Fleet:
    """The servers of a node. Run `run` for as long as the agent lives; requests may come before the engine answers."""

    def __init__(self, node: Node, own_uid: int | None) -> None:
        self.servers: dict[str, Server] = {}
        self.orphans: dict[str, Container] = {}
        """Containers that carry our label and that we do not know: reported, and adopted when asked; never removed."""
        self.is_engine_up = False
        self.on_orphans: Callable[[], None] = lambda: None
        """Told when there are other orphans than were told, or what they are has changed."""
        self._told: tuple[Orphan, ...] = ()
        self._stirred = asyncio.Event()
        self._known: set[str] | None = None
        self._node = node
        self._own_uid = own_uid
        self._tasks: asyncio.TaskGroup | None = None
        self._ready = asyncio.Event()
        self._unfinished: list[OperationRecord] = []

    async def run(self) -> None:
        """Takes up every server that the journal knows, then watches the engine. Cancelled, it lets go of the games, which go on."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._unfinished = await self._node.journal.operations()
                by_server: defaultdict[str, list[OperationRecord]] = defaultdict(list)
                for operation in self._unfinished:
                    by_server[operation.server_id].append(operation)
                for record in await self._node.journal.servers():
                    self._add(record, by_server[record.id])
                tasks.create_task(self._watch(), name="engine watch")
        finally:
            for server in self.servers.values():
                await server.close()

    async def ready(self) -> None:
        """Waits until the engine was asked about every server once, or did not answer."""
        await self._ready.wait()

    def find(self, server_id: str) -> Server:
        """A server by its id.

        Raises:
            Fault: `SERVER_NOT_FOUND`.
        """
        server = self.servers.get(server_id)
        if server is None:
            raise Fault(ErrorCode.SERVER_NOT_FOUND, f"No server {server_id} is on this node.")
        return server

    async def accept(self, operation: OperationRecord) -> Known | None:
        """Takes an action, which from then on will be done, also if the agent dies in between.

        An id that was accepted before is not taken again: gives what became of it.

        Raises:
            Fault: it is refused, and nothing was done.
        """
        if operation.id is not None and (known := await self._node.journal.outcome(operation.id)) is not None:
            return known
        try:
            await self._accept(operation)
        except sqlite3.IntegrityError as error:
            known = None if operation.id is None else await self._node.journal.outcome(operation.id)
            if known is None:
                raise Fault(ErrorCode.SERVER_EXISTS, "A server of this id is on this node already.") from error
            return known
        return None

    async def _accept(self, operation: OperationRecord) -> None:
        specification = _specification_of(operation)
        makes = operation.action is Action.ADOPT_SERVER or (specification and operation.action in INSTALLS)
        if specification is not None:
            readiness.check(specification)
        leaving = self.servers.get(operation.server_id)
        if makes and leaving is not None and leaving.is_gone:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_TIMEOUT_S):
                    await leaving.left.wait()
        if makes and operation.server_id not in self.servers:
            await self._accept_new(operation)
            return
        server = self.find(operation.server_id)
        server.check(operation.action)
        if self._known is not None:
            self._known.add(operation.server_id)
        server.enqueue(await self._write_down(operation))
        if server.is_gone:
            await server.drop_waiting()

    async def _write_down(self, operation: OperationRecord) -> OperationRecord:
        """A full disk is no reason not to end a game; that it ended is told when there is room again."""
        try:
            accepted, _ = await self._node.journal.accept(operation)
        except Fault as fault:
            if operation.action not in {Action.STOP_SERVER, Action.KILL_SERVER}:
                raise
            log.warning("accepted_unwritten", action=operation.action, reason=fault.details)
            return replace(operation, accepted_at=self._node.clock.utc())
        return accepted

    async def _accept_new(self, operation: OperationRecord) -> None:
        if not self.is_engine_up:
            raise Fault(ErrorCode.DOCKER_UNAVAILABLE, "Docker does not answer on this node, so no server can be made.")
        match operation.payload:
            case AdoptPayload() as adoption:
                wanted = self._adopted(operation.server_id, adoption)
            case _:
                wanted = self._new(operation)
        accepted, record = await self._node.journal.accept(operation, wanted)
        self.orphans.pop(operation.server_id, None)
        if self._known is not None:
            self._known.add(operation.server_id)
        self._told = tuple(each for each in self._told if each.server_id != operation.server_id)
        self._add(record or wanted, ()).resume(accepted)

    def _new(self, operation: OperationRecord) -> ServerRecord:
        """Raises: Fault, where it is not told what the server is made of."""
        specification = _specification_of(operation)
        if specification is None:
            raise Fault(ErrorCode.INVALID_PAYLOAD, "A creation needs a specification.")
        is_again = operation.action is Action.REINSTALL_SERVER
        memory = Memory(is_uninstalled=is_again or specification.installer is not None)
        return ServerRecord(operation.server_id, self._own_uid or 0, specification, memory)

    def _adopted(self, server_id: str, adoption: AdoptPayload) -> ServerRecord:
        """An orphan as a server of ours; that it runs is what is wanted of it."""
        orphan = self.orphans.get(server_id)
        if orphan is None:
            raise Fault(ErrorCode.CONTAINER_NOT_FOUND, f"No container of an unknown server {server_id} is here.")
        specification = adoption.specification or orphan.specification
        if specification is None:
            sentence = "The container does not tell what it was made of: send the specification with the adoption."
            raise Fault(ErrorCode.CONFIG_INVALID, sentence)
        desired = Desired.ON if orphan.is_running else Desired.OFF
        return ServerRecord(server_id, orphan.uid or self._own_uid or 0, specification, Memory(desired=desired))

    def cancel(self, server_id: str, command_id: str) -> asyncio.Future[None]:
        """As `Server.cancel`, for a server by its id.

        Raises:
            Fault: no such server or command, or it cannot be undone any more.
        """
        return self.find(server_id).cancel(command_id)

    async def send_line(self, operation: OperationRecord, payload: LinePayload) -> datetime | None:
        """As `lines.send`, to a server by its id.

        Raises:
            Fault: no such server, or nothing that reads.
        """
        return await lines.send(self._node, self.find(operation.server_id), operation, payload)

    def meet(self, known: Iterable[str]) -> None:
        """The panel knows these servers; what else there is are orphans to it, for whatever reason it forgot them."""
        self._known = set(known)

    def snapshots(self) -> Iterable[StateSnapshot]:
        """The truth about all servers at this moment, in parts."""
        servers = [server.snapshot() for server in self.servers.values() if not server.is_gone]
        orphans = self._told = tuple(islice(self._all_orphans(), MOST_ORPHANS_TOLD))
        starts = range(0, max(1, len(servers)), SERVERS_A_SNAPSHOT)
        for part, start in enumerate(starts, 1):
            yield StateSnapshot(
                servers=tuple(servers[start : start + SERVERS_A_SNAPSHOT]),
                orphans=orphans if part == 1 else (),
                seq=self._node.journal.newest_seq,
                part=part,
                more=part < len(starts),
            )

    def _all_orphans(self) -> Iterator[Orphan]:
        for container in self.orphans.values():
            yield telling.orphan(container, is_adoptable=container.specification is not None)
        for server in self.servers.values():
            if not self._is_known(server.id) and server.container is not None:
                yield telling.orphan(server.container, is_adoptable=True)

    def _is_known(self, server_id: str) -> bool:
        """Whether the panel knows it, as far as it has said what it knows."""
        return self._known is None or server_id in self._known

    def _add(self, record: ServerRecord, unfinished: Iterable[OperationRecord]) -> Server:
        if self._tasks is None:
            raise Fault(ErrorCode.INTERNAL, "The agent is not running yet.")
        server = Server(record, self._node, self._remove, list(unfinished))
        self.servers[record.id] = server
        self._tasks.create_task(server.run(), name=f"server {record.id}", context=nothing_carried())
        return server

    def _remove(self, server: Server) -> None:
        if self.servers.get(server.id) is server:
            del self.servers[server.id]

    async def _watch(self) -> None:
        """Follows the engine for ever. After each break: subscribe first, then look at everything, so that nothing falls between."""
        while True:
            following = asyncio.create_task(self._follow(), name="engine changes")
            feeling = asyncio.create_task(self._feel_pulse(), name="engine pulse")
            minding = asyncio.create_task(self._mind_orphans(), name="orphans")
            tasks = (following, feeling, minding)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for ended in tasks:
                    if ended.done():
                        await ended
            except Fault as fault:
                if self.is_engine_up or not self._ready.is_set():
                    log.warning("engine_lost", reason=fault.message, details=fault.details)
            except Exception:
                log.exception("engine_watch_broke")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self._lose_engine()
            await asyncio.sleep(ENGINE_RETRY_S)

    async def _follow(self) -> None:
        async with aclosing(self._node.engine.changes()) as changes:  # type: ignore[type-var]  # it is a generator
            async for change in changes:
                if change.what == "subscribed":
                    await self._reconcile()
                    await self._resume()
                    self._ready.set()
                    continue
                if server := self.servers.get(change.server_id):
                    await self._look(server)
                if server is None or not self._is_known(change.server_id):
                    self._stirred.set()

    async def _mind_orphans(self) -> None:
        """What happens to orphans is told soon, but never in a storm. An engine that does not answer is the pulse's to notice."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            with suppress(Fault):
                self._know_orphans(*await self._list())
            await asyncio.sleep(ORPHANS_EVERY_S)

    async def _feel_pulse(self) -> None:
        """An engine that hangs ends no stream, and one that is overloaded may lose a change: it is asked, and listed, from time to time.

        Raises:
            Fault: it does not answer.
        """
        beats = itertools.count(1)
        while True:
            await asyncio.sleep(PULSE_EVERY_S)
            await self._node.engine.info()
            for server in list(self.servers.values()):
                server.steps.repeat()
            if next(beats) % LIST_EVERY == 0:
                await self._compare()

    async def _compare(self) -> None:
        """Looks again at what the engine's listing tells otherwise than it was seen last."""
        found, ours = await self._list()
        for server in list(self.servers.values()):
            seen, is_now = server.container, found.get(server.id)
            is_other = (seen and (seen.id, seen.state)) != (is_now and (is_now.id, is_now.state))
            is_deaf = server.game.is_running and not server.game.console.is_open
            if is_other or is_deaf or server.state is ServerState.UNKNOWN:
                await self._look(server)
            else:
                server.follow()
        self._know_orphans(found, ours)

    def _lose_engine(self) -> None:
        self.is_engine_up = False
        for server in self.servers.values():
            server.lose_sight()
        self._ready.set()

    async def _reconcile(self) -> None:
        """Asks the engine about every server, and finds out who else carries our label.

        Raises:
            Fault: the engine does not answer.
        """
        found, ours = await self._list()
        self.is_engine_up = True
        turns = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look(server: Server) -> Fault | None:
            async with turns:
                try:
                    await self._look(server)
                except Fault as fault:
                    return fault
            return None

        for fault in await asyncio.gather(*(look(server) for server in list(self.servers.values()))):
            if fault is not None:
                raise fault
        self._know_orphans(found, ours)
        log.info("engine_watched", servers=len(self.servers), unknown_containers=len(self.orphans))

    async def _list(self) -> tuple[dict[str, Container], set[str]]:
        """The engine's containers, and whose were ours before it was asked: one that is deleted meanwhile is no orphan."""
        ours = set(self.servers)
        return {container.server_id: container for container in await self._node.engine.list()}, ours

    def _know_orphans(self, found: dict[str, Container], ours: set[str]) -> None:
        orphans = {
            id_: container
            for id_, container in found.items()
            if id_ not in ours | self.servers.keys() and container.node_id in {"", self._node.id}
        }
        for id_ in orphans.keys() - self.orphans.keys():
            log.warning("unknown_container", server_id=id_, container_id=orphans[id_].id, state=orphans[id_].state)
        self.orphans = orphans
        if found.keys() & (ours - self.servers.keys()):
            self._stirred.set()  # it is gone, and its container may have stayed
        if self._told != (told := tuple(islice(self._all_orphans(), MOST_ORPHANS_TOLD))):
            self._told = told
            self.on_orphans()

    async def _look(self, server: Server) -> None:
        try:
            await server.adopt()
        except Fault as fault:
            if fault.code is ErrorCode.DOCKER_UNAVAILABLE and not await self._answers():
                raise
            server.lose_sight()
            log.warning("look_failed", server_id=server.id, reason=fault.message)

    async def _answers(self) -> bool:
        """Whether the engine answers at all, where it does not for one container."""
        try:
            await self._node.engine.info()
        except Fault:
            return False
        return True

    async def _resume(self) -> None:
        """Gives every server back, once, what was accepted before the agent ended."""
        unfinished, self._unfinished = self._unfinished, []
        for operation in unfinished:
            server = self.servers.get(operation.server_id)
            if operation.action is Action.SEND_COMMAND:
                self._end_unperformed(operation, Fault(ErrorCode.INTERRUPTED, lines.INTERRUPTED))
            elif server is None:
                self._end_unperformed(operation, Fault(ErrorCode.INVALID_STATE, "The server is gone."))
            else:
                log.info("operation_resumed", server_id=server.id, action=operation.action, command_id=operation.id)
                server.resume(operation)

    def _end_unperformed(self, operation: OperationRecord, fault: Fault) -> None:
        now = self._node.clock.utc()
        news = telling.failure(operation, fault, now)
        self._node.journal.put(telling.end(operation, fault, {}, None, now, *news))


def _specification_of(operation: OperationRecord) -> Specification | None:
    """What it says that a server is made of."""
    payload = operation.payload
    told = payload.specification if isinstance(payload, ReinstallPayload) else payload
    return told if isinstance(told, Specification) else None


def operation_of(
    action: Action, server_id: str, payload: Model, id_: str | None, message_id: str | None
) -> OperationRecord:
    """A request as it is journaled; its place in the journal is given when it is accepted."""
    return OperationRecord(0, id_, server_id, action, payload, message_id)
