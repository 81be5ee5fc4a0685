"""What an event looks like in a log: one line, named, with all that it carries, and without secrets."""

import asyncio
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from ctrl_alt_play import logs
from ctrl_alt_play.logs import LogFormat, LogLevel, LogSettings

SECRET = "s3cr3t-of-this-node"


class Log:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.ours = structlog.get_logger("ctrl_alt_play.test")

    def configure(self, log_format: LogFormat = "json", level: LogLevel = "info") -> None:
        logs.configure(LogSettings(level, log_format, self.file), [SECRET])

    @property
    def lines(self) -> list[str]:
        return self.file.read_text().splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def log(tmp_path: Path, own_logging: None) -> Log:
    return Log(tmp_path / "test.log")


def test_an_event_is_a_line_of_json_with_a_name_and_fields(log: Log) -> None:
    log.configure()
    log.ours.info("node_enrolled", node_id="attic", servers=3)
    (event,) = log.events
    when = datetime.fromisoformat(event.pop("timestamp"))
    assert when.tzinfo is not None
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60
    assert event == {
        "event": "node_enrolled", "level": "info", "logger": "ctrl_alt_play.test", "node_id": "attic", "servers": 3,
    }  # fmt: skip


def fail(why: str) -> None:
    raise ValueError(why)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_on_the_line_of_its_event_and_tells_no_secret(log: Log, log_format: LogFormat) -> None:
    log.configure(log_format)
    try:
        fail(f"no such node:\n{SECRET}")
    except ValueError:
        log.ours.exception("request_failed")
    (line,) = log.lines
    assert "Traceback (most recent call last):\\n  File" in line
    assert "ValueError: no such node:\\n[redacted]" in line
    assert SECRET not in line


def test_a_line_break_in_a_value_makes_no_second_event(log: Log) -> None:
    log.configure("console")
    log.ours.info("agent_error", message="well\nforged_event \x1b[2J level=error\u2028\x85", lines=["a\nb"])
    assert len(log.file.read_text().splitlines()) == 1
    assert "well\\nforged_event \\x1b[2J" in log.lines[0]


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_nothing_below_the_level_is_shown(log: Log, level: LogLevel, shown: int) -> None:
    log.configure(level=level)
    for speak in (log.ours.debug, log.ours.info, log.ours.warning, log.ours.error):
        speak("spoke")
    assert len(log.events) == shown


def test_libraries_speak_from_warnings_on_in_events_of_one_name(log: Log) -> None:
    log.configure(level="debug")
    for library in ("uvicorn.error", "aiosqlite", "sqlalchemy.engine.Engine", "asyncio"):
        logging.getLogger(library).info("headers: Authorization: Bearer %s", SECRET)
    logging.getLogger("uvicorn.error").warning("Invalid request from %s\n", SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("this will go", DeprecationWarning, stacklevel=1)
    said, warned = log.events
    assert (said["event"], said["logger"], said["level"]) == ("library_message", "uvicorn.error", "warning")
    assert said["message"] == "Invalid request from [redacted]"
    assert warned["logger"] == "py.warnings"
    assert "this will go" in warned["message"]


def test_what_cannot_be_shown_costs_only_itself(log: Log) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    log.configure()
    log.ours.info("first", thing=Broken())
    log.ours.info("second")
    assert [event["event"] for event in log.events] == ["event_not_rendered", "second"]


async def test_ids_are_carried_into_all_that_is_begun_inside(log: Log) -> None:
    log.configure()
    told = asyncio.Event()

    async def speak(name: str) -> None:
        await told.wait()
        log.ours.info(name)
        await asyncio.to_thread(log.ours.info, f"{name} in a thread")

    before = asyncio.create_task(speak("begun before"))
    with logs.carrying(command_id="c-1", server_id="s-1", nothing=None):
        inside = asyncio.create_task(speak("begun inside"))
        apart = asyncio.create_task(speak("begun apart"), context=logs.nothing_carried())
        with logs.carrying(server_id="s-2"):
            log.ours.info("within")
        log.ours.info("again")
        logging.getLogger("library").warning("of a library")
    log.ours.info("after")
    told.set()
    await asyncio.gather(before, inside, apart)

    ids = {each.get("message", each["event"]): (each.get("command_id"), each.get("server_id")) for each in log.events}
    assert ids == {
        "within": ("c-1", "s-2"),
        "again": ("c-1", "s-1"),
        "of a library": ("c-1", "s-1"),
        "after": (None, None),
        "begun before": (None, None),
        "begun before in a thread": (None, None),
        "begun apart": (None, None),
        "begun apart in a thread": (None, None),
        "begun inside": ("c-1", "s-1"),
        "begun inside in a thread": ("c-1", "s-1"),
    }
    assert not any("nothing" in each for each in log.events)


def test_settings_can_change_while_the_program_runs(log: Log) -> None:
    log.configure()
    log.ours.debug("not shown")
    log.ours.info("shown before")
    log.file.rename(log.file.with_suffix(".old"))
    log.configure("console", "debug")
    log.ours.debug("shown", number=1)
    assert log.file.with_suffix(".old").read_text().count("\n") == 1
    assert [line.split()[-2:] for line in log.lines] == [["[ctrl_alt_play.test]", "number=1"]]


def run(program: str) -> subprocess.CompletedProcess[str]:
    begin = "import sys, threading\nfrom ctrl_alt_play import logs\nfrom ctrl_alt_play.logs import LogSettings\n"
    return subprocess.run([sys.executable, "-c", begin + program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_nobody_caught_is_one_event_too(log_format: str) -> None:
    done = run(
        f"logs.configure(LogSettings(format={log_format!r}), [{SECRET!r}])\n"
        f"thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()\nraise ValueError({SECRET!r})"
    )
    in_thread, at_last = done.stderr.splitlines()
    assert done.returncode == 1
    assert "thread_broke" in in_thread
    assert "ZeroDivisionError" in in_thread
    assert "program_broke" in at_last
    assert SECRET not in done.stderr


def test_a_program_goes_on_where_standard_error_is_gone_or_full() -> None:
    program = (
        "import os, structlog\nfull = os.open('/dev/full', os.O_WRONLY)\nos.dup2(full, 2)\nlogs.configure(LogSettings())\n"
        "structlog.get_logger('ctrl_alt_play.x').info('lost')\nos.close(2)\nstructlog.get_logger('ctrl_alt_play.x').info('lost')\nprint('went on')"
    )
    assert run(program).stdout == "went on\n"


TELL: list[tuple[str, Callable[[str, str], bool]]] = [
    ("LogSettings()", lambda screen, file: screen == "The panel cannot start: why\n" and not file),
    ("LogSettings(format='json')", lambda screen, file: json.loads(screen)["reason"] == "why" and not file),
    (
        "LogSettings(file=Path(sys.argv[1]))",
        lambda screen, file: screen == "The panel cannot start: why\n" and "program_cannot_start" in file,
    ),
]


@pytest.mark.parametrize(("settings", "is_told"), TELL)
def test_why_a_program_cannot_start_is_told_to_whoever_looks(
    tmp_path: Path, settings: str, is_told: Callable[[str, str], bool]
) -> None:
    file = tmp_path / "panel.log"
    program = f"from pathlib import Path\nsys.argv[1:] = [{str(file)!r}]\nlogs.configure({settings})\nlogs.tell_why('panel', ValueError('why'))"
    screen = run(program).stderr
    assert is_told(screen, file.read_text() if file.exists() else "")
