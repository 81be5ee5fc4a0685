"""Servers as their panel sees them: one inbox each, nothing lost, nothing done twice, and only the truth told."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest
from tests.fakes.engine import Game
from tests.fakes.household import CREATE, DELETE, SPECIFICATION, START, STOP, STUBBORN, Household
from tests.fakes.until import until

from ctrl_alt_play.agent import journal, spool
from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.protocol.contents import Outcome, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Port, Specification, StopRule


async def test_a_server_lives_and_each_change_is_told_once(home: Household) -> None:
    server = await home.running()
    pid = server.container and server.container.pid
    await home.do(STOP)
    await home.do(DELETE)
    assert home.teller.words("one") == ["created", "running", "stopped", "deleted"]
    created, running, stopped, deleted = home.teller.changes
    assert (running.previous_status, running.pid) == ("created", pid)
    assert (stopped.previous_status, stopped.exit_code, stopped.forced) == ("running", 1, None)
    assert (created.previous_status, deleted.previous_status) == (None, "stopped")
    assert "one" not in home.fleet.servers
    assert home.engine.boxes == {}
    assert await home.journal.operations() == []


async def test_the_console_is_attached_before_the_game_says_its_first_word(home: Household) -> None:
    await home.running()
    await until(lambda: home.teller.texts("one") == ["AAS initialized."])


async def test_a_games_last_words_are_told_before_its_end(home: Household) -> None:
    await home.running()
    said: list[int] = []
    home.teller.changed = lambda _: said.append(len(home.teller.lines))  # type: ignore[method-assign]
    await home.do(STOP)
    assert said == [2]


async def test_stop_during_start_is_not_lost(home: Household) -> None:
    await home.do(CREATE)
    async with home.engine.holding("start") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        stop = await home.ask(STOP)
    assert (await home.done(start)).fault is None
    assert (await home.done(stop)).state is ServerState.STOPPED
    assert home.teller.words("one") == ["created", "running", "stopped"]
    assert home.engine.boxes["one"].running is None


async def test_start_during_stop_is_not_lost(home: Household) -> None:
    await home.running()
    async with home.engine.holding("signal") as hold:
        await home.ask(STOP)
        await hold.arrived.wait()
        start = await home.ask(START)
    assert (await home.done(start)).state is ServerState.RUNNING
    assert home.teller.words("one")[-2:] == ["stopped", "running"]


async def test_a_stop_past_its_time_limit_is_forced_and_says_so(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    ended = await home.do(STOP, payload=StopPayload(timeout=0.05))
    assert ended.state is ServerState.STOPPED
    told = home.teller.last("one")
    assert told is not None
    assert (told.word, told.forced, told.exit_code) == ("stopped", True, 137)
    assert home.engine.made("one")[-2:] == ["signal SIGTERM", "signal SIGKILL"]


async def test_a_stop_waits_as_long_as_it_was_told_to(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=0.3)
    await home.running()
    stop = await home.ask(STOP, payload=StopPayload(timeout=5))
    await until(lambda: home.server().state is ServerState.STOPPING)
    assert (await home.done(stop)).state is ServerState.STOPPED
    told = home.teller.last("one")
    assert told is not None
    assert (told.forced, told.exit_code) == (None, 1)


async def test_a_stop_uses_the_signal_it_is_given(home: Household) -> None:
    await home.running()
    await home.do(STOP, payload=StopPayload(signal="int"))
    assert home.engine.made("one")[-1] == "signal SIGINT"


async def test_a_stop_follows_the_servers_own_rule_when_it_is_told_nothing(home: Household) -> None:
    await home.running(specification=SPECIFICATION.model_copy(update={"stop": StopRule(command="quit")}))
    ended = await home.do(STOP, payload=StopPayload())
    assert ended.state is ServerState.STOPPED
    told = home.teller.last("one")
    assert told is not None
    assert told.exit_code == 0
    assert home.engine.made("one", "signal SIGTERM") == []


async def test_a_stop_by_console_falls_back_on_the_signal_when_the_console_is_closed(home: Household) -> None:
    server = await home.running(specification=SPECIFICATION.model_copy(update={"stop": StopRule(command="quit")}))
    await server.game.console.close()
    assert (await home.do(STOP)).state is ServerState.STOPPED
    assert home.engine.made("one")[-1] == "signal SIGTERM"


async def test_a_game_that_ended_by_itself_was_not_forced_even_if_nobody_told_us(home: Household) -> None:
    await home.running()
    home.engine.loses_events = True
    await home.do(STOP, payload=StopPayload(timeout=0.05))
    told = home.teller.last("one")
    assert told is not None
    assert (told.word, told.forced, told.exit_code) == ("stopped", None, 1)
    assert home.engine.made("one", "signal SIGKILL") == []


@pytest.mark.parametrize(("exit_code", "word"), [(0, "stopped"), (1, "crashed"), (139, "crashed")])
async def test_an_end_nobody_asked_for_is_a_crash_unless_it_is_clean(
    home: Household, exit_code: int, word: str
) -> None:
    await home.running()
    home.engine.end_game("one", exit_code)
    told = await until(lambda: (last := home.teller.last("one")) and last.word == word and last)
    assert told.exit_code == exit_code


async def test_a_crash_says_when_memory_ran_out(home: Household) -> None:
    await home.running()
    home.engine.end_game("one", 137, oom_killed=True)
    told = await until(lambda: (last := home.teller.last("one")) and last.word == "crashed" and last)
    assert told.oom_killed is True


async def test_a_game_that_ends_at_once_did_not_start(home: Household) -> None:
    home.engine.games["game"] = Game(ends_at_once_with=3)
    await home.do(CREATE)
    ended = await home.do(START)
    assert ended.state is Outcome.START_FAILED
    assert ended.fault is not None
    assert "exit code 3" in ended.fault.message
    assert home.teller.words("one") == ["created", "start_failed", "crashed"]


async def test_a_start_that_fails_makes_no_crash_of_a_stopped_server(home: Household) -> None:
    await home.running(specification=SPECIFICATION.model_copy(update={"ports": (Port(internal=1, external=27960),)}))
    await home.do(STOP)
    home.engine.taken_ports.add((27960, "tcp"))
    ended = await home.do(START)
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.PORT_CONFLICT
    assert home.teller.words("one") == ["created", "running", "stopped", "start_failed"]
    assert home.server().state is ServerState.STOPPED


async def test_the_journal_failing_breaks_neither_the_server_nor_the_agent(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.running()
    await home.running("other")
    stop = await home.ask(STOP)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(spool, "write", full)
    monkeypatch.setattr(journal, "PATIENCE_S", 0.01)
    assert (await home.done(stop)).fault is None
    assert home.server().state is ServerState.STOPPED
    with pytest.raises(Fault, match="journal cannot be written"):
        await home.do(START)
    other = await home.ask(STOP, "other")
    assert (await home.done(other)).state is ServerState.STOPPED
    monkeypatch.undo()
    await until(lambda: not home.journal.is_stuck)
    assert (await home.do(START)).state is ServerState.RUNNING


async def test_a_stale_look_is_not_believed(home: Household) -> None:
    await home.do(CREATE)
    server = home.server()
    async with home.engine.holding("inspect") as hold:
        stale = asyncio.create_task(server.look())
        await hold.arrived.wait()
        home.engine.stop_holding(hold)
        await home.do(START)
    await stale
    assert server.state is ServerState.RUNNING
    assert server.container is not None
    assert server.container.state is ContainerState.RUNNING


async def test_a_strange_container_is_reported_and_left_alone(home: Household) -> None:
    await home.do(CREATE)
    box = home.engine.boxes["one"]
    home.engine.boxes["orphan"] = replace(box, plan=replace(box.plan, server_id="orphan"))
    home.engine.boxes["guest"] = replace(box, plan=replace(box.plan, server_id="guest", node_id="another"))
    home.engine.go_away()
    home.engine.come_back()
    await until(lambda: set(home.fleet.orphans) == {"orphan"})
    assert set(home.engine.boxes) == {"one", "orphan", "guest"}


async def test_servers_do_not_wait_for_each_other(home: Household) -> None:
    await home.do(CREATE, "slow")
    async with home.engine.holding("start", "slow") as hold:
        slow = await home.ask(START, "slow")
        await hold.arrived.wait()
        await home.running("quick")
    assert (await home.done(slow)).fault is None


async def test_a_line_for_a_game_that_does_not_read_is_refused_in_time_and_delays_nobody(home: Household) -> None:
    home.engine.games["game"] = Game(reads_console=False)
    home.engine.images.add("reader")
    await home.running("deaf")
    await home.running("other", Specification(image="reader"))

    async def send() -> ErrorCode | None:
        try:
            await home.say("deaf", "x" * 8000)
        except Fault as fault:
            return fault.code
        return None

    began = asyncio.get_running_loop().time()
    results = await asyncio.gather(*(send() for _ in range(300)))
    assert asyncio.get_running_loop().time() - began < 1
    assert {ErrorCode.TIMEOUT, ErrorCode.INSUFFICIENT_RESOURCES} <= set(results)
    await home.say("other", "status")


async def test_a_line_for_nobody_is_refused(home: Household) -> None:
    with pytest.raises(Fault, match="No server"):
        await home.say("nobody", "status")
    await home.do(CREATE)
    with pytest.raises(Fault, match="not running"):
        await home.say("one", "status")
