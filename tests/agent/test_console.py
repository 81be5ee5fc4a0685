"""The console of a container: read without pause, kept, and joined with what was written while nobody read."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.until import until

from ctrl_alt_play.agent.consoles import catching_up, flood
from ctrl_alt_play.agent.consoles import console as consoles
from ctrl_alt_play.agent.consoles.console import Console
from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.agent.engine.faults import unavailable
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import HistoryPayload, Loss
from ctrl_alt_play.protocol.specification import ConsoleRule, Specification

PLAN = Plan("one", "node-1", Specification(image="game"), None, 1, 1)  # type: ignore[arg-type]


@dataclass
class Ears:
    told: list[tuple[str, str]] = field(default_factory=list)
    missed: int = 0

    def hear(self, stream: str, text: str) -> None:
        self.told += [(stream, line) for line in text.split("\n")]

    def miss(self, lines: int) -> None:
        self.missed += lines


class Room:
    """One game, and the agents that read its console one after the other."""

    def __init__(self, folder: Path, engine: FakeEngine) -> None:
        self.engine = engine
        self.ears = Ears()
        self._folder = folder
        self._consoles: list[Consoles] = []
        self.enter()

    def enter(self) -> None:
        """An agent that begins, and knows only what is on the disk."""
        self._consoles.append(Consoles(self._folder, SystemClock(), "boot"))
        self.log = self._consoles[-1].log("one")
        self.console = Console("one", self.engine, self.log, self.ears, SystemClock())

    async def leave(self) -> None:
        """The agent ends; what is written meanwhile nobody hears."""
        await self.log.threads.written()
        await self.console.close()

    async def run(self) -> None:
        await self.console.open()
        await self.engine.start("one")

    def say(self, *numbers: int, stream: str = "stdout") -> None:
        self.engine.output("one", b"".join(b"line %d\n" % number for number in numbers), stream)

    async def history(self) -> list[str | tuple[int, Loss]]:
        """All lines, and gaps with their size."""
        found: list[str | tuple[int, Loss]] = []
        since = 0
        while since < self.log.end:
            page = await self.log.history(HistoryPayload(since=since, lines=10_000))
            for part in page.parts:
                assert part.offset == since
                since = part.next
                found += [(part.lines, part.lost)] if part.lost else (part.text or "").split("\n")
        return found

    async def has(self, *lines: str | tuple[int, Loss]) -> None:
        async def is_so() -> bool:
            return await self.history() == list(lines)

        try:
            await until(is_so, pause_s=0.02)
        except AssertionError:
            assert await self.history() == list(lines)

    async def close(self) -> None:
        await self.console.close()
        for each in self._consoles:
            await each.close()


@pytest.fixture
async def engine() -> FakeEngine:
    engine = FakeEngine(Game(says=(), says_last=()))
    await engine.create(PLAN)
    return engine


@pytest.fixture
async def room(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(catching_up, "SETTLE_S", 0.01)
    room = Room(tmp_path, engine)
    yield room
    await room.close()
    await engine.close()


def numbered(*numbers: int) -> list[str]:
    return [f"line {number}" for number in numbers]


async def test_streams_are_told_apart_and_a_prompt_comes_without_its_end(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consoles, "PARTIAL_AFTER_S", 0.01)
    await room.run()
    room.engine.output("one", b"out", "stdout")
    room.engine.output("one", b"err\n", "stderr")
    await until(lambda: room.ears.told == [("stderr", "err"), ("stdout", "out")])
    await room.has("err", "out")


async def test_what_was_unfinished_at_the_end_is_told(room: Room) -> None:
    await room.run()
    room.engine.output("one", b"last word")
    room.engine.end_game("one", 0)
    await room.console.drained(1)
    assert room.ears.told == [("stdout", "last word")]
    assert not room.console.is_open


async def test_opening_twice_attaches_once(room: Room) -> None:
    await room.console.open()
    await room.console.open()
    assert len(room.engine.boxes["one"].attachments) == 1
    await room.console.close()
    assert room.engine.boxes["one"].attachments == []


async def test_writing_to_nobody_is_refused(room: Room) -> None:
    with pytest.raises(Fault) as refused:
        await room.console.write("status")
    assert refused.value.code is ErrorCode.INVALID_STATE
    await room.run()
    await room.console.write("status")
    room.engine.end_game("one", 0)
    await room.console.drained(1)
    with pytest.raises(Fault):
        await room.console.write("status")


async def test_colours_are_kept_and_a_terminal_is_one_stream(room: Room, engine: FakeEngine) -> None:
    await engine.remove("one")
    terminal = Specification(image="game", console=ConsoleRule(tty=True))
    await engine.create(Plan("one", "node-1", terminal, None, 1, 1))  # type: ignore[arg-type]
    await room.run()
    engine.output("one", b"\x1b[32mgreen\x1b[0m\n", "stderr")
    engine.output("one", b"10%\r20%\n", "stdout")
    await room.has("\x1b[32mgreen\x1b[0m", "10%\r20%")
    assert {stream for stream, _ in room.ears.told} == {"stdout"}


async def test_numbers_go_on_over_runs_of_the_game(room: Room) -> None:
    for run in range(3):
        await room.run()
        room.say(run)
        room.engine.end_game("one", 0)
        await room.console.drained(1)
    await room.has(*numbered(0, 1, 2))


async def test_what_was_written_while_the_agent_was_away_is_read_back_once(room: Room) -> None:
    await room.run()
    room.say(0, 1)
    await room.has(*numbered(0, 1))
    await room.leave()
    room.say(2, 3, 4)
    room.enter()
    await room.console.open(is_running=True)
    room.say(5, 6)
    await room.has(*numbered(0, 1, 2, 3, 4, 5, 6))
    room.say(7)
    await room.has(*numbered(0, 1, 2, 3, 4, 5, 6, 7))


async def test_what_was_read_back_was_not_just_written(room: Room) -> None:
    """Only what is heard now may make a server ready, or be a game's last words."""
    await room.run()
    room.say(0)
    await room.has(*numbered(0))
    await room.leave()
    told = len(room.ears.told)
    room.say(1)
    room.enter()
    await room.console.open(is_running=True)
    await room.has(*numbered(0, 1))
    assert len(room.ears.told) == told


async def test_lines_that_come_while_reading_back_come_after(room: Room) -> None:
    await room.run()
    room.say(*range(100))
    await room.has(*numbered(*range(100)))
    await room.leave()
    room.say(*range(100, 200))
    room.enter()
    async with room.engine.holding("logs") as hold:
        await room.console.open(is_running=True)
        room.say(*range(200, 250))
        await hold.arrived.wait()
        room.say(*range(250, 300))
    room.say(*range(300, 310))
    await room.has(*numbered(*range(310)))


async def test_lines_that_are_all_alike_are_told_as_often_as_they_were_written(room: Room) -> None:
    await room.run()
    room.engine.output("one", b"tick\n" * 5)
    await room.has(*["tick"] * 5)
    await room.leave()
    room.enter()
    await room.console.open(is_running=True)
    room.engine.output("one", b"tick\n")
    await room.has(*["tick"] * 6)


async def test_a_game_that_ended_while_the_agent_was_away_is_read_to_its_end(room: Room) -> None:
    await room.run()
    room.say(0)
    await room.has(*numbered(0))
    await room.leave()
    room.say(1, 2)
    room.engine.end_game("one", 1)
    room.enter()
    await room.console.read_back()
    await room.has(*numbered(0, 1, 2))
    await room.run()
    room.say(3)
    await room.has(*numbered(0, 1, 2, 3))


async def test_what_the_engine_does_not_have_any_more_is_said_to_be_missing(room: Room) -> None:
    await room.run()
    room.say(0)
    await room.has(*numbered(0))
    await room.leave()
    room.engine.boxes["one"].kept.clear()
    room.say(7, 8)
    room.enter()
    await room.console.open(is_running=True)
    await room.has("line 0", (0, Loss.AWAY), "line 7", "line 8")


async def test_an_engine_that_has_no_log_costs_only_what_nobody_heard(room: Room) -> None:
    await room.run()
    room.say(0)
    await room.has(*numbered(0))
    await room.leave()
    room.say(1)
    room.enter()
    room.engine.fail_next("logs", unavailable("gone"))
    await room.console.open(is_running=True)
    room.say(2)
    await room.has("line 0", (0, Loss.AWAY), "line 2")


async def test_a_flood_is_read_without_pause_and_what_was_too_much_is_counted(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "BURST_BYTES", 100_000)
    monkeypatch.setattr(flood, "BYTES_PER_S", 0)
    await room.run()
    for _ in range(200):
        room.engine.output("one", b"spam and eggs\n" * 500)
    room.engine.output("one", b"last words\n")
    room.engine.end_game("one", 0)
    await room.console.drained(5)
    assert len(room.ears.told) + room.ears.missed == 100_001
    assert 0 < len(room.ears.told) <= (100_000 + 2 * consoles.WITHHELD_BYTES) / 14
    await room.log.threads.written()
    history = await room.history()
    (place,) = [place for place, each in enumerate(history) if not isinstance(each, str)]
    assert history[place] == (room.ears.missed, Loss.FLOOD)
    assert place * 14 <= 100_000 + consoles.SLICE_BYTES
    assert history[-1] == "last words"
    assert len(history) - place > 1000


async def test_one_console_that_floods_leaves_others_their_turn(engine: FakeEngine, room: Room) -> None:
    await room.run()
    for _ in range(100):
        engine.output("one", b"x" * 79 + b"\n" * 800 * 20)
    turns = 0
    while room.console.is_open and not engine.boxes["one"].attachments[0].chunks.empty():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 20
