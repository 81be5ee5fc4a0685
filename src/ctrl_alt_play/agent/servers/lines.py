"""Lines for a game's standard input: each is written once for its id, in the order in which they were asked for."""

import asyncio
import sqlite3
from datetime import datetime

from ctrl_alt_play.agent.records import OperationRecord
from ctrl_alt_play.agent.servers import telling
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.server import Server
from ctrl_alt_play.protocol.contents import LinePayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

LINE_TIMEOUT_S = 0.8
INTERRUPTED = "It was cut off in the middle; whether the game got the line is not known."
NO_CONSOLE = "The server is not running, so it has no console to write to."


async def send(node: Node, server: Server, operation: OperationRecord, payload: LinePayload) -> datetime | None:
    """Writes a line to a game's console, after those that were asked for before. Answers within 0.8 s.

    Gives when a line of this id was written before; None when it is written now.

    Raises:
        Fault: nothing reads.
    """
    if operation.id is None:
        await _write(server, payload)
        return None
    if not server.game.console.is_open and await node.journal.outcome(operation.id) is None:
        raise Fault(ErrorCode.INVALID_STATE, NO_CONSOLE)
    try:
        accepted, _ = await node.journal.accept(operation)
    except sqlite3.IntegrityError:
        return await _written_before(node, operation.id)
    await _write_once(node, server, accepted, payload)
    return None


async def _written_before(node: Node, command_id: str) -> datetime | None:
    known = await node.journal.outcome(command_id)
    if known is None or not known.has_ended:
        raise Fault(ErrorCode.INVALID_STATE, "The line of this id is being written.")
    if known.fault is not None:
        raise known.fault
    return known.accepted_at


async def _write_once(node: Node, server: Server, operation: OperationRecord, payload: LinePayload) -> None:
    began_at, fault = node.clock.utc(), None
    try:
        await _write(server, payload)
    except Fault as error:
        fault = error
        raise
    except asyncio.CancelledError:
        fault = Fault(ErrorCode.INTERRUPTED, INTERRUPTED)
        raise
    finally:
        node.journal.put(telling.end(operation, fault, {}, began_at, node.clock.utc()))


async def _write(server: Server, payload: LinePayload) -> None:
    try:
        async with asyncio.timeout(LINE_TIMEOUT_S), server.line_turns():
            await server.game.console.write(payload.line)
    except TimeoutError as error:
        raise Fault(ErrorCode.TIMEOUT, "The game does not read its console: its input is full.") from error
