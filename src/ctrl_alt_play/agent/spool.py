"""The durable events on disk until the panel has them, read and written by the journal's one thread.

It is bounded. When it is full, only the newest status and the newest crash report of each server stay; when that is not enough the oldest events
go. The panel sees the gap in the numbers, and is told how many are missing.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import to_json

from ctrl_alt_play.agent import tables
from ctrl_alt_play.agent.records import Entry, News, Spooled
from ctrl_alt_play.protocol.contents import wire

MOST_EVENTS = 20_000
KEPT_WHEN_FULL = MOST_EVENTS * 9 // 10
_COALESCED = ("server_status_changed", "server_crashed")


@dataclass(frozen=True, slots=True)
class Found:
    """The spool as it was left: `newest` is the last number that was given; `is_acknowledged`, whether a panel ever acknowledged events."""

    id: str
    newest: int
    acked: int
    is_acknowledged: bool


def find(database: sqlite3.Connection) -> Found:
    id_, newest, is_acknowledged = database.execute("SELECT id, newest, is_acknowledged FROM spool").fetchone()
    (oldest,) = database.execute("SELECT min(seq) FROM events").fetchone()
    return Found(id_, newest, newest if oldest is None else oldest - 1, bool(is_acknowledged))


def meet_part2(database: sqlite3.Connection) -> None:
    """From now on it is known that this node's panel acknowledges events."""
    with tables.transaction(database):
        database.execute("UPDATE spool SET is_acknowledged = 1")


def renumber(database: sqlite3.Connection, acked: int) -> None:
    """Gives all events numbers after `acked`, in their order; `acked` is higher than all that were given."""
    with tables.transaction(database):
        database.execute("UPDATE events SET seq = seq + ?", (acked,))
        database.execute("UPDATE spool SET newest = newest + ?", (acked,))


def write(database: sqlite3.Connection, entries: Sequence[tuple[Entry, int]], acked: int) -> None:
    """Writes entries, each with the number of its first event, and forgets what is acknowledged; all of it or nothing."""
    with tables.transaction(database, is_light=all(entry.is_light for entry, _ in entries)):
        for entry, first in entries:
            _write(database, entry, first)
        newest = max((first + len(entry.news) - 1 for entry, first in entries), default=0)
        database.execute("UPDATE spool SET newest = max(newest, ?, ?)", (newest, acked))
        database.execute("DELETE FROM events WHERE seq <= ?", (acked,))
        _coalesce(database)


def read(database: sqlite3.Connection, after: int, limit: int) -> list[Spooled]:
    query = "SELECT seq, kind, data, at, is_for_part1 FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
    rows = database.execute(query, (after, limit)).fetchall()
    return [
        Spooled(seq, kind, json.loads(data), datetime.fromtimestamp(at, UTC), bool(part1))
        for seq, kind, data, at, part1 in rows
    ]


def _write(database: sqlite3.Connection, entry: Entry, first: int) -> None:
    for seq, news in enumerate(entry.news, first):
        insert = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)"
        row = (seq, news.server_id, news.kind, _data(news), news.at.timestamp(), news.is_for_part1)
        database.execute(insert, row)
    if entry.specification is not None:
        tables.specify(database, *entry.specification)
    if entry.memory is not None:
        tables.remember(database, *entry.memory)
    if entry.phase is not None:
        tables.note_phase(database, *entry.phase)
    if entry.removed is not None:
        tables.remove_server(database, entry.removed)
    if entry.ending is not None:
        tables.end(database, entry.ending)


def _data(news: News) -> str:
    return to_json(wire(news.content)).decode()


def _coalesce(database: sqlite3.Connection) -> None:
    (span,) = database.execute("SELECT max(seq) - min(seq) FROM events").fetchone()
    if span is None or span < MOST_EVENTS:
        return
    newest = "SELECT max(seq) FROM events WHERE kind IN (?, ?) GROUP BY server_id, kind"
    database.execute(f"DELETE FROM events WHERE kind IN (?, ?) AND seq NOT IN ({newest})", _COALESCED * 2)  # noqa: S608 - both are ours
    (count,) = database.execute("SELECT count(*) FROM events").fetchone()
    if count > KEPT_WHEN_FULL:
        oldest = "SELECT seq FROM events ORDER BY seq LIMIT ?"
        database.execute(f"DELETE FROM events WHERE seq IN ({oldest})", (count - KEPT_WHEN_FULL,))  # noqa: S608 - as above
