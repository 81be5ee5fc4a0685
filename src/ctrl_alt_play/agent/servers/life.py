"""The state machine of a server's life, without I/O: its axes, what moves them, and what may be asked when.

The axes are separate: what is wanted (`desired`), what holds it back (`hold`), what is done to it (`doing`), and what it is seen to be
(`observed`, `ready`). Each method gives the life that follows; nothing here waits, asks an engine or reads a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from ctrl_alt_play.agent.records import DESIRES, Ended, Memory
from ctrl_alt_play.agent.servers.crashes import next_start
from ctrl_alt_play.protocol.contents import Action, Outcome, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Hold

MOST_WAITING = 32
LEADS_TO = {
    Action.CREATE_SERVER: ServerState.CREATED,
    Action.ADOPT_SERVER: ServerState.RUNNING,
    Action.START_SERVER: ServerState.RUNNING,
    Action.STOP_SERVER: ServerState.STOPPED,
    Action.RESTART_SERVER: ServerState.RUNNING,
    Action.KILL_SERVER: ServerState.STOPPED,
    Action.DELETE_SERVER: ServerState.ABSENT,
    Action.REINSTALL_SERVER: ServerState.STOPPED,
}
"""What a server is after each action that changes what it is."""
FAILED = {
    Action.CREATE_SERVER: Outcome.CREATE_FAILED,
    Action.START_SERVER: Outcome.START_FAILED,
    Action.RESTART_SERVER: Outcome.START_FAILED,
    Action.STOP_SERVER: Outcome.STOP_FAILED,
    Action.KILL_SERVER: Outcome.STOP_FAILED,
    Action.DELETE_SERVER: Outcome.DELETE_FAILED,
}
"""How part 1 calls their failures."""
INSTALLS = frozenset({Action.CREATE_SERVER, Action.REINSTALL_SERVER})
"""What fills a server's folder."""
NOT_INSTALLED = "The server is not installed, for its installation failed: reinstall it first."
UP = frozenset({ServerState.RUNNING, ServerState.STARTING, ServerState.STOPPING})
DOWN = frozenset({ServerState.ABSENT, ServerState.CREATED, ServerState.STOPPED, ServerState.CRASHED})


class Process(StrEnum):
    """What there is of a server on the engine."""

    NONE = "none"
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a server's container. `exited_at` names an exit, so that none is counted twice; `is_excused` where Docker or the
    whole node went down with it; `is_spent` where such a container cannot serve another run.
    """

    process: Process
    exit_code: int | None = None
    exited_at: float = 0.0
    is_excused: bool = False
    is_paused: bool = False
    is_spent: bool = False


class Duty(StrEnum):
    """What the node owes a server by itself."""

    NOTHING = "nothing"
    START = "start"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Life:
    """All axes of a server at one moment."""

    desired: Desired = Desired.OFF
    hold: Hold = Hold.NONE
    observed: ServerState = ServerState.UNKNOWN
    doing: Action | None = None
    is_own: bool = False
    """What is done is done by the node itself; nobody asked for it."""
    is_ending: bool = False
    """The game was told to end, so that its exit is no crash."""
    is_paused: bool = False
    """The game is up, and frozen by somebody on the node."""
    is_awaited: bool = False
    """The game runs, and whether it is ready is not decided yet."""
    ready: bool | None = None
    """Of a running one: seen to be ready, or not seen in its time; None where nobody looks."""
    crashed_at: tuple[float, ...] = ()
    restart_at: float | None = None
    """When the node starts it by itself."""
    ended: Ended | None = None
    is_installed: bool = True
    """Nothing keeps it from running that an installer left undone."""

    @property
    def is_wanted(self) -> bool:
        return self.desired is Desired.ON and self.hold is Hold.NONE and self.is_installed

    @property
    def is_spent(self) -> bool:
        """There is a container, and it cannot serve another run."""
        return self.ended is not None and self.ended.is_spent

    @property
    def is_ready(self) -> bool | None:
        """Of a running one, whether players may come as far as is known; nobody comes to a frozen game."""
        if self.observed is not ServerState.RUNNING:
            return None
        return False if self.is_paused else self.ready

    def accept(self, action: Action) -> "Life":
        """A person has asked for an action; it may have to wait for others."""
        desired = DESIRES.get(action)
        if desired is None:
            return self
        crashed_at = () if desired is Desired.ON else self.crashed_at
        return replace(self, desired=desired, crashed_at=crashed_at, restart_at=None)

    def want(self, desired: Desired, now: float, before: "Life | None" = None) -> "Life":
        """What was wanted is wanted no more. A start that was planned `before` is planned again, if the game has not run since."""
        life = replace(self, desired=desired)
        if before is not None and life.is_wanted and life.doing is None and life.ended == before.ended:
            life = replace(life, crashed_at=before.crashed_at, restart_at=before.restart_at)
        return _planned(life, now)

    def begin(self, action: Action, *, is_own: bool = False) -> "Life":
        """An action is under way, and takes the place of what was planned."""
        return replace(self, doing=action, is_own=is_own, restart_at=None)

    def tell_to_end(self) -> "Life":
        """The game is told to end, by whatever means."""
        return replace(self, is_ending=True, observed=ServerState.STOPPING if self.observed in UP else self.observed)

    def launch(self) -> "Life":
        """The game is about to be started."""
        return replace(self, is_ending=False, is_awaited=True, ready=None, observed=ServerState.STARTING)

    def end(self, *, desired: Desired, now: float) -> "Life":
        """The action is over; `desired` is what is wanted now, with regard to what still waits."""
        return _planned(replace(self, doing=None, is_own=False, is_ending=False, desired=desired), now)

    def see(self, sight: Sight, policy: CrashPolicy, now: float) -> "Life":
        """The container was looked at."""
        if self.doing is not None and _is_passing(self, sight):
            return self
        match sight.process:
            case Process.NONE:
                return _planned(_down(self, ServerState.ABSENT), now)
            case Process.CREATED:
                return _planned(_down(self, ServerState.CREATED), now)
            case Process.RUNNING:
                return replace(_up(self), is_paused=sight.is_paused)
            case Process.EXITED:
                return _exited(self, sight, policy, now)

    def await_ready(self) -> "Life":
        """The game runs, and is watched until it is ready."""
        return _up(replace(self, is_awaited=True, ready=None))

    def decide(self, *, ready: bool | None) -> "Life":
        """It is known whether the running game is ready, or nobody looks."""
        if not self.is_awaited:
            return self
        return _up(replace(self, is_awaited=False, ready=ready))

    def lose(self) -> "Life":
        """The engine does not answer: nothing is known of the container."""
        return replace(self, observed=ServerState.UNKNOWN)

    def fail_to_start(self, policy: CrashPolicy, now: float) -> "Life":
        """What the node owed could not be done: it counts as a crash, so that it is not tried for ever."""
        if not policy.restart:
            return replace(self, desired=Desired.OFF)
        was_stopped = self.observed in {ServerState.STOPPED, ServerState.STARTING}
        if self.ended is None or not was_stopped or self.ended.observed != ServerState.STOPPED:
            return _crash(self, policy, now)
        ended = self.ended.model_copy(update={"observed": ServerState.CRASHED, "is_unasked": False})
        return _crash(replace(self, observed=ServerState.CRASHED, ended=ended), policy, now)

    def begin_installing(self) -> "Life":
        """What is in its folder from now on is not to be run, until an installer has succeeded; and there is no container that could."""
        return replace(_down(self, ServerState.ABSENT), is_installed=False, restart_at=None, ended=None)

    def end_installing(self) -> "Life":
        return replace(self, is_installed=True)

    def hold_by(self, hold: Hold, now: float) -> "Life":
        return _planned(replace(self, hold=hold, restart_at=None if hold is not Hold.NONE else self.restart_at), now)

    def duty(self, *, is_due: bool) -> Duty:
        """What is owed now, while no action is under way; `is_due`: the time of `restart_at` has come."""
        if self.doing is not None or self.observed is ServerState.UNKNOWN:
            return Duty.NOTHING
        if self.hold is not Hold.NONE and self.observed in UP:
            return Duty.STOP
        if self.is_wanted and self.observed in DOWN and self.restart_at is not None and is_due:
            return Duty.START
        return Duty.NOTHING


def remembered(memory: Memory, hold: Hold, *, is_ending: bool) -> Life:
    """A life as the journal knows it; what it is now is still to be seen. `is_ending`: the game had been told to end."""
    return Life(
        is_ending=is_ending,
        is_awaited=memory.run is not None and memory.run.is_awaited,
        ready=memory.run.ready if memory.run else None,
        desired=memory.desired,
        hold=hold,
        crashed_at=memory.crashed_at,
        restart_at=memory.restart_at,
        ended=memory.ended,
        is_installed=not memory.is_uninstalled,
    )


def check(action: Action, life: Life, accepted: Iterable[Action]) -> None:
    """Whether an action may follow upon those that were accepted and have not ended.

    Raises:
        Fault: why not; nothing has been done.
    """
    every = list(accepted)
    waiting = [each for each in every if each in LEADS_TO]
    if Action.DELETE_SERVER in waiting and action is not Action.KILL_SERVER:
        raise Fault(ErrorCode.INVALID_STATE, "The server is being deleted.")
    if action is Action.CREATE_SERVER:
        raise Fault(ErrorCode.SERVER_EXISTS, "A server of this id exists on this node already.")
    is_being_installed = not INSTALLS.isdisjoint(waiting)
    if action is Action.REINSTALL_SERVER and is_being_installed:
        raise Fault(ErrorCode.INVALID_STATE, "The server is being installed already.")
    if action in {Action.START_SERVER, Action.RESTART_SERVER} and not life.is_installed and not is_being_installed:
        raise Fault(ErrorCode.INVALID_STATE, NOT_INSTALLED)
    if len(every) >= MOST_WAITING and action is not Action.KILL_SERVER:
        raise Fault(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"{MOST_WAITING} actions wait for this server already; let some of them end.",
        )
    if life.hold is not Hold.NONE and action in {Action.START_SERVER, Action.RESTART_SERVER}:
        raise Fault(ErrorCode.INVALID_STATE, f"The server is on hold ({life.hold}).")
    _check_state(action, life, waiting)


def _check_state(action: Action, life: Life, waiting: list[Action]) -> None:
    state = life.observed
    will_be = LEADS_TO[waiting[-1]] if waiting else state
    is_up = state in UP or any(LEADS_TO[each] is ServerState.RUNNING for each in waiting)
    is_being_started = life.is_own and life.doing is Action.START_SERVER
    is_about_to_run = (life.is_wanted and life.restart_at is not None and not waiting) or is_being_started
    will_run = is_about_to_run or (life.desired is Desired.ON and life.hold is not Hold.NONE and not waiting)
    match action:
        case Action.START_SERVER if life.is_paused and not waiting:
            return
        case Action.START_SERVER if will_be in {ServerState.RUNNING, ServerState.STARTING}:
            raise Fault(
                ErrorCode.INVALID_STATE,
                "The server is running already." if not waiting else "The server is about to run.",
            )
        case Action.STOP_SERVER if will_be not in UP | {ServerState.UNKNOWN} and not will_run:
            raise Fault(ErrorCode.INVALID_STATE, f"The server is not running: it is {will_be}, or about to be.")
        case Action.KILL_SERVER if not life.is_installed and not INSTALLS.isdisjoint(waiting):
            return
        case Action.KILL_SERVER if not is_up and state is not ServerState.UNKNOWN and not is_about_to_run:
            raise Fault(ErrorCode.INVALID_STATE, f"The server is not running: it is {state}.")
        case _:
            return


def _is_passing(life: Life, sight: Sight) -> bool:
    """Whether a sight, while an action is under way, is only a step of it: a container made or removed, or not yet started."""
    match sight.process:
        case Process.NONE | Process.CREATED:
            return True
        case Process.EXITED:
            is_known = life.ended is not None and life.ended.at == sight.exited_at
            return is_known and life.observed is ServerState.STARTING
        case Process.RUNNING:
            return False


def _up(life: Life) -> Life:
    running = ServerState.STARTING if life.is_awaited else ServerState.RUNNING
    observed = ServerState.STOPPING if life.is_ending else running
    return replace(life, observed=observed, restart_at=None, ended=None)


def _down(life: Life, observed: ServerState) -> Life:
    return replace(life, observed=observed, is_awaited=False, ready=None, is_paused=False)


def _exited(life: Life, sight: Sight, policy: CrashPolicy, now: float) -> Life:
    """An exit is judged once, when it is first seen; what it was called then it is called ever after."""
    if life.ended is not None and life.ended.at == sight.exited_at:
        return _planned(_down(life, ServerState(life.ended.observed)), now)
    is_asked = life.is_ending or life.desired is Desired.OFF
    is_crash = not is_asked and not sight.is_excused and sight.exit_code != 0
    observed = ServerState.CRASHED if is_crash else ServerState.STOPPED
    is_unasked = not is_asked and not sight.is_excused
    ended = Ended(at=sight.exited_at, observed=observed, is_unasked=is_unasked, is_spent=sight.is_spent)
    after = replace(_down(life, observed), ended=ended)
    is_anothers = life.doing is not None and not life.is_own
    if is_asked or is_anothers or not after.is_wanted:
        return after
    if sight.is_excused:
        return replace(after, restart_at=now)
    if is_crash:
        return _crash(after, policy, now) if policy.restart else replace(after, desired=Desired.OFF)
    return _crash(after, policy, now) if policy.clean == "restart" else replace(after, desired=Desired.OFF)


def _crash(life: Life, policy: CrashPolicy, now: float) -> Life:
    """Up the ladder, or off it."""
    crashed_at = (*(at for at in life.crashed_at if now - policy.window < at <= now), now)
    delay_s = next_start(policy, crashed_at, now)
    if delay_s is None:
        return replace(life, crashed_at=crashed_at, restart_at=None, desired=Desired.OFF)
    return replace(life, crashed_at=crashed_at, restart_at=now + delay_s)


def _planned(life: Life, now: float) -> Life:
    """What should run, and does not, is never forgotten; and nothing is planned for what should not."""
    if not life.is_wanted:
        return replace(life, restart_at=None)
    is_owed = life.observed in DOWN and life.doing is None and life.restart_at is None
    return replace(life, restart_at=now) if is_owed else life
