"""A run of a game: how far its start has come, until it is ready, and when it is no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from tests.fakes.engine import Game
from tests.fakes.household import SPECIFICATION, Household
from tests.fakes.until import until

from ctrl_alt_play.agent.servers import history, watch
from ctrl_alt_play.protocol.contents import Action, ServerState, StatusChanged
from ctrl_alt_play.protocol.part2 import CommandCompleted, CrashCause
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Probe, Readiness, Specification

CREATE, START, STOP, RESTART = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.RESTART_SERVER
SAYS_SO = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("at last",))})


@pytest.fixture(autouse=True)
def _games_are_asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PROBE_EVERY_S", 0.01)
    monkeypatch.setattr(watch, "STILL_EVERY_S", 0.01)


class Port:
    """A port of a game that takes connections while it is open."""

    number = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", self.number)
        self.number = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()


@asynccontextmanager
async def answering() -> AsyncIterator[Port]:
    port = Port()
    await port.open()
    try:
        yield port
    finally:
        await port.close()


def probed(port: Port, *, lost: float = 0, **fields: object) -> Specification:
    rule = Readiness(probe=Probe(port=port.number), lost=lost)
    return SPECIFICATION.model_copy(update={"readiness": rule, **fields})


def completed(home: Household, command_id: str) -> CommandCompleted:
    (told,) = [each for each in home.teller.completed if each.command_id == command_id]
    return told


async def start_waiting(home: Household, specification: Specification = SAYS_SO) -> str:
    """A start that waits for readiness; gives its id."""
    await home.do(CREATE, payload=specification)
    start = await home.ask(START)
    await until(lambda: home.server().watch is not None)
    return start


async def test_a_start_tells_how_far_it_is(home: Household) -> None:
    await home.do(CREATE, payload=SAYS_SO)
    await home.engine.remove("one")
    await until(lambda: home.server().state is ServerState.ABSENT)
    home.engine.images.clear()
    home.engine.pulls["game"] = [("download", 40.0), ("unpack", None)]
    home.teller.steps.clear()
    start = await home.ask(START)
    await until(lambda: home.server().watch is not None)
    home.engine.output("one", b"at last\n")
    await home.done(start)
    assert {step.command_id for step in home.teller.steps} == {start}
    assert [(step.phase, step.percent) for step in home.teller.steps] == [
        ("image", None),
        ("download", 40.0),
        ("unpack", None),
        ("container", None),
        ("starting", None),
        ("waiting until it is ready", None),
    ]


async def test_what_is_repeated_of_a_pull_is_all_that_was_told_of_it(home: Household) -> None:
    """Of what goes on long it is said again and again that it does."""
    home.engine.images.clear()
    home.engine.pulls["game"] = [("download", 40.0)]
    async with home.engine.holding("create"):
        create = await home.ask(CREATE, payload=SAYS_SO)
        await until(lambda: home.teller.steps and home.teller.steps[-1].phase == "container")
        home.server().steps.tell("download", 40.0, "Downloading the image: 4 MiB of 10 MiB.")
        home.server().steps.repeat()
    await home.done(create)
    told, again = [step for step in home.teller.steps if step.phase == "download"][-2:]
    assert (told.percent, told.message) == (40.0, "Downloading the image: 4 MiB of 10 MiB.")
    assert again == told


async def test_the_snapshot_tells_what_is_under_way(home: Household) -> None:
    start = await start_waiting(home)
    told = home.server().snapshot().operation
    assert told is not None
    assert (told.command_id, told.action, told.phase) == (start, "start_server", "waiting until it is ready")
    home.engine.output("one", b"at last\n")
    await home.done(start)
    await until(lambda: home.server().snapshot().operation is None)


async def test_a_sign_that_is_the_games_first_word_is_seen(home: Household) -> None:
    rule = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("AAS initialized",))})
    await home.running(specification=rule)
    assert home.server().life.ready is True


async def test_a_sign_that_was_followed_by_many_words_at_once_is_seen(home: Household) -> None:
    home.engine.games["game"] = Game(says=("at last", *("more",) * 200))
    await home.running(specification=SAYS_SO)
    assert home.server().life.ready is True


async def test_a_start_ends_when_the_game_is_ready(home: Household) -> None:
    start = await start_waiting(home)
    assert home.server().state is ServerState.STARTING
    assert home.teller.ending(start) is None
    home.engine.output("one", b"it is ready at last\n")
    await home.done(start)
    assert completed(home, start).result == {"ready": True}
    assert home.server().state is ServerState.RUNNING


async def test_a_game_without_a_rule_is_running_and_nobody_knows_whether_it_is_ready(home: Household) -> None:
    await home.do(CREATE)
    start = await home.ask(START)
    await home.done(start)
    assert completed(home, start).result == {"ready": None}


async def test_a_game_that_is_not_ready_in_its_time_counts_as_running(home: Household) -> None:
    rule = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("at last",), timeout=0.05)})
    start = await start_waiting(home, rule)
    await home.done(start)
    assert completed(home, start).result == {"ready": False}
    assert home.server().state is ServerState.RUNNING
    last = [news.content for _, news in home.teller.news if isinstance(news.content, StatusChanged)][-1]
    assert (last.current_status, last.ready) == ("running", False)


async def test_a_game_that_ends_before_it_is_ready_has_not_started(home: Household) -> None:
    start = await start_waiting(home)
    home.engine.end_game("one", 3)
    fault = (await home.done(start)).fault
    assert fault is not None
    assert "before it was ready, with exit code 3" in fault.message
    assert home.server().life.desired is Desired.OFF


async def test_what_is_asked_next_does_not_wait_for_readiness(home: Household) -> None:
    start = await start_waiting(home)
    stop = await home.ask(STOP)
    assert (await home.done(stop)).state is ServerState.STOPPED
    assert completed(home, start).result is None or completed(home, start).result == {"ready": None}


async def test_a_start_that_ends_before_its_game_is_ready_is_told_as_no_state_of_its_own(home: Household) -> None:
    await start_waiting(home)
    await home.done(await home.ask(STOP))
    told = [each for each in home.teller.changes if each.current_status is not None]
    assert ServerState.STARTING not in [each.current_status for each in told]
    assert all(after.previous_status == before.current_status for before, after in pairwise(told))


async def test_an_agent_that_begins_again_looks_through_what_was_said_meanwhile(home: Household) -> None:
    start = await start_waiting(home)
    await home.kill()
    home.engine.output("one", b"at last\n")
    await home.begin()
    await home.done(start)
    assert completed(home, start).result == {"ready": True}
    assert home.engine.made("one", "start") == ["start"]


async def test_an_agent_that_begins_again_remembers_that_a_game_was_ready(home: Household) -> None:
    start = await start_waiting(home)
    home.engine.output("one", b"at last\n")
    await home.done(start)
    await home.kill()
    home.engine.boxes["one"].kept.clear()
    await home.begin()
    assert (home.server().state, home.server().life.ready) == (ServerState.RUNNING, True)


async def test_a_game_that_does_not_answer_any_more_is_ended_and_that_is_a_crash(home: Household) -> None:
    async with answering() as port:
        await home.running(specification=probed(port, lost=0.05, crash=CrashPolicy(backoff=(3600,))))
        assert home.server().life.ready is True
        await port.close()
        crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    assert crash.cause is CrashCause.READINESS_LOST
    assert "did not answer any more for 0.05 s" in crash.summary
    assert crash.restart_at is not None
    assert home.engine.boxes["one"].running is None


async def test_a_game_that_is_silent_while_it_stops_does_not_cost_the_run_after_it(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=0.3)
    async with answering() as port:
        await home.running(specification=probed(port, lost=0.05))
        await port.close()
        restart = await home.ask(RESTART)
        await until(lambda: home.engine.made("one", "start") == ["start", "start"])
        await port.open()
        await home.done(restart)
        await home.do(Action.UPDATE_SERVER, payload=SPECIFICATION)
        assert home.engine.boxes["one"].running is not None
        assert home.teller.crashes == []


async def test_a_run_that_was_young_when_the_agent_began_again_becomes_a_good_one(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.running()
    await home.kill()
    monkeypatch.setattr(history, "GOOD_AFTER_S", 0.0)
    await home.begin()
    await until(lambda: home.server().book.memory.good_run)


async def test_a_run_that_went_well_already_does_not_hide_what_was_written_since(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "GOOD_AFTER_S", 0.0)
    await home.running()
    await until(lambda: home.server().book.memory.good_run)
    home.server().book.keep_written("server.cfg")
    await home.kill()
    await home.begin()
    await home.do(Action.UPDATE_SERVER)
    assert home.server().book.memory.written == ("server.cfg",)
