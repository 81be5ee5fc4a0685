"""Consoles of real games: nothing is lost that was kept, nobody is harmed by a flood, and a game is never made to wait."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.fakes.until import until
from tests.foreign.panel import ForeignPanel, Refusal
from tests.integration.agent.consoles import Stage, gaps, numbered, texts
from tests.integration.agent.processes import AgentProcess, Docker
from tests.integration.defects import puppet

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
log = logging.getLogger(__name__)
LINES = 100_000


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with puppet.image(tmp_path_factory.mktemp("puppet")) as name:
        yield name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(image: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with ForeignPanel() as panel:
        process = AgentProcess(tmp_path_factory.mktemp("agent"), panel.url, f"consoles-{secrets.token_hex(4)}")
        stage = Stage(panel, process, image)
        await stage.begin()
        try:
            yield stage
        finally:
            process.close()
            Docker().remove_all(process.node_id)


async def test_an_agent_killed_in_the_middle_of_100000_lines_has_every_line_once_and_in_order(stage: Stage) -> None:
    server_id = await stage.running()
    await stage.asked("console_attach", server_id, since=0)
    await stage.type(server_id, f"{numbered(LINES, 0.03)}; touch done")
    for tenths in (2, 5):
        await stage.agent.expect_that(
            lambda frame, place=LINES * tenths // 10: (  # type: ignore[misc]
                frame.get("event") == "console" and frame["data"]["parts"][-1]["offset"] > place
            ),
            timeout_s=60,
        )
        await stage.restart()
        await stage.asked("console_attach", server_id, since=0)
    await stage.is_done(server_id, "done", 60)
    parts = await stage.has_written(server_id, f"line {LINES - 1}")
    assert texts(parts) == ["ready", *(f"line {number}" for number in range(LINES))]
    assert gaps(parts) == []


async def test_a_game_that_ends_while_the_agent_is_dead_is_read_to_its_last_word(stage: Stage) -> None:
    server_id = await stage.running()
    await stage.type(server_id, "echo before; busybox sleep 1; echo last words; echo of two lines; exit 3")
    await stage.has_written(server_id, "before")
    stage.process.kill()
    await stage.agent.closed.wait()

    async def has_ended() -> bool:
        return await Docker().state(server_id) == "exited"

    await until(has_ended, 10, pause_s=0.05)
    stage.process.start()
    await stage.meet()
    parts = await stage.has_written(server_id, "of two lines")
    assert texts(parts)[:4] == ["ready", "before", "last words", "of two lines"]
    assert gaps(parts) == []


async def test_a_game_that_writes_20_mb_while_no_panel_is_there_is_never_blocked(stage: Stage) -> None:
    server_id = await stage.running()
    size = 20_000_000
    await stage.type(
        server_id, f"busybox sleep 0.5; busybox yes {'x' * 99} | busybox head -c {size}; echo; echo end; touch done"
    )
    stage.panel.refusal = Refusal(503)
    began = time.monotonic()
    await stage.agent.close()
    await stage.is_done(server_id, "done", 60)
    log.info("20 MB were written in %.1f s", time.monotonic() - began - 0.5)
    stage.panel.refusal = None
    await stage.meet()
    parts = await stage.has_written(server_id, "end")
    lost = sum(lines for lines, _ in gaps(parts))
    assert len(texts(parts)) + lost >= size // 100
    assert {why for _, why in gaps(parts)} <= {"flood", "rotated"}


async def test_a_flood_says_what_it_dropped_and_others_answer_meanwhile(stage: Stage) -> None:
    loud, quiet = await stage.running(), await stage.running()
    await stage.asked("console_attach", loud)
    await stage.asked("console_attach", quiet)
    await stage.type(loud, f"busybox timeout 4 busybox yes {'x' * 60}; touch done")
    delays = []
    while not stage.file(loud, "done").exists():
        word, began = secrets.token_hex(8), time.monotonic()
        after = len(stage.agent.heard)
        await stage.type(quiet, f"echo {word}")
        await stage.agent.expect_that(
            lambda frame, word=word: (  # type: ignore[misc]
                frame.get("event") == "console"
                and frame["data"]["serverId"] == quiet
                and any(word in part.get("text", "") for part in frame["data"]["parts"])
            ),
            after=after,
            timeout_s=10,
        )
        delays.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    median_s = sorted(delays)[len(delays) // 2]
    log.info("typed and seen during a flood: %.3f s, at most %.3f s", median_s, max(delays))
    assert median_s < 1
    await stage.type(loud, "echo all is quiet")
    parts = await stage.has_written(loud, "all is quiet")
    kept, lost = len(texts(parts)), gaps(parts)
    assert sum(lines for lines, _ in lost) > kept / 10
    assert {why for _, why in lost} <= {"flood", "rotated"}


async def test_a_terminal_gets_what_is_typed_and_its_colours_are_kept(stage: Stage) -> None:
    server_id = await stage.running(console={"tty": True})
    await stage.type(server_id, "busybox tty; printf '\\033[32mgreen\\033[0m\\n'; echo err >&2; echo end")
    parts = await stage.has_written(server_id, "end")
    assert "/dev/pts/0" in texts(parts)
    assert "\x1b[32mgreen\x1b[0m" in texts(parts)
    assert not any("\r" in text for text in texts(parts))
    await stage.restart()
    await stage.type(server_id, "echo again")
    parts = await stage.has_written(server_id, "again")
    assert texts(parts).count("end") == 1
    assert gaps(parts) == []


async def test_searching_goes_over_all_that_is_kept(stage: Stage) -> None:
    server_id = await stage.running()
    await stage.type(server_id, f"{numbered(20_000, 0)}; echo end")
    await stage.has_written(server_id, "end")
    page = await stage.asked("console_search", server_id, text="line 1234", limit=3)
    assert [match["text"] for match in page["matches"]] == ["line 12349", "line 12348", "line 12347"]
    rest = await stage.asked("console_search", server_id, text="line 1234", before=page["before"])
    assert [match["text"] for match in rest["matches"]][-1] == "line 1234"
    page = await stage.asked("console_search", server_id, text=r"^line 1999\d$", isRegex=True)
    assert len(page["matches"]) == 10
    assert "before" not in page
