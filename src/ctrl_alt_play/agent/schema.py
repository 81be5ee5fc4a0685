"""The journal's file: its tables, the steps that bring an older one to them, and what becomes of one that was taken away."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

_FIRST = """
CREATE TABLE servers (
    id TEXT PRIMARY KEY, uid INTEGER NOT NULL, specification TEXT NOT NULL, is_meant_to_stop INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE operations (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, server_id TEXT NOT NULL, action TEXT NOT NULL,
    payload TEXT NOT NULL, message_id TEXT, phase TEXT
) STRICT;
"""
_DURABLE = """
ALTER TABLE servers ADD COLUMN memory TEXT NOT NULL DEFAULT '{}';
UPDATE servers SET memory = '{"desired":"on"}' WHERE is_meant_to_stop = 0;
ALTER TABLE servers DROP COLUMN is_meant_to_stop;
CREATE TABLE commands (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, server_id TEXT NOT NULL, action TEXT NOT NULL,
    payload TEXT NOT NULL, message_id TEXT, phase TEXT, accepted_at REAL NOT NULL, ended_at REAL, code TEXT, message TEXT
) STRICT;
INSERT OR IGNORE INTO commands (position, id, server_id, action, payload, message_id, phase, accepted_at)
    SELECT position, nullif(id, ''), server_id, action, payload, message_id, phase, CAST(strftime('%s', 'now') AS REAL) FROM operations;
DROP TABLE operations;
CREATE INDEX commands_open ON commands (position) WHERE ended_at IS NULL;
CREATE INDEX commands_ended ON commands (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, server_id TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, at REAL NOT NULL,
    is_for_part1 INTEGER NOT NULL
) STRICT;
CREATE TABLE spool (id TEXT PRIMARY KEY, newest INTEGER NOT NULL, is_acknowledged INTEGER NOT NULL) STRICT;
"""
STEPS = (_FIRST, _DURABLE)
_PARTS = ("", "-wal", "-shm")
"""What SQLite makes a database of: files of these endings."""


def open_database(file: Path) -> sqlite3.Connection:
    """Opens or makes the file, and brings it up to date.

    Raises:
        sqlite3.Error: it cannot be used, or was written by a newer agent.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 200;")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise sqlite3.DatabaseError(f"it was written by a newer agent (version {version}); upgrade this one")
    for number, step in enumerate(STEPS[version:], version + 1):
        database.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")
    if database.execute("SELECT count(*) FROM spool").fetchone() == (0,):
        database.execute("INSERT INTO spool VALUES (?, 0, 0)", (uuid.uuid4().hex,))
    return database


def names(file: Path) -> list[tuple[int, int] | None]:
    """What the open files are to the disk; another where they were removed or replaced."""
    return [_name(Path(f"{file}{part}")) for part in _PARTS]


def put_back(database: sqlite3.Connection, file: Path) -> None:
    """Makes the file that was taken away anew, of what the open database holds. Whatever lies in its place is set aside, and kept.

    Raises:
        sqlite3.Error, OSError: it cannot be made; the open database is as it was.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = Path(f"{file}.new")
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as target:
        database.backup(target)
    for part in _PARTS:
        if (found := Path(f"{file}{part}")).exists():
            found.replace(f"{file}.aside{part}")
    copy.replace(file)


def _name(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
