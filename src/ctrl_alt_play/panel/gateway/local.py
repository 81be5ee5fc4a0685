"""The gateway of a panel that is one process: it holds every node's connection itself."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.gateway.base import COMMAND_TIMEOUT_S, Admission, Sink, Undelivered, fault_of
from ctrl_alt_play.panel.gateway.connection import (
    CLOSE_DEADLINE_S,
    GOING_AWAY,
    KEEP_PAUSE_S,
    NOT_ALLOWED,
    Connection,
)
from ctrl_alt_play.panel.gateway.rivals import Caller, Rivals
from ctrl_alt_play.panel.gateway.sockets import Gone, Socket
from ctrl_alt_play.panel.gateway.watch import Watch
from ctrl_alt_play.protocol.contents import QUESTIONS, Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import OLDEST_VERSION, REPLACED, Response
from ctrl_alt_play.protocol.specification import Model

CLOSE_ALL_DEADLINE_S = 1.0
LONGEST_KEEP_PAUSE_S = 5.0
_OF_PART_2 = frozenset((Action.UPDATE_SERVER, Action.ADOPT_SERVER, Action.CANCEL, *QUESTIONS))
"""`send_command` is not among them: whether an agent of part 1 knows it is found out by asking."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class LocalGateway:
    def __init__(self, clock: Clock, tick_s: float = 1.0) -> None:
        self._clock = clock
        self._watch = Watch(clock, tick_s)
        self._rivals = Rivals(clock)
        self._sink: Sink | None = None
        self._connections: dict[str, Connection] = {}
        self.is_closing = False

    def report_to(self, sink: Sink) -> None:
        """Must be called once, before any agent is served."""
        self._sink = sink

    async def serve(self, admission: Admission, socket: Socket, caller: Caller) -> None:
        """Serves an agent until its connection ends. It replaces an older connection of the same node, once all that said is taken in;
        but not again and again that of another agent.
        """
        node_id = admission.node_id
        connection = Connection(admission, socket, caller, self._require_sink(), self._clock)
        older = self._connections.get(node_id)
        if older is not None and not older.is_closing and not self._rivals.may_replace(node_id, older.caller, caller):
            with suppress(TimeoutError, Gone):
                async with asyncio.timeout(CLOSE_DEADLINE_S):
                    await socket.close(REPLACED, f"another agent uses this node's id, from {older.caller.address}")
            return
        self._connections[node_id] = connection
        try:
            if older is not None:
                older.close(REPLACED, "this node has connected again")
                await asyncio.wait([older.finished])
            with self._watch.over(connection):
                await connection.run()
        finally:
            await self._end(connection)

    async def _end(self, connection: Connection) -> None:
        """Tells that the node is away while the connection still holds its place: one that comes meanwhile waits, and is told of after."""
        node_id = connection.node_id
        try:
            if self._connections.get(node_id) is connection:
                await self._tell_away(node_id)
        finally:
            if self._connections.get(node_id) is connection:
                del self._connections[node_id]
            connection.finished.set_result(None)

    async def _tell_away(self, node_id: str) -> None:
        """Tries until it is kept, or else the node would be shown as present for ever. A panel that starts takes all for away."""
        pause_s = KEEP_PAUSE_S
        while True:
            try:
                await self._require_sink().disconnected(node_id)
            except Exception:
                log.exception("absence_not_kept", node_id=node_id)
            else:
                return
            if self.is_closing:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_KEEP_PAUSE_S)

    def _require_sink(self) -> Sink:
        if self._sink is None:
            raise RuntimeError("a gateway reports to a sink: call report_to first")
        return self._sink

    async def close(self) -> None:
        """Ends all connections, and lets no new ones in; waits a moment for what they said to be taken in."""
        self.is_closing = True
        connections = list(self._connections.values())
        for connection in connections:
            connection.close(GOING_AWAY, "the panel is shutting down")
        if connections:
            await asyncio.wait([connection.finished for connection in connections], timeout=CLOSE_ALL_DEADLINE_S)

    async def command(
        self,
        node_id: str,
        action: Action,
        server_id: str,
        payload: Model | None,
        command_id: str,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> Response:
        connection = self._knowing(node_id, action)
        response = await connection.command(command_id, action, server_id, payload, timeout_s)
        return _accepted(connection, action, response)

    async def ask(
        self, node_id: str, action: Action, server_id: str, payload: Model | None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> dict[str, Any]:
        connection = self._knowing(node_id, action)
        response = await connection.ask(action, server_id, payload, timeout_s)
        return _accepted(connection, action, response).data or {}

    def _knowing(self, node_id: str, action: Action) -> Connection:
        connection = self._ready(node_id)
        is_too_old = action in _OF_PART_2 and connection.session.version == OLDEST_VERSION
        if is_too_old or action in connection.unknown_actions:
            raise Fault(ErrorCode.UNKNOWN_ACTION, f"The agent of node {node_id} does not know {action}: upgrade it.")
        return connection

    async def tell(self, node_id: str, kind: str, content: Model) -> None:
        await self._ready(node_id).tell(kind, content)

    def disconnect(self, node_id: str, reason: str) -> None:
        connection = self._connections.get(node_id)
        if connection is not None:
            connection.close(NOT_ALLOWED, reason)

    def disconnect_sharing(self, reason: str) -> None:
        """Closes all connections that came with the shared secret."""
        for connection in self._connections.values():
            if connection.admission.secret_hash is None:
                connection.close(NOT_ALLOWED, reason)

    def last_heard_at(self, node_id: str) -> datetime | None:
        connection = self._connections.get(node_id)
        return None if connection is None else self._clock.utc() - timedelta(seconds=connection.session.silent_s)

    def warning(self, node_id: str) -> str | None:
        return self._rivals.warning(node_id)

    @property
    def connected_nodes(self) -> int:
        return sum(connection.is_ready for connection in self._connections.values())

    @property
    def waiting_facts(self) -> int:
        return sum(connection.waiting_facts for connection in self._connections.values())

    def _ready(self, node_id: str) -> Connection:
        connection = self._connections.get(node_id)
        if connection is None or not connection.is_ready:
            raise Undelivered(ErrorCode.AGENT_OFFLINE, f"Node {node_id} is not connected to the panel.")
        return connection


def _accepted(connection: Connection, action: Action, response: Response) -> Response:
    if response.success:
        return response
    fault = fault_of(response)
    if fault.code is ErrorCode.UNKNOWN_ACTION:
        connection.unknown_actions.add(action)
    raise fault
