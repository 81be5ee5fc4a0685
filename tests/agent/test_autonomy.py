"""What a node does and tells by itself: it starts again what should run, and the truth gets out, later if not now."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.household import SPECIFICATION, Household
from tests.fakes.until import until

from ctrl_alt_play.agent import journal, spool
from ctrl_alt_play.agent.engine.base import Chunk
from ctrl_alt_play.agent.servers import history
from ctrl_alt_play.agent.servers.node import STARTS_AT_ONCE
from ctrl_alt_play.protocol.contents import Action, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import CrashCause
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Port, Specification

CREATE, START, STOP, KILL = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.KILL_SERVER


@pytest.fixture(autouse=True)
def _the_journal_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RETRY_S", 0.01)


def policed(**policy: object) -> Specification:
    return SPECIFICATION.model_copy(update={"crash": CrashPolicy.model_validate(policy)})


async def end(home: Household, exit_code: int, runs: int) -> None:
    """The game ends by itself, and is started for the `runs`th time."""
    home.engine.end_game("one", exit_code)
    await until(lambda: home.engine.made("one", "start") == ["start"] * runs)
    await until(lambda: home.server().state is ServerState.RUNNING)


async def test_a_game_that_crashes_is_started_again_until_there_are_too_many_crashes(home: Household) -> None:
    await home.running(specification=policed(backoff=[0], limit=2))
    await end(home, 3, 2)
    await end(home, 3, 3)
    home.engine.end_game("one", 3)
    await until(lambda: len(home.teller.crashes) == 3)
    assert [crash.restart_at is not None for crash in home.teller.crashes] == [True, True, False]
    assert [crash.crashes for crash in home.teller.crashes] == [1, 2, 3]
    assert (home.server().state, home.server().life.desired) == (ServerState.CRASHED, Desired.OFF)


async def test_a_game_that_ends_cleanly_stays_down_unless_its_policy_says_otherwise(home: Household) -> None:
    await home.running(specification=policed(clean="restart", backoff=[0]))
    await end(home, 0, 2)
    await home.running("two")
    home.engine.end_game("two", 0)
    await until(lambda: home.server("two").life.desired is Desired.OFF)
    assert home.teller.crashes == []


async def test_a_game_that_will_be_started_again_may_be_told_to_stay_down(home: Household) -> None:
    await home.running(specification=policed(backoff=[3600]))
    home.engine.end_game("one", 3)
    await until(lambda: home.server().life.restart_at)
    assert (await home.do(STOP)).fault is None
    assert (home.server().life.desired, home.server().life.restart_at) == (Desired.OFF, None)


async def test_a_plan_to_start_again_outlives_the_agent(home: Household) -> None:
    await home.running(specification=policed(backoff=[3600]))
    home.engine.end_game("one", 3)
    await until(lambda: home.teller.crashes)
    planned = home.server().life.restart_at
    await home.kill()
    await home.begin()
    assert home.server().life.restart_at == planned
    assert home.engine.made("one", "start") == ["start"]


async def test_a_start_of_the_nodes_own_that_fails_is_told_as_a_crash_of_its_kind(home: Household) -> None:
    wanted = policed(backoff=[0, 3600]).model_copy(update={"ports": (Port(internal=1, external=27960),)})
    await home.running(specification=wanted)
    home.engine.taken_ports.add((27960, "tcp"))
    home.engine.end_game("one", 3)
    await until(lambda: len(home.teller.crashes) == 2)
    assert home.teller.crashes[1].cause is CrashCause.PORT_TAKEN
    assert home.teller.crashes[1].summary.startswith("It could not be started: ")
    assert home.teller.crashes[1].restart_at is not None
    assert home.engine.made("one", "start") == ["start", "start"]


async def test_a_report_holds_the_games_last_words(home: Household) -> None:
    home.engine.games["game"] = Game(says=("hello",), says_last=("Segmentation fault",))
    await home.running()
    home.engine.end_game("one", 139)
    crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    assert crash.last_lines == ("hello", "Segmentation fault")
    assert (crash.cause, crash.signal, crash.exit_code) == (CrashCause.SIGNAL, "SIGSEGV", 139)


async def test_the_log_tells_what_a_server_became_and_how_each_order_ended(home: Household) -> None:
    with capture_logs() as logs:
        ports = (Port(internal=1, external=27960),)
        await home.running(specification=policed(restart=False).model_copy(update={"ports": ports}))
        home.engine.taken_ports.add((27960, "tcp"))
        home.engine.end_game("one", 3)
        await until(lambda: home.teller.crashes)
        failed = await home.do(START)
    told = [each for each in logs if each.get("server_id") == "one"]
    became = [each["now"] for each in told if each["event"] == "server_changed"]
    assert became[:4] == ["created", "starting", "running", "crashed"]
    ends = [(each["event"], each["action"]) for each in told if each["event"].startswith("operation_")]
    assert ends == [("operation_succeeded", CREATE), ("operation_succeeded", START), ("operation_failed", START)]
    assert [each["command_id"] for each in told if each.get("code") == "PORT_CONFLICT"] == [failed.operation.id]
    assert [each["cause"] for each in told if each["event"] == "server_crashed"] == [CrashCause.EXIT_CODE]


async def test_a_report_tells_what_the_run_was_made_of_and_not_what_the_next_will_be(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "GOOD_AFTER_S", 0.0)
    await home.running(specification=policed(backoff=[0, 3600]))
    await until(lambda: home.server().book.memory.good_run)
    monkeypatch.setattr(history, "GOOD_AFTER_S", 60.0)
    wanted = policed(backoff=[0, 3600]).model_copy(update={"environment": {"MODE": "hard"}, "revision": 2})
    await home.do(Action.UPDATE_SERVER, payload=wanted)
    await end(home, 3, 2)
    home.engine.end_game("one", 3)
    await until(lambda: len(home.teller.crashes) == 2)
    assert [crash.changes for crash in home.teller.crashes] == [(), ("Environment variable added: MODE.",)]


async def test_a_report_of_a_start_that_failed_tells_what_was_to_be_started(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "GOOD_AFTER_S", 0.0)
    await home.running(specification=policed(backoff=[0, 3600]))
    await until(lambda: home.server().book.memory.good_run)
    wanted = policed(backoff=[0, 3600]).model_copy(update={"image": "missing", "revision": 2})
    await home.do(Action.UPDATE_SERVER, payload=wanted)
    home.engine.end_game("one", 3)
    await until(lambda: len(home.teller.crashes) == 2)
    assert home.teller.crashes[1].cause is CrashCause.IMAGE_MISSING
    assert home.teller.crashes[1].changes == ("The image was changed from game to missing.",)


async def test_a_crash_that_was_not_reported_when_the_agent_died_is_reported_after(
    home: Household, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.games["game"] = Game(says=(), says_last=())
    await home.running()
    logs, arrived = engine.logs, asyncio.Event()

    async def slow(*_: object, **__: object) -> AsyncIterator[Chunk]:
        arrived.set()
        await asyncio.Event().wait()
        yield Chunk("stdout", b"")

    monkeypatch.setattr(engine, "logs", slow)
    engine.end_game("one", 3)
    await arrived.wait()
    assert home.teller.crashes == []
    await home.kill()
    monkeypatch.setattr(engine, "logs", logs)
    await home.begin()
    crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    assert crash.exit_code == 3
    await home.kill()
    await home.begin()
    await home.do(START)
    assert len(home.teller.crashes) == 1


async def test_a_crash_while_the_agent_was_dead_is_told_and_follows_the_policy(home: Household) -> None:
    await home.running(specification=policed(backoff=[0]))
    await home.kill()
    home.engine.end_game("one", 3)
    await home.begin()
    await until(lambda: home.server().state is ServerState.RUNNING)
    assert [crash.exit_code for crash in home.teller.crashes] == [3]
    assert home.server().life.crashed_at != ()


async def test_a_machine_that_was_booted_again_starts_what_should_run_and_calls_it_no_crash(home: Household) -> None:
    await home.running("one")
    await home.running("two")
    await home.do(STOP, "two")
    await home.kill()
    home.engine.end_game("one", 137)
    home.boot_id = "second boot"
    await home.begin()
    await until(lambda: home.server("one").state is ServerState.RUNNING)
    assert home.server("two").state is ServerState.STOPPED
    assert home.teller.crashes == []


async def test_a_game_that_crashed_unseen_since_the_machine_was_booted_has_crashed(home: Household) -> None:
    await home.running(specification=policed(backoff=[0]))
    await home.do(STOP)
    await home.kill()
    home.boot_id = "second boot"
    await home.begin()
    async with home.engine.holding("start") as hold:
        await home.ask(START)
        await hold.arrived.wait()
        await home.kill()
    await home.engine.start("one")
    home.engine.end_game("one", 137)
    await home.begin()
    await until(lambda: home.server().state is ServerState.RUNNING)
    assert [crash.exit_code for crash in home.teller.crashes] == [137]


async def test_a_node_starts_no_more_than_a_few_games_at_once_by_itself(home: Household) -> None:
    names = [f"server-{number}" for number in range(STARTS_AT_ONCE + 3)]
    for name in names:
        await home.running(name)
    await home.kill()
    for name in names:
        home.engine.end_game(name, 137)
    home.boot_id = "second boot"
    home.engine.calls.clear()
    async with home.engine.holding("start") as hold:
        await home.begin()
        await hold.arrived.wait()
        await until(lambda: sum(call.what == "start" for call in home.engine.calls) == STARTS_AT_ONCE)
        await until(lambda: all(home.server(name).life.doing is START for name in names))
        assert sum(call.what == "start" for call in home.engine.calls) == STARTS_AT_ONCE
    await until(lambda: {home.server(name).state for name in names} == {ServerState.RUNNING})


async def test_a_kill_keeps_the_node_from_starting_a_game_again(home: Household) -> None:
    await home.running(specification=policed(backoff=[0]))
    async with home.engine.holding("start") as hold:
        home.engine.end_game("one", 3)
        await hold.arrived.wait()
        kill = await home.ask(KILL)
    await home.done(kill)
    assert home.engine.boxes["one"].running is None
    assert home.server().life.desired is Desired.OFF


async def test_an_agent_whose_journal_cannot_be_written_starts_nothing_and_tells_the_truth_later(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.running(specification=policed(backoff=[0], limit=1))

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    written = home.journal.written_seq
    with monkeypatch.context() as disk:
        disk.setattr(spool, "write", full)
        home.engine.end_game("one", 3)
        await until(lambda: home.engine.made("one", "start") == ["start", "start"])
        await until(lambda: home.server().state is ServerState.RUNNING)
        await until(lambda: home.teller.crashes)
        with pytest.raises(Fault, match="journal cannot be written") as refusal:
            await home.ask(Action.RESTART_SERVER)
        assert refusal.value.code is ErrorCode.INSUFFICIENT_RESOURCES
        assert home.journal.written_seq == written
    await until(lambda: home.journal.written_seq == home.journal.newest_seq)
    events = await home.journal.events_after(written, 100)
    assert [event.seq for event in events] == list(range(written + 1, home.journal.newest_seq + 1))
    told = [event.data.get("currentStatus", event.kind) for event in events]
    assert (told[0], told[-1]) == ("crashed", "running")
    assert "server_crashed" in told
    assert (await home.do(STOP)).state is ServerState.STOPPED


async def test_what_is_wanted_is_told_when_the_node_gives_up(home: Household) -> None:
    await home.running()
    home.engine.end_game("one", 3)
    await until(lambda: home.teller.crashes)
    changes = [news.content for _, news in home.teller.news if isinstance(news.content, StatusChanged)]
    assert (changes[-1].current_status, changes[-1].desired, changes[-1].restart_at) == ("crashed", "off", None)


async def test_a_game_that_ended_while_docker_was_dead_gets_a_container_that_reads(home: Household) -> None:
    await home.running(specification=policed(backoff=[0]))
    home.engine.go_away()
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    home.engine.end_game("one", 3)
    home.engine.come_back()
    await until(lambda: home.server().state is ServerState.RUNNING)
    await until(lambda: home.server().game.console.is_open)
    await home.server().game.console.write("status")
    await until(lambda: "map: oa_dm1" in home.server().game.last_lines)


async def test_a_game_that_ended_before_our_eyes_keeps_its_container(home: Household) -> None:
    await home.running(specification=policed(backoff=[0]))
    box = home.engine.boxes["one"]
    home.engine.end_game("one", 3)
    await until(lambda: home.server().state is ServerState.RUNNING)
    assert home.engine.boxes["one"] is box


async def test_that_a_container_is_spent_outlives_the_agent(home: Household) -> None:
    await home.running()
    box = home.engine.boxes["one"]
    home.engine.go_away()
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    home.engine.end_game("one", 3)
    async with home.engine.holding("remove") as hold:
        home.engine.come_back()
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    await until(lambda: home.server().state is ServerState.RUNNING)
    assert home.engine.boxes["one"] is not box
