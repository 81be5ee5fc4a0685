"""The log in a file: who may read it, how it is turned over, and what happens when it cannot be written."""

import io
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from ctrl_alt_play import log_file
from ctrl_alt_play.log_file import LogFile


class Log:
    """A handler, and what came out at its other end."""

    def __init__(self, path: Path, max_bytes: int = 0, kept: int = 3) -> None:
        self.path = path
        self.screen = io.StringIO()
        self.handler = LogFile(path, max_bytes, kept, logging.StreamHandler(self.screen))

    def say(self, text: str) -> None:
        self.handler.handle(logging.LogRecord("test", logging.INFO, "", 0, text, (), None))

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.handler.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with Log(tmp_path / "folder" / "panel.log") as made:
        yield made


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_its_owner_alone_whatever_the_umask_is(log: Log) -> None:
    with umask(0):
        log.say("first")
    assert (mode(log.path), mode(log.path.parent)) == (0o600, 0o700)


def test_one_that_is_there_is_closed_to_others_but_not_to_its_group(tmp_path: Path) -> None:
    with Log(tmp_path / "agent.log") as log:
        log.path.touch()
        log.path.chmod(0o644)
        log.say("first")
    assert mode(log.path) == 0o640


def test_it_is_turned_over_before_it_grows_too_large_and_old_ones_go(tmp_path: Path) -> None:
    with Log(tmp_path / "panel.log", max_bytes=30, kept=2) as log:
        for number in range(10):
            log.say(f"event {number}")
    assert log.lines == ["event 9"]
    assert (tmp_path / "panel.log.1").read_text() == "event 6\nevent 7\nevent 8\n"
    assert (tmp_path / "panel.log.2").read_text() == "event 3\nevent 4\nevent 5\n"
    assert len(list(tmp_path.iterdir())) == 3
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}


def test_a_line_that_is_longer_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    with Log(tmp_path / "panel.log", max_bytes=10) as log:
        log.say("short")
        log.say("much longer than the limit")
    assert log.lines == ["much longer than the limit"]


def test_when_somebody_else_moves_it_away_it_is_made_anew(log: Log) -> None:
    log.say("first")
    moved = log.path.rename(log.path.with_suffix(".old"))
    log.say("second")
    assert (moved.read_text(), log.lines) == ("first\n", ["second"])
    log.path.unlink()
    log.say("third")
    assert log.lines == ["third"]


def test_what_cannot_be_encoded_is_written_all_the_same(log: Log) -> None:
    log.say("half a pair: \ud800, é")
    assert log.lines == ["half a pair: \\ud800, é"]


def test_on_a_full_disk_events_go_to_the_screen() -> None:
    with Log(Path("/dev/full")) as log:
        log.say("first")
        log.say("second")
    assert log.screen.getvalue() == "first\nsecond\n"


def test_it_is_written_again_once_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "RETRY_S", 0.0)
    in_the_way = tmp_path / "folder"
    in_the_way.touch()
    with Log(in_the_way / "panel.log") as log:
        log.say("first")
        in_the_way.unlink()
        log.say("second")
    assert (log.screen.getvalue(), log.lines) == ("first\n", ["second"])


FILLING = """
import resource, sys
from pathlib import Path
import structlog
from ctrl_alt_play import log_file, logs
log_file.RETRY_S = 0.0
logs.configure(logs.LogSettings(format="json", file=Path(sys.argv[1])))
log = structlog.get_logger("ctrl_alt_play.test")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (250, hard))
for number in range(5):
    log.info("filling", number=number)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for number in range(5, 8):
    log.info("filling", number=number)
"""


def test_a_disk_that_fills_up_costs_no_event_and_joins_no_two(tmp_path: Path) -> None:
    file = tmp_path / "panel.log"
    done = subprocess.run([sys.executable, "-c", FILLING, str(file)], capture_output=True, text=True, check=True)
    on_screen = [json.loads(line) for line in done.stderr.splitlines()]
    whole, torn = [], 0
    for line in file.read_text().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn += 1
    numbers = sorted(event["number"] for event in [*on_screen, *whole] if event["event"] == "filling")
    assert numbers == list(range(8))
    assert torn == 1
    assert [event["event"] for event in on_screen].count("log_file_not_written") == 1
    assert [event["event"] for event in whole].count("log_file_written_again") == 1
