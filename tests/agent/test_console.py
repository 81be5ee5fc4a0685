"""Lines out of bytes, however the transport cuts them."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.agent.servers import console as consoles
from ctrl_alt_play.agent.servers.console import LONGEST_LINE, Console, Lines
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Specification

PLAN = Plan("one", "node-1", Specification(image="game"), None, 1, 1)  # type: ignore[arg-type]


def lines_of(chunks: list[bytes]) -> list[str]:
    lines = Lines()
    return [line for chunk in chunks for line in lines.feed(chunk)] + lines.flush()


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"on", b"e\ntw", b"o\n"], ["one", "two"]),
        ([b"one\r\ntwo\r\n"], ["one", "two"]),
        ([b"one\r", b"\ntwo"], ["one", "two"]),
        ([b"\n\n"], ["", ""]),
        (["Käse\n".encode()[:2], "Käse\n".encode()[2:]], ["Käse"]),
        ([b"bad \xff byte\n"], ["bad \ufffd byte"]),
        ([b"10%\r20%\r\n"], ["10%\r20%"]),
        ([b"\x1b[32mgreen\x1b[0m\n"], ["\x1b[32mgreen\x1b[0m"]),
    ],
)
def test_bytes_become_lines(chunks: list[bytes], lines: list[str]) -> None:
    assert lines_of(chunks) == lines


@pytest.mark.parametrize("text", ["Grüße, 世界 🎮", "\u2028 is no line break", "🏳️‍🌈"])
def test_a_character_may_be_cut_anywhere(text: str) -> None:
    data = f"{text}\n".encode()
    for place in range(len(data)):
        assert lines_of([data[:place], data[place:]]) == [text]


def test_a_very_long_line_comes_in_pieces_that_lose_nothing() -> None:
    text = "x" * (3 * LONGEST_LINE + 5)
    pieces = lines_of([f"{text}\r\nnext\n".encode()])
    assert "".join(pieces[:-1]) == text
    assert max(map(len, pieces)) == LONGEST_LINE
    assert pieces[-1] == "next"


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 2 * LONGEST_LINE])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_about_the_limit_makes_no_empty_line(length: int, end: str) -> None:
    data = ("x" * length + end).encode()
    expected = ["x" * LONGEST_LINE] * (length // LONGEST_LINE) + ["x" * (length % LONGEST_LINE)] * bool(
        length % LONGEST_LINE
    )
    assert lines_of([data]) == lines_of([data[:-1], data[-1:]]) == expected


pieces = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", "ü".encode(), "🎮".encode(), b"x" * (LONGEST_LINE - 1), b"y" * LONGEST_LINE]
    ),
)


@given(data=st.lists(pieces, max_size=12).map(b"".join), cuts=st.lists(st.integers(0, 60_000), max_size=12))
def test_any_chunking_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    chunks = [data[one:other] for one, other in pairwise(places)]
    assert lines_of(chunks) == lines_of([data])


@given(st.binary(max_size=400))
def test_no_text_is_lost_but_line_ends(data: bytes) -> None:
    kept = "".join(lines_of([data]))
    text = data.decode(errors="replace")
    assert kept.replace("\r", "").replace("\ufffd", "") == text.replace("\n", "").replace("\r", "").replace(
        "\ufffd", ""
    )


def test_a_prompt_is_told_and_its_late_end_makes_no_line() -> None:
    lines = Lines()
    assert lines.feed(b"> ") == []
    assert lines.is_unfinished
    assert lines.flush() == ["> "]
    assert lines.feed(b"\n\nnext\n") == ["", "next"]
    assert lines.feed(b"> ") == []
    assert lines.flush() == ["> "]
    assert lines.feed(b"typed\r\n") == ["typed"]


# The console of a container


@pytest.fixture
async def engine() -> FakeEngine:
    engine = FakeEngine(Game(says=()))
    await engine.create(PLAN)
    return engine


async def test_streams_are_told_apart_and_a_prompt_comes_without_its_end(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consoles, "PARTIAL_AFTER_S", 0.01)
    told: list[tuple[str, str]] = []
    console = Console("one", engine, lambda stream, text: told.append((stream, text)))
    await console.open()
    await engine.start("one")
    engine.output("one", b"out", "stdout")
    engine.output("one", b"err\n", "stderr")
    await until(lambda: told == [("stderr", "err"), ("stdout", "out")])
    await console.close()
    await engine.close()


async def test_what_was_unfinished_at_the_end_is_told(engine: FakeEngine) -> None:
    told: list[str] = []
    console = Console("one", engine, lambda _, text: told.append(text))
    await console.open()
    await engine.start("one")
    engine.output("one", b"last word")
    engine.end_game("one", 0)
    await console.drained(1)
    assert "last word" in told
    assert not console.is_open


async def test_opening_twice_attaches_once(engine: FakeEngine) -> None:
    console = Console("one", engine, lambda *_: None)
    await console.open()
    await console.open()
    assert len(engine.boxes["one"].attachments) == 1
    await console.close()
    assert engine.boxes["one"].attachments == []


async def test_writing_to_nobody_is_refused(engine: FakeEngine) -> None:
    console = Console("one", engine, lambda *_: None)
    with pytest.raises(Fault) as refused:
        await console.write("status")
    assert refused.value.code is ErrorCode.INVALID_STATE
    await console.open()
    await engine.start("one")
    await console.write("status")
    engine.end_game("one", 0)
    await console.drained(1)
    with pytest.raises(Fault):
        await console.write("status")


async def test_a_flood_is_read_without_pause(engine: FakeEngine) -> None:
    count = 0

    def on_line(stream: str, text: str) -> None:
        nonlocal count
        count += 1

    console = Console("one", engine, on_line)
    await console.open()
    await engine.start("one")
    for _ in range(200):
        engine.output("one", b"spam and eggs\n" * 500)
    await until(lambda: count == 100_000)
    await asyncio.sleep(0)
    await console.close()
