"""The rules of a server's life, without I/O: what a container's state means, and what may be asked when."""

from collections.abc import Iterable

from ctrl_alt_play.agent.engine.base import Container, ContainerState
from ctrl_alt_play.protocol.contents import Action, Outcome, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

LEADS_TO = {
    Action.CREATE_SERVER: ServerState.CREATED,
    Action.START_SERVER: ServerState.RUNNING,
    Action.STOP_SERVER: ServerState.STOPPED,
    Action.RESTART_SERVER: ServerState.RUNNING,
    Action.KILL_SERVER: ServerState.STOPPED,
    Action.DELETE_SERVER: ServerState.ABSENT,
}
FAILED = {
    Action.CREATE_SERVER: Outcome.CREATE_FAILED,
    Action.START_SERVER: Outcome.START_FAILED,
    Action.RESTART_SERVER: Outcome.START_FAILED,
    Action.STOP_SERVER: Outcome.STOP_FAILED,
    Action.KILL_SERVER: Outcome.STOP_FAILED,
    Action.DELETE_SERVER: Outcome.DELETE_FAILED,
}
_UP = {ServerState.RUNNING, ServerState.STARTING, ServerState.STOPPING}
MOST_WAITING = 32


def state_of(container: Container | None, *, is_meant_to_stop: bool) -> ServerState:
    """What a server is, by its container. Games that stop cleanly often exit with a code, so a crash is an exit that nobody asked for."""
    if container is None:
        return ServerState.ABSENT
    match container.state:
        case ContainerState.CREATED:
            return ServerState.CREATED
        case ContainerState.RUNNING:
            return ServerState.RUNNING
        case ContainerState.EXITED:
            is_clean = is_meant_to_stop or container.exit_code == 0
            return ServerState.STOPPED if is_clean else ServerState.CRASHED


def check(action: Action, state: ServerState, accepted: Iterable[Action]) -> None:
    """Whether an action may follow upon those that were accepted and have not ended.

    Raises:
        Fault: why not; nothing has been done.
    """
    waiting = list(accepted)
    if Action.DELETE_SERVER in waiting and action is not Action.KILL_SERVER:
        raise Fault(ErrorCode.INVALID_STATE, "The server is being deleted.")
    if action is Action.CREATE_SERVER:
        raise Fault(ErrorCode.SERVER_EXISTS, "A server of this id exists on this node already.")
    if len(waiting) >= MOST_WAITING and action is not Action.KILL_SERVER:
        raise Fault(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"{MOST_WAITING} actions wait for this server already; let some of them end.",
        )
    will_be = LEADS_TO[waiting[-1]] if waiting else state
    is_up = state in _UP or any(LEADS_TO[each] is ServerState.RUNNING for each in waiting)
    match action:
        case Action.START_SERVER if will_be in {ServerState.RUNNING, ServerState.STARTING}:
            raise Fault(
                ErrorCode.INVALID_STATE,
                "The server is running already." if not waiting else "The server is about to run.",
            )
        case Action.STOP_SERVER if will_be not in _UP | {ServerState.UNKNOWN}:
            raise Fault(ErrorCode.INVALID_STATE, f"The server is not running: it is {will_be}, or about to be.")
        case Action.KILL_SERVER if not is_up and state is not ServerState.UNKNOWN:
            raise Fault(ErrorCode.INVALID_STATE, f"The server is not running: it is {state}.")
        case _:
            return


def change_of(
    server_id: str,
    previous: ServerState | None,
    state: ServerState,
    container: Container | None,
    *,
    forced: bool | None,
) -> StatusChanged:
    """The news of a server's having become something, with what its container tells of it."""
    return StatusChanged(
        server_id=server_id,
        previous_status=previous,
        current_status=state,
        pid=container.pid if container else None,
        exit_code=container.exit_code if container else None,
        oom_killed=container.oom_killed or None if container else None,
        forced=forced,
    )
