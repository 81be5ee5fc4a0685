"""An installer fills a server's folder before there is the game's container; whatever strikes it, its outcome is told truly."""

import asyncio
from pathlib import Path

import pytest
from tests.fakes.boxes import Running
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.household import Household
from tests.fakes.teller import Ended
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.agent.servers import installing, server, verdicts
from ctrl_alt_play.protocol.contents import Action, DeletePayload, Outcome, ReinstallPayload, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import HistoryPayload
from ctrl_alt_play.protocol.specification import CrashPolicy, Desired, Installer, Limits, Specification

CREATE, START, STOP, KILL = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.KILL_SERVER
DELETE, REINSTALL = Action.DELETE_SERVER, Action.REINSTALL_SERVER
INSTALLER = Installer(image="installer", script="curl")
TO_INSTALL = Specification(image="game", installer=INSTALLER, crash=CrashPolicy(restart=False))
NAME = "one/installer"
AT_WORK = Game(says=("downloading",), says_last=())
QUICK = Game(says=("downloading",), says_last=("done",), ends_at_once_with=0)


@pytest.fixture(autouse=True)
def _images(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.images.add("installer")
    engine.games["installer"] = AT_WORK
    monkeypatch.setattr(installing, "CHECK_EVERY_S", 0.02)
    monkeypatch.setattr(installing, "CHECK_SHARE", 0)
    monkeypatch.setattr(server, "CARRY_S", 0.05)


def runs(home: Household) -> Running | None:
    box = home.engine.boxes.get(NAME)
    return box.running if box else None


def pid_of(home: Household) -> int:
    running = runs(home)
    assert running is not None
    return running.pid


async def at_work(home: Household, specification: Specification = TO_INSTALL) -> str:
    """A creation whose installer runs, and is read; gives its id."""
    create = await home.ask(CREATE, payload=specification)
    await until(lambda: runs(home))
    await until(lambda: "downloading" in home.teller.texts("one"))
    return create


async def installed(home: Household, specification: Specification = TO_INSTALL) -> Ended:
    create = await at_work(home, specification)
    write(home, "game.jar")
    home.engine.end_game(NAME, 0)
    return await home.done(create)


async def failed(home: Household) -> Ended:
    """A server whose installation failed."""
    create = await at_work(home)
    home.engine.output(NAME, b"no such release\n", "stderr")
    home.engine.end_game(NAME, 3)
    return await home.done(create)


def write(home: Household, name: str) -> Path:
    file = home.server().game.folder / name
    file.write_text("made")
    return file


async def console(home: Household) -> list[str]:
    """What is in the log by now, as `stream: line`."""
    await home.consoles.log("one").threads.written()
    page = await home.consoles.history("one", HistoryPayload())
    return [f"{part.stream}: {line}" for part in page.parts for line in (part.text or str(part.lost)).split("\n")]


def code_of(ended: Ended) -> ErrorCode | None:
    return ended.fault.code if ended.fault else None


async def told(home: Household, command_id: str) -> dict[str, object]:
    (completed,) = [each for each in home.teller.completed if each.command_id == command_id]
    return completed.result or {}


# How it goes


async def test_a_server_is_created_once_its_installer_has_ended_well(home: Household) -> None:
    create = await at_work(home)
    assert home.server().state is ServerState.ABSENT
    assert "one" not in home.engine.boxes
    write(home, "game.jar")
    home.engine.end_game(NAME, 0)
    assert (await home.done(create)).state is ServerState.CREATED
    assert await told(home, create) == {}
    assert list(home.engine.boxes) == ["one"]
    assert (await home.do(START)).state is ServerState.RUNNING


async def test_what_the_installer_and_the_node_say_is_in_the_console_in_its_order(home: Household) -> None:
    await installed(home)
    assert await console(home) == [
        "node: Installing with installer.",
        "stderr: downloading",
        "node: The installer ended with exit code 0, after 0 s.",
        "node: It is installed.",
    ]


async def test_an_empty_folder_after_a_good_end_is_said(home: Household) -> None:
    home.engine.games["installer"] = QUICK
    create = await home.ask(CREATE, payload=TO_INSTALL)
    assert (await home.done(create)).fault is None
    assert await told(home, create) == {"warning": verdicts.EMPTY}
    assert f"node: {verdicts.EMPTY}" in await console(home)


async def test_a_failed_installer_is_told_with_its_code_and_last_lines(home: Household) -> None:
    ended = await failed(home)
    assert code_of(ended) is ErrorCode.INSTALL_FAILED
    assert ended.fault is not None
    assert ended.fault.message.splitlines() == [
        "The installer failed with exit code 3, after 0 s.",
        "downloading",
        "no such release",
    ]
    assert ended.state is Outcome.CREATE_FAILED
    assert home.server().state is ServerState.ABSENT
    assert "stderr: no such release" in await console(home)
    await until(lambda: home.engine.boxes == {})


async def test_what_is_not_installed_does_not_run(home: Household) -> None:
    await failed(home)
    with pytest.raises(Fault, match="reinstall it first"):
        await home.ask(START)
    await home.kill()
    await home.begin()
    with pytest.raises(Fault, match="reinstall it first"):
        await home.ask(START)


async def test_a_start_that_waits_for_an_installation_that_fails_is_told(home: Household) -> None:
    create = await at_work(home)
    start = await home.ask(START)
    home.engine.end_game(NAME, 3)
    await home.done(create)
    assert code_of(await home.done(start)) is ErrorCode.INVALID_STATE
    assert home.server().life.desired is Desired.OFF


async def test_a_failed_installation_can_be_deleted(home: Household) -> None:
    await failed(home)
    folder = home.server().game.folder
    write(home, "half")
    assert (await home.do(DELETE)).state is Outcome.DELETED
    assert (home.fleet.servers, home.engine.boxes, folder.exists()) == ({}, {}, False)


@pytest.mark.parametrize("image", ["installer", "game"])
async def test_an_image_that_is_missing_fails_it_before_anything_is_touched(home: Household, image: str) -> None:
    home.engine.images.discard(image)
    assert code_of(await home.do(CREATE, payload=TO_INSTALL)) is ErrorCode.IMAGE_NOT_FOUND
    assert home.engine.boxes == {}
    assert not home.server().game.folder.exists()
    home.engine.images.add(image)
    home.engine.games["installer"] = QUICK
    assert (await home.do(REINSTALL, payload=ReinstallPayload())).fault is None


async def test_an_installer_that_cannot_be_started_leaves_nothing(home: Household) -> None:
    home.engine.fail_next("start", Fault(ErrorCode.CONFIG_INVALID, "There is no such program."))
    ended = await home.do(CREATE, payload=TO_INSTALL)
    assert code_of(ended) is ErrorCode.CONFIG_INVALID
    await until(lambda: home.engine.boxes == {})


# Reinstalling


async def test_a_reinstallation_stops_the_game_and_keeps_its_files(home: Household) -> None:
    await installed(home)
    await home.do(START)
    world = write(home, "world")
    home.engine.games["installer"] = QUICK
    ended = await home.do(REINSTALL, payload=ReinstallPayload())
    assert ended.fault is None
    assert ended.state is ServerState.CREATED
    assert world.exists()
    assert home.teller.crashes == []
    assert "signal SIGTERM" in home.engine.made("one")
    assert home.server().life.desired is Desired.OFF


async def test_a_reinstallation_that_wipes_takes_all_files_and_follows_no_link(home: Household, tmp_path: Path) -> None:
    await installed(home)
    (tmp_path / "elsewhere").mkdir()
    precious = tmp_path / "elsewhere" / "precious"
    precious.write_text("kept")
    folder = home.server().game.folder
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "world").mkdir()
    (folder / "world" / "link").symlink_to(precious)
    home.engine.games["installer"] = QUICK
    reinstall = await home.ask(REINSTALL, payload=ReinstallPayload(wipe=True))
    assert (await home.done(reinstall)).fault is None
    assert list(folder.iterdir()) == []
    assert precious.read_text() == "kept"
    assert (await told(home, reinstall))["warning"] == verdicts.EMPTY


async def test_a_server_without_an_installer_is_wiped_and_made_anew(home: Household) -> None:
    await home.running()
    write(home, "world")
    reinstall = await home.ask(REINSTALL, payload=ReinstallPayload(wipe=True))
    assert (await home.done(reinstall)).state is ServerState.CREATED
    assert list(home.server().game.folder.iterdir()) == []
    assert await told(home, reinstall) == {"revision": 1}


async def test_a_failed_reinstallation_leaves_what_cannot_be_started_until_another_one(home: Household) -> None:
    await installed(home)
    home.engine.games["installer"] = Game(says=("no",), ends_at_once_with=1)
    assert code_of(await home.do(REINSTALL, payload=ReinstallPayload())) is ErrorCode.INSTALL_FAILED
    assert home.server().state is ServerState.ABSENT
    with pytest.raises(Fault, match="not installed"):
        await home.ask(START)
    home.engine.games["installer"] = QUICK
    assert (await home.do(REINSTALL, payload=ReinstallPayload())).state is ServerState.CREATED
    assert (await home.do(START)).state is ServerState.RUNNING


async def test_a_reinstallation_takes_a_newer_specification_over(home: Household) -> None:
    await failed(home)
    home.engine.images.add("other")
    home.engine.games["other"] = QUICK
    wanted = TO_INSTALL.model_copy(update={"installer": Installer(image="other", script="x"), "revision": 4})
    reinstall = await home.ask(REINSTALL, payload=ReinstallPayload(specification=wanted))
    assert (await home.done(reinstall)).fault is None
    assert (await told(home, reinstall))["revision"] == 4
    assert home.server().record.specification == wanted


async def test_a_reinstallation_makes_a_server_that_the_node_does_not_know(home: Household) -> None:
    home.engine.games["installer"] = QUICK
    with pytest.raises(Fault, match="No server one"):
        await home.ask(REINSTALL, payload=ReinstallPayload())
    ended = await home.do(REINSTALL, payload=ReinstallPayload(specification=TO_INSTALL))
    assert ended.state is ServerState.CREATED


async def test_nothing_is_installed_twice_at_once(home: Household) -> None:
    await at_work(home)
    with pytest.raises(Fault, match="being installed already"):
        await home.ask(REINSTALL, payload=ReinstallPayload())


# What ends it


@pytest.mark.parametrize("moment", ["ensure_image", "create", "start", "running"])
async def test_a_cancelled_installation_leaves_nothing_running(home: Household, moment: str) -> None:
    if moment == "running":
        create = await at_work(home)
        home.fleet.cancel("one", create)
    else:
        async with home.engine.holding(moment) as hold:
            create = await home.ask(CREATE, payload=TO_INSTALL)
            await hold.arrived.wait()
            home.fleet.cancel("one", create)
    assert code_of(await home.done(create)) is ErrorCode.CANCELLED
    assert home.engine.boxes == {}
    home.engine.games["installer"] = QUICK
    assert (await home.do(REINSTALL, payload=ReinstallPayload(wipe=True))).fault is None


async def test_a_kill_ends_an_installation(home: Household) -> None:
    create = await at_work(home)
    assert (await home.do(KILL)).fault is None
    assert "kill" in str((await home.done(create)).fault)
    assert home.engine.boxes == {}


@pytest.mark.parametrize("keep_data", [True, False])
async def test_a_deletion_does_not_wait_for_an_installation(home: Household, *, keep_data: bool) -> None:
    create = await at_work(home)
    folder = home.server().game.folder
    write(home, "half")
    assert (await home.do(DELETE, payload=DeletePayload(keep_data=keep_data))).state is Outcome.DELETED
    assert "deletion" in str((await home.done(create)).fault)
    assert (home.fleet.servers, home.engine.boxes, folder.exists()) == ({}, {}, keep_data)


async def test_a_creation_that_is_deleted_while_its_image_is_pulled_is_gone(home: Household) -> None:
    async with home.engine.holding("ensure_image") as hold:
        create = await home.ask(CREATE, payload=TO_INSTALL)
        await hold.arrived.wait()
        delete = await home.ask(DELETE)
        assert (await home.done(create)).fault is not None
    assert (await home.done(delete)).state is Outcome.DELETED
    assert home.fleet.servers == {}


async def test_an_installer_that_takes_too_long_is_ended(home: Household) -> None:
    installer = INSTALLER.model_copy(update={"timeout": 0.3})
    ended = await home.done(await at_work(home, TO_INSTALL.model_copy(update={"installer": installer})))
    assert code_of(ended) is ErrorCode.TIMEOUT
    assert "longer than the 0.3 s" in str(ended.fault)
    await until(lambda: home.engine.boxes == {})


async def test_an_installer_that_outgrows_the_disk_is_ended(home: Household) -> None:
    create = await at_work(home, TO_INSTALL.model_copy(update={"limits": Limits(disk=100 * 1024)}))
    (home.server().game.folder / "big").write_bytes(b"x" * 200 * 1024)
    ended = await home.done(create)
    assert code_of(ended) is ErrorCode.INSUFFICIENT_RESOURCES
    assert "disk limit of 100 KiB" in str(ended.fault)


async def test_an_installer_that_fills_its_own_container_is_ended(home: Household) -> None:
    create = await at_work(home)
    home.engine.boxes[NAME].written_bytes = verdicts.MOST_LAYER_BYTES + 1
    ended = await home.done(create)
    assert code_of(ended) is ErrorCode.INSUFFICIENT_RESOURCES
    assert "beside the server's folder" in str(ended.fault)


async def test_an_installer_that_ran_out_of_memory_says_so(home: Household) -> None:
    create = await at_work(home)
    home.engine.end_game(NAME, 137, oom_killed=True)
    assert "out of memory" in str((await home.done(create)).fault)


async def test_an_installer_whose_container_is_taken_away_is_told_as_gone(home: Household) -> None:
    create = await at_work(home)
    await home.engine.remove(NAME)
    ended = await home.done(create)
    assert ended.fault is not None
    assert ended.fault.message == verdicts.GONE


# The agent dies


@pytest.mark.parametrize("moment", ["ensure_image", "create", "start"])
async def test_an_agent_killed_before_the_installer_runs_installs(home: Household, moment: str) -> None:
    async with home.engine.holding(moment) as hold:
        create = await home.ask(CREATE, payload=TO_INSTALL)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    await until(lambda: runs(home))
    write(home, "game.jar")
    home.engine.end_game(NAME, 0)
    assert (await home.done(create)).state is ServerState.CREATED
    assert len(home.engine.made(NAME, "start")) in {1, 2}


async def test_an_agent_killed_while_the_installer_runs_goes_on_with_it(home: Household) -> None:
    create = await at_work(home)
    pid = pid_of(home)
    await home.kill()
    home.engine.output(NAME, b"unpacking\n")
    await home.begin()
    home.engine.output(NAME, b"cleaning up\n")
    assert pid_of(home) == pid
    write(home, "game.jar")
    await until(lambda: "cleaning up" in home.teller.texts("one") or runs(home) is not None)
    home.engine.end_game(NAME, 0)
    assert (await home.done(create)).state is ServerState.CREATED
    said = [line for line in await console(home) if not line.startswith("node")]
    assert said == ["stderr: downloading", "stdout: unpacking", "stdout: cleaning up"]


@pytest.mark.parametrize(("exit_code", "code"), [(0, None), (3, ErrorCode.INSTALL_FAILED)])
async def test_an_installer_that_ended_while_the_agent_was_dead_is_judged_by_its_code(
    home: Household, exit_code: int, code: ErrorCode | None
) -> None:
    create = await at_work(home)
    await home.kill()
    home.engine.output(NAME, b"last words\n")
    home.engine.end_game(NAME, exit_code)
    await home.begin()
    ended = await home.done(create)
    assert code_of(ended) is code
    assert [line for line in await console(home) if line.startswith("std")] == [
        "stderr: downloading",
        "stdout: last words",
    ]
    assert len(home.engine.made(NAME, "start")) == 1
    if ended.fault is not None:
        assert "last words" in ended.fault.message


async def test_no_line_is_repeated_by_an_agent_that_was_killed_after_the_last_of_them(home: Household) -> None:
    create = await at_work(home)
    async with home.engine.holding("written_bytes") as hold:
        home.engine.output(NAME, b"done\n")
        home.engine.end_game(NAME, 137)
        await hold.arrived.wait()
        home.server().game.console.log.append("node", "It was killed.")
        await home.kill()
    await home.begin()
    assert (await home.done(create)).fault is not None
    assert [line for line in await console(home) if line.startswith("std")] == ["stderr: downloading", "stdout: done"]


async def test_an_installer_that_is_gone_when_the_agent_comes_back_has_failed(home: Household) -> None:
    create = await at_work(home)
    await home.kill()
    await home.engine.remove(NAME)
    await home.begin()
    ended = await home.done(create)
    assert ended.fault is not None
    assert ended.fault.message == verdicts.GONE


@pytest.mark.parametrize("action", [KILL, DELETE])
async def test_what_overtook_an_installation_does_so_also_after_the_agents_death(
    home: Household, action: Action
) -> None:
    create = await at_work(home)
    async with home.engine.holding("remove", NAME) as hold:
        command = await home.ask(action)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    assert (await home.done(command)).fault is None
    assert (await home.done(create)).fault is not None
    assert home.engine.boxes == {}


async def test_a_cancelled_installation_is_ended_also_after_the_agents_death(home: Household) -> None:
    create = await at_work(home)
    async with home.engine.holding("remove", NAME) as hold:
        await home.fleet.servers["one"].cancel(create)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    assert code_of(await home.done(create)) is ErrorCode.CANCELLED
    assert home.engine.boxes == {}


async def test_a_wipe_is_done_once_though_the_agent_dies_in_the_middle(home: Household) -> None:
    await installed(home)
    home.engine.games["installer"] = AT_WORK
    reinstall = await home.ask(REINSTALL, payload=ReinstallPayload(wipe=True))
    await until(lambda: runs(home))
    made = write(home, "fresh")
    await home.kill()
    await home.begin()
    home.engine.end_game(NAME, 0)
    assert (await home.done(reinstall)).fault is None
    assert made.exists()


async def test_an_agent_killed_once_the_folder_is_filled_does_not_install_again(home: Household) -> None:
    create = await at_work(home)
    async with home.engine.holding("create", "one") as hold:
        home.engine.end_game(NAME, 0)
        await hold.arrived.wait()
        await home.kill()
    await home.begin()
    assert (await home.done(create)).state is ServerState.CREATED
    assert len(home.engine.made(NAME, "start")) == 1
    assert await told(home, create) == {"warning": verdicts.EMPTY}


# The engine dies


async def test_an_engine_that_goes_away_is_waited_for_while_an_installer_may_be_at_work(home: Household) -> None:
    create = await at_work(home)
    home.engine.go_away()
    await asyncio.sleep(4 * server.CARRY_S)  # longer than anything else is waited for
    assert home.teller.ending(create) is None
    home.engine.output(NAME, b"unpacking\n")
    home.engine.come_back()
    write(home, "game.jar")
    home.engine.output(NAME, b"cleaning up\n")
    home.engine.end_game(NAME, 0)
    assert (await home.done(create)).state is ServerState.CREATED
    said = [line for line in await console(home) if line.startswith("std")]
    assert said[:3] == ["stderr: downloading", "stdout: unpacking", "stdout: cleaning up"]
    assert said[3:] in ([], ["stdout: away"])


async def test_a_server_is_known_as_being_installed_again_once_its_engine_is_back(home: Household) -> None:
    create = await at_work(home)
    home.engine.go_away()
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    home.engine.come_back()
    await until(lambda: home.server().state is ServerState.ABSENT)
    home.engine.end_game(NAME, 0)
    assert (await home.done(create)).fault is None


async def test_an_installer_that_ends_while_its_engine_is_away_may_have_said_more(home: Household) -> None:
    create = await at_work(home)
    home.engine.go_away()
    home.engine.end_game(NAME, 0)
    await until(lambda: home.server().state is ServerState.UNKNOWN)
    home.engine.come_back()
    assert (await home.done(create)).state is ServerState.CREATED
    assert "stdout: away" in await console(home)


async def test_an_installer_that_went_with_its_engine_has_failed(home: Household) -> None:
    create = await at_work(home)
    home.engine.go_away(games_end=True)
    home.engine.come_back()
    assert "exit code 255" in str((await home.done(create)).fault)


async def test_an_installer_that_outlives_its_cancelled_installation_is_ended_when_the_engine_is_back(
    home: Household,
) -> None:
    create = await at_work(home)
    home.engine.go_away()
    home.fleet.cancel("one", create)
    assert code_of(await home.done(create)) is ErrorCode.CANCELLED
    assert home.engine.boxes[NAME].state is ContainerState.RUNNING
    home.engine.come_back()
    await until(lambda: home.engine.boxes == {})


async def test_what_a_killed_agent_left_of_a_failed_installation_is_cleared(home: Household) -> None:
    create = await at_work(home)
    async with home.engine.holding("remove", NAME) as hold:
        home.engine.end_game(NAME, 3)
        await hold.arrived.wait()
        await home.done(create)
        await home.kill()
    await home.begin()
    await until(lambda: home.engine.boxes == {})


async def test_an_installer_is_neither_an_orphan_nor_a_game(home: Household) -> None:
    await at_work(home)
    assert [box.server_id for box in await home.engine.list()] == []
    assert home.fleet.orphans == {}
    (snapshot,) = home.fleet.snapshots()
    assert [(each.server_id, each.observed) for each in snapshot.servers] == [("one", ServerState.ABSENT)]
    assert snapshot.servers[0].operation is not None
    assert snapshot.servers[0].operation.phase == "installing"
