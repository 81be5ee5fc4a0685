"""Lines out of bytes, however the transport cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.agent.consoles.cutting import LONGEST_LINE, Cutter, _joined


def lines_of(chunks: list[bytes]) -> list[str]:
    cutter = Cutter()
    blocks = [*(cutter.feed(chunk) for chunk in chunks), cutter.flush()]
    return [line for block in blocks if block is not None for line in block.split("\n")]


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
    cutter = Cutter()
    assert cutter.feed(b"> ") is None
    assert cutter.is_unfinished
    assert cutter.flush() == "> "
    assert cutter.feed(b"\n\nnext\n") == "\nnext"
    assert cutter.feed(b"> ") is None
    assert cutter.flush() == "> "
    assert cutter.feed(b"typed\r\n") == "typed"


@given(data=st.lists(pieces, max_size=12).map(b"".join), cuts=st.lists(st.integers(0, 60_000), max_size=12))
def test_a_block_has_the_lines_that_cutting_one_by_one_gives(data: bytes, cuts: list[int]) -> None:
    """What is done in C for a whole block is what would be done line by line."""
    quick, slow = Cutter(), Cutter()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for one, other in pairwise(places):
        text = slow._rest + slow._decoder.decode(data[one:other])
        assert quick.feed(data[one:other]) == _joined(slow._feed_slowly(text))
        assert (quick._rest, quick._is_continued) == (slow._rest, slow._is_continued)


@given(
    lines=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 5000), st.booleans()), max_size=12),
)
def test_every_line_is_kept_whole_or_counted_as_lost(lines: list[int], cuts: list[tuple[int, bool]]) -> None:
    data = b"".join(b"%d:%s\n" % (number, b"x" * length) for number, length in enumerate(lines))
    places = sorted((cut % (len(data) + 1), is_kept) for cut, is_kept in cuts)
    cutter, kept, start = Cutter(), list[str](), 0
    for place, is_kept in [*places, (len(data), True)]:
        if is_kept:
            text = cutter.feed(data[start:place])
            kept += [] if text is None else text.split("\n")
        else:
            cutter.skip(data[start:place])
        start = place
    assert len(kept) + cutter.lost == len(lines)
    numbers = [int(line.partition(":")[0]) for line in kept]
    assert numbers == sorted(set(numbers))
    assert kept == [f"{number}:{'x' * lines[number]}" for number in numbers]
    assert not cutter.is_unfinished


def test_a_line_that_is_too_long_to_remember_is_left_out_as_a_whole() -> None:
    cutter = Cutter()
    cutter.skip(b"one\n" + b"x" * (LONGEST_LINE + 1))
    assert cutter.feed(b"rest\nnext\n") == "next"
    assert cutter.lost == 2
