"""The link always comes back, but never as a herd."""

import asyncio
from itertools import pairwise

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.agent.stations import SECRET, Station, created
from tests.fakes.until import until
from tests.foreign.panel import Agent, ForeignPanel, Refusal

from ctrl_alt_play.agent import link as links
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.link import FIRST_DELAY_S, LONGEST_DELAY_S, REFUSED_DELAY_S, STABLE_AFTER_S, Backoff
from ctrl_alt_play.protocol.messages import MAX_FRAME_BYTES, REPLACED


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


async def test_an_agent_that_is_told_to_hurry_does_not_wait_and_keeps_a_connection_that_it_has(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await station.panel.agent()
    station.panel.refusal = Refusal(401)
    await agent.close()
    await until(lambda: station.panel.attempts[-1].status == 401)
    station.panel.refusal = None
    station.link.hurry()
    agent = await station.panel.agent(1)
    station.link.hurry()
    tries = len(station.panel.attempts)
    await agent.send({"type": "system_info_request", "data": {}})
    await agent.expect(type="system_info", after=1)
    assert len(station.panel.attempts) == tries


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
