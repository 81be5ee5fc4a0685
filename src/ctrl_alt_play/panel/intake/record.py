"""One observation applied to one server, and to the operations that it settles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.intake.becoming import become, explain, state_by
from ctrl_alt_play.panel.intake.observation import Observation
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import outcomes
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.panel.servers.figures import as_stored
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.specification import Desired


async def record(session: AsyncSession, server: Server, seen: Observation, now: datetime) -> bool:
    """Whether the server is gone by it. The same told twice changes nothing the second time."""
    previous = ServerState(server.observed)
    seen = _as_wanted(server, seen)
    ended: list[Operation] = []
    if seen.is_news or seen.state not in (None, previous):
        waiting = await operations.accepted(session, server.id)
        verdicts = outcomes.verdicts(
            operations.pending(waiting), seen.word, previous, seen.error, seen.code, forced=seen.forced
        )
        ended = operations.settle(waiting, verdicts, now)
    return await _write_and_end(session, server, seen, ended, now)


async def record_after_absence(
    session: AsyncSession, server: Server, seen: Observation, connected_at: datetime, now: datetime
) -> bool:
    """As `record`, for what a node tells when asked at its coming: it also settles what was accepted before, whose news may be lost."""
    seen = _as_wanted(server, seen)
    waiting = await operations.accepted(session, server.id, before=connected_at)
    state = seen.state or ServerState(server.observed)
    verdicts = outcomes.verdicts_after_absence(operations.pending(waiting), state)
    return await _write_and_end(session, server, seen, operations.settle(waiting, verdicts, now), now)


def _as_wanted(server: Server, seen: Observation) -> Observation:
    """That a server stopped as it was told to is not called a crash when it is told once more."""
    was_stopped = server.desired == Desired.OFF and server.observed == ServerState.STOPPED
    return replace(seen, word=ServerState.STOPPED) if was_stopped and seen.state is ServerState.CRASHED else seen


async def _write_and_end(
    session: AsyncSession, server: Server, seen: Observation, ended: Sequence[Operation], now: datetime
) -> bool:
    """A crash that does what a stop was for is no crash."""
    done = {OperationKind(one.kind) for one in ended if one.state == OperationState.SUCCEEDED}
    if seen.state is ServerState.CRASHED and done & {OperationKind.STOP, OperationKind.KILL}:
        seen = replace(seen, word=ServerState.STOPPED)
    _write(server, seen, now)
    if OperationKind.DELETE in done:
        await service.remove(session, server)
    return OperationKind.DELETE in done


def _write(server: Server, seen: Observation, now: datetime) -> None:
    """What was seen, on the server's own axes."""
    if seen.figures is not None:
        server.figures, server.measured_at = as_stored(seen.figures), seen.measured_at
    state = state_by(server, seen)
    if state is not None:
        server.observed_at = now
        if become(server, state, now):
            server.ready = server.restart_at = None
    explain(server, seen, state)
