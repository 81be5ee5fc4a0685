"""What is told of a server, as durable events: each made in one place, from what it tells of."""

from datetime import datetime
from typing import Any

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.records import Ending, Entry, Memory, News, OperationRecord
from ctrl_alt_play.agent.servers.life import FAILED, Life
from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.protocol.contents import Action, Outcome, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import PlayersChanged
from ctrl_alt_play.protocol.messages import ErrorBody
from ctrl_alt_play.protocol.part2 import CommandCompleted, Orphan, ServerSnapshot, UnderWay

PAUSED = "The game is paused on its node, as by `docker pause`: start the server, and it goes on."
STATUS, COMPLETED, CRASHED = "server_status_changed", "command_completed", "server_crashed"
PLAYERS = "players_changed"
Result = dict[str, Any]


def change(
    server_id: str,
    previous: ServerState | None,
    life: Life,
    container: Container | None,
    command_id: str | None,
    *,
    forced: bool | None = None,
) -> StatusChanged:
    """What a server has become, with what its container tells of it."""
    return StatusChanged(
        server_id=server_id,
        previous_status=previous,
        current_status=life.observed,
        pid=container.pid if container else None,
        exit_code=container.exit_code if container else None,
        oom_killed=container.oom_killed or None if container else None,
        forced=forced,
        error=_reason(life, container),
        ready=life.is_ready,
        desired=life.desired,
        command_id=command_id,
        restart_at=None if life.restart_at is None else at_seconds(life.restart_at),
        crashes=len(life.crashed_at),
    )


def ended_at(life: Life, memory: Memory, now: datetime) -> datetime:
    """When the game ended by Docker's word, which may be long ago; but not before its run began, and not in the future."""
    if life.ended is None or not life.ended.at:
        return now
    began_s = memory.run.started_at if memory.run else 0.0
    return min(now, at_seconds(max(life.ended.at, began_s)))


def failure(operation: OperationRecord, fault: Fault, at: datetime) -> tuple[News, ...]:
    """That an attempt failed, in part 1's way; in part 2 the command's completion tells it too."""
    word = FAILED.get(operation.action)
    if word is None:
        return ()
    told = StatusChanged(server_id=operation.server_id, status=word, error=fault.message, code=fault.code)
    return (News(STATUS, operation.server_id, told, at, is_for_part1=True),)


def deletion(server_id: str, previous: ServerState | None, at: datetime) -> News:
    told = StatusChanged(server_id=server_id, previous_status=previous, current_status=Outcome.DELETED)
    return News(STATUS, server_id, told, at, is_for_part1=True)


def end(
    operation: OperationRecord,
    fault: Fault | None,
    result: Result,
    began_at: datetime | None,
    at: datetime,
    *before: News,
    removes: bool = False,
) -> Entry:
    """The end of an accepted command, as it is kept and told. A legacy message has no id, and its end is answered, not told."""
    news = before
    if operation.id is not None:
        completed = CommandCompleted(
            command_id=operation.id,
            action=operation.action,
            server_id=operation.server_id,
            success=fault is None,
            error=None if fault is None else ErrorBody(code=fault.code, message=fault.message),
            result=result or None,
            started_at=began_at or operation.accepted_at,
            finished_at=at,
        )
        news = (*before, News(COMPLETED, operation.server_id, completed, at))
    removed = operation.server_id if removes else None
    is_light = operation.action is Action.SEND_COMMAND
    return Entry(news=news, ending=Ending(operation.position, at, fault), removed=removed, is_light=is_light)


def word(operation: OperationRecord, state: ServerState, fault: Fault | None) -> ServerState | Outcome:
    """How part 1 calls the end of an action."""
    if fault is not None:
        return FAILED.get(operation.action, Outcome.START_FAILED)
    return Outcome.DELETED if operation.action is Action.DELETE_SERVER else state


def players(changed: PlayersChanged, at: datetime) -> Entry:
    """Who came and went: history, for which no disk has to be flushed."""
    return Entry(news=(News(PLAYERS, changed.server_id, changed, at),), is_light=True)


def snapshot(
    server_id: str, revision: int, life: Life, container: Container | None, since: datetime, under_way: UnderWay | None
) -> ServerSnapshot:
    """All axes of a server, as they are now."""
    return ServerSnapshot(
        server_id=server_id,
        revision=revision,
        desired=life.desired,
        observed=life.observed,
        since=since,
        ready=life.is_ready,
        hold=life.hold,
        container_id=container.id if container else None,
        pid=container.pid if container else None,
        exit_code=container.exit_code if container else None,
        crashes=len(life.crashed_at),
        restart_at=None if life.restart_at is None else at_seconds(life.restart_at),
        operation=under_way,
    )


def orphan(container: Container, *, is_adoptable: bool) -> Orphan:
    """A container that no server of the panel's owns."""
    return Orphan(
        server_id=container.server_id,
        container_id=container.id,
        state=container.state,
        image=container.image,
        is_adoptable=is_adoptable,
    )


def _reason(life: Life, container: Container | None) -> str | None:
    """What the state alone does not say."""
    if life.is_paused:
        return PAUSED
    if life.observed is ServerState.STOPPED and life.ended is not None and life.ended.is_unasked and container:
        return f"The game ended by itself with exit code {container.exit_code}."
    return None
