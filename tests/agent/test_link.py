"""The link to a panel that is not ours: it comes up, and answers in order."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from tests.agent.stations import SECRET, Station, created, welcomed
from tests.fakes.engine import FakeAttachment
from tests.fakes.until import until
from tests.foreign.panel import Refusal

from ctrl_alt_play.agent import journal as journals
from ctrl_alt_play.agent import link as links
from ctrl_alt_play.agent import spool
from ctrl_alt_play.agent.outbox import BLOCK_BYTES, MOST_BLOCKS
from ctrl_alt_play.agent.servers import lines


async def test_an_agent_says_who_it_is_and_first_of_all_what_it_runs_on(station: Station) -> None:
    agent = await station.panel.agent()
    attempt = station.panel.attempts[0]
    assert attempt.headers["authorization"] == f"Bearer {SECRET}"
    assert attempt.headers["x-node-id"] == "node-1"
    assert attempt.path == "/"
    info = agent.heard[0].frame
    assert info["type"] == "system_info"
    assert info["data"]["nodeId"] == "node-1"
    assert info["data"]["dockerVersion"] == "20.10.24"
    assert info["data"]["memory"] > 2**20
    assert "docker" in info["data"]["capabilities"]


async def test_a_console_is_asked_about_and_told_to_a_panel_of_part_2(station: Station) -> None:
    agent = await station.panel.agent()
    await agent.send({"type": "welcome", "data": {"protocol": {"version": 2, "minimum": 1}, "ackedSeq": 0}})
    await agent.expect(type="state_snapshot")
    await created(agent)
    attached = await agent.command("attach", "console_attach", "one")
    assert attached["data"] == {"first": 0, "next": 0, "end": 0}
    await agent.command("start", "start_server", "one")
    told = await agent.expect(type="event", event="console", data={"serverId": "one"})
    assert told["data"]["parts"][0] | {"at": ""} == {
        "offset": 0,
        "lines": 1,
        "at": "",
        "stream": "stderr",
        "text": "AAS initialized.",
    }
    for _ in range(2):
        page = await agent.command("history", "console_history", "one", since=0)
        assert (page["data"]["parts"], page["data"]["end"]) == (told["data"]["parts"], 1)
    found = await agent.command("search", "console_search", "one", text="aas")
    assert found["data"] == {"matches": told["data"]["parts"]}
    refused = await agent.command("wrong", "console_search", "one", text="(", isRegex=True)
    assert refused["error"]["code"] == "INVALID_PAYLOAD"
    assert (await agent.command("detach", "console_detach", "one"))["data"] == {}
    missing = await agent.command("missing", "console_attach", "nobody")
    assert missing["error"]["code"] == "SERVER_NOT_FOUND"
    assert not [heard for heard in agent.heard if heard.frame["type"] == "server_output"]
    assert await station.home.journal.outcome("history") is None


async def test_a_panel_that_asks_whether_the_agent_is_there_is_answered(station: Station) -> None:
    agent = await station.panel.agent()
    async with asyncio.timeout(5):
        await (await agent.ping())


async def test_a_flood_goes_on_as_the_panel_reads_it(station: Station) -> None:
    agent = await station.panel.agent()
    await agent.send({"type": "welcome", "data": {"protocol": {"version": 2, "minimum": 1}, "ackedSeq": 0}})
    await agent.expect(type="state_snapshot")
    await created(agent)
    await agent.command("attach", "console_attach", "one")
    log = station.home.consoles.log("one")
    for _ in range(4 * MOST_BLOCKS):
        log.append("stdout", "x" * BLOCK_BYTES)
    await agent.expect_that(
        lambda frame: frame.get("event") == "console" and frame["data"]["parts"][-1]["offset"] == 4 * MOST_BLOCKS - 1
    )


async def test_what_servers_are_is_told_at_every_connection(station: Station) -> None:
    agent = await station.panel.agent()
    await created(agent)
    await agent.close()
    again = await station.panel.agent(1)
    await again.expect(type="server_status", data={"serverId": "one", "status": "created"})


async def test_a_thousand_questions_do_not_keep_an_action_waiting(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    game_reads = asyncio.Event()

    async def write(_: FakeAttachment, __: bytes) -> None:
        await game_reads.wait()

    monkeypatch.setattr(FakeAttachment, "write", write)
    monkeypatch.setattr(lines, "LINE_TIMEOUT_S", 60)
    agent = await station.panel.agent()
    await created(agent)
    await created(agent, "two")
    await agent.command("start", "start_server", "one")
    await agent.expect(type="event", data={"serverId": "one", "currentStatus": "running"})
    for number in range(1000):
        await agent.send(agent.command_frame(f"line-{number}", "send_command", "one", line="x" * 8000))
    assert (await agent.command("start-two", "start_server", "two"))["success"]
    assert not agent.responses("line-0")
    game_reads.set()
    for number in range(1000):
        await agent.expect(type="response", id=f"line-{number}")


async def test_files_are_written_and_read_over_the_link(station: Station) -> None:
    agent = await station.panel.agent()
    await created(agent)
    data = {"serverId": "one", "path": "a/server.properties"}
    await agent.send({"type": "file_write", "messageId": "w", "data": {**data, "content": "motd=hi\n"}})
    await agent.expect(type="file_content", messageId="w", data={"size": 8})
    await agent.send({"type": "file_read", "messageId": "r", "data": data})
    await agent.expect(type="file_content", messageId="r", data={"content": "motd=hi\n"})
    await agent.send({"type": "file_read", "messageId": "x", "data": {"serverId": "one", "path": "../../journal.db"}})
    await agent.expect(type="error", messageId="x", data={"code": "INVALID_PAYLOAD"})


async def test_a_file_too_large_for_a_frame_once_escaped_is_refused_and_the_connection_stays(station: Station) -> None:
    agent = await station.panel.agent()
    await created(agent)
    (station.home.server().game.folder / "quotes").write_text('"' * 512 * 1024)
    await agent.send({"type": "file_read", "messageId": "r", "data": {"serverId": "one", "path": "quotes"}})
    await agent.expect(type="error", messageId="r", data={"code": "INVALID_PAYLOAD"})
    assert not agent.closed.is_set()


async def test_the_health_page_tells_what_is_so(station: Station) -> None:
    agent = await station.panel.agent()
    assert (await station.health())[0] == 200
    assert (await station.health("/ready"))[0] == 200
    status, metrics = await station.health("/metrics")
    assert status == 200
    assert "ctrl_alt_play_agent_connected 1.0" in metrics
    station.panel.refusal = Refusal(401)
    await agent.close()
    await until(lambda: not station.link.connection.is_up)
    assert (await station.health())[0] == 503
    station.home.engine.go_away()
    await until(lambda: not station.home.fleet.is_engine_up)
    assert (await station.health("/ready"))[0] == 503
    assert SECRET not in metrics


async def test_the_health_page_tells_of_a_journal_that_is_lost(station: Station, tmp_path: Path) -> None:
    journal = station.home.journal
    assert json.loads((await station.health())[1])["journal"] is True
    (tmp_path / "journal.db").unlink()
    (tmp_path / "journal.db.new").mkdir()
    await journal.look()
    assert json.loads((await station.health())[1])["journal"] == "lost"
    assert "ctrl_alt_play_agent_journal_writable 0.0" in (await station.health("/metrics"))[1]
    (tmp_path / "journal.db.new").rmdir()
    await journal.look()
    assert json.loads((await station.health())[1])["journal"] is True


async def test_an_agent_names_itself_to_a_panel_of_part_2(station: Station) -> None:
    """So that the panel can tell two agents of one node apart."""
    await (await welcomed(station)).close()
    await station.panel.agent(1)
    named = [attempt.headers.get("x-agent-instance") for attempt in station.panel.attempts]
    assert named == [None, f"{station.home.journal.spool_id}.{station.home.boot_id}"]


async def test_what_happens_while_the_disk_is_full_is_seen_at_once_and_told_when_there_is_room(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RETRY_S", 0.01)
    monkeypatch.setattr(links, "UNWRITTEN_AFTER_S", 0.01)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    agent = await welcomed(station)
    await created(agent)
    await agent.command("start", "start_server", "one")
    await agent.expect(type="event", event="command_completed", data={"commandId": "start"})
    written = station.home.journal.written_seq
    with monkeypatch.context() as disk:
        disk.setattr(spool, "write", full)
        after = len(agent.heard)
        station.home.engine.end_game("one", 3)
        seen = await agent.expect_that(
            lambda frame: frame["type"] == "state_snapshot" and frame["data"]["servers"][0]["observed"] == "crashed",
            after=after,
        )
        assert seen.frame["data"]["seq"] > written
        assert not [heard for heard in agent.heard[after:] if heard.frame["type"] == "event"]
    await until(lambda: station.home.journal.written_seq == station.home.journal.newest_seq)
    newest = station.home.journal.newest_seq
    await agent.expect(type="event", seq=newest)
    numbers = [heard.frame["seq"] for heard in agent.heard if "seq" in heard.frame]
    assert numbers == list(range(1, newest + 1))
