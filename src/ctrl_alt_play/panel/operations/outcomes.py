"""What a server's news mean for the operations that wait for it. Agents of the first protocol name no operation in their news.

Those of part 2 tell each operation's end by its id, so nothing is concluded for them here; updates and adoptions are theirs alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctrl_alt_play.panel.models import OperationKind as Kind
from ctrl_alt_play.protocol.contents import Outcome, ServerState

_STARTS = (Kind.START, Kind.RESTART)
_STOPS = (Kind.STOP, Kind.KILL)
_DOWN = (ServerState.CREATED, ServerState.STOPPED, ServerState.CRASHED)
_UNDECIDED = (ServerState.STARTING, ServerState.STOPPING, ServerState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Pending:
    """An operation that the node accepted."""

    id: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a pending operation ended; no failure means that it succeeded."""

    id: str
    failure: Failure | None = None
    note: str | None = None
    """What there is to say of a success."""


FORCED = "It did not end in the time it had, and was killed."


def verdicts(
    pending: Sequence[Pending],
    word: str,
    previous: ServerState,
    error: str | None,
    code: str | None = None,
    *,
    forced: bool = False,
) -> list[Verdict]:
    """What a server's having become `word`, from `previous`, settles among `pending`, given in the order of their acceptance."""
    match word:
        case ServerState.CREATED:
            return _first(pending, (Kind.CREATE,), None)
        case ServerState.RUNNING:
            return _first(pending, _STARTS, None)
        case ServerState.STOPPED | ServerState.CRASHED:
            return list(_went_down(pending, ServerState(word), previous, error, forced=forced))
        case Outcome.CREATE_FAILED:
            return _first(pending, (Kind.CREATE,), _failure(word, error, code))
        case Outcome.START_FAILED:
            return _first(pending, _STARTS, _failure(word, error, code))
        case Outcome.STOP_FAILED:
            return _first(pending, (Kind.STOP, Kind.KILL, Kind.RESTART), _failure(word, error, code))
        case Outcome.DELETE_FAILED:
            return _first(pending, (Kind.DELETE,), _failure(word, error, code))
        case Outcome.DELETED:
            return _deleted(pending)
        case _:
            return []


def verdicts_after_absence(pending: Sequence[Pending], state: ServerState) -> list[Verdict]:
    """What `state` settles among operations that were accepted in an earlier connection, whose news may be lost."""
    return [verdict for one in pending if (verdict := _after_absence(one, state)) is not None]


def is_achieved(kind: Kind, state: ServerState) -> bool:
    """Whether `state` is what an operation of that kind is for."""
    match kind:
        case Kind.START:
            return state is ServerState.RUNNING
        case Kind.STOP | Kind.KILL:
            return state in (ServerState.STOPPED, ServerState.CRASHED)
        case Kind.CREATE:
            return state in (*_DOWN, ServerState.STARTING, ServerState.RUNNING, ServerState.STOPPING)
        case _:
            return False


def _first(pending: Sequence[Pending], kinds: Sequence[Kind], failure: Failure | None) -> list[Verdict]:
    return [Verdict(one.id, failure) for one in pending if one.kind in kinds][:1]


def _failure(word: str, error: str | None, code: str | None) -> Failure:
    """By the agent's own code where it tells one, else by its word."""
    return Failure(code or word.upper(), error or f"The node says {word.replace('_', ' ')}, and does not say why.")


def _went_down(
    pending: Sequence[Pending], state: ServerState, previous: ServerState, error: str | None, *, forced: bool
) -> Iterator[Verdict]:
    """A kill ends all that was accepted before it. Without one, stops are done up to the next start, which is still to come."""
    kills = [index for index, one in enumerate(pending) if one.kind is Kind.KILL]
    killed = pending[: kills[-1] + 1] if kills else ()
    for one in killed:
        if one.kind in _STARTS:
            yield Verdict(one.id, Failure("KILLED", "The server was killed before it was running."))
        elif one.kind in _STOPS:
            yield Verdict(one.id)
    rest = [one for one in pending[len(killed) :] if one.kind in (*_STARTS, *_STOPS)]
    if not killed and rest and _ends_start(rest[0].kind, state, previous):
        how = "crashed" if state is ServerState.CRASHED else "stopped"
        sentence = f"The server {how} before it was running{f': {error}' if error else '.'}"
        yield Verdict(rest.pop(0).id, Failure("START_FAILED", sentence))
    for one in rest:
        if one.kind in _STARTS:
            return
        yield Verdict(one.id, note=FORCED if forced and one.kind is Kind.STOP else None)


def _ends_start(kind: Kind, state: ServerState, previous: ServerState) -> bool:
    if kind not in _STARTS:
        return False
    return previous is ServerState.STARTING or (kind is Kind.START and state is ServerState.CRASHED)


def _deleted(pending: Sequence[Pending]) -> list[Verdict]:
    if not any(one.kind is Kind.DELETE for one in pending):
        return []
    gone = Failure("SERVER_DELETED", "The server was deleted.")
    return [Verdict(one.id, None if one.kind is Kind.DELETE else gone) for one in pending]


def _after_absence(one: Pending, state: ServerState) -> Verdict | None:
    match one.kind:
        case Kind.START | Kind.RESTART:
            if state is ServerState.RUNNING:
                return Verdict(one.id)
            return None if state in _UNDECIDED else _interrupted(one, state)
        case Kind.STOP | Kind.KILL:
            if state in (ServerState.RUNNING, ServerState.STARTING):
                return _interrupted(one, state)
            return None if state in (ServerState.STOPPING, ServerState.UNKNOWN) else Verdict(one.id)
        case Kind.CREATE:
            return Verdict(one.id) if is_achieved(one.kind, state) else None
        case Kind.DELETE:
            return Verdict(one.id) if state is ServerState.ABSENT else None
        case _:
            return None


def _interrupted(one: Pending, state: ServerState) -> Verdict:
    sentence = f"interrupted: the node was away while this went on, and now says that the server is {state}"
    return Verdict(one.id, Failure("INTERRUPTED", sentence))
