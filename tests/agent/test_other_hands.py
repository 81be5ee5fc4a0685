"""What others do on the node behind the agent's back: they pause games, move images, remove folders and take ports."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.household import SPECIFICATION, Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.servers import fleet, history, watch
from ctrl_alt_play.protocol.contents import Action, DeletePayload, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.part2 import CrashCause, Orphan
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Port, Probe, Readiness, StopRule

CREATE, START, STOP = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER
SPEAKING = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("AAS initialized",))})
PORT = Port(internal=27960, external=27960, protocol="udp")


# Pausing


async def paused(home: Household) -> None:
    await home.running(specification=SPEAKING)
    await until(lambda: home.server().life.ready is True)
    home.engine.pause("one")
    await until(lambda: home.server().life.is_paused)


def told(home: Household) -> StatusChanged:
    changes = [news.content for _, news in home.teller.news if isinstance(news.content, StatusChanged)]
    return changes[-1]


async def test_a_paused_game_is_told_to_run_and_not_to_be_ready_and_why(home: Household) -> None:
    await paused(home)
    last = told(home)
    assert (last.current_status, last.ready) == (ServerState.RUNNING, False)
    assert last.error == "The game is paused on its node, as by `docker pause`: start the server, and it goes on."
    assert home.server().snapshot().ready is False
    await home.engine.unpause("one")
    await until(lambda: told(home).ready is True)
    assert told(home).error is None
    assert home.teller.words("one") == ["created", "running"]


async def test_a_start_lets_a_paused_game_go_on(home: Household) -> None:
    await paused(home)
    pid = home.engine.boxes["one"].container().pid
    assert (await home.do(START)).state is ServerState.RUNNING
    assert home.engine.boxes["one"].container().pid == pid
    assert home.engine.made("one") == ["create", "start", "unpause"]
    assert (home.server().life.is_paused, home.server().snapshot().ready) == (False, True)


async def test_a_paused_game_ends_by_its_own_command(home: Household) -> None:
    await home.running(specification=SPECIFICATION.model_copy(update={"stop": StopRule(command="quit", timeout=3600)}))
    home.engine.pause("one")
    await until(lambda: home.server().life.is_paused)
    assert (await home.do(STOP)).state is ServerState.STOPPED
    assert home.engine.boxes["one"].exit_code == 0
    assert not home.server().life.is_paused


@pytest.mark.parametrize("action", [Action.KILL_SERVER, Action.RESTART_SERVER])
async def test_a_paused_game_can_be_ended(home: Household, action: Action) -> None:
    await paused(home)
    assert (await home.do(action)).fault is None
    assert not home.server().life.is_paused


async def test_a_paused_game_can_be_deleted(home: Household) -> None:
    await paused(home)
    assert (await home.do(Action.DELETE_SERVER, payload=DeletePayload())).fault is None
    assert home.engine.boxes == {}


async def test_a_game_that_was_paused_while_the_agent_was_away_is_heard_again_when_it_goes_on(home: Household) -> None:
    """Docker opens no console of a paused container."""
    await paused(home)
    await home.kill()
    await home.begin()
    assert home.server().state is ServerState.RUNNING
    assert not home.server().game.console.is_open
    await home.engine.unpause("one")
    await until(lambda: home.server().game.console.is_open)
    assert home.server().snapshot().ready is True


async def test_a_paused_game_is_not_ended_for_its_silence(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def answers(*_: object) -> bool:
        asked.set()
        return not home.engine.boxes["one"].is_paused

    monkeypatch.setattr(watch, "answers", answers)
    rule = Readiness(probe=Probe(), lost=0.02)
    await home.running(specification=SPECIFICATION.model_copy(update={"readiness": rule, "ports": (PORT,)}))
    await until(lambda: home.server().life.ready is True)
    home.engine.pause("one")
    await until(lambda: home.server().life.is_paused)
    asked.clear()
    frozen_at = home.node.clock.monotonic()
    await until(lambda: home.node.clock.monotonic() > frozen_at + 10 * rule.lost)
    assert not asked.is_set()
    assert home.server().state is ServerState.RUNNING
    await home.engine.unpause("one")
    await until(asked.is_set)
    assert home.engine.made("one", "start") == ["start"]


# Orphans


async def orphaned(home: Household, server_id: str = "orphan") -> None:
    box = home.engine.boxes["one"]
    home.engine.boxes[server_id] = replace(box, id=server_id, plan=replace(box.plan, server_id=server_id))
    home.engine.tell(server_id, "create")
    await until(lambda: server_id in home.fleet.orphans)


def orphans(home: Household) -> tuple[Orphan, ...]:
    (snapshot,) = home.fleet.snapshots()
    return snapshot.orphans


async def test_what_becomes_of_an_orphan_is_told(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "ORPHANS_EVERY_S", 0.0)
    await home.do(CREATE)
    heard: list[list[str]] = []
    home.fleet.on_orphans = lambda: heard.append([each.state for each in orphans(home)])
    await orphaned(home)
    await home.engine.start("orphan")
    await until(lambda: heard[-1] == ["running"])
    await home.engine.signal("orphan", "SIGTERM")
    await until(lambda: heard[-1] == ["exited"])
    await home.engine.remove("orphan")
    await until(lambda: heard[-1] == [])
    assert home.fleet.orphans == {}


async def test_a_server_that_the_panel_has_forgotten_is_told_anew_when_it_changes(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ORPHANS_EVERY_S", 0.0)
    await home.running()
    home.fleet.meet([])
    assert [each.state for each in orphans(home)] == ["running"]
    heard: list[list[str]] = []
    home.fleet.on_orphans = lambda: heard.append([each.state for each in orphans(home)])
    home.engine.end_game("one", 0)
    await until(lambda: heard == [["exited"]])


async def test_an_orphan_in_turmoil_makes_no_storm(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "ORPHANS_EVERY_S", 3600.0)
    await home.do(CREATE)
    heard: list[None] = []
    home.fleet.on_orphans = lambda: heard.append(None)
    await orphaned(home)
    for _ in range(20):
        await home.engine.start("orphan")
        await home.engine.signal("orphan", "SIGKILL")
    await home.running("after")
    assert len(heard) == 1


async def test_a_server_that_is_deleted_while_the_engine_is_listed_is_no_orphan(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ORPHANS_EVERY_S", 0.0)
    await home.do(CREATE)
    listed, arrived, release = home.engine.list, asyncio.Event(), asyncio.Event()

    async def slow() -> list[Container]:
        found = await listed()
        arrived.set()
        await release.wait()
        return found

    monkeypatch.setattr(home.engine, "list", slow)
    home.engine.tell("nobody", "create")
    await until(arrived.is_set)
    await home.do(Action.DELETE_SERVER, payload=DeletePayload())
    await until(lambda: "one" not in home.fleet.servers)
    heard: list[tuple[Orphan, ...]] = []
    home.fleet.on_orphans = lambda: heard.append(orphans(home))
    arrived.clear()
    home.engine.tell("nobody", "create")
    release.set()
    await until(arrived.is_set)
    assert (heard, home.fleet.orphans) == ([], {})


# Images


async def test_a_start_uses_the_image_that_its_name_means_today(home: Household) -> None:
    await home.running()
    made = home.engine.boxes["one"].id
    await home.do(STOP)
    await home.do(START)
    assert home.engine.boxes["one"].id == made
    await home.do(STOP)
    home.engine.image_ids["game"] = "built anew"
    assert (await home.do(START)).state is ServerState.RUNNING
    assert home.engine.boxes["one"].image_id == "built anew"
    assert home.engine.boxes["one"].id != made


async def test_an_image_whose_name_is_gone_is_not_pulled_for_a_container_that_has_it(home: Household) -> None:
    await home.running()
    made = home.engine.boxes["one"].id
    await home.do(STOP)
    home.engine.images.remove("game")
    assert (await home.do(START)).state is ServerState.RUNNING
    assert home.engine.boxes["one"].id == made


async def test_a_crash_upon_another_image_of_the_same_name_tells_of_it(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "GOOD_AFTER_S", 0.0)
    await home.running()
    await until(lambda: home.server().book.memory.good_run)
    await home.do(STOP)
    monkeypatch.setattr(history, "GOOD_AFTER_S", 60.0)
    home.engine.image_ids["game"] = "built anew"
    await home.do(START)
    home.engine.end_game("one", 3)
    crash = await until(lambda: home.teller.crashes and home.teller.crashes[0])
    assert crash.changes == ("The image game is another than it was, under the same name.",)


# Folders


async def test_a_start_makes_a_folder_anew_that_was_removed_by_hand(home: Household, tmp_path: Path) -> None:
    folder = tmp_path / "servers" / "one"
    await home.running()
    await home.do(STOP)
    shutil.rmtree(folder)
    made = home.engine.boxes["one"].id
    with capture_logs() as logs:
        assert (await home.do(START)).state is ServerState.RUNNING
    assert folder.stat().st_mode & 0o777 in {0o750, 0o700}  # by the umask
    assert home.engine.boxes["one"].id == made
    assert "folder_was_missing" in [each["event"] for each in logs]


async def test_a_start_gives_a_folder_back_to_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, int]] = []
    monkeypatch.setattr("os.chown", lambda path, uid, *_, **__: given.append((path, uid)))
    async with household(tmp_path, FakeEngine(), owns_folders=True) as home:
        await home.running()
        await home.do(STOP)
        given.clear()
        shutil.rmtree(tmp_path / "servers" / "one")
        await home.do(START)
        assert given == [(tmp_path / "servers" / "one", home.server().record.uid)]


async def test_a_file_in_the_folders_place_is_said(home: Household, tmp_path: Path) -> None:
    await home.do(CREATE)
    (tmp_path / "servers" / "one").rmdir()
    (tmp_path / "servers" / "one").touch()
    ended = await home.do(START)
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.PERMISSION_DENIED


# Ports


async def test_a_start_tells_which_port_is_taken_and_by_whom(home: Household) -> None:
    wanted = SPECIFICATION.model_copy(update={"ports": (PORT,)})
    await home.running("first", wanted)
    await home.do(CREATE, payload=wanted)
    ended = await home.do(START)
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.PORT_CONFLICT
    assert ended.fault.message == (
        "Port 27960/udp is taken on this node by server first. Stop that, or give this server another port."
    )


async def test_a_crash_report_tells_by_whom_a_port_is_taken(home: Household) -> None:
    home.engine.games["game"] = Game()
    policy = CrashPolicy(backoff=(0, 3600))
    await home.running(specification=SPECIFICATION.model_copy(update={"ports": (PORT,), "crash": policy}))
    home.engine.taken_ports.add((27960, "udp"))
    home.engine.end_game("one", 3)
    await until(lambda: len(home.teller.crashes) == 2)
    crash = home.teller.crashes[1]
    assert crash.cause is CrashCause.PORT_TAKEN
    assert crash.summary.startswith("It could not be started: Port 27960/udp is taken on this node by another program.")
    assert home.server().life.desired is Desired.ON
