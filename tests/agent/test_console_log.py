"""The log of a console: numbers that are given once, whatever happens to the agent, the machine and the disk."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.until import until

from ctrl_alt_play.agent.consoles import segments as disk
from ctrl_alt_play.agent.consoles import threads
from ctrl_alt_play.agent.consoles.feed import Cursor
from ctrl_alt_play.agent.consoles.log import TAIL_BYTES, ConsoleLog
from ctrl_alt_play.agent.consoles.part import Part, gap, head, tail, without_holes
from ctrl_alt_play.agent.consoles.segments import DAY_S, LEAP, SMALLEST, Segments
from ctrl_alt_play.agent.consoles.threads import Threads
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.live import MOST_BATCH_BYTES, ConsolePage, HistoryPayload, Lines, Loss, SearchPayload
from ctrl_alt_play.protocol.specification import MIB, ConsoleRule


class Shelf:
    """Logs of one folder, as one agent after the other finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.threads = Threads()

    async def log(self, boot_id: str = "boot") -> ConsoleLog:
        """Opened anew, as after a kill."""
        log = ConsoleLog(self.folder, boot_id, SystemClock(), self.threads)
        await log.open()
        return log

    async def filled(self, lines: int, boot_id: str = "boot") -> ConsoleLog:
        log = await self.log(boot_id)
        await write(log, *(f"line {number}" for number in range(log.end, log.end + lines)))
        return log

    @property
    def newest(self) -> Path:
        return max(self.folder.glob("*.log"))


async def write(log: ConsoleLog, *lines: str) -> None:
    for line in lines:
        log.append("stdout", line)
    await log.threads.written()


async def all_of(log: ConsoleLog, since: int = 0) -> list[Lines]:
    """The whole history, page by page."""
    found: list[Lines] = []
    while since < log.end:
        page = await log.history(HistoryPayload(since=since, lines=700))
        assert page.parts[0].offset == since
        assert page.next > since
        found += page.parts
        since = page.next
    return found


def texts(parts: list[Lines] | ConsolePage) -> list[str]:
    return [line for part in getattr(parts, "parts", parts) if part.text is not None for line in part.text.split("\n")]


def gaps(parts: list[Lines]) -> list[tuple[int, int, Loss | None]]:
    return [(part.offset, part.lines, part.lost) for part in parts if part.lost is not None]


@pytest.fixture
async def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    monkeypatch.setattr(threads, "WRITE_EVERY_S", 0)
    shelf = Shelf(tmp_path / "console")
    yield shelf
    await shelf.threads.written()
    await shelf.threads.close()


async def test_numbering_goes_on_where_a_killed_agent_left_it(shelf: Shelf) -> None:
    await shelf.filled(300)
    log = await shelf.filled(200)
    assert log.end == 500
    assert texts(await all_of(log)) == [f"line {number}" for number in range(500)]


async def test_what_can_be_read_is_on_the_disk(shelf: Shelf) -> None:
    log = await shelf.log()
    seen: list[tuple[int, int]] = []
    log.reader = Cursor(log, 0, lambda: seen.append((log.end, sum(segment.size for segment in log._segments.found))))
    await write(log, *(f"line {number}" for number in range(10)))
    assert seen[-1][0] == 10
    assert seen[-1][1] == shelf.newest.stat().st_size


@pytest.mark.parametrize("cut", [1, 8, 20, 45])
async def test_a_torn_tail_is_cut_off(shelf: Shelf, cut: int) -> None:
    log = await shelf.log()
    for number in range(5):
        await write(log, f"line {number}")
    os.truncate(shelf.newest, shelf.newest.stat().st_size - cut)
    log = await shelf.filled(1)
    assert texts(await all_of(log)) == [f"line {number}" for number in range(len(texts(await all_of(log))))]
    assert log.end in {4, 5}
    assert gaps(await all_of(log)) == []


async def test_bytes_that_are_not_what_was_written_are_not_read(shelf: Shelf) -> None:
    log = await shelf.log()
    for number in range(5):
        await write(log, f"line {number}")
    data = bytearray(shelf.newest.read_bytes())
    data[data.index(b"line 3")] ^= 1
    shelf.newest.write_bytes(data)
    assert texts(await all_of(await shelf.log())) == ["line 0", "line 1", "line 2"]


async def test_after_a_loss_of_power_no_number_is_given_twice(shelf: Shelf) -> None:
    await shelf.filled(10)
    log = await shelf.filled(1, "another boot")
    assert log.end == 10 + LEAP + 1
    assert gaps(await all_of(log)) == [(10, LEAP, Loss.AWAY)]
    assert (await shelf.filled(1, "another boot")).end == 10 + LEAP + 2


async def test_an_orderly_end_before_a_boot_leaves_no_gap(shelf: Shelf) -> None:
    log = await shelf.filled(10)
    await log.seal()
    log = await shelf.filled(5, "another boot")
    assert (log.end, gaps(await all_of(log))) == (15, [])


async def test_an_agent_that_ends_and_comes_back_in_order_numbers_on(shelf: Shelf) -> None:
    await (await shelf.filled(10)).seal()
    await shelf.filled(5)
    log = await shelf.filled(1, "another boot")
    assert gaps(await all_of(log)) == [(15, LEAP, Loss.AWAY)]


async def test_a_full_disk_costs_what_could_not_be_written_and_no_number(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, pwrite = await shelf.filled(5), os.pwrite

    def full(descriptor: int, data: bytes, place: int) -> int:
        if place > 80:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, data, place)

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "pwrite", full)
        await write(log, "lost 5", "lost 6")
        assert [part.text for part in log.newest(5)] == ["lost 5\nlost 6"]
    log = await shelf.log()
    assert log.end == 7
    await write(log, "line 7")
    assert texts(await all_of(log)) == [*(f"line {number}" for number in range(5)), "line 7"]
    assert gaps(await all_of(log)) == [(5, 2, Loss.FLOOD)]


async def test_a_folder_that_was_removed_is_made_again(shelf: Shelf) -> None:
    log = await shelf.filled(5)
    shelf.newest.unlink()
    await write(log, "lost")
    await write(log, "kept")
    assert texts(await all_of(log)) == ["kept"]
    assert (log.first, log.end) == (6, 7)


async def test_the_oldest_files_go_for_size(shelf: Shelf) -> None:
    log = await shelf.log()
    log.keep(ConsoleRule(keep_bytes=MIB))
    for number in range(200):
        await write(log, f"{number:05}" + "x" * 14_000)
    kept = sum(path.stat().st_size for path in shelf.folder.glob("*.log"))
    assert MIB - SMALLEST - 30_000 <= kept <= MIB + SMALLEST
    assert 0 < log.first < 200
    found = await all_of(log)
    assert gaps(found) == [(0, log.first, Loss.ROTATED)]
    assert [int(text[:5]) for text in texts(found)] == list(range(log.first, 200))
    again = await shelf.log()
    assert (again.first, again.end) == (log.first, 200)


async def test_old_files_go_for_age_and_numbering_goes_on(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    log = await shelf.filled(5)
    assert len((await log.search(SearchPayload(text="line"))).matches) == 5
    now = disk.time.time
    monkeypatch.setattr(disk.time, "time", lambda: now() + 31 * DAY_S)
    assert (await log.search(SearchPayload(text="line"))).matches == ()
    page = await log.history(HistoryPayload())
    assert (page.parts, page.first, page.end) == ((), 5, 5)
    await write(log, "line 5")
    assert (await shelf.log()).end == 6


async def test_pages_go_forwards_and_backwards_over_files_and_memory(shelf: Shelf) -> None:
    log = await shelf.log()
    log.keep(ConsoleRule(keep_bytes=MIB))
    for number in range(0, 3000, 3):
        await write(log, *(f"line {each} {'x' * 90}" for each in range(number, number + 3)))
    assert len(list(shelf.folder.glob("*.log"))) > 1
    everything = [f"line {number} {'x' * 90}" for number in range(3000)]
    assert texts(await all_of(log)) == everything
    before, found = log.end, list[str]()
    while before > 0:
        page = await log.history(HistoryPayload(before=before, lines=500))
        assert page.next == before
        found[:0] = texts(page)
        before = page.parts[0].offset
    assert found == everything
    newest = await log.history(HistoryPayload(lines=10))
    assert texts(newest) == everything[-10:]
    assert (newest.next, newest.end) == (3000, 3000)


async def test_a_page_beyond_the_end_is_empty(shelf: Shelf) -> None:
    log = await shelf.filled(5)
    page = await log.history(HistoryPayload(since=99))
    assert (page.parts, page.next, page.end) == ((), 5, 5)


async def test_memory_holds_the_newest_and_no_more(shelf: Shelf) -> None:
    log = await shelf.log()
    for number in range(100):
        await write(log, f"{number}" + "x" * 10_000)
    held = sum(part.size for part in log._tail)
    assert TAIL_BYTES - 20_000 <= held <= TAIL_BYTES
    assert log.newest(log.remembered)[0].offset == log.remembered
    assert log.behind(0) > log.behind(50) > log.behind(99) > 0


async def test_streams_are_kept_apart_and_in_order(shelf: Shelf) -> None:
    log = await shelf.log()
    for stream, line in [("stdout", "a"), ("stderr", "b"), ("stderr", "\x1b[31mc"), ("stdout", "d ü 🎮")]:
        log.append(stream, line)
    await log.threads.written()
    parts = await all_of(log)
    assert [(part.stream, part.text) for part in parts] == [
        ("stdout", "a"),
        ("stderr", "b\n\x1b[31mc"),
        ("stdout", "d ü 🎮"),
    ]


async def test_a_gap_of_no_known_size_stands_between_lines(shelf: Shelf) -> None:
    log = await shelf.filled(2)
    log.lose(0, Loss.AWAY)
    await write(log, "line 2")
    assert gaps(await all_of(log)) == [(2, 0, Loss.AWAY)]
    assert [part.lost for part in log.newest(2)] == [Loss.AWAY, None]
    assert [part.lost for part in await log.kept(2)] == [Loss.AWAY, None]


async def test_a_disk_that_hangs_does_not_fill_the_memory(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrl_alt_play.agent.consoles.log.MOST_PENDING_BYTES", 100_000)
    log = await shelf.log()
    for _ in range(1000):
        log.append("stdout", "x" * 1000)
    assert log.waiting_bytes <= 102_000
    await log.threads.written()
    assert sum(lines for _, lines, _ in gaps(await all_of(log))) + len(texts(await all_of(log))) == 1000


async def test_a_log_that_cannot_be_read_is_not_written_over(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    await shelf.filled(5)

    def broken(_: Segments) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Segments, "open", broken)
        log = await shelf.log()
        await write(log, "seen live")
        assert [part.text for part in log.newest(0)] == ["seen live"]
    assert texts(await all_of(await shelf.log())) == [f"line {number}" for number in range(5)]


async def test_a_server_that_is_gone_leaves_nothing(shelf: Shelf) -> None:
    log = await shelf.filled(5)
    log.append("stdout", "too late")
    log.discard()
    await until(lambda: log.waiting_bytes == 0)
    await asyncio.sleep(0)


part_lists = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.booleans()), max_size=12)


@settings(max_examples=200)
@given(made=part_lists, since=st.integers(0, 60), beyond=st.integers(0, 5), lines=st.integers(1, 12))
def test_pages_have_every_number_once(made: list[tuple[int, int, bool]], since: int, beyond: int, lines: int) -> None:
    parts, place = list[Part](), 3
    for count, hole, is_gap in made:
        place += hole
        if is_gap:
            parts.append(gap(place, count, 1, Loss.FLOOD))
        elif count:
            text = "\n".join(str(number) for number in range(place, place + count))
            parts.append(Part(place, count, 1, "stdout", text))
        place += count
    end = place + beyond
    whole = list(without_holes(parts, min(since, end), end, first=3))
    for page in (whole, head(whole, lines), tail(whole, lines)):
        for one, other in pairwise(page):
            assert one.next == other.offset
        for part in page:
            if part.text is not None:
                assert part.text.split("\n") == [str(number) for number in range(part.offset, part.next)]
        assert sum(part.lines for part in page if part.text is not None) <= max(lines, 10_000 if page is whole else 0)
    if whole:
        assert (whole[0].offset, whole[-1].next) == (min(since, end), end)
        assert head(whole, lines)[0].offset == whole[0].offset
        assert tail(whole, lines)[-1].next == end


def test_a_page_ends_at_64_kib_and_has_a_line_however_long() -> None:
    parts = [Part(number, 1, 1, "stdout", "ü" * 16_000) for number in range(10)]
    assert sum(part.size for part in head(parts, 100)) <= MOST_BATCH_BYTES
    assert [part.offset for part in head([Part(0, 1, 1, "stdout", "x" * 70_000)], 100)] == [0]
    assert [part.offset for part in tail(parts, 100)] == [8, 9]
