"""Three accounts of one output are made one: the log's, the engine's, and what is heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.agent.consoles.joining import Block, Without, end_of, join, lines_of, overlap_of


def said(*lines: str, stream: str = "stdout") -> list[Block]:
    return [Block(stream, line) for line in lines]


@pytest.mark.parametrize(
    ("known", "found", "place"),
    [
        ("abc", "abcde", 3),
        ("abc", "bcde", 2),
        ("abc", "cde", 1),
        ("abc", "de", None),
        ("abc", "", None),
        ("abc", "abc", 3),
        ("aab", "xaabaab", 4),
        ("abx", "abxab", 3),
        ("ab>", "ab!cd", 2),
    ],
)
def test_the_end_of_what_is_known_is_found(known: str, found: str, place: int | None) -> None:
    assert end_of(known, found) == place


@pytest.mark.parametrize(
    ("found", "since", "at_least", "overlap"),
    [
        ("abc", "cde", 1, 1),
        ("abc", "bcde", 1, 2),
        ("abc", "de", 0, 0),
        ("abc", "de", 1, None),
        ("abc", "", 0, 0),
        ("tttt", "t", 1, 1),
        ("tttt", "ttt", 0, 3),
        ("", "ab", 0, 0),
    ],
)
def test_what_was_told_twice_is_found(found: str, since: str, at_least: int, overlap: int | None) -> None:
    assert overlap_of(found, since, at_least) == overlap


def test_the_first_line_heard_may_be_the_end_of_one() -> None:
    assert overlap_of(["one", "number two", "three"], ["two", "three", "four"], 1) == 2
    assert overlap_of(["one", "number two"], ["two"], 1) == 1


def test_streams_are_joined_each_by_itself() -> None:
    recorded = [*said("out 1", "out 2"), *said("err 1", stream="stderr")]
    kept = [*said("err 1", "err 2", stream="stderr"), *said("out 2", "out 3", "out 4"), *said("err 3", stream="stderr")]
    heard = [*said("out 4", "out 5"), *said("err 3", "err 4", stream="stderr")]
    joint = join(recorded, kept, heard, {"stdout": 1, "stderr": 1})
    assert joint.news == [*said("err 2", stream="stderr"), *said("out 3", "out 4"), *said("err 3", stream="stderr")]
    assert (joint.is_whole, joint.is_closed, joint.heard_before) == (True, True, {"stdout": 1, "stderr": 1})


def test_what_cannot_be_joined_is_said() -> None:
    joint = join(said("1", "2"), said("7", "8"), said("9"), {"stdout": 1})
    assert (joint.is_whole, joint.is_closed) == (False, False)
    assert joint.news == said("7", "8")


def test_lines_after_a_gap_are_not_joined() -> None:
    assert lines_of([Block("stdout", "a\nb"), Block("", None, 7), Block("stdout", "c")], "stdout") == ["a", "b"]


@given(
    total=st.integers(1, 60),
    recorded=st.integers(0, 60),
    kept_from=st.integers(0, 60),
    kept_to=st.integers(0, 60),
    heard_from=st.integers(0, 60),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_numbered_lines_come_once_and_in_order(
    total: int, recorded: int, kept_from: int, kept_to: int, heard_from: int, sizes: list[int]
) -> None:
    """As it is in truth: what the log has ends within what the engine kept, and so does what is heard begin."""
    lines = [f"line {number}" for number in range(total)]
    recorded = min(recorded, total)
    kept_from = min(kept_from, max(0, recorded - 1))
    heard_from = min(max(heard_from, recorded), total)
    kept_to = min(max(kept_to, heard_from), total)

    def blocks(part: list[str]) -> list[Block]:
        found, place, turn = list[Block](), 0, 0
        while place < len(part):
            size = sizes[turn % len(sizes)]
            found.append(Block("stdout", "\n".join(part[place : place + size])))
            place, turn = place + size, turn + 1
        return found

    heard = blocks(lines[heard_from:])
    at_first = {"stdout": min(1, kept_to - heard_from)}
    joint = join(blocks(lines[max(0, recorded - 9) : recorded]), blocks(lines[kept_from:kept_to]), heard, at_first)
    assert joint.is_whole
    assert joint.is_closed
    rest = [each for each in map(Without(joint.heard_before), heard) if each is not None]
    assert lines[:recorded] + lines_of([*joint.news, *rest], "stdout") == lines
