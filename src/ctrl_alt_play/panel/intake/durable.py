"""Durable events, each kept and applied exactly once: its number is claimed in the transaction that applies it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from pydantic_core import to_json
from sqlalchemy import CursorResult, Table, bindparam, insert, select, update

from ctrl_alt_play.panel.db import Touched, touch
from ctrl_alt_play.panel.gateway.base import OutOfStep
from ctrl_alt_play.panel.intake import axes, completions
from ctrl_alt_play.panel.intake.presence import Presence
from ctrl_alt_play.panel.intake.taking import Taking
from ctrl_alt_play.panel.models import Event, Node
from ctrl_alt_play.panel.prepared import Change
from ctrl_alt_play.protocol.contents import StatusChanged
from ctrl_alt_play.protocol.panel_session import Told
from ctrl_alt_play.protocol.part2 import CommandCompleted, ServerCrashed

LARGEST_SEQ = 2**63 - 1
LARGEST_DATA_BYTES = 64 * 1024
LONGEST_NAME = 64
MOST_MISSING = 2**31 - 1
_COMPLETED = "command_completed"

_NODES, _EVENTS = cast("Table", Node.__table__), cast("Table", Event.__table__)  # as mapped, they are tables
_ADVANCE = update(_NODES).where(
    _NODES.c.id == bindparam("its_id"),
    _NODES.c.spool_id == bindparam("its_spool"),
    _NODES.c.acked_seq == bindparam("before"),
)
_INSERT = insert(_EVENTS)


class Superseded(OutOfStep):
    """Someone else keeps this node's events: another connection of it, or another panel on the same database."""


class Skipped(OutOfStep):
    """There are events between what is kept and what came, and the agent does not say that it gave them up."""


async def claim(taking: Taking, events: Sequence[Told]) -> list[Told]:
    """Those that are new, in order; from here on the numbers up to the last are taken, if the transaction commits.

    Raises:
        Superseded: the node's journal is not the one that this connection began with.
        Skipped: by taking them others would count as kept that never came.
    """
    presence = taking.presence
    new = _after(presence.acked_seq, events)
    if new and not await _advance(taking, _seq(new[-1])):
        await _look_again(taking)
        new = _after(presence.acked_seq, events)
        if new and not await _advance(taking, _seq(new[-1])):
            raise Superseded(presence.node_id)
    taking.acked_seq = _seq(new[-1]) if new else presence.acked_seq
    return new


def _after(seq: int, events: Sequence[Told]) -> list[Told]:
    """Among what an agent gave up may be what it does not know to be kept."""
    new = []
    for event in events:
        if _seq(event) > seq:
            if _seq(event) > seq + event.missing + 1:
                raise Skipped(f"event {event.seq} came after {seq}, with {event.missing} given up between them")
            seq = _seq(event)
            new.append(event)
    return new


async def _advance(taking: Taking, seq: int) -> bool:
    values = _advance_to(taking.presence, seq)
    result: CursorResult[Any] = await taking.session.execute(_ADVANCE, values)  # type: ignore[assignment]  # an UPDATE has a row count
    return result.rowcount == 1


def _advance_to(presence: Presence, seq: int) -> dict[str, Any]:
    return {
        "its_id": presence.node_id,
        "its_spool": presence.spool_id,
        "before": presence.acked_seq,
        "acked_seq": seq,
    }


async def _look_again(taking: Taking) -> None:
    """A commit whose answer was lost may have been done."""
    presence = taking.presence
    query = select(Node.acked_seq).where(Node.id == presence.node_id, Node.spool_id == presence.spool_id)
    acked_seq = await taking.session.scalar(query.with_for_update())
    if acked_seq is None:
        raise Superseded(presence.node_id)
    presence.acked_seq = acked_seq


async def keep(taking: Taking, events: Sequence[Told]) -> None:
    """Writes them down, whatever they are about; another node's server is not named, so that its history has no part in it."""
    if events:
        rows = [_row(taking.presence, event, _own_server(taking, event), taking.now) for event in events]
        await taking.session.execute(_INSERT, rows)
        touch(taking.session, *(touched(row["server_id"]) for row in rows if row["server_id"] is not None))


def touched(server_id: str) -> Touched:
    """It has new events."""
    return Touched(_EVENTS.name, server_id, server_id)


def _own_server(taking: Taking, event: Told) -> str | None:
    server_id: str | None = getattr(event.content, "server_id", None)
    return None if server_id is None or taking.is_anothers(server_id) else server_id


def next_ones(presence: Presence, events: Sequence[Told], now: datetime) -> list[Change]:
    """What `claim` and `keep` do, for events of this node's own servers that follow on what is kept; nothing where they do not."""
    try:
        is_next = len(_after(presence.acked_seq, events)) == len(events)
    except Skipped:
        is_next = False
    if not is_next:
        return []
    rows = (_row(presence, event, getattr(event.content, "server_id", None), now) for event in events)
    return [(_ADVANCE, _advance_to(presence, _seq(events[-1]))), *((_INSERT, row) for row in rows)]


def _row(presence: Presence, event: Told, server_id: str | None, now: datetime) -> dict[str, Any]:
    return {
        "node_id": presence.node_id,
        "spool_id": presence.spool_id,
        "seq": event.seq,
        "missing": min(event.missing, MOST_MISSING),
        "server_id": None if server_id is None else _name(server_id),
        "kind": _name(event.kind),
        "data": _data(event),
        "happened_at": axes.past(event.at, now),
        "received_at": now,
    }


def _name(text: str) -> str:
    return text.replace("\x00", "")[:LONGEST_NAME]


def _data(event: Told) -> dict[str, Any]:
    raw = event.raw
    if event.kind == _COMPLETED and isinstance(result := raw.get("result"), dict):
        raw = {**raw, "result": completions.kept_result(result)}
    size = len(to_json(raw))
    return raw if size <= LARGEST_DATA_BYTES else {"tooLarge": size}


async def apply(taking: Taking, event: Told) -> None:
    """What is older than the snapshot is history, and leaves the servers as they are; but an operation's end is its end."""
    match event.content:
        case CommandCompleted() as completed:
            await completions.apply(taking, completed)
        case StatusChanged() as change if not _is_history(taking, event):
            if (server := taking.server(change.server_id)) is not None:
                axes.take_change(server, change, event.at, taking.now)
        case ServerCrashed() as crash if not _is_history(taking, event):
            if (server := taking.server(crash.server_id)) is not None:
                axes.take_crash(server, crash, taking.now)
        case _:
            return


def _is_history(taking: Taking, event: Told) -> bool:
    return _seq(event) <= taking.presence.snapshot_seq


def _seq(event: Told) -> int:
    """Raises: ValueError, for what is not durable."""
    if event.seq is None:
        raise ValueError(f"{event.kind} is no durable event")
    return event.seq
