"""What a node's word makes of a server, whichever part of the protocol it is told in."""

from datetime import datetime

from ctrl_alt_play.panel.intake.observation import Observation
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.protocol.contents import Outcome, ServerState

_FRESH = (ServerState.CREATED, ServerState.STARTING, ServerState.RUNNING)
"""What became of it before does not matter any more."""
_UP = (ServerState.STARTING, ServerState.RUNNING)


def state_by(server: Server, seen: Observation) -> ServerState | None:
    """A start that failed leaves nothing running, whatever was seen before."""
    failed_to_start = seen.word == Outcome.START_FAILED and server.observed in _UP
    return ServerState.STOPPED if failed_to_start else seen.state


def become(server: Server, state: ServerState, since: datetime) -> bool:
    """Whether it was anything else before."""
    if state == server.observed:
        return False
    server.observed, server.observed_since = state, since
    if state in _FRESH:
        server.exit_code = server.last_error = None
    return True


def explain(server: Server, seen: Observation, state: ServerState | None) -> None:
    """What the node told beside the state."""
    if seen.exit_code is not None:
        server.exit_code = seen.exit_code
    if seen.error is not None and seen.word == Outcome.START_FAILED:
        server.last_error = f"It could not be started: {seen.error}"  # why it is down may be another matter
    elif seen.error is not None:
        server.last_error = seen.error
    elif state is ServerState.UNKNOWN and seen.word != ServerState.UNKNOWN:
        server.last_error = f'The node calls the server "{seen.word[:64]}", which the panel does not know.'
