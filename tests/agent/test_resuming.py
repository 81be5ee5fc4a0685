"""An agent that was killed carries on, and harms no game by it."""

import asyncio
import sqlite3

import pytest
from tests.fakes.engine import Game
from tests.fakes.household import Household
from tests.fakes.until import until

from ctrl_alt_play.agent import spool
from ctrl_alt_play.protocol.contents import Action, Outcome, ServerState, StopPayload

CREATE, START, STOP = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER
RESTART, KILL, DELETE = Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER


async def test_an_agent_takes_up_its_running_games_and_their_consoles(home: Household) -> None:
    server = await home.running()
    pid = server.container and server.container.pid
    await home.kill()
    await home.begin()
    again = home.server()
    assert again.state is ServerState.RUNNING
    assert again.container is not None
    assert again.container.pid == pid
    assert again.game.console.is_open
    assert home.engine.made("one") == ["create", "start"]


@pytest.mark.parametrize("moment", ["ensure_image", "create"])
async def test_a_creation_cut_off_is_completed(home: Household, moment: str) -> None:
    async with home.engine.holding(moment) as hold:
        create = await home.ask(CREATE)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    assert (await home.done(create)).state is ServerState.CREATED


async def test_a_creation_whose_container_was_made_already_is_not_done_twice(home: Household) -> None:
    async with home.engine.holding("inspect") as hold:
        create = await home.ask(CREATE)
        await hold.arrived.wait()
        assert list(home.engine.boxes) == ["one"]
        await home.kill()
    await home.begin()
    assert (await home.done(create)).state is ServerState.CREATED
    assert len(home.engine.boxes) == 1


async def test_a_start_cut_off_is_completed_and_makes_no_crash_of_a_stopped_server(home: Household) -> None:
    await home.running()
    await home.do(STOP)
    async with home.engine.holding("start") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    assert (await home.done(start)).state is ServerState.RUNNING
    assert "crashed" not in home.teller.words("one")


async def test_a_stop_cut_off_waits_for_the_rest_of_its_time_only(home: Household) -> None:
    home.engine.games["game"] = Game(exit_codes={})
    await home.running()
    stop = await home.ask(STOP, payload=StopPayload(timeout=0.6))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    await until(home.journal.operations)
    await asyncio.sleep(0.4)
    await home.kill()
    began = asyncio.get_running_loop().time()
    await home.begin()
    ended = await home.done(stop)
    assert asyncio.get_running_loop().time() - began < 0.5
    assert ended.state is ServerState.STOPPED
    assert home.engine.made("one").count("signal SIGTERM") == 1


async def test_a_stop_that_ended_while_the_agent_was_dead_is_no_crash(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=60)
    await home.running()
    stop = await home.ask(STOP)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    await home.kill()
    home.engine.end_game("one", 1)
    await home.begin()
    assert (await home.done(stop)).state is ServerState.STOPPED
    assert "crashed" not in home.teller.words("one")


async def test_a_restart_whose_game_runs_again_already_does_not_harm_it(home: Household) -> None:
    await home.running()
    async with home.engine.holding("start") as hold:
        restart = await home.ask(RESTART)
        await hold.arrived.wait()
        home.engine.stop_holding(hold)
        await home.engine.start("one")
        await home.kill()
    pid = home.engine.boxes["one"].container().pid
    await home.begin()
    assert (await home.done(restart)).state is ServerState.RUNNING
    assert home.engine.boxes["one"].container().pid == pid


async def test_a_restart_cut_off_in_its_stop_starts_again(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=0.2)
    await home.running()
    pid = home.engine.boxes["one"].container().pid
    restart = await home.ask(RESTART)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    await home.kill()
    await home.begin()
    assert (await home.done(restart)).state is ServerState.RUNNING
    assert home.engine.boxes["one"].container().pid != pid


async def test_a_deletion_cut_off_is_completed_and_told(home: Household) -> None:
    await home.running()
    async with home.engine.holding("remove") as hold:
        delete = await home.ask(DELETE)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    assert (await home.done(delete)).state is Outcome.DELETED
    assert home.engine.boxes == {}
    assert await home.journal.servers() == []


async def test_a_deletion_that_was_done_but_not_told_is_told(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    await home.running()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    delete = await home.ask(DELETE)
    monkeypatch.setattr(spool, "write", full)
    await until(lambda: not home.engine.boxes)
    await until(lambda: home.teller.words("one")[-1] == "deleted")
    await home.kill()
    monkeypatch.undo()
    home.teller.endings.clear()
    home.teller.changes.clear()
    await home.begin()
    assert (await home.done(delete)).state is Outcome.DELETED
    assert home.teller.words("one")[-1:] == ["deleted"]


async def test_what_waited_is_done_in_its_order(home: Household) -> None:
    home.engine.games["game"] = Game(exit_codes={"SIGTERM": 0}, time_to_stop_s=60)
    await home.running()
    stop = await home.ask(STOP)
    start, again = await home.ask(START), await home.ask(STOP)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    await home.kill()
    home.engine.games["game"] = Game()
    home.engine.end_game("one", 0)
    await home.begin()
    await home.done(again)
    assert [ended.operation.id for ended in home.teller.endings][-3:] == [stop, start, again]
    assert home.teller.words("one")[-2:] == ["running", "stopped"]


async def test_a_kill_accepted_before_the_agent_died_still_overtakes(home: Household) -> None:
    home.engine.games["game"] = Game(exit_codes={})
    await home.running()
    async with home.engine.holding("signal") as hold:
        stop = await home.ask(STOP, payload=StopPayload(timeout=60))
        await hold.arrived.wait()
        kill, start = await home.ask(KILL), await home.ask(START)
        await home.kill()
    await home.begin()
    assert (await home.done(kill, 1)).fault is None
    assert (await home.done(stop)).fault is not None
    assert (await home.done(start)).state is ServerState.RUNNING


async def test_nothing_is_resumed_before_the_engine_answers(home: Household) -> None:
    async with home.engine.holding("create") as hold:
        create = await home.ask(CREATE)
        await hold.arrived.wait()
        await home.kill()
    home.engine.go_away()
    await home.begin()
    assert home.server().state is ServerState.UNKNOWN
    assert home.teller.words("one") == ["unknown"]
    home.engine.come_back()
    assert (await home.done(create)).state is ServerState.CREATED


async def test_what_is_accepted_before_the_engine_answers_is_not_done_twice(home: Household) -> None:
    await home.running()
    await home.kill()
    home.engine.go_away()
    await home.begin()
    async with home.engine.holding("inspect", "one") as hold:
        home.engine.come_back()
        await hold.arrived.wait()
        restart = await home.ask(RESTART)
    assert (await home.done(restart)).state is ServerState.RUNNING
    await home.do(STOP)
    assert home.engine.made("one", "start") == ["start", "start"]
