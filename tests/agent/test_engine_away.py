"""While the engine is away nothing is made up, and when it is back all is true again."""

import pytest
from tests.fakes.engine import Game
from tests.fakes.household import CREATE, DELETE, KILL, RESTART, START, STOP, Household
from tests.fakes.until import until

from ctrl_alt_play.agent.servers import game
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault


async def test_an_engine_lost_makes_servers_unknown_and_its_return_makes_them_true_again(home: Household) -> None:
    await home.running("one")
    await home.running("two")
    home.engine.go_away()
    await until(lambda: {server.state for server in home.fleet.servers.values()} == {ServerState.UNKNOWN})
    assert not home.fleet.is_engine_up
    home.engine.end_game("two", 1)
    home.engine.come_back()
    await until(lambda: home.server("one").state is ServerState.RUNNING)
    await until(lambda: home.server("two").state is ServerState.RUNNING)
    assert home.teller.words("one") == ["created", "running", "unknown", "running"]
    assert home.teller.words("two") == ["created", "running", "unknown", "stopped", "running"]


async def test_the_console_is_taken_up_again_after_the_engines_return(home: Household) -> None:
    await home.running()
    home.engine.go_away()
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    home.engine.come_back()
    await until(lambda: home.server().state is ServerState.RUNNING and home.server().game.console.is_open)
    await home.say("one", "status")
    await until(lambda: "map: oa_dm1" in home.teller.texts("one"))


async def test_a_console_that_docker_lets_go_of_is_taken_up_again(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(game, "REOPEN_AFTER_S", 0.01)
    server = await home.running()
    home.engine._detach(home.engine.boxes["one"])
    await until(lambda: not server.game.console.is_open)
    await until(lambda: server.game.console.is_open)
    await home.say("one", "status")
    await until(lambda: "map: oa_dm1" in home.teller.texts("one"))


async def test_a_stop_goes_on_when_the_engine_was_away_meanwhile(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=60)
    await home.running()
    stop = await home.ask(STOP)
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    home.engine.go_away()
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    home.engine.come_back()
    await until(lambda: home.fleet.is_engine_up)
    home.engine.end_game("one", 0)
    assert (await home.done(stop)).state is ServerState.STOPPED


@pytest.mark.parametrize("action", [START, STOP, RESTART, KILL, DELETE])
async def test_an_action_without_an_engine_fails_with_a_reason(home: Household, action: Action) -> None:
    await home.running()
    home.engine.go_away()
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    ended = await home.do(action)
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.DOCKER_UNAVAILABLE
    home.engine.come_back()
    await until(lambda: home.server().state is ServerState.RUNNING)


async def test_without_an_engine_no_server_is_created(home: Household) -> None:
    home.engine.go_away()
    await until(lambda: not home.fleet.is_engine_up)
    with pytest.raises(Fault, match="Docker does not answer"):
        await home.ask(CREATE)
