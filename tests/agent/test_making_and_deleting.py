"""Servers are made whole or not at all, and what is deleted is gone, but for what was to be kept."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.household import CREATE, DELETE, START, STOP, Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent.servers import files
from ctrl_alt_play.protocol.contents import DeletePayload, Outcome, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Specification


async def test_a_container_that_was_taken_away_is_made_anew_by_a_start(home: Household) -> None:
    await home.running()
    await home.do(STOP)
    await home.engine.remove("one")
    await until(lambda: home.server().state is ServerState.ABSENT)
    assert (await home.do(START)).state is ServerState.RUNNING


async def test_a_creation_that_fails_leaves_nothing_and_may_be_tried_again(home: Household, tmp_path: Path) -> None:
    ended = await home.do(CREATE, payload=Specification(image="missing"))
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.IMAGE_NOT_FOUND
    assert home.teller.words("one") == ["create_failed"]
    assert home.fleet.servers == {}
    assert not (tmp_path / "servers" / "one").exists()
    assert (await home.do(CREATE)).state is ServerState.CREATED


async def test_a_creation_whose_folder_cannot_be_made_leaves_nothing(home: Household, tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("in the way")
    ended = await home.do(CREATE)
    assert ended.state is Outcome.CREATE_FAILED
    assert home.fleet.servers == {}
    (tmp_path / "servers").unlink()
    assert (await home.do(CREATE)).state is ServerState.CREATED


async def test_a_container_of_another_specification_is_not_taken_for_ours(home: Household) -> None:
    await home.do(CREATE)
    box = home.engine.boxes["one"]
    await home.do(DELETE)
    box.plan = replace(box.plan, specification=Specification(image="game", startup="something else"))
    home.engine.boxes["one"] = box
    ended = await home.do(CREATE)
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.SERVER_EXISTS


async def test_a_server_can_be_created_again_the_moment_its_deletion_is_told(home: Household) -> None:
    await home.running()
    deleted = asyncio.Event()
    home.teller.changed = lambda change: change.word == "deleted" and deleted.set()  # type: ignore[method-assign,func-returns-value,assignment,return-value]
    await home.ask(DELETE)
    await deleted.wait()
    assert (await home.do(CREATE)).state is ServerState.CREATED


async def test_what_is_asked_while_a_creation_fails_is_refused_or_told(home: Household) -> None:
    async with home.engine.holding("ensure_image") as hold:
        create = await home.ask(CREATE, payload=Specification(image="missing"))
        await hold.arrived.wait()
        start = await home.ask(START)
    accepted = [create, start]
    while "one" in home.fleet.servers:
        try:
            accepted.append(await home.ask(START))
        except Fault:
            await asyncio.sleep(0)
    for each in accepted:
        assert (await home.done(each)).fault is not None
    assert await home.journal.operations() == []


async def test_a_deletion_keeps_the_data_when_told_to(home: Household, tmp_path: Path) -> None:
    await home.running()
    (tmp_path / "servers" / "one" / "world").write_text("kept")
    await home.do(DELETE, payload=DeletePayload(keep_data=True))
    assert (tmp_path / "servers" / "one" / "world").read_text() == "kept"
    assert home.engine.made("one")[-2:] == ["signal SIGTERM", "remove"]
    await home.running("one")
    await home.do(DELETE)
    assert not (tmp_path / "servers" / "one").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_data_that_was_kept_belongs_to_the_servers_user_of_today(tmp_path: Path) -> None:
    async with household(tmp_path, owns_folders=True) as home:
        await home.do(CREATE)
        world = home.server().game.folder / "saves" / "world"
        files.write_text(home.server().game.folder, "saves/world", "kept", *[home.server().record.uid] * 2)
        (home.server().game.folder / "link").symlink_to("/etc/passwd")
        await home.do(DELETE, payload=DeletePayload(keep_data=True))
        await home.do(CREATE, "two")
        await home.do(CREATE, "one")
        owners = {path.lstat().st_uid for path in (world, world.parent, world.parents[1], world.parents[1] / "link")}
        assert owners == {home.server().record.uid} != {home.server("two").record.uid}
        assert os.stat("/etc/passwd").st_uid == 0  # noqa: PTH116 - one look


async def test_a_deletion_removes_the_console(home: Household, tmp_path: Path) -> None:
    await home.running()
    folder = tmp_path / "consoles" / "one"
    await until(lambda: list(folder.glob("*.log")))
    await home.do(DELETE)
    assert not folder.exists()


async def test_a_deletion_removes_links_and_not_what_they_point_to(home: Household, tmp_path: Path) -> None:
    await home.running()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("precious")
    (tmp_path / "servers" / "one" / "link").symlink_to(tmp_path / "elsewhere")
    await home.do(DELETE)
    assert (tmp_path / "elsewhere" / "file").read_text() == "precious"


async def test_what_waits_behind_a_deletion_is_told(home: Household) -> None:
    await home.running()
    async with home.engine.holding("signal") as hold:
        await home.ask(STOP)
        await hold.arrived.wait()
        start, delete = await home.ask(START), await home.ask(DELETE)
    await home.done(delete)
    assert (await home.done(start)).fault is None
