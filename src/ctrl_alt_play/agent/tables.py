"""The journal's servers and commands, read and written by its one thread."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from ctrl_alt_play.agent.records import DESIRES, Ending, Known, Memory, OperationRecord, ServerRecord
from ctrl_alt_play.protocol.contents import PAYLOADS, Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Specification

log = structlog.get_logger(__name__)
FIRST_UID, LAST_UID = 20000, 59999
KEPT_S = 48 * 3600.0
KEPT_AT_LEAST = 1000
"""So many ended commands are remembered whatever the clock says: it may have jumped."""


@contextmanager
def transaction(database: sqlite3.Connection, *, is_light: bool = False) -> Iterator[None]:
    """All or nothing, and on the disk at its end; a light one is with the kernel only, which survives the program's death."""
    database.execute(f"PRAGMA synchronous = {'NORMAL' if is_light else 'FULL'}")
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # SQLite ends it by itself when the disk is full
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def servers(database: sqlite3.Connection) -> list[ServerRecord]:
    rows = database.execute("SELECT id, uid, specification, memory FROM servers ORDER BY id").fetchall()
    return [record for row in rows if (record := _server_of(*row)) is not None]


def _server_of(id_: str, uid: int, text: str, memory: str) -> ServerRecord | None:
    """What this agent cannot read must not keep it from the others: the container stays, and is told of as an orphan."""
    try:
        return ServerRecord(id_, uid, Specification.model_validate_json(text), Memory.model_validate_json(memory))
    except ValidationError:
        log.exception("server_unreadable", server_id=id_)
        return None


def operations(database: sqlite3.Connection) -> list[OperationRecord]:
    query = "SELECT position, id, server_id, action, payload, message_id, phase, accepted_at FROM commands WHERE ended_at IS NULL ORDER BY position"
    found = []
    for row in database.execute(query).fetchall():
        try:
            found.append(_operation_of(*row))
        except ValueError:
            log.exception("operation_unreadable", command_id=row[1], server_id=row[2])
    return found


def outcome(database: sqlite3.Connection, command_id: str) -> Known | None:
    query = "SELECT action, server_id, accepted_at, ended_at, code, message FROM commands WHERE id = ?"
    row = database.execute(query, (command_id,)).fetchone()
    if row is None:
        return None
    action, server_id, accepted_at, ended_at, code, message = row
    fault = None if code is None else Fault(ErrorCode(code), message or "")
    return Known(Action(action), server_id, _time(accepted_at), ended_at is not None, fault)


def accept(
    database: sqlite3.Connection, operation: OperationRecord, server: ServerRecord | None
) -> tuple[OperationRecord, ServerRecord | None]:
    """A new server comes with the command that makes it; else what is wanted of the server changes with the command."""
    payload = operation.payload.model_dump_json(by_alias=True)
    at = (operation.accepted_at or datetime.now(UTC)).timestamp()
    with transaction(database, is_light=operation.action is Action.SEND_COMMAND):
        if server is not None:
            server = replace(server, uid=server.uid or _free_uid(database))
            database.execute(
                "INSERT INTO servers (id, uid, specification, memory) VALUES (?, ?, ?, ?)",
                (server.id, server.uid, server.specification.model_dump_json(by_alias=True), _json(server.memory)),
            )
        elif (desired := DESIRES.get(operation.action)) is not None:
            update = "UPDATE servers SET memory = json_set(memory, '$.desired', ?, '$.restartAt', NULL) WHERE id = ?"
            database.execute(update, (desired, operation.server_id))
        insert = (
            "INSERT INTO commands (id, server_id, action, payload, message_id, accepted_at) VALUES (?, ?, ?, ?, ?, ?)"
        )
        row = (operation.id, operation.server_id, operation.action.value, payload, operation.message_id, at)
        position = database.execute(insert, row).lastrowid or 0
    return replace(operation, position=position), server


def end(database: sqlite3.Connection, ending: Ending) -> None:
    """What ended needs no payload any more, which may hold secrets."""
    code, message = (None, None) if ending.fault is None else (ending.fault.code.value, ending.fault.message)
    update = "UPDATE commands SET ended_at = ?, code = ?, message = ?, payload = '{}' WHERE position = ?"
    database.execute(update, (ending.at.timestamp(), code, message, ending.position))


def note_phase(database: sqlite3.Connection, position: int, phase: dict[str, float]) -> None:
    database.execute("UPDATE commands SET phase = ? WHERE position = ?", (json.dumps(phase), position))


def remember(database: sqlite3.Connection, server_id: str, memory: Memory) -> None:
    database.execute("UPDATE servers SET memory = ? WHERE id = ?", (_json(memory), server_id))


def specify(database: sqlite3.Connection, server_id: str, specification: Specification) -> None:
    text = specification.model_dump_json(by_alias=True)
    database.execute("UPDATE servers SET specification = ? WHERE id = ?", (text, server_id))


def remove_server(database: sqlite3.Connection, server_id: str) -> None:
    database.execute("DELETE FROM servers WHERE id = ?", (server_id,))


def forget_old(database: sqlite3.Connection) -> None:
    """Commands that ended long ago; sent again, they would be done again, so they stay for a good while."""
    database.execute(
        "DELETE FROM commands WHERE ended_at < ? AND position <= (SELECT max(position) FROM commands) - ?",
        (datetime.now(UTC).timestamp() - KEPT_S, KEPT_AT_LEAST),
    )


def _json(memory: Memory) -> str:
    return memory.model_dump_json(by_alias=True)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _free_uid(database: sqlite3.Connection) -> int:
    taken = {uid for (uid,) in database.execute("SELECT uid FROM servers")}
    return next(uid for uid in range(FIRST_UID, LAST_UID + 1) if uid not in taken)


def _operation_of(
    position: int,
    id_: str | None,
    server_id: str,
    action: str,
    payload: str,
    message_id: str | None,
    phase: str | None,
    accepted_at: float,
) -> OperationRecord:
    kind = Action(action)
    content = PAYLOADS[kind].model_validate_json(payload)
    notes = json.loads(phase or "{}")
    return OperationRecord(position, id_, server_id, kind, content, message_id, notes, _time(accepted_at))
