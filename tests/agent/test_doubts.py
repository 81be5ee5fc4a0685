"""When the engine does not say, or says something odd."""

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.household import Household
from tests.fakes.until import until

from ctrl_alt_play.agent.servers import status
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault


async def test_a_server_that_nobody_has_seen_yet_is_not_called_absent(home: Household, engine: FakeEngine) -> None:
    await home.running()
    await home.kill()
    engine.go_away()
    await home.begin()
    server = home.server()
    assert server.state is ServerState.UNKNOWN
    with pytest.raises(Fault) as fault:
        await status.report(server, SystemClock())
    assert fault.value.code is ErrorCode.DOCKER_UNAVAILABLE
    engine.come_back()
    await until(lambda: server.state is ServerState.RUNNING)


async def test_a_watch_that_breaks_begins_anew(
    home: Household, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await home.running()
    inspect = engine.inspect

    async def odd(server_id: str) -> None:
        monkeypatch.setattr(engine, "inspect", inspect)
        raise KeyError("State")

    monkeypatch.setattr(engine, "inspect", odd)
    engine.end_game("one", 3)
    await until(lambda: home.teller.words("one")[-2:] == ["stopped", "running"])
    assert server.state is ServerState.RUNNING


async def test_a_container_that_was_made_unsaid_does_not_outlive_its_failed_creation(
    home: Household, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = engine.create

    async def made_unsaid(plan: object) -> None:
        await create(plan)  # type: ignore[arg-type]
        raise Fault(ErrorCode.DOCKER_ERROR, "the connection broke")

    monkeypatch.setattr(engine, "create", made_unsaid)
    assert (await home.do(Action.CREATE_SERVER)).fault is not None
    assert await engine.inspect("one") is None
    monkeypatch.setattr(engine, "create", create)
    assert (await home.do(Action.CREATE_SERVER)).fault is None


async def test_a_kill_cuts_off_a_start_that_waits_for_its_image(home: Household, engine: FakeEngine) -> None:
    server = await home.running()
    await home.do(Action.STOP_SERVER)
    await engine.remove("one")
    await until(lambda: server.state is ServerState.ABSENT)
    async with engine.holding("ensure_image"):
        start = await home.ask(Action.START_SERVER)
        await until(lambda: server.state is ServerState.ABSENT)
        kill = await home.ask(Action.KILL_SERVER)
        assert (await home.done(start)).fault is not None
        assert (await home.done(kill)).fault is None
    assert server.container is None


async def test_a_success_is_told_although_nothing_was_seen_to_change(home: Household, engine: FakeEngine) -> None:
    """The game dies as its restart begins: it was told to run, and runs, and whoever waits for the restart hears of it."""
    await home.running()
    async with engine.holding("inspect", "one"):
        engine.end_game("one", 3)
        restart = await home.ask(Action.RESTART_SERVER)
    assert (await home.done(restart)).fault is None
    assert home.teller.words("one") == ["created", "running", "running"]


@pytest.mark.parametrize("words", ["task {}: already exists: unknown", "id already in use"])
async def test_a_container_that_docker_cannot_start_any_more_is_made_anew(
    home: Household, engine: FakeEngine, words: str
) -> None:
    """Docker's own words, of a container whose engine was killed while it started."""
    await home.do(Action.CREATE_SERVER)
    broken = engine.boxes["one"].id
    engine.fail_next("start", Fault(ErrorCode.DOCKER_ERROR, f"Docker: {words.format(broken)}"))
    assert (await home.do(Action.START_SERVER)).fault is None
    assert engine.boxes["one"].id != broken
    assert engine.boxes["one"].running is not None
