"""What the panel asks of consoles, and what it is told of those that it attached to; over a real connection, and by the feed alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.clock import HeldClock

from ctrl_alt_play.agent.consoles import feed as feeds
from ctrl_alt_play.agent.consoles import search, threads
from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.consoles.flood import BURST_BYTES
from ctrl_alt_play.agent.consoles.log import MARK_EVERY_BYTES, TAIL_BYTES, ConsoleLog
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import AttachPayload, ConsoleBatch, HistoryPayload, Lines, Loss, SearchPayload


class Desk:
    """Consoles, whose time is told by the test."""

    def __init__(self, folder: Path) -> None:
        self.clock = HeldClock()
        self.consoles = Consoles(folder, self.clock, "boot")

    async def log(self, server_id: str = "one") -> ConsoleLog:
        log = self.consoles.log(server_id)
        await log.open()
        return log

    async def write(self, *lines: str, server_id: str = "one") -> None:
        log = await self.log(server_id)
        for line in lines:
            log.append("stdout", line)
        await log.threads.written()

    def told(self) -> ConsoleBatch | None:
        event = self.consoles.feed.take()
        return None if event is None else ConsoleBatch.model_validate(event.data)

    async def all_told(self) -> list[Lines]:
        """What can be told by now, time going on."""
        found: list[Lines] = []
        for _ in range(300):
            self.clock.advance(feeds.TELL_EVERY_S)
            batch = self.told()
            found += batch.parts if batch else ()
            await asyncio.sleep(0.001)
            if batch is None and self.consoles.feed.due_in_s() is None and not self._reads():
                return found
        raise AssertionError("it does not come to an end")

    def _reads(self) -> bool:
        return any(each.has_more for each in self.consoles.feed._cursors.values())

    async def find(self, text: str, **how: object) -> tuple[list[str], int | None]:
        page = await self.consoles.search("one", SearchPayload.model_validate({"text": text, **how}))
        return [match.text or "" for match in page.matches], page.before


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(threads, "WRITE_EVERY_S", 0)
    desk = Desk(tmp_path)
    yield desk
    await desk.consoles.close()


def numbers(parts: list[Lines]) -> list[int]:
    return [int(line.split()[1]) for part in parts if part.text for line in part.text.split("\n")]


# Attaching


async def test_who_attaches_is_told_from_there_on(desk: Desk) -> None:
    await desk.write("line 0", "line 1")
    page = await desk.consoles.attach("one", AttachPayload())
    assert (page.first, page.next, page.end) == (0, 2, 2)
    assert await desk.all_told() == []
    await desk.write("line 2")
    assert numbers(await desk.all_told()) == [2]
    page = await desk.consoles.attach("one", AttachPayload(since=1))
    assert page.next == 1
    assert numbers(await desk.all_told()) == [1, 2]
    desk.consoles.feed.detach("one")
    await desk.write("line 3")
    assert await desk.all_told() == []


async def test_a_place_that_was_never_reached_is_the_end(desk: Desk) -> None:
    await desk.write("line 0")
    assert (await desk.consoles.attach("one", AttachPayload(since=99))).next == 1


async def test_a_batch_is_told_at_most_so_often(desk: Desk) -> None:
    await desk.consoles.attach("one", AttachPayload())
    await desk.write("line 0")
    assert desk.told() is not None
    await desk.write("line 1")
    assert desk.told() is None
    assert desk.consoles.feed.due_in_s() == pytest.approx(feeds.TELL_EVERY_S)
    desk.clock.advance(feeds.TELL_EVERY_S)
    assert desk.told() is not None


async def test_what_is_not_in_memory_any_more_comes_from_the_disk_without_a_hole(desk: Desk) -> None:
    await desk.write(*(f"line {number} {'x' * 1000}" for number in range(1000)))
    await desk.consoles.attach("one", AttachPayload(since=100))
    parts = await desk.all_told()
    assert numbers(parts) == list(range(100, 1000))
    assert [part.lost for part in parts if part.lost] == []


async def test_a_reader_that_is_too_slow_skips_what_the_history_has(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_BEHIND_BYTES", 500_000)
    await desk.consoles.attach("one", AttachPayload())
    await desk.write(*(f"line {number} {'x' * 1000}" for number in range(2000)))
    parts = await desk.all_told()
    skipped = parts[0]
    assert (skipped.lost, skipped.offset) == (Loss.SKIPPED, 0)
    assert numbers(parts) == list(range(skipped.next, 2000))
    page = await desk.consoles.history("one", HistoryPayload(since=0))
    assert page.parts[0].text is not None


async def test_a_flood_is_told_as_a_whole_and_from_memory_which_is_let_go_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await desk.log()
    monkeypatch.setattr(log, "kept", None)
    await desk.consoles.attach("one", AttachPayload())
    await desk.write(*(f"line {number} {'x' * 1000}" for number in range(BURST_BYTES // 1000)))
    assert log.remembered == 0
    parts = await desk.all_told()
    assert numbers(parts) == list(range(BURST_BYTES // 1000))
    assert log.behind(log.remembered) <= TAIL_BYTES + MARK_EVERY_BYTES


async def test_memory_for_consoles_that_are_behind_is_shared_and_the_disk_has_the_rest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_HELD_BYTES", 1_000_000)
    for server_id in ("one", "two"):
        await desk.consoles.attach(server_id, AttachPayload())
    await desk.write(*(f"line {number} {'x' * 1000}" for number in range(1000)))
    log = await desk.log()
    assert 400_000 < log.behind(log.remembered) < 600_000
    assert numbers(await desk.all_told()) == list(range(1000))


async def test_one_console_that_floods_delays_no_other_by_more_than_a_batch(desk: Desk) -> None:
    await desk.consoles.attach("loud", AttachPayload())
    await desk.consoles.attach("quiet", AttachPayload())
    await desk.write(*(f"line {number} {'x' * 1000}" for number in range(200)), server_id="loud")
    await desk.write("line 0", server_id="quiet")
    first = [batch.server_id for batch in (desk.told(), desk.told()) if batch]
    assert sorted(first) == ["loud", "quiet"]


async def test_attachments_end_with_the_connection(desk: Desk) -> None:
    await desk.consoles.attach("one", AttachPayload())
    desk.consoles.feed.detach_all()
    await desk.write("line 0")
    assert desk.consoles.feed.due_in_s() is None
    assert desk.told() is None


async def test_a_console_goes_with_its_server(desk: Desk, tmp_path: Path) -> None:
    await desk.write("line 0")
    (await desk.log()).append("stdout", "line 1")
    await desk.consoles.forget("one")
    await (await desk.log()).threads.written()
    assert not (tmp_path / "one").exists() or list((tmp_path / "one").iterdir()) == []
    assert (await desk.log()).end == 0


# Searching


async def test_text_is_found_the_newest_first(desk: Desk) -> None:
    await desk.write("first Player joined", "nothing", "second player joined", "a.b", "axb")
    assert await desk.find("player") == (["second player joined", "first Player joined"], None)
    assert await desk.find("Player", ignoreCase=False) == (["first Player joined"], None)
    assert await desk.find("a.b") == (["a.b"], None)


async def test_words_are_found_whatever_their_colours_and_case(desk: Desk) -> None:
    await desk.write("\x1b[32mGrü\x1b[0mße", "other")
    assert await desk.find("GRÜß") == (["\x1b[32mGrü\x1b[0mße"], None)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"^line \d$", ["line 7", "line 1"]),
        (r"\Aline 1\z", ["line 1"]),
        (r"(?-m:^line 7$)", ["line 7"]),
        (r"^$", [""]),
        ("end$", ["line 12 end"]),
    ],
)
async def test_an_expression_sees_one_line_at_a_time(desk: Desk, pattern: str, found: list[str]) -> None:
    await desk.write("line 1", "", "line 12 end", "line 7")
    assert await desk.find(pattern, isRegex=True) == (found, None)


async def test_pages_of_matches_go_on_without_losing_any(desk: Desk) -> None:
    await desk.write(*(f"line {number}" for number in range(500)))
    found, before = list[str](), None
    while True:
        page, before = await desk.find("line", limit=70, **({} if before is None else {"before": before}))
        found += page
        if before is None:
            break
    assert found == [f"line {number}" for number in reversed(range(500))]


async def test_a_search_that_takes_long_gives_what_it_has_and_where_to_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.write(*(f"line {number} {'x' * 1000}" for number in range(500)))
    monkeypatch.setattr(search, "LONGEST_S", 0)
    found, before, calls = list[str](), None, 0
    while calls == 0 or before is not None:
        page, before = await desk.find("line 7 ", **({} if before is None else {"before": before}))
        found, calls = found + page, calls + 1
    assert [text[:7] for text in found] == ["line 7 "]
    assert calls > 5


async def test_times_bound_a_search(desk: Desk) -> None:
    times = []
    for number in range(4):
        times.append(desk.clock.utc().isoformat())
        await desk.write(f"line {number}")
        desk.clock.advance(60)
    assert (await desk.find("line", after=times[1], until=times[3]))[0] == ["line 2", "line 1"]
    assert (await desk.find("line", after=times[3]))[0] == ["line 3"]
    assert (await desk.find("line", until=times[1]))[0] == ["line 0"]


async def test_an_expression_that_is_none_is_refused_with_a_sentence(desk: Desk) -> None:
    await desk.write("line 0")
    with pytest.raises(Fault) as refused:
        await desk.find("(", isRegex=True)
    assert refused.value.code is ErrorCode.INVALID_PAYLOAD
    assert "cannot be used" in refused.value.message


async def test_an_expression_of_the_worst_kind_takes_no_longer(desk: Desk) -> None:
    await desk.write(*("a" * 10_000 for _ in range(20)))
    assert await desk.find("(a+)+$b", isRegex=True) == ([], None)
