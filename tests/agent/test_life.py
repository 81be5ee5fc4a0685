"""The state machine of a server's life: its tables, and every walk through it."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ctrl_alt_play.agent.records import DESIRES
from ctrl_alt_play.agent.servers.life import DOWN, LEADS_TO, MOST_WAITING, UP, Duty, Life, Process, Sight, check
from ctrl_alt_play.protocol.contents import QUESTIONS, Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Hold

CREATE, START, STOP = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER
RESTART, KILL, DELETE = Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER
UPDATE = Action.UPDATE_SERVER
S = ServerState
NOW = 1_000_000.0
POLICY = CrashPolicy(backoff=(2, 10), limit=2, window=100)
RUNNING = Sight(Process.RUNNING)
UP_AND_WANTED = Life(desired=Desired.ON, observed=S.RUNNING)


def exited(code: int = 1, at: float = NOW, *, is_excused: bool = False) -> Sight:
    return Sight(Process.EXITED, code, at, is_excused)


# What a sight means


@pytest.mark.parametrize(
    ("life", "sight", "observed"),
    [
        (Life(), Sight(Process.NONE), S.ABSENT),
        (Life(), Sight(Process.CREATED), S.CREATED),
        (Life(), RUNNING, S.RUNNING),
        (Life(desired=Desired.ON, is_awaited=True), RUNNING, S.STARTING),
        (Life(is_ending=True), RUNNING, S.STOPPING),
        (Life(desired=Desired.ON), exited(0), S.STOPPED),
        (Life(desired=Desired.ON), exited(1), S.CRASHED),
        (Life(desired=Desired.ON), exited(137), S.CRASHED),
        (Life(desired=Desired.ON), exited(255, is_excused=True), S.STOPPED),
        (Life(desired=Desired.ON, is_ending=True), exited(1), S.STOPPED),
        (Life(desired=Desired.OFF), exited(137), S.STOPPED),
        (Life(desired=Desired.ON, doing=START, observed=S.STARTING), exited(1), S.CRASHED),
    ],
)
def test_a_sight_means_a_state(life: Life, sight: Sight, observed: ServerState) -> None:
    assert life.see(sight, POLICY, NOW).observed is observed


@pytest.mark.parametrize("sight", [Sight(Process.NONE), Sight(Process.CREATED), exited(0, 5.0)])
def test_what_is_seen_on_the_way_of_a_start_is_no_news(sight: Sight) -> None:
    stopped = Life(desired=Desired.ON, observed=S.UNKNOWN).see(exited(0, 5.0, is_excused=True), POLICY, NOW)
    starting = stopped.begin(START).launch()
    assert starting.see(sight, POLICY, NOW) == starting


def test_an_exit_is_judged_once_and_keeps_its_name() -> None:
    crashed = UP_AND_WANTED.see(exited(), POLICY, NOW)
    assert crashed.lose().see(exited(), POLICY, NOW + 1) == crashed
    off = crashed.accept(STOP)
    assert off.lose().see(exited(), POLICY, NOW + 1).observed is S.CRASHED


# What the node does by itself


def test_crashes_go_up_the_ladder_and_off_it() -> None:
    life, delays = UP_AND_WANTED, []
    for number in range(3):
        now = NOW + 10 * number
        life = life.see(exited(at=now), POLICY, now)
        delays.append(None if life.restart_at is None else life.restart_at - now)
        life = (
            life.begin(START, is_own=True).launch().see(RUNNING, POLICY, now).decide(ready=True)
            if life.is_wanted
            else life
        )
    assert delays == [2, 10, None]
    assert (life.desired, life.observed) == (Desired.OFF, S.CRASHED)


def test_crashes_of_long_ago_do_not_count() -> None:
    life = UP_AND_WANTED
    for number in range(9):
        now = NOW + 101 * number
        life = life.see(exited(at=now), POLICY, now)
        assert life.restart_at == now + 2
        life = life.see(RUNNING, POLICY, now)


def test_a_persons_start_makes_the_ladder_begin_anew() -> None:
    crashed = UP_AND_WANTED.see(exited(), POLICY, NOW)
    assert len(crashed.crashed_at) == 1
    again = crashed.accept(START)
    assert (again.crashed_at, again.restart_at) == ((), None)


@pytest.mark.parametrize(
    ("policy", "code", "desired", "is_planned"),
    [
        (POLICY, 0, Desired.OFF, False),
        (POLICY.model_copy(update={"clean": "restart"}), 0, Desired.ON, True),
        (POLICY.model_copy(update={"restart": False}), 1, Desired.OFF, False),
        (POLICY, 1, Desired.ON, True),
    ],
)
def test_what_follows_an_exit_that_nobody_asked_for(
    policy: CrashPolicy, code: int, desired: Desired, *, is_planned: bool
) -> None:
    life = UP_AND_WANTED.see(exited(code), policy, NOW)
    assert (life.desired, life.restart_at is not None) == (desired, is_planned)


def test_what_went_down_with_the_node_is_started_at_once_and_counts_as_no_crash() -> None:
    life = UP_AND_WANTED.lose().see(exited(255, is_excused=True), POLICY, NOW)
    assert (life.restart_at, life.crashed_at, life.duty(is_due=True)) == (NOW, (), Duty.START)


def test_a_start_of_the_nodes_own_that_fails_is_the_next_rung() -> None:
    down = UP_AND_WANTED.see(exited(), POLICY, NOW)
    failed = down.begin(START, is_own=True).fail_to_start(POLICY, NOW + 1).end(desired=Desired.ON, now=NOW + 1)
    assert (len(failed.crashed_at), failed.restart_at) == (2, NOW + 11)


def test_a_hold_stops_what_runs_and_what_is_wanted_outlives_it() -> None:
    held = UP_AND_WANTED.hold_by(Hold.SUSPENDED, NOW)
    assert held.duty(is_due=True) is Duty.STOP
    down = held.begin(STOP, is_own=True).tell_to_end().see(exited(143), POLICY, NOW).end(desired=Desired.ON, now=NOW)
    assert (down.observed, down.desired, down.duty(is_due=True)) == (S.STOPPED, Desired.ON, Duty.NOTHING)
    assert down.hold_by(Hold.NONE, NOW + 5).duty(is_due=True) is Duty.START


def test_nothing_is_owed_while_nothing_is_known_or_something_is_done() -> None:
    owed = UP_AND_WANTED.see(exited(255, is_excused=True), POLICY, NOW)
    assert owed.duty(is_due=True) is Duty.START
    assert owed.duty(is_due=False) is Duty.NOTHING
    assert owed.lose().duty(is_due=True) is Duty.NOTHING
    assert owed.begin(STOP).duty(is_due=True) is Duty.NOTHING


# What may be asked when

REFUSED: dict[Action, set[ServerState]] = {
    CREATE: set(ServerState),
    Action.ADOPT_SERVER: set(),
    START: {S.RUNNING, S.STARTING},
    STOP: {S.ABSENT, S.CREATED, S.STOPPED, S.CRASHED},
    RESTART: set(),
    KILL: {S.ABSENT, S.CREATED, S.STOPPED, S.CRASHED},
    DELETE: set(),
    UPDATE: set(),
}


def refusal(action: Action, life: Life, accepted: list[Action]) -> ErrorCode | None:
    try:
        check(action, life, accepted)
    except Fault as fault:
        return fault.code
    return None


@pytest.mark.parametrize("action", list(REFUSED))
@pytest.mark.parametrize("state", list(ServerState))
def test_what_may_be_asked_of_an_idle_server(action: Action, state: ServerState) -> None:
    assert (refusal(action, Life(observed=state), []) is not None) == (state in REFUSED[action])


@pytest.mark.parametrize("action", [STOP, KILL, START])
def test_a_server_that_will_be_started_again_by_itself_may_be_kept_from_it(action: Action) -> None:
    crashed = UP_AND_WANTED.see(exited(), POLICY, NOW)
    assert refusal(action, crashed, []) is None


def test_what_a_hold_keeps_down_can_be_stopped_so_that_it_stays_down() -> None:
    held = replace(UP_AND_WANTED.hold_by(Hold.SUSPENDED, NOW), observed=S.STOPPED)
    check(Action.STOP_SERVER, held, [])
    unwanted = held.accept(Action.STOP_SERVER)
    assert unwanted.hold_by(Hold.NONE, NOW + 5).duty(is_due=True) is Duty.NOTHING
    with pytest.raises(Fault):
        check(Action.STOP_SERVER, unwanted, [])


@pytest.mark.parametrize("action", [START, RESTART])
def test_what_is_on_hold_is_not_started(action: Action) -> None:
    held = Life(observed=S.STOPPED, hold=Hold.SUSPENDED)
    assert refusal(action, held, []) is ErrorCode.INVALID_STATE
    assert refusal(STOP, replace(held, observed=S.RUNNING), []) is None


@pytest.mark.parametrize(
    ("action", "state", "accepted", "code"),
    [
        (START, S.STOPPED, [START], ErrorCode.INVALID_STATE),
        (START, S.RUNNING, [STOP], None),
        (START, S.RUNNING, [KILL], None),
        (START, S.RUNNING, [STOP, UPDATE], None),
        (STOP, S.STOPPED, [START], None),
        (STOP, S.RUNNING, [STOP], ErrorCode.INVALID_STATE),
        (STOP, S.ABSENT, [CREATE], ErrorCode.INVALID_STATE),
        (START, S.ABSENT, [CREATE], None),
        (STOP, S.RUNNING, [RESTART], None),
        (KILL, S.CREATED, [START], None),
        (KILL, S.STOPPING, [STOP], None),
        (KILL, S.ABSENT, [CREATE], ErrorCode.INVALID_STATE),
        (RESTART, S.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
        (UPDATE, S.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
        (DELETE, S.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
        (KILL, S.STOPPING, [DELETE], None),
        (KILL, S.STOPPED, [DELETE], ErrorCode.INVALID_STATE),
        (DELETE, S.RUNNING, [START, STOP], None),
        (CREATE, S.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
    ],
)
def test_what_may_follow_upon_what_was_accepted(
    action: Action, state: ServerState, accepted: list[Action], code: ErrorCode | None
) -> None:
    assert refusal(action, Life(observed=state), accepted) is code


def test_the_inbox_has_a_bound_that_a_kill_passes() -> None:
    full = [RESTART] * MOST_WAITING
    assert refusal(RESTART, Life(observed=S.RUNNING), full) is ErrorCode.INSUFFICIENT_RESOURCES
    assert refusal(UPDATE, Life(observed=S.RUNNING), full) is ErrorCode.INSUFFICIENT_RESOURCES
    assert refusal(KILL, Life(observed=S.RUNNING), full) is None


# Every walk


class Walk(RuleBasedStateMachine):
    """A machine beside a world: a container that runs or does not, and a person who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life().see(Sight(Process.CREATED), POLICY, NOW)
        self.process, self.code, self.exited_at = Process.CREATED, 0, 0.0
        self.now = NOW
        self.exits = 0
        self.is_engine_up = True

    def look(self, *, is_excused: bool = False) -> None:
        if self.is_engine_up:
            self.life = self.life.see(Sight(self.process, self.code, self.exited_at, is_excused), POLICY, self.now)

    def end_game(self, code: int) -> None:
        self.process, self.code, self.exited_at = Process.EXITED, code, self.now
        self.exits += 1

    @rule(seconds=st.sampled_from([0.5, 5.0, 60.0, 5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([-5000.0, 5000.0]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.now = max(1.0, self.now + seconds)

    @precondition(lambda self: self.process is Process.RUNNING)
    @rule(code=st.sampled_from([0, 1, 137]))
    def the_game_ends(self, code: int) -> None:
        self.now += 0.01
        self.end_game(code)
        self.look()

    @precondition(lambda self: self.is_engine_up)
    @rule(games_end=st.booleans())
    def the_engine_goes(self, games_end: bool) -> None:
        self.is_engine_up = False
        self.life = self.life.lose()
        if games_end and self.process is Process.RUNNING:
            self.now += 0.01
            self.end_game(255)

    @precondition(lambda self: not self.is_engine_up)
    @rule()
    def the_engine_comes_back(self) -> None:
        self.is_engine_up = True
        self.look(is_excused=True)

    @precondition(lambda self: self.life.doing is None and self.is_engine_up)
    @rule(action=st.sampled_from([START, STOP, RESTART, KILL]), works=st.booleans())
    def a_person_acts(self, action: Action, works: bool) -> None:
        if refusal(action, self.life, []) is None:
            self.life = self.life.accept(action).begin(action)
            self.act(action, works=works)

    @precondition(lambda self: self.life.doing is None and self.is_engine_up)
    @rule(is_due=st.booleans(), works=st.booleans())
    def the_node_acts(self, is_due: bool, works: bool) -> None:
        match self.life.duty(is_due=is_due):
            case Duty.START:
                assert self.life.is_wanted
                self.life = self.life.begin(START, is_own=True)
                self.act(START, works=works)
            case Duty.STOP:
                self.life = self.life.begin(STOP, is_own=True)
                self.act(STOP, works=True)
            case Duty.NOTHING:
                assert self.life.hold is Hold.NONE or self.life.observed not in UP

    def act(self, action: Action, *, works: bool) -> None:
        is_own = self.life.is_own
        if action in {STOP, KILL, RESTART} and self.process is Process.RUNNING:
            self.life = self.life.tell_to_end()
            self.now += 0.01
            self.end_game(143)
            self.look()
        desired = self.life.desired
        if action in {START, RESTART} and self.process is not Process.RUNNING:
            self.life = self.life.launch()
            self.look()
            if works:
                self.process = Process.RUNNING
                self.look()
                self.life = self.life.decide(ready=None)
            elif is_own:
                self.life = self.life.fail_to_start(POLICY, self.now)
            desired = self.life.desired if works or is_own else Desired.OFF
        self.life = self.life.end(desired=desired, now=self.now)
        self.look()

    @rule(hold=st.sampled_from(list(Hold)))
    def it_is_held(self, hold: Hold) -> None:
        self.life = self.life.hold_by(hold, self.now)

    @invariant()
    def what_is_seen_is_what_is(self) -> None:
        if not self.is_engine_up:
            assert self.life.observed is S.UNKNOWN
        else:
            assert (self.life.observed in UP) == (self.process is Process.RUNNING)

    @invariant()
    def what_should_run_is_never_forgotten(self) -> None:
        if self.life.is_wanted and self.life.observed in DOWN:
            assert self.life.restart_at is not None
            assert self.life.duty(is_due=True) is Duty.START

    @invariant()
    def what_should_not_run_is_not_started(self) -> None:
        if not self.life.is_wanted:
            assert self.life.duty(is_due=True) is not Duty.START
        if self.life.hold is not Hold.NONE:
            assert self.life.restart_at is None

    @invariant()
    def no_restart_is_further_away_than_the_ladder_is_high(self) -> None:
        assert len(self.life.crashed_at) <= POLICY.limit + 1


Walk.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestEveryWalk = Walk.TestCase


def test_every_action_that_changes_a_server_has_a_place_in_the_tables() -> None:
    assert set(DESIRES) < set(LEADS_TO)
    others = {Action.GET_STATUS, Action.SEND_COMMAND, Action.UPDATE_SERVER, Action.CANCEL, *QUESTIONS}
    assert set(LEADS_TO) == set(Action) - others
