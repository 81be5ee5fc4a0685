"""A command that is cancelled is not done, or is undone; what cannot be undone any more is refused."""

from datetime import UTC, datetime

import pytest
from tests.fakes.boxes import Running
from tests.fakes.engine import Game
from tests.fakes.household import SPECIFICATION, Household
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.protocol.contents import Action, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Readiness

CREATE, START, STOP, RESTART = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.RESTART_SERVER
NEVER_READY = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("never said",))})
WAITING = "waiting until it is ready"


async def waits_for_readiness(home: Household) -> str:
    """A start of a game that runs and is not ready; gives the start's id."""
    await home.do(CREATE, payload=NEVER_READY)
    start = await home.ask(START)
    await until(lambda: WAITING in [step.phase for step in home.teller.steps])
    return start


async def test_a_start_that_waits_is_not_done(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=60)
    await home.running()
    stop = await home.ask(STOP)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    start = await home.ask(START)
    home.fleet.cancel("one", start)
    home.engine.end_game("one", 0)
    assert (await home.done(stop)).fault is None
    fault = (await home.done(start)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert home.server().state is ServerState.STOPPED
    assert home.server().life.desired is Desired.OFF
    assert home.engine.made("one", "start") == ["start"]


async def test_a_stop_that_waits_is_not_done_and_the_game_runs_on(home: Household) -> None:
    await home.do(CREATE)
    async with home.engine.holding("start") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        stop = await home.ask(STOP)
        home.fleet.cancel("one", stop)
    assert (await home.done(start)).state is ServerState.RUNNING
    assert (await home.done(stop)).fault is not None
    assert home.server().state is ServerState.RUNNING
    assert home.server().life.desired is Desired.ON


async def test_a_start_that_waits_for_readiness_leaves_nothing_running(home: Household) -> None:
    start = await waits_for_readiness(home)
    home.fleet.cancel("one", start)
    fault = (await home.done(start)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert home.engine.boxes["one"].running is None
    assert home.server().state is ServerState.STOPPED
    assert home.server().life.desired is Desired.OFF
    assert home.teller.crashes == []


async def test_a_start_that_pulls_its_image_is_cut_off(home: Household) -> None:
    await home.do(CREATE)
    await home.engine.remove("one")
    await until(lambda: home.server().state is ServerState.ABSENT)
    async with home.engine.holding("ensure_image") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        home.fleet.cancel("one", start)
        assert (await home.done(start)).fault is not None
    assert home.engine.boxes == {}


async def test_a_creation_that_is_cancelled_leaves_nothing(home: Household) -> None:
    async with home.engine.holding("ensure_image") as hold:
        create = await home.ask(CREATE)
        await hold.arrived.wait()
        home.fleet.cancel("one", create)
        fault = (await home.done(create)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert home.fleet.servers == {}
    assert (await home.do(CREATE)).fault is None


@pytest.mark.parametrize("action", [STOP, RESTART])
async def test_what_has_told_the_game_to_end_is_not_cancelled(home: Household, action: Action) -> None:
    home.engine.games["game"] = Game(exit_codes={})
    await home.running()
    command = await home.ask(action, payload=StopPayload(timeout=0.1))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    with pytest.raises(Fault, match="cannot be undone any more"):
        home.fleet.cancel("one", command)
    assert (await home.done(command)).fault is None


async def test_what_has_ended_or_never_was_is_not_cancelled(home: Household) -> None:
    await home.do(CREATE)
    start = await home.ask(START)
    await home.done(start)
    for command_id in (start, "unheard of"):
        with pytest.raises(Fault, match="ended already, or was never accepted") as refusal:
            home.fleet.cancel("one", command_id)
        assert refusal.value.code is ErrorCode.INVALID_STATE


async def test_the_end_of_a_cancelled_command_is_told_once(home: Household) -> None:
    start = await waits_for_readiness(home)
    home.fleet.cancel("one", start)
    await home.done(start)
    (told,) = [each for each in home.teller.completed if each.command_id == start]
    assert not told.success
    assert told.error is not None
    assert told.error.code is ErrorCode.CANCELLED


async def test_a_cancelled_start_is_undone_also_when_the_engine_goes_away_in_the_middle(home: Household) -> None:
    start = await waits_for_readiness(home)
    async with home.engine.holding("signal", "one") as hold:
        home.fleet.cancel("one", start)
        await hold.arrived.wait()
        home.engine.go_away()
        await until(lambda: home.server().state is ServerState.UNKNOWN)
        hold.release.set()
        await until(lambda: home.engine.calls[-1].ended_at < float("inf"))
    home.engine.come_back()
    fault = (await home.done(start)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert home.engine.boxes["one"].running is None


async def test_a_cancelled_start_is_undone_also_when_the_agent_dies_in_the_middle(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=0.2)
    start = await waits_for_readiness(home)
    home.fleet.cancel("one", start)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    await home.kill()
    await home.begin()
    fault = (await home.done(start)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert home.engine.boxes["one"].running is None


async def test_a_cancelled_start_takes_the_place_of_the_nodes_own(home: Household) -> None:
    policy = CrashPolicy(backoff=(0, 3600))
    await home.do(CREATE, payload=NEVER_READY.model_copy(update={"crash": policy}))
    home.engine.games["game"] = Game(says=("never said",))
    await home.do(START)
    home.engine.games["game"] = Game(ends_at_once_with=3)
    home.engine.end_game("one", 3)
    await until(lambda: len(home.server().life.crashed_at) == 2)
    home.engine.games["game"] = Game()
    home.teller.steps.clear()
    start = await home.ask(START)
    await until(lambda: WAITING in [step.phase for step in home.teller.steps])
    home.fleet.cancel("one", start)
    await home.done(start)
    assert home.server().life.desired is Desired.OFF
    assert home.engine.boxes["one"].running is None


@pytest.mark.parametrize("action", [START, STOP])
async def test_what_is_cancelled_while_it_waits_leaves_a_planned_start_as_it_was(
    home: Household, action: Action
) -> None:
    policy = CrashPolicy(backoff=(3600,))
    await home.running(specification=SPECIFICATION.model_copy(update={"crash": policy}))
    home.engine.end_game("one", 3)
    await until(lambda: home.teller.crashes)
    before = home.server().life
    command = await home.ask(action)
    home.fleet.cancel("one", command)
    fault = (await home.done(command)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert before.restart_at is not None
    assert home.server().life == before
    assert home.engine.made("one", "start") == ["start"]


async def test_a_creation_that_is_cancelled_when_its_container_is_made_leaves_nothing(home: Household) -> None:
    async with home.engine.holding("create") as hold:
        create = await home.ask(CREATE)
        await hold.arrived.wait()
        home.fleet.cancel("one", create)
    fault = (await home.done(create)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert (home.fleet.servers, home.engine.boxes) == ({}, {})


@pytest.mark.parametrize("moment", ["ensure_image", "create"])
async def test_a_cancelled_creation_is_undone_also_when_the_agent_dies_in_the_middle(
    home: Household, moment: str
) -> None:
    async with home.engine.holding(moment) as making:
        create = await home.ask(CREATE)
        await making.arrived.wait()
        async with home.engine.holding("inspect") as undoing:
            noted = home.fleet.cancel("one", create)
            making.release.set()
            await undoing.arrived.wait()
            await noted
            await home.kill()
    await home.begin()
    fault = (await home.done(create)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert (home.fleet.servers, home.engine.boxes) == ({}, {})


async def test_what_was_cancelled_while_it_waited_is_not_done_by_the_agent_that_comes_after(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=60)
    await home.running()
    stop = await home.ask(STOP)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    start = await home.ask(START)
    await home.fleet.cancel("one", start)
    await home.kill()
    home.engine.end_game("one", 0)
    await home.begin()
    fault = (await home.done(start)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    assert (await home.done(stop)).state is ServerState.STOPPED
    assert home.engine.made("one", "start") == ["start"]
    assert home.server().life.desired is Desired.OFF


async def test_the_nodes_own_start_that_gave_way_to_what_was_then_cancelled_is_made_after_all(home: Household) -> None:
    await home.running()
    async with home.engine.holding("ensure_image") as hold:
        await home.engine.remove("one")
        await hold.arrived.wait()
        restart = await home.ask(RESTART)
        home.fleet.cancel("one", restart)
    fault = (await home.done(restart)).fault
    assert fault is not None
    assert fault.code is ErrorCode.CANCELLED
    await until(lambda: home.server().state is ServerState.RUNNING)
    assert home.server().life.desired is Desired.ON


async def test_a_start_that_was_given_up_and_that_docker_did_all_the_same_is_seen(home: Household) -> None:
    await home.do(CREATE, payload=SPECIFICATION.model_copy(update={"crash": CrashPolicy(backoff=(0,))}))
    await home.do(START)
    box = home.engine.boxes["one"]
    async with home.engine.holding("start") as hold:
        home.engine.end_game("one", 3)
        await hold.arrived.wait()
        box.running, box.state = Running(77, Game(), datetime.now(UTC)), ContainerState.RUNNING
        restart = await home.ask(RESTART)
        home.fleet.cancel("one", restart)
    assert (await home.done(restart)).fault is not None
    await until(lambda: home.server().state is ServerState.RUNNING)
    await until(lambda: home.server().game.console.is_open)
    assert home.engine.made("one", "start") == ["start", "start"]
