"""What the panel and the agent have written down, read from their databases beside them."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    server_id: str
    kind: str
    state: str
    code: str | None
    created_by: str | None

    @property
    def has_ended(self) -> bool:
        return self.state in {"succeeded", "failed"}


@dataclass(frozen=True, slots=True)
class Event:
    """A durable event as the panel kept it, in the order in which it did."""

    row: int
    spool_id: str
    seq: int
    missing: int
    server_id: str | None
    kind: str
    happened_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spool:
    id: str
    newest: int
    unacknowledged: int
    open_commands: tuple[str, ...]


def operations(database: Path) -> dict[str, Operation]:
    query = "SELECT id, server_id, kind, state, code, created_by FROM operations ORDER BY id"
    return {row[0]: Operation(*row) for row in _read(database, query)}


def made(operations: Iterable[Operation]) -> set[str]:
    """Servers whose creation has succeeded, or may yet."""
    return {each.server_id for each in operations if each.kind == "create" and each.state != "failed"}


def events(database: Path, after_row: int = 0) -> list[Event]:
    query = "SELECT id, spool_id, seq, missing, server_id, kind, happened_at, data FROM events WHERE id > ? ORDER BY id"
    rows = _read(database, query, after_row)
    return [Event(*told, datetime.fromisoformat(at), json.loads(data)) for *told, at, data in rows]


def acknowledged(database: Path) -> tuple[str | None, int]:
    """The spool that the panel counts, and how far."""
    ((spool_id, seq),) = _read(database, "SELECT spool_id, acked_seq FROM nodes")
    return spool_id, seq


def revisions(database: Path) -> dict[str, tuple[int, int | None]]:
    """Each server's revision at the panel, and at its node."""
    return {
        id_: (ours, theirs) for id_, ours, theirs in _read(database, "SELECT id, revision, node_revision FROM servers")
    }


def spool(journal: Path) -> Spool:
    ((id_, newest),) = _read(journal, "SELECT id, newest FROM spool")
    ((waiting,),) = _read(journal, "SELECT count(*) FROM events")
    commands = _read(journal, "SELECT id || ' ' || action FROM commands WHERE ended_at IS NULL ORDER BY position")
    return Spool(id_, newest, waiting, tuple(str(command) for (command,) in commands))


def _read(file: Path, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file, timeout=10)) as database:
        return database.execute(query, arguments).fetchall()


def has_told(journal: Path, server_id: str, word: str) -> bool:
    """Whether the newest status that an agent has written down of a server, and not yet told, is this."""
    query = "SELECT data FROM events WHERE server_id = ? AND kind = 'server_status_changed' ORDER BY seq DESC LIMIT 1"
    return any(json.loads(data).get("currentStatus") == word for (data,) in _read(journal, query, server_id))
