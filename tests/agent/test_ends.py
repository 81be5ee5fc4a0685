"""What is told of a game's end: when it was, also where nobody looked, and that it was the game's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.fakes.household import SPECIFICATION, Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent.servers import fleet, game
from ctrl_alt_play.agent.servers.telling import CRASHED, STATUS
from ctrl_alt_play.protocol.contents import Action, ServerState, StatusChanged
from ctrl_alt_play.protocol.specification import CrashPolicy, Specification

PATIENT = SPECIFICATION.model_copy(update={"crash": CrashPolicy(backoff=(3600,))})
BY_ITSELF = "The game ended by itself with exit code 0."


async def ends_unseen(home: Household, exit_code: int, finished_at: datetime | None = None) -> datetime:
    """The game ends while the agent is away; gives when it had begun."""
    server = await home.running(specification=PATIENT)
    assert server.container is not None
    began_at = server.container.started_at
    assert began_at is not None
    await home.kill()
    home.engine.end_game("one", exit_code)
    box = home.engine.boxes["one"]
    box.finished_at = finished_at or box.finished_at
    home.teller.news.clear()
    await home.begin()
    return began_at


def times_of(home: Household, kind: str) -> list[datetime]:
    return [news.at for _, news in home.teller.news if news.kind == kind]


def last_change(home: Household) -> StatusChanged:
    return [news.content for _, news in home.teller.news if isinstance(news.content, StatusChanged)][-1]


@pytest.mark.parametrize(("exit_code", "state"), [(3, ServerState.CRASHED), (0, ServerState.STOPPED)])
async def test_an_end_that_nobody_saw_is_told_with_its_own_time(
    home: Household, exit_code: int, state: ServerState
) -> None:
    await ends_unseen(home, exit_code)
    assert home.server().state is state
    ended_at = home.engine.boxes["one"].finished_at
    assert times_of(home, STATUS) == [ended_at]
    assert home.server().snapshot().since == ended_at


async def test_a_crash_that_nobody_saw_is_reported_with_its_own_time(home: Household) -> None:
    await ends_unseen(home, 3)
    crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    ended_at = home.engine.boxes["one"].finished_at
    assert (crash.crashed_at, times_of(home, CRASHED)) == (ended_at, [ended_at])


async def test_an_end_is_never_told_before_its_beginning(home: Household) -> None:
    began_at = await ends_unseen(home, 3, datetime(2020, 1, 1, tzinfo=UTC))
    crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    assert (times_of(home, STATUS), crash.crashed_at, crash.uptime) == ([began_at], began_at, 0)


async def test_an_end_is_never_told_as_one_to_come(home: Household) -> None:
    await ends_unseen(home, 3, datetime.now(UTC) + timedelta(hours=1))
    crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    assert crash.crashed_at is not None
    assert max(*times_of(home, STATUS), *times_of(home, CRASHED), crash.crashed_at) <= datetime.now(UTC)
    assert home.server().book.since <= datetime.now(UTC)


async def test_a_game_that_ended_cleanly_and_unasked_is_said_to_have_done_so(home: Household) -> None:
    await home.running()
    home.engine.end_game("one", 0)
    await until(lambda: home.server().state is ServerState.STOPPED)
    told = last_change(home)
    assert (told.current_status, told.exit_code, told.error) == ("stopped", 0, BY_ITSELF)


async def test_a_game_that_was_told_to_stop_did_not_end_by_itself(home: Household) -> None:
    await home.running()
    await home.do(Action.STOP_SERVER)
    assert (last_change(home).current_status, last_change(home).error) == ("stopped", None)


async def test_a_game_that_went_down_with_its_machine_did_not_end_by_itself(home: Household) -> None:
    await home.running(specification=Specification(image="game"))
    await home.kill()
    home.engine.end_game("one", 0)
    home.boot_id = "second boot"
    async with home.engine.holding("start"):
        await home.begin()
        await until(lambda: home.server().state is not ServerState.UNKNOWN)
        ends = [each.error for each in home.teller.changes if each.current_status == "stopped"]
    assert ends == [None]


async def test_an_end_is_told_also_when_two_looks_at_it_cross(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's word of the end and the console's own come at the same time: whoever is answered first, the server follows."""
    monkeypatch.setattr(game, "REOPEN_AFTER_S", 0.0)
    server = await home.running()
    async with home.engine.holding("inspect") as hold:
        home.engine.end_game("one", 3)
        await hold.arrived.wait()
        home.engine.stop_holding(hold)
        await until(lambda: not server.game.is_running)
    await until(lambda: server.state is ServerState.CRASHED)


async def test_an_end_that_only_the_console_told_is_followed_at_the_next_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(game, "REOPEN_AFTER_S", 0.0)
    monkeypatch.setattr(fleet, "LIST_EVERY", 1)
    monkeypatch.setattr(fleet, "PULSE_EVERY_S", 0.3)
    async with household(tmp_path) as home:
        server = await home.running(specification=PATIENT)
        home.engine.loses_events = True
        home.engine.end_game("one", 3)
        await until(lambda: server.state is ServerState.CRASHED)
