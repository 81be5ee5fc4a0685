"""The console: lines in batches, kept over every start; none is lost without a word, and their order is the game's.

Viewers who are cut off, and programs that are killed meanwhile: tests/integration/test_cut_viewers.py.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import pytest
from tests.integration.agent.consoles import numbered
from tests.integration.defects.conftest import MakePuppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.waiting import until

from ctrl_alt_play.cli.lines import Line, lines_of
from ctrl_alt_play.client import Api, Login

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
MOST_S = 60


def numbered_long(count: int) -> str:
    """A shell's command that writes so many lines of a hundred bytes, each beginning with its number."""
    return f"busybox awk 'BEGIN {{ for (i = 0; i < {count}; i++) print i \" {'x' * 93}\" }}'"


def number(line: Line) -> str:
    return str(line["text"].split(" ")[0])


def page(game: Puppet, **query: Any) -> list[Line]:
    return list(game.installation.get(f"{game.path}/console", **query)["lines"])


def has_written(game: Puppet, last: str) -> None:
    until(lambda: is_last(last, page(game, lines=1)), f"{last!r} is the last line", MOST_S)


def kept(game: Puppet) -> list[Line]:
    """All of its console: lines, and gaps in the place of others."""
    found: list[Line] = []
    while lines := page(game, lines=1000, after=found[-1]["number"] + found[-1]["count"] if found else 0):
        found += lines
    return found


def is_last(text: str, lines: list[Line]) -> bool:
    return bool(lines) and lines[-1]["text"] == text


def texts(lines: list[Line]) -> list[str]:
    return [line["text"] for line in lines if line["lost"] is None]


def losses(lines: list[Line]) -> set[str]:
    return {line["lost"] for line in lines if line["lost"] is not None}


def has_no_hole(lines: list[Line]) -> None:
    """Each number from 0 on is a line's, or in a gap that is told."""
    assert lines[0]["number"] == 0
    for earlier, later in pairwise(lines):
        assert later["number"] == earlier["number"] + earlier["count"]


@contextmanager
def looked_at(game: Puppet) -> Iterator[Iterator[list[Line]]]:
    """Batch after batch, from the first line on."""
    http = game.installation.api
    with (
        Api(Login(str(http.base_url), http.headers["Authorization"].removeprefix("Bearer "))) as api,
        api.stream(f"{game.path}/console/stream", after=0) as batches,
    ):
        yield ([line for part in batch["parts"] for line in lines_of(part)] for batch in batches)


def told_up_to(batches: Iterator[list[Line]], last: str) -> list[list[Line]]:
    """All batches up to the one that ends so."""
    found: list[list[Line]] = [[]]
    while not is_last(last, found[-1]):
        found.append(next(batches))
    return found[1:]


@contextmanager
def looked_at_by_nobody_who_reads(game: Puppet) -> Iterator[None]:
    """Someone is told the console, and takes nothing of it."""
    http = game.installation.api
    with socket.socket() as viewer:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        viewer.connect((http.base_url.host, http.base_url.port))
        head = f"Host: panel\r\nAuthorization: {http.headers['Authorization']}"
        viewer.sendall(f"GET {game.path}/console/stream HTTP/1.1\r\n{head}\r\n\r\n".encode())
        assert viewer.recv(12) == b"HTTP/1.1 200"
        yield


def test_output_is_told_in_batches_and_in_order(puppet: MakePuppet) -> None:
    game = puppet()
    game.does("start")
    with looked_at(game) as batches:
        told_up_to(batches, "ready")
        game.types(numbered(20_000, 0))
        told = told_up_to(batches, "line 19999")
    assert texts([line for batch in told for line in batch]) == [f"line {number}" for number in range(20_000)]
    assert len(told) < 20_000 / 20


def test_what_is_written_one_character_at_a_time_is_a_line_all_the_same(puppet: MakePuppet) -> None:
    """A game that stood still in the middle of it may have its line in a few pieces."""
    game = puppet()
    game.does("start")
    game.types("i=0; while [ $i -lt 500 ]; do printf x; i=$((i+1)); done; echo; echo end")
    has_written(game, "end")
    _, *pieces, _ = texts(kept(game))
    assert "".join(pieces) == "x" * 500
    assert len(pieces) < 500 / 20


def test_history_outlives_every_start_of_game_agent_and_panel(installation: Installation, puppet: MakePuppet) -> None:
    game = puppet(crash={"backoff": [0]})
    game.does("start")
    game.types("echo first run")
    game.does("restart")
    game.types("echo run after a restart")
    game.is_changed(environment={"WORD": "new"})
    game.does("restart")
    game.types("echo run in a new container")
    before = game.pid
    game.types("exit 3")
    game.runs_anew(before)
    game.becomes("RUNNING")
    game.types("echo run after a crash")
    installation.kill(installation.agent)
    installation.start_agent()
    installation.wait_for_node()
    game.types("echo another agent")
    installation.kill(installation.panel)
    installation.start_panel()
    installation.wait_for_panel()
    installation.wait_for_node()
    game.types("echo another panel")
    has_written(game, "another panel")
    lines = kept(game)
    runs = ["first run", "run after a restart", "run in a new container", "run after a crash"]
    assert texts(lines) == [*(text for run in runs for text in ("ready", run)), "another agent", "another panel"]
    assert [line["number"] for line in lines] == list(range(len(lines)))


def test_how_much_of_it_is_kept_is_the_servers_own_rule_from_the_moment_it_is_given(puppet: MakePuppet) -> None:
    game, count = puppet(), 30_000
    game.does("start")
    pid = game.pid
    game.types(f"{numbered_long(count)}; echo end")
    has_written(game, "end")
    assert page(game, after=0)[0]["text"] == "ready"
    game.is_changed(console={"keep_bytes": 2**20})
    until(lambda: page(game, after=0)[0]["lost"] == "rotated", "the oldest have gone for size")
    assert texts(page(game, lines=1)) == ["end"]
    game.is_changed(console={"keep_days": 1e-6})
    until(lambda: page(game, after=0)[0]["count"] == count + 2, "all have gone for age")
    assert game.view()["console"] == {"tty": False, "keep_bytes": 2**20, "keep_days": 1e-6}
    assert game.pid == pid


def test_no_line_of_a_flood_is_lost_without_a_word(puppet: MakePuppet) -> None:
    """Neither for those who read what is kept, a thirtieth of it, nor for a viewer who reads late."""
    game, count = puppet(console={"keep_bytes": 2**20}), 300_000
    game.does("start")
    with looked_at(game) as batches:
        (ready,) = told_up_to(batches, "ready")
        game.types(f"{numbered_long(count)}; echo end")
        has_written(game, "end")
        of_viewer = [line for batch in [ready, *told_up_to(batches, "end")] for line in batch]
    of_history = kept(game)
    for lines in (of_history, of_viewer):
        has_no_hole(lines)
        assert lines[-1]["number"] == count + 1
        numbers = [(line["number"] - 1, number(line)) for line in lines if line["lost"] is None]
        assert all(text in {"ready", "end", str(place)} for place, text in numbers)
    assert "rotated" in losses(of_history) <= {"rotated", "flood"}
    assert losses(of_viewer) <= {"rotated", "flood", "skipped"}


def test_what_docker_lost_while_the_agent_was_dead_is_said_where_it_is_missing(
    installation: Installation, puppet: MakePuppet
) -> None:
    game, count = puppet(), 400_000
    folder = installation.folder / "agent" / "servers" / game.id
    game.does("start")
    game.types("echo before; until [ -e go ]; do busybox usleep 20000; done")
    has_written(game, "before")
    game.types(f"{numbered_long(count)}; echo end; touch done")
    installation.kill(installation.agent)
    (folder / "go").touch()
    until((folder / "done").exists, "it has written all", MOST_S)
    installation.start_agent()
    installation.wait_for_node()
    has_written(game, "end")
    ready, before, gap, first, *_ = page(game, after=0)
    *_, last, end = page(game)
    assert (ready["text"], before["text"], gap["lost"], end["text"]) == ("ready", "before", "away", "end")
    assert int(number(first)) > 0
    assert int(number(last)) == count - 1
    assert last["number"] - first["number"] == count - 1 - int(number(first)), "after the gap all is there"
    download = installation.api.get(f"{game.path}/console/download").text
    assert download.startswith(
        "ready\nbefore\n[Some lines are not here: they were written while the agent was away.]\n"
    )


def test_what_is_typed_is_answered_in_its_order(puppet: MakePuppet) -> None:
    game = puppet()
    game.does("start")
    orders = [game.order("command", {"command": f"echo {place}"}) for place in range(100)]
    has_written(game, "99")
    assert texts(kept(game)) == ["ready", *map(str, range(100))]
    assert {game.ended(order)["state"] for order in orders} == {"succeeded"}


@pytest.mark.parametrize("looking", [nullcontext, looked_at_by_nobody_who_reads], ids=["nobody looks", "nobody reads"])
def test_a_game_that_writes_20_mb_while_nobody_reads_is_never_blocked(puppet: MakePuppet, looking: Any) -> None:
    """While the panel is away as well: tests/integration/agent/test_consoles.py."""
    game = puppet()
    game.does("start")
    with looking(game):
        game.types(f"busybox yes {'x' * 99} | busybox head -c 20000000; touch done")
        until((game.installation.folder / "agent" / "servers" / game.id / "done").exists, "it has written all", MOST_S)
        game.types("echo; echo here")
        game.installation.says(game.id, "here")
