"""A kill overtakes what is under way and drops what waits, and each is told."""

import pytest
from tests.fakes.household import CREATE, DELETE, KILL, RESTART, SPECIFICATION, START, STOP, STUBBORN, Household
from tests.fakes.until import until

from ctrl_alt_play.protocol.contents import Action, DeletePayload, Outcome, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.specification import StopRule


@pytest.mark.parametrize("action", [STOP, RESTART])
async def test_a_kill_overtakes_what_waits_for_the_game_to_end(home: Household, action: Action) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    first = await home.ask(action, payload=StopPayload(timeout=60))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    kill = await home.ask(KILL)
    assert (await home.done(kill, 1)).state is ServerState.STOPPED
    assert (await home.done(first)).fault is not None
    told = home.teller.last("one")
    assert told is not None
    assert (told.word, told.forced, told.exit_code) == ("stopped", True, 137)
    assert home.engine.made("one", "start") == ["start"]
    assert home.server().state is ServerState.STOPPED


async def test_a_kill_ends_a_start_that_is_under_way(home: Household) -> None:
    await home.do(CREATE)
    async with home.engine.holding("start") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        kill = await home.ask(KILL)
    assert (await home.done(kill)).state is ServerState.STOPPED
    assert (await home.done(start)).state is Outcome.START_FAILED
    assert home.engine.boxes["one"].running is None


async def test_a_kill_that_comes_before_the_engine_was_asked_keeps_a_game_from_starting(home: Household) -> None:
    await home.do(CREATE)
    async with home.engine.holding("attach") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        kill = await home.ask(KILL)
    assert (await home.done(start)).state is Outcome.START_FAILED
    assert (await home.done(kill)).fault is None
    assert home.engine.made("one", "start") == []


async def test_a_kill_drops_what_waits_and_each_is_told(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    first = await home.ask(STOP, payload=StopPayload(timeout=60))
    waiting = [await home.ask(START), await home.ask(RESTART), await home.ask(DELETE)]
    kill = await home.ask(KILL)
    await home.done(kill)
    endings = [await home.done(each) for each in (first, *waiting)]
    assert all(ended.fault is not None and ended.fault.code is ErrorCode.INVALID_STATE for ended in endings)
    assert "delete_failed" in home.teller.words("one")
    assert home.teller.words("one").count("start_failed") == 2
    assert home.teller.words("one")[-1] == "stopped"
    assert await home.journal.operations() == []


async def test_what_is_accepted_after_a_kill_is_done(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    await home.ask(STOP, payload=StopPayload(timeout=60))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    async with home.engine.holding("signal"):
        kill = await home.ask(KILL)
        start = await home.ask(START)
    assert (await home.done(kill)).fault is None
    assert (await home.done(start)).fault is None
    assert home.engine.boxes["one"].running is not None


async def test_a_kill_twice_is_no_failure(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    async with home.engine.holding("signal", "one"):
        kills = [await home.ask(KILL) for _ in range(3)]
    for kill in kills:
        assert (await home.done(kill)).fault is None
    assert home.teller.words("one") == ["created", "running", "stopped", "stopped", "stopped"]


async def test_a_kill_also_overtakes_the_stop_before_a_deletion(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running(specification=SPECIFICATION.model_copy(update={"stop": StopRule(timeout=60)}))
    delete = await home.ask(DELETE, payload=DeletePayload(keep_data=True))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    kill = await home.ask(KILL)
    assert (await home.done(kill)).state is ServerState.STOPPED
    assert (await home.done(delete)).state is Outcome.DELETE_FAILED
    assert "delete_failed" in home.teller.words("one")
