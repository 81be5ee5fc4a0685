"""What both programs are told about their logs, and what changes when it is told anew."""

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.until import until

from ctrl_alt_play.agent.config import LINK_SETTINGS, AgentConfig
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.logs import LogSettings
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.settings import LiveSettings, Settings
from ctrl_alt_play.supervision import Supervisor

KINDS = pytest.mark.parametrize("kind", [Config, AgentConfig])
SECRET = "0123456789abcdef"


class File:
    """A settings file that can be written again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "settings.toml"
        self.log = folder / "program.log"

    def write(self, **settings: Any) -> None:
        given = {"log_file": str(self.log), "log_format": "json", **settings}
        self.path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()))

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def said(self, event: str) -> dict[str, Any]:
        (found,) = [each for each in self.events if each["event"] == event]
        return found


@pytest.fixture
def file(tmp_path: Path, own_logging: None, monkeypatch: pytest.MonkeyPatch) -> File:
    for name in os.environ:
        if name.lower() in {*Config.model_fields, *AgentConfig.model_fields} or name.startswith("CTRL_ALT_PLAY_"):
            monkeypatch.delenv(name)
    made = File(tmp_path)
    made.write()
    return made


@KINDS
def test_a_log_is_on_the_screen_unless_told_otherwise(kind: type[Settings], file: File) -> None:
    file.path.write_text("")
    assert kind.read(file.path).log == LogSettings()


@KINDS
def test_a_logs_file_its_size_and_how_many_are_kept_can_be_told(kind: type[Settings], file: File) -> None:
    file.write(log_level="debug", log_file_max_bytes=1000, log_files_kept=2)
    assert kind.read(file.path).log == LogSettings("debug", "json", file.log, 1000, 2)


@KINDS
@pytest.mark.parametrize(("name", "value"), [("log_file_max_bytes", -1), ("log_files_kept", 0), ("log_level", "loud")])
def test_a_wrong_one_is_named(kind: type[Settings], file: File, name: str, value: Any) -> None:
    file.write(**{name: value})
    with pytest.raises(StartupError, match=rf"Wrong settings: {name.upper()}: "):
        kind.read(file.path)


@KINDS
def test_the_file_in_etc_is_read_when_it_is_there(
    kind: type[Settings], file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "default_file", file.path)
    assert kind.read().log_format == "json"
    monkeypatch.setattr(kind, "default_file", file.path / "nothing")
    assert kind.read().log_format == "console"


def test_a_database_password_is_a_secret_in_both_its_forms() -> None:
    assert Config.read(database_url="postgresql://panel:p%40ss@db/panel").secrets() == ["p%40ss", "p@ss"]
    assert Config.read(database_url="postgresql://[broken").secrets() == []


@KINDS
def test_a_reload_changes_the_log_at_once(kind: type[Settings], file: File) -> None:
    live = LiveSettings(kind.read(file.path))
    other = file.log.with_name("other.log")
    file.write(log_file=str(other), log_level="debug")
    live.reload()
    assert live.current.log == LogSettings("debug", "json", other)
    file.log = other
    assert file.said("settings_reloaded")["changed"] == ["LOG_FILE", "LOG_LEVEL"]


def test_whoever_asked_is_told_what_changed_and_the_rest_needs_a_restart(file: File) -> None:
    file.write(panel_url="ws://localhost:1", health_port=1, node_id="before")
    live = LiveSettings(AgentConfig.read(file.path, docker_host="tcp://127.0.0.1:1"))
    told: list[str] = []
    live.tell(LINK_SETTINGS, lambda new: told.append(f"{new.panel_url} {new.agent_secret.get_secret_value()}"))
    live.tell({"data"}, lambda _: told.append("nothing of this has changed"))
    file.write(panel_url="ws://localhost:2", agent_secret=SECRET, health_port=2, node_id="after")
    live.reload()
    assert told == [f"ws://localhost:2 {SECRET}"]
    assert (live.current.node_id, live.current.health_port) == ("before", 1)
    assert file.said("settings_reloaded")["changed"] == ["AGENT_SECRET", "PANEL_URL"]
    assert file.said("settings_need_restart")["settings"] == ["HEALTH_PORT", "NODE_ID"]
    assert SECRET not in file.log.read_text()
    live.reload()
    assert len(told) == 1


@pytest.mark.parametrize("broken", ["log_level = ", 'log_level = "loud"', "who = 1", None])
def test_where_the_file_is_broken_everything_stays_and_the_log_says_why(file: File, broken: str | None) -> None:
    live = LiveSettings(AgentConfig.read(file.path))
    reloads: list[None] = []
    live.heed(lambda: reloads.append(None))
    before = live.current
    if broken is None:
        file.path.unlink()
    else:
        file.path.write_text(broken)
    live.reload()
    assert live.current is before
    assert len(reloads) == 1
    event = file.said("settings_not_reloaded")
    assert event["level"] == "error"
    assert str(file.path) in event["reason"] or "LOG_LEVEL: " in event["reason"]


def test_one_that_cannot_be_applied_keeps_no_other_from_it(file: File) -> None:
    live = LiveSettings(AgentConfig.read(file.path))
    told: list[str] = []

    def fail(_: AgentConfig) -> None:
        raise ZeroDivisionError

    live.tell(LINK_SETTINGS, fail)
    live.tell(LINK_SETTINGS, lambda new: told.append(new.panel_url))
    file.write(panel_url="ws://localhost:2")
    live.reload()
    assert told == ["ws://localhost:2"]
    assert "ZeroDivisionError" in file.said("settings_not_applied")["exception"]


async def test_a_hangup_reloads_and_tells_the_supervisor(file: File, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        supervisor, live = Supervisor(str(tmp_path / "notify")), LiveSettings(AgentConfig.read(file.path))
        supervisor.ready()
        live.reload_on_hangup(supervisor)
        file.write(log_level="debug")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: live.current.log_level == "debug")
        heard = [(await asyncio.to_thread(manager.recv, 100)).split(b"\n")[0] for _ in range(3)]
    asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
    assert heard == [b"READY=1", b"RELOADING=1", b"READY=1"]
