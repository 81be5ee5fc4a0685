"""A container that carries our label, and that the journal does not know, becomes a server again."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.household import SPECIFICATION, Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.protocol.contents import Action, AdoptPayload, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Readiness

ADOPT, START, STOP = Action.ADOPT_SERVER, Action.START_SERVER, Action.STOP_SERVER
READABLE = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("AAS initialized",))})


async def lose_journal(home: Household, tmp_path: Path) -> None:
    """The agent begins anew without knowing its servers."""
    await home.kill()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    await home.begin()


async def orphan(home: Household, tmp_path: Path, specification: object = SPECIFICATION) -> int:
    """A running game that nobody knows; gives the user it runs as."""
    await home.running(specification=specification)  # type: ignore[arg-type]
    uid = home.server().record.uid
    await lose_journal(home, tmp_path)
    assert set(home.fleet.orphans) == {"one"}
    return uid


async def test_an_orphan_runs_on_undisturbed_as_what_it_was_made_of(home: Household, tmp_path: Path) -> None:
    await orphan(home, tmp_path)
    pid = home.engine.boxes["one"].container().pid
    adopt = await home.ask(ADOPT, payload=AdoptPayload())
    assert (await home.done(adopt)).state is ServerState.RUNNING
    (told,) = [each for each in home.teller.completed if each.command_id == adopt]
    assert told.result is not None
    assert told.result["specification"]["image"] == "game"
    assert home.engine.boxes["one"].container().pid == pid
    assert home.engine.made("one", "start") == ["start"]
    assert home.server().life.desired is Desired.ON
    assert home.server().game.console.is_open
    assert home.fleet.orphans == {}


async def test_an_adopted_server_keeps_the_user_that_its_folder_belongs_to(tmp_path: Path) -> None:
    async with household(tmp_path, FakeEngine(), owns_folders=False) as home:
        await home.running("first")
        await home.running("one")
        uid = home.server().record.uid
        await lose_journal(home, tmp_path)
        await home.do(ADOPT, payload=AdoptPayload())
        assert home.server().record.uid == uid
        await home.do(ADOPT, "first", AdoptPayload())
        assert home.server("first").record.uid not in {0, uid}


async def test_an_adopted_server_outlives_the_agent(home: Household, tmp_path: Path) -> None:
    uid = await orphan(home, tmp_path)
    await home.do(ADOPT, payload=AdoptPayload())
    await home.kill()
    await home.begin()
    assert home.server().state is ServerState.RUNNING
    assert home.server().record.uid == uid


async def test_the_panels_specification_goes_before_the_containers_own(home: Household, tmp_path: Path) -> None:
    await orphan(home, tmp_path)
    wanted = SPECIFICATION.model_copy(update={"startup": "another", "revision": 7})
    await home.do(ADOPT, payload=AdoptPayload(specification=wanted))
    assert home.server().snapshot().revision == 7
    assert home.engine.boxes["one"].plan.specification.startup == ""
    await home.do(STOP)
    await home.do(START)
    assert home.engine.boxes["one"].plan.specification.startup == "another"


async def test_an_orphan_that_does_not_tell_what_it_is_needs_a_specification(
    home: Household, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = home.engine.list

    async def silent() -> list[Container]:
        return [replace(each, specification=None) for each in await listed()]

    monkeypatch.setattr(home.engine, "list", silent)
    await orphan(home, tmp_path)
    (snapshot,) = home.fleet.snapshots()
    assert [each.is_adoptable for each in snapshot.orphans] == [False]
    with pytest.raises(Fault, match="send the specification") as refusal:
        await home.ask(ADOPT, payload=AdoptPayload())
    assert refusal.value.code is ErrorCode.CONFIG_INVALID
    assert (await home.do(ADOPT, payload=AdoptPayload(specification=SPECIFICATION))).fault is None


async def test_an_orphan_that_has_ended_is_wanted_off(home: Household, tmp_path: Path) -> None:
    await home.running()
    await home.do(STOP)
    await lose_journal(home, tmp_path)
    adopt = await home.ask(ADOPT, payload=AdoptPayload())
    assert (await home.done(adopt)).fault is None
    assert home.server().state is ServerState.STOPPED
    assert home.server().life.desired is Desired.OFF
    assert home.teller.crashes == []


async def test_a_game_that_ended_while_nobody_knew_it_tells_its_exit_code_and_is_called_no_crash(
    home: Household, tmp_path: Path
) -> None:
    """Whether somebody had asked it to end went with the journal."""
    await home.running(specification=SPECIFICATION.model_copy(update={"crash": CrashPolicy(backoff=(3600,))}))
    home.engine.end_game("one", 139)
    await until(lambda: home.server().state is ServerState.CRASHED)
    await lose_journal(home, tmp_path)
    await home.do(ADOPT, payload=AdoptPayload())
    told = home.server().snapshot()
    assert (told.observed, told.exit_code, told.desired) == (ServerState.STOPPED, 139, Desired.OFF)
    last = home.teller.last("one")
    assert last is not None
    assert (last.current_status, last.exit_code, last.desired) == (ServerState.STOPPED, 139, Desired.OFF)
    assert home.engine.made("one", "start") == ["start"]


async def test_what_is_no_orphan_is_not_adopted(home: Household) -> None:
    with pytest.raises(Fault, match="No container of an unknown server"):
        await home.ask(ADOPT, payload=AdoptPayload())


async def test_a_server_that_only_the_panel_has_forgotten_tells_what_it_is_and_stays_as_it_is(home: Household) -> None:
    await home.running(specification=READABLE)
    home.fleet.meet([])
    (snapshot,) = home.fleet.snapshots()
    assert [(each.server_id, each.is_adoptable) for each in snapshot.orphans] == [("one", True)]
    told = len(home.teller.news)
    adopt = await home.ask(ADOPT, payload=AdoptPayload())
    assert (await home.done(adopt)).state is ServerState.RUNNING
    (completed,) = [each for each in home.teller.completed if each.command_id == adopt]
    assert completed.result is not None
    assert home.server().life.ready is True
    assert "starting" not in [getattr(news.content, "current_status", None) for _, news in home.teller.news[told:]]
    (snapshot,) = home.fleet.snapshots()
    assert snapshot.orphans == ()


async def test_an_adopted_game_is_ready_by_what_it_wrote_before(home: Household, tmp_path: Path) -> None:
    await orphan(home, tmp_path, READABLE)
    await home.do(ADOPT, payload=AdoptPayload())
    await until(lambda: home.server().life.ready is True)
    assert home.server().state is ServerState.RUNNING


async def test_an_adopted_game_is_watched_until_it_is_ready(home: Household, tmp_path: Path) -> None:
    await orphan(home, tmp_path)
    rule = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("at last",))})
    await home.do(ADOPT, payload=AdoptPayload(specification=rule))
    await until(lambda: home.server().state is ServerState.STARTING)
    home.engine.output("one", b"at last\n")
    await until(lambda: home.server().life.ready is True)


async def test_an_adopted_game_that_crashes_is_started_again(home: Household, tmp_path: Path) -> None:
    home.engine.games["game"] = Game()
    await orphan(home, tmp_path)
    wanted = SPECIFICATION.model_copy(update={"crash": CrashPolicy(backoff=(0,))})
    await home.do(ADOPT, payload=AdoptPayload(specification=wanted))
    home.engine.end_game("one", 3)
    await until(lambda: home.engine.made("one", "start") == ["start", "start"])
    await until(lambda: len(home.teller.crashes) == 1)
