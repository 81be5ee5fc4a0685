"""All servers of this node: the door that requests come in by, and the watch on the engine."""

import asyncio
import sqlite3
from contextlib import aclosing

import structlog

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.journal import OperationRecord, ServerRecord
from ctrl_alt_play.agent.servers.life import FAILED
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.server import Server
from ctrl_alt_play.protocol.contents import Action, LinePayload, Outcome, StatusChanged
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Model

ENGINE_RETRY_S = 0.5
LINE_TIMEOUT_S = 0.8
log = structlog.get_logger(__name__)


class Fleet:
    """The servers of a node. Run `run` for as long as the agent lives; requests may come before the engine answers."""

    def __init__(self, node: Node, own_uid: int | None) -> None:
        self.servers: dict[str, Server] = {}
        self.strangers: dict[str, Container] = {}
        """Containers that carry our label and that we do not know: reported, never touched."""
        self.is_engine_up = False
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
                for record in await self._node.journal.servers():
                    self._add(record)
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

    async def accept(self, operation: OperationRecord) -> None:
        """Takes an action, which from then on will be done, also if the agent dies in between.

        Raises:
            Fault: it is refused, and nothing was done.
        """
        if operation.action is Action.CREATE_SERVER and operation.server_id not in self.servers:
            await self._accept_new(operation)
            return
        server = self.find(operation.server_id)
        server.check(operation.action)
        accepted, _ = await self._node.journal.accept(operation)
        server.enqueue(accepted)
        if server.is_gone:
            await server.drop_waiting()

    async def _accept_new(self, operation: OperationRecord) -> None:
        if not self.is_engine_up:
            raise Fault(ErrorCode.DOCKER_UNAVAILABLE, "Docker does not answer on this node, so no server can be made.")
        accepted, record = await self._node.journal.accept(operation, self._own_uid)
        if record is None:
            raise Fault(ErrorCode.INVALID_PAYLOAD, "A creation needs a specification.")
        self._add(record).enqueue(accepted)

    async def send_line(self, server_id: str, payload: LinePayload) -> None:
        """Writes a line to a game's console, after those that were asked for before. Answers within 0.8 s.

        Raises:
            Fault: no such server, or nothing that reads.
        """
        server = self.find(server_id)
        try:
            async with asyncio.timeout(LINE_TIMEOUT_S), server.line_turns():
                await server.console.write(payload.line)
        except TimeoutError as error:
            raise Fault(ErrorCode.TIMEOUT, "The game does not read its console: its input is full.") from error

    def _add(self, record: ServerRecord) -> Server:
        if self._tasks is None:
            raise Fault(ErrorCode.INTERNAL, "The agent is not running yet.")
        server = Server(record, self._node, self._remove)
        self.servers[record.id] = server
        self._tasks.create_task(server.run(), name=f"server {record.id}")
        return server

    def _remove(self, server: Server) -> None:
        if self.servers.get(server.id) is server:
            del self.servers[server.id]

    async def _watch(self) -> None:
        """Follows the engine for ever. After each break: subscribe first, then look at everything, so that nothing falls between."""
        while True:
            try:
                async with aclosing(self._node.engine.changes()) as changes:  # type: ignore[type-var]  # it is a generator
                    async for change in changes:
                        if change.what == "subscribed":
                            await self._reconcile()
                            await self._resume()
                            self._ready.set()
                        elif server := self.servers.get(change.server_id):
                            await self._look(server)
            except Fault as fault:
                if self.is_engine_up or not self._ready.is_set():
                    log.warning("engine_lost", reason=fault.message, details=fault.details)
                self._lose_engine()
            except Exception:
                log.exception("engine_watch_broke")
                self._lose_engine()
            await asyncio.sleep(ENGINE_RETRY_S)

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
        found = {container.server_id: container for container in await self._node.engine.list()}
        self.is_engine_up = True
        for server in list(self.servers.values()):
            await self._look(server)
        strangers = {
            id_: container
            for id_, container in found.items()
            if id_ not in self.servers and container.node_id in {"", self._node.id}
        }
        for id_ in strangers.keys() - self.strangers.keys():
            log.warning("unknown_container", server_id=id_, container_id=strangers[id_].id, state=strangers[id_].state)
        self.strangers = strangers
        log.info("engine_watched", servers=len(self.servers), unknown_containers=len(strangers))

    async def _look(self, server: Server) -> None:
        try:
            await server.adopt()
        except Fault as fault:
            if fault.code is ErrorCode.DOCKER_UNAVAILABLE:
                raise
            log.warning("look_failed", server_id=server.id, reason=fault.message)

    async def _resume(self) -> None:
        """Gives every server back, once, what was accepted before the agent ended."""
        unfinished, self._unfinished = self._unfinished, []
        for operation in unfinished:
            server = self.servers.get(operation.server_id)
            if server is None:
                try:
                    await self._end_of_gone(operation)
                except sqlite3.Error:
                    log.exception("journal_not_written", server_id=operation.server_id)
            else:
                log.info("operation_resumed", server_id=server.id, action=operation.action)
                server.enqueue(operation)

    async def _end_of_gone(self, operation: OperationRecord) -> None:
        """The server was forgotten, and the agent ended before it could tell."""
        teller, id_ = self._node.teller, operation.server_id
        fault: Fault | None = None
        if operation.action is Action.DELETE_SERVER:
            teller.changed(StatusChanged(server_id=id_, current_status=Outcome.DELETED))
        else:
            fault = Fault(ErrorCode.INVALID_STATE, "The server is gone.")
            teller.changed(StatusChanged(server_id=id_, status=FAILED[operation.action], error=fault.message))
        await self._node.journal.end_operation(operation.position)
        teller.ended(operation, FAILED[operation.action] if fault else Outcome.DELETED, fault)


def operation_of(
    action: Action, server_id: str, payload: Model, id_: str | None, message_id: str | None
) -> OperationRecord:
    """A request as it is journaled; its place in the journal is given when it is accepted."""
    return OperationRecord(0, id_, server_id, action, payload, message_id)
