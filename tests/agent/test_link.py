"""The link to a panel that is not ours: it comes up, answers in order, and always comes back, but never as a herd."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.fakes.engine import FakeAttachment, FakeEngine
from tests.fakes.household import Household
from tests.fakes.until import until
from tests.foreign.panel import Agent, ForeignPanel, Refusal

from ctrl_alt_play.agent import journal as journals
from ctrl_alt_play.agent import link as links
from ctrl_alt_play.agent import spool
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.figures.exposition import Exposition
from ctrl_alt_play.agent.health import Health
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.link import FIRST_DELAY_S, LONGEST_DELAY_S, REFUSED_DELAY_S, STABLE_AFTER_S, Backoff, Link
from ctrl_alt_play.agent.main import sampler_of
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.outbox import BLOCK_BYTES, MOST_BLOCKS, Outbox
from ctrl_alt_play.agent.servers import lines
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.messages import MAX_FRAME_BYTES, REPLACED

SECRET = "a secret of the node's own".replace(" ", "-")


# Backing off


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The ranges that delays are drawn from; of each the longest is drawn."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr(links.random, "uniform", uniform)
    return asked


def test_a_delay_is_drawn_from_all_between_nothing_and_a_growing_ceiling(delays: list[tuple[float, float]]) -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.after(0)
    assert delays == [(0, ceiling) for ceiling in (1, 2, 4, 8, 16, 32, 60, 60, 60)]
    assert (FIRST_DELAY_S, LONGEST_DELAY_S) == (1, 60)


def test_only_a_session_that_lasted_makes_delays_short_again(delays: list[tuple[float, float]]) -> None:
    backoff = Backoff()
    for lived_s in (0, 0, STABLE_AFTER_S - 0.1, STABLE_AFTER_S, 0):
        backoff.after(lived_s)
    assert [high for _, high in delays] == [1, 2, 4, 1, 2]


# The link


class Station:
    """An agent's link, fleet and health server in this process, over a fake engine."""

    def __init__(self, panel: ForeignPanel, home: Household, health_url: str, link: Link) -> None:
        self.panel = panel
        self.home = home
        self.health_url = health_url
        self.link = link

    async def health(self, path: str = "/health") -> tuple[int, str]:
        async with aiohttp.ClientSession() as client, client.get(f"{self.health_url}{path}") as response:
            return response.status, await response.text()


@pytest.fixture
async def panel() -> AsyncIterator[ForeignPanel]:
    async with ForeignPanel(SECRET) as panel:
        yield panel


@pytest.fixture
async def station(panel: ForeignPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Station]:
    monkeypatch.setattr(links, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(links, "WELCOME_WAIT_S", 0.05)
    clock, metrics = SystemClock(), Metrics()
    boxes: list[Outbox] = []

    def make_outbox(journal: Journal) -> Outbox:
        boxes.append(Outbox(clock, journal, metrics.dropped_lines.inc, home.consoles.feed))
        return boxes[0]

    home = Household(tmp_path, FakeEngine(), make_outbox)
    await home.begin()
    outbox = boxes[0]
    config = AgentConfig(panel_url=panel.url, node_id="node-1", agent_secret=SecretStr(SECRET), health_port=0)
    sampler = sampler_of(home.node, home.fleet, outbox)
    metrics.registry.register(Exposition(sampler))
    link = Link(config, home.node, home.fleet, outbox, metrics, sampler)
    health = Health(config, home.node, home.fleet, link.connection, metrics)
    url = f"http://127.0.0.1:{await health.start()}"
    task = asyncio.create_task(link.run())
    yield Station(panel, home, url, link)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await health.stop()
    await home.kill()


async def created(agent: Agent, server_id: str = "one") -> None:
    assert (await agent.command(f"create-{server_id}", "create_server", server_id, image="game"))["success"]
    await agent.expect(type="event", data={"serverId": server_id, "currentStatus": "created"})


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


async def test_a_connection_that_breaks_comes_back_and_tells_what_happened_meanwhile(station: Station) -> None:
    agent = await station.panel.agent()
    await created(agent)
    await agent.command("start", "start_server", "one")
    await agent.expect(type="event", data={"currentStatus": "running"})
    station.panel.refusal = Refusal(503)
    agent.break_off()
    await until(lambda: station.panel.attempts[-1].status == 503)
    station.home.engine.end_game("one", 1)
    await until(lambda: station.home.server().state == "crashed")
    station.panel.refusal = None
    again = await station.panel.agent(1)
    await again.expect(type="event", data={"serverId": "one", "currentStatus": "crashed", "exitCode": 1})


@pytest.mark.parametrize("status", [401, 403])
async def test_an_agent_that_is_refused_waits_long(
    panel: ForeignPanel, status: int, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = aiohttp.WSServerHandshakeError(None, (), status=status)  # type: ignore[arg-type]  # no request was made
    assert station.link._refused(error) == REFUSED_DELAY_S == 60


async def test_an_agent_waits_as_long_as_a_busy_panel_asks_for(
    station: Station, delays: list[tuple[float, float]]
) -> None:
    def refusal(**headers: str) -> aiohttp.WSServerHandshakeError:
        return aiohttp.WSServerHandshakeError(None, (), status=503, headers=headers)  # type: ignore[arg-type]

    assert station.link._refused(refusal(**{"Retry-After": "10"})) == 15
    assert station.link._refused(refusal(**{"Retry-After": "100000"})) == 90
    assert station.link._refused(refusal(**{"Retry-After": "Fri, 20 Nov 2026 12:00:00 GMT"})) == 0
    assert station.link._refused(refusal()) == 0


async def test_new_settings_end_the_connection_and_the_next_is_made_with_them(station: Station) -> None:
    agent = await station.panel.agent()
    async with ForeignPanel("another-secret-altogether") as other:
        config = AgentConfig(
            panel_url=other.url, node_id="node-1", agent_secret=SecretStr("another-secret-altogether"), health_port=0
        )
        station.link.reconfigure(config)
        await agent.closed.wait()
        await (await other.agent()).expect(type="system_info")
        assert other.attempts[0].headers["authorization"] == "Bearer another-secret-altogether"


async def test_an_agent_that_waits_after_a_refusal_tries_new_settings_at_once(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await station.panel.agent()
    station.panel.refusal = Refusal(401)
    await agent.close()
    await until(lambda: station.panel.attempts[-1].status == 401)
    station.panel.refusal = None
    config = AgentConfig(panel_url=station.panel.url, node_id="node-1", agent_secret=SecretStr(SECRET), health_port=0)
    station.link.reconfigure(config)
    await station.panel.agent(1)


async def test_a_panel_that_accepts_and_closes_is_not_stormed(
    station: Station, delays: list[tuple[float, float]]
) -> None:
    agent = await station.panel.agent()
    station.panel.closes_at_once = True
    before = len(station.panel.attempts)
    await agent.close()
    await until(lambda: len(station.panel.attempts) >= before + 4)
    times = [attempt.at for attempt in station.panel.attempts[before - 1 :]]
    waits_s = [high for _, high in delays]
    assert all(later >= 2 * earlier for earlier, later in pairwise(waits_s[:4]))
    assert all(later - earlier >= wait_s for (earlier, later), wait_s in zip(pairwise(times), waits_s, strict=False))


async def test_an_agent_whose_place_another_took_waits_longer_each_time_and_says_why(
    station: Station, delays: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it had the place: two such agents would throw one another out for ever."""
    monkeypatch.setattr(links, "STABLE_AFTER_S", 1e-9)
    with capture_logs() as logged:
        for number in range(3):
            await (await station.panel.agent(number)).close(REPLACED)
        await station.panel.agent(3)
    assert [high for _, high in delays] == [0.01, 0.02, 0.04]
    advices = [entry["advice"] for entry in logged if entry["event"] == "replaced_by_another_agent"]
    assert len(advices) == 3
    assert "another agent uses this NODE_ID" in advices[0]


async def test_a_frame_over_the_limit_ends_the_connection_and_a_new_one_comes(station: Station) -> None:
    agent = await station.panel.agent()
    await agent.send("x" * (MAX_FRAME_BYTES + 1))
    await agent.closed.wait()
    assert agent.close_code == 1009
    await station.panel.agent(1)


async def test_a_command_repeated_on_the_next_connection_is_not_done_again(station: Station) -> None:
    agent = await station.panel.agent()
    await created(agent)
    first = await agent.command("start", "start_server", "one")
    await agent.close()
    again = await station.panel.agent(1)
    assert await again.command("start", "start_server", "one") == first
    assert station.home.engine.made("one", "start") == ["start"]


async def broken_off_in_the_middle(station: Station, action: str, **payload: str) -> Agent:
    """Of an action that is journaled by then; gives the next connection."""
    agent, journal = station.panel.agents[-1], station.home.journal
    accept, arrived, release = journal.accept, asyncio.Event(), asyncio.Event()

    async def slow(*arguments):  # type: ignore[no-untyped-def] # noqa: ANN002, ANN202
        result = await accept(*arguments)
        arrived.set()
        await release.wait()
        return result

    journal.accept = slow  # type: ignore[method-assign]
    await agent.send(agent.command_frame("half", action, "one", **payload))
    await arrived.wait()
    agent.break_off()
    again = await station.panel.agent(1)
    release.set()
    return again


async def test_an_action_is_accepted_whole_when_the_connection_breaks_in_the_middle(station: Station) -> None:
    """Else it would stay in the journal alone, and be done at the agent's next start, days later."""
    await created(await station.panel.agent())
    again = await broken_off_in_the_middle(station, "start_server")
    await again.expect(type="event", data={"serverId": "one", "currentStatus": "running"})
    await until(lambda: station.home.server().inbox.is_empty)


async def test_a_line_is_written_whole_when_the_connection_breaks_in_the_middle(station: Station) -> None:
    agent = await station.panel.agent()
    await created(agent)
    await agent.command("start", "start_server", "one")
    await until(lambda: station.home.server().game.console.is_open)
    await broken_off_in_the_middle(station, "send_command", line="status")
    await until(lambda: "map: oa_dm1" in station.home.server().game.last_lines)

    async def has_ended() -> bool:
        return not await station.home.journal.operations()

    await until(has_ended)


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


# To a panel of part 2


async def welcomed(station: Station) -> Agent:
    agent = await station.panel.agent()
    protocol = {"version": 2, "minimum": 1}
    await agent.send({"type": "welcome", "data": {"protocol": protocol, "ackedSeq": 0, "servers": []}})
    await agent.expect(type="state_snapshot")
    return agent


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
