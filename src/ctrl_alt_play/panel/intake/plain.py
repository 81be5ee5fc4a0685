"""What nodes tell most: that they took an order that was placed a moment ago, and that a line is written to a game. Kept with nothing read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ctrl_alt_play.panel.db import Touched
from ctrl_alt_play.panel.gateway.base import Fact
from ctrl_alt_play.panel.intake import acceptance, completions, durable
from ctrl_alt_play.panel.intake.presence import Presence
from ctrl_alt_play.panel.models import Operation, OperationKind
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.watched import Watched
from ctrl_alt_play.panel.prepared import Change
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.panel_session import Answered, Told
from ctrl_alt_play.protocol.part2 import CommandCompleted


@dataclass(slots=True)
class Plain:
    changes: list[Change] = field(default_factory=list)
    """Right if each of them finds its row."""
    known: list[tuple[Operation, dict[str, Any]]] = field(default_factory=list)
    """Operations that someone waits for, and what they are by that."""
    acked_seq: int | None = None
    touched: set[Touched] = field(default_factory=set)


def of(facts: Sequence[Fact], presence: Presence, watched: Watched, now: datetime) -> Plain | None:
    """None where any of it is to be looked at with care."""
    if not presence.speaks_part_2:
        return None
    whole, events = Plain(), list[Told]()
    for fact in facts:
        match fact:
            case Answered(id=id_, answer=Response(success=True) as response):
                operation = watched.placed(id_)
                if operation is None or not _is_of(operation, presence):
                    return None
                changes, known = acceptance.changes(operation, response, now)
                whole.changes += changes
                whole.touched.add(operations.touched(id_, operation.server_id))
                whole.known.append((operation, known))
            case Told(content=CommandCompleted(action=Action.SEND_COMMAND, success=True) as told, seq=int()):
                change, known = completions.of_line(presence.node_id, told, now)
                whole.changes.append(change)
                whole.touched |= {
                    operations.touched(told.command_id, told.server_id),
                    durable.touched(told.server_id),
                }
                if (waited_for := watched.placed(told.command_id) or watched.latest(told.command_id)) is not None:
                    known["finished_at"] = max(known["finished_at"], waited_for.created_at)
                    whole.known.append((waited_for, known))
                events.append(fact)
            case _:
                return None
    return whole if _keep(whole, events, presence, now) else None


def _is_of(operation: Operation, presence: Presence) -> bool:
    return operation.node_id == presence.node_id and operation.kind != OperationKind.ADOPT


def _keep(whole: Plain, events: Sequence[Told], presence: Presence, now: datetime) -> bool:
    """Whether they follow on what is kept. That is claimed first, as everywhere, so that two never wait for each other."""
    if not events:
        return True
    first = durable.next_ones(presence, events, now)
    whole.acked_seq, whole.changes = events[-1].seq, [*first, *whole.changes]
    return bool(first)
