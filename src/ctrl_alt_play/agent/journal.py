"""What the agent must know again after it was killed: its servers' specifications, and what it had accepted and not yet done.

One SQLite file, written by one thread. A write is with the kernel before the panel is told, so that a killed agent forgets nothing; a loss of
power may cost the last few milliseconds, but never the file.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from ctrl_alt_play.agent.config import ConfigError
from ctrl_alt_play.protocol.contents import PAYLOADS, Action
from ctrl_alt_play.protocol.specification import Model, Specification

SCHEMA_VERSION = 1
FIRST_UID, LAST_UID = 20000, 59999
_SCHEMA = """
CREATE TABLE servers (
    id TEXT PRIMARY KEY, uid INTEGER NOT NULL, specification TEXT NOT NULL, is_meant_to_stop INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE operations (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, server_id TEXT NOT NULL, action TEXT NOT NULL,
    payload TEXT NOT NULL, message_id TEXT, phase TEXT
) STRICT;
"""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """`is_meant_to_stop`: the last thing asked of it was to stop, so that an exit is no crash."""

    id: str
    uid: int
    specification: Specification
    is_meant_to_stop: bool


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """An action that was accepted. `position` names it in the journal; `phase` is a note of its own on how far it came."""

    position: int
    id: str | None
    server_id: str
    action: Action
    payload: Model
    message_id: str | None = None
    phase: dict[str, float] = field(default_factory=dict)


class Journal:
    """Open one with `Journal.open`; it belongs to one agent at a time."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._database = database
        self._thread = thread

    @classmethod
    async def open(cls, file: Path) -> "Journal":
        """Opens or makes the file.

        Raises:
            ConfigError: it cannot be written, or is of a newer version.
        """
        thread = ThreadPoolExecutor(1, "journal")
        try:
            database = await asyncio.get_running_loop().run_in_executor(thread, _open, file)
        except (sqlite3.Error, OSError) as error:
            thread.shutdown()
            raise ConfigError(
                f"The agent's journal {file} cannot be opened: {error}. Check the disk and who owns the folder."
            ) from error
        return cls(database, thread)

    async def servers(self) -> list[ServerRecord]:
        query = "SELECT id, uid, specification, is_meant_to_stop FROM servers ORDER BY id"
        rows = await self._run(lambda db: db.execute(query).fetchall())
        return [
            ServerRecord(id_, uid, Specification.model_validate_json(text), bool(stop)) for id_, uid, text, stop in rows
        ]

    async def operations(self) -> list[OperationRecord]:
        """What was accepted and has not ended, in the order of acceptance."""
        query = "SELECT position, id, server_id, action, payload, message_id, phase FROM operations ORDER BY position"
        rows = await self._run(lambda db: db.execute(query).fetchall())
        return [_operation_of(*row) for row in rows]

    async def remove_server(self, server_id: str) -> None:
        await self._run(lambda db: db.execute("DELETE FROM servers WHERE id = ?", (server_id,)))

    async def accept(
        self, operation: OperationRecord, uid: int | None = None
    ) -> tuple[OperationRecord, ServerRecord | None]:
        """Keeps an accepted action, and with a creation the new server, whole or not at all.

        A new server without a `uid` gets the lowest free one of its own.
        """
        payload = operation.payload.model_dump_json(by_alias=True)
        row = (operation.id or "", operation.server_id, operation.action.value, payload, operation.message_id)

        def accept(db: sqlite3.Connection) -> tuple[int, int | None]:
            with _transaction(db):
                owner = None
                if operation.action is Action.CREATE_SERVER:
                    owner = _free_uid(db) if uid is None else uid
                    db.execute(
                        "INSERT INTO servers (id, uid, specification) VALUES (?, ?, ?)",
                        (operation.server_id, owner, payload),
                    )
                insert = "INSERT INTO operations (id, server_id, action, payload, message_id) VALUES (?, ?, ?, ?, ?)"
                return db.execute(insert, row).lastrowid or 0, owner

        position, owner = await self._run(accept)
        accepted = replace(operation, position=position)
        if owner is None or not isinstance(operation.payload, Specification):
            return accepted, None
        return accepted, ServerRecord(operation.server_id, owner, operation.payload, is_meant_to_stop=True)

    async def mean_to_stop(self, server_id: str, *, stop: bool) -> None:
        await self._run(
            lambda db: db.execute("UPDATE servers SET is_meant_to_stop = ? WHERE id = ?", (stop, server_id))
        )

    async def note_phase(self, position: int, phase: dict[str, float]) -> None:
        """Notes how far an operation came; it is given back with the operation after a restart."""
        update = "UPDATE operations SET phase = ? WHERE position = ?"
        await self._run(lambda db: db.execute(update, (json.dumps(phase), position)))

    async def end_operation(self, position: int) -> None:
        await self._run(lambda db: db.execute("DELETE FROM operations WHERE position = ?", (position,)))

    async def close(self) -> None:
        await self._run(lambda db: db.close())
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._database)


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"it was written by a newer agent (version {version}); upgrade this one")
    if version == 0:
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    return database


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _free_uid(database: sqlite3.Connection) -> int:
    taken = {uid for (uid,) in database.execute("SELECT uid FROM servers")}
    return next(uid for uid in range(FIRST_UID, LAST_UID + 1) if uid not in taken)


def _operation_of(
    position: int, id_: str, server_id: str, action: str, payload: str, message_id: str | None, phase: str | None
) -> OperationRecord:
    kind = Action(action)
    content = PAYLOADS[kind].model_validate_json(payload)
    return OperationRecord(position, id_ or None, server_id, kind, content, message_id, json.loads(phase or "{}"))
