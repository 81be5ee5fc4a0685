"""Servers as their panel sees them: one inbox each, nothing lost, nothing done twice, and only the truth told."""

import asyncio
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.engine import Game
from tests.fakes.household import SPECIFICATION, Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent import journal, spool
from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.agent.servers import files, game
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, DeletePayload, LinePayload, Outcome, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Port, Specification, StopRule

CREATE, START, STOP = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER
RESTART, KILL, DELETE = Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER
STUBBORN = Game(exit_codes={})


async def say(home: Household, server_id: str, line: str) -> None:
    payload = LinePayload(line=line)
    await home.fleet.send_line(operation_of(Action.SEND_COMMAND, server_id, payload, None, None), payload)


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


# Kill


@pytest.mark.parametrize("action", [STOP, RESTART])
async def test_a_kill_overtakes_what_waits_for_the_game_to_end(home: Household, action: Action) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    first = await home.ask(action, payload=StopPayload(timeout=60))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    kill = await home.ask(KILL)
    assert (await home.done(kill, 1)).state is ServerState.STOPPED
    assert (await home.done(first)).fault is not None
    told = home.teller.last("one")
    assert told is not None
    assert (told.word, told.forced, told.exit_code) == ("stopped", True, 137)
    assert home.engine.made("one", "start") == ["start"]
    assert home.server().state is ServerState.STOPPED


async def test_a_kill_ends_a_start_that_is_under_way(home: Household) -> None:
    await home.do(CREATE)
    async with home.engine.holding("start") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        kill = await home.ask(KILL)
    assert (await home.done(kill)).state is ServerState.STOPPED
    assert (await home.done(start)).state is Outcome.START_FAILED
    assert home.engine.boxes["one"].running is None


async def test_a_kill_that_comes_before_the_engine_was_asked_keeps_a_game_from_starting(home: Household) -> None:
    await home.do(CREATE)
    async with home.engine.holding("attach") as hold:
        start = await home.ask(START)
        await hold.arrived.wait()
        kill = await home.ask(KILL)
    assert (await home.done(start)).state is Outcome.START_FAILED
    assert (await home.done(kill)).fault is None
    assert home.engine.made("one", "start") == []


async def test_a_kill_drops_what_waits_and_each_is_told(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    first = await home.ask(STOP, payload=StopPayload(timeout=60))
    waiting = [await home.ask(START), await home.ask(RESTART), await home.ask(DELETE)]
    kill = await home.ask(KILL)
    await home.done(kill)
    endings = [await home.done(each) for each in (first, *waiting)]
    assert all(ended.fault is not None and ended.fault.code is ErrorCode.INVALID_STATE for ended in endings)
    assert "delete_failed" in home.teller.words("one")
    assert home.teller.words("one").count("start_failed") == 2
    assert home.teller.words("one")[-1] == "stopped"
    assert await home.journal.operations() == []


async def test_what_is_accepted_after_a_kill_is_done(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    await home.ask(STOP, payload=StopPayload(timeout=60))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    async with home.engine.holding("signal"):
        kill = await home.ask(KILL)
        start = await home.ask(START)
    assert (await home.done(kill)).fault is None
    assert (await home.done(start)).fault is None
    assert home.engine.boxes["one"].running is not None


async def test_a_kill_twice_is_no_failure(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running()
    async with home.engine.holding("signal", "one"):
        kills = [await home.ask(KILL) for _ in range(3)]
    for kill in kills:
        assert (await home.done(kill)).fault is None
    assert home.teller.words("one") == ["created", "running", "stopped", "stopped", "stopped"]


async def test_a_kill_also_overtakes_the_stop_before_a_deletion(home: Household) -> None:
    home.engine.games["game"] = STUBBORN
    await home.running(specification=SPECIFICATION.model_copy(update={"stop": StopRule(timeout=60)}))
    delete = await home.ask(DELETE, payload=DeletePayload(keep_data=True))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    kill = await home.ask(KILL)
    assert (await home.done(kill)).state is ServerState.STOPPED
    assert (await home.done(delete)).state is Outcome.DELETE_FAILED
    assert "delete_failed" in home.teller.words("one")


# Ends that were not asked for


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


async def test_a_container_that_was_taken_away_is_made_anew_by_a_start(home: Household) -> None:
    await home.running()
    await home.do(STOP)
    await home.engine.remove("one")
    await until(lambda: home.server().state is ServerState.ABSENT)
    assert (await home.do(START)).state is ServerState.RUNNING


# Creation and deletion


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


# The engine goes away


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
    await say(home, "one", "status")
    await until(lambda: "map: oa_dm1" in home.teller.texts("one"))


async def test_a_console_that_docker_lets_go_of_is_taken_up_again(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(game, "REOPEN_AFTER_S", 0.01)
    server = await home.running()
    home.engine._detach(home.engine.boxes["one"])
    await until(lambda: not server.game.console.is_open)
    await until(lambda: server.game.console.is_open)
    await say(home, "one", "status")
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
            await say(home, "deaf", "x" * 8000)
        except Fault as fault:
            return fault.code
        return None

    began = asyncio.get_running_loop().time()
    results = await asyncio.gather(*(send() for _ in range(300)))
    assert asyncio.get_running_loop().time() - began < 1
    assert {ErrorCode.TIMEOUT, ErrorCode.INSUFFICIENT_RESOURCES} <= set(results)
    await say(home, "other", "status")


async def test_a_line_for_nobody_is_refused(home: Household) -> None:
    with pytest.raises(Fault, match="No server"):
        await say(home, "nobody", "status")
    await home.do(CREATE)
    with pytest.raises(Fault, match="not running"):
        await say(home, "one", "status")
