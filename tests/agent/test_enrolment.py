"""A machine that becomes a node: what it asks, what it keeps, and what it keeps as it was."""

import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.enrolment import enrol
from ctrl_alt_play.errors import StartupError

GOOD = b'{"node_id": "attic", "secret": "a-secret-that-nobody-sees-0123456789"}'


class Panel:
    """Answers whoever enrols."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, GOOD, []  # type: tuple[int, bytes, list[tuple[str, bytes]]]
        panel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                panel.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(panel.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(panel.body)

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever)

    @property
    def link(self) -> str:
        return f"http://{self.address}#token-1"


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    for name in ("PANEL_URL", "NODE_ID", "AGENT_SECRET", AgentConfig.file_variable):
        monkeypatch.delenv(name, raising=False)
    made = Panel()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_the_secret_is_fetched_and_kept_for_the_owner_alone(panel: Panel, tmp_path: Path) -> None:
    file = enrol(panel.link, tmp_path / "new" / "agent.toml")
    assert panel.asked == [("/api/enrolment", b'{"token": "token-1"}')]
    assert file.stat().st_mode & 0o777 == 0o600
    config = AgentConfig.read(file)
    assert (config.node_id, config.panel_url) == ("attic", f"ws://{panel.address}")
    assert config.agent_secret.get_secret_value() == "a-secret-that-nobody-sees-0123456789"


def test_other_settings_stay_as_they_are(panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('# mine\nhealth_port = 9000\nnode_id = "old"\nagent_secret="older"\n')
    enrol(panel.link, file)
    assert "# mine" in file.read_text()
    assert tomllib.loads(file.read_text()) == {
        "panel_url": f"ws://{panel.address}",
        "node_id": "attic",
        "agent_secret": "a-secret-that-nobody-sees-0123456789",
        "health_port": 9000,
    }


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (403, b'{"detail": "This enrolment was used already."}', "The panel refused: This enrolment was used already"),
        (404, b"not found", "no panel that can enrol"),
        (200, b"[]", "no panel that can enrol"),
        (200, b'{"node_id": "a\\"b", "secret": "x"}', "cannot be changed|no agent can have"),
    ],
)
def test_what_goes_wrong_is_said_and_changes_nothing(
    panel: Panel, tmp_path: Path, status: int, body: bytes, sentence: str
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("health_port = 9000\n")
    panel.status, panel.body = status, body
    with pytest.raises(StartupError, match=sentence):
        enrol(panel.link, file)
    assert file.read_text() == "health_port = 9000\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("link", ["", "attic", "http://panel.example.org", "ftp://panel#token", "#token"])
def test_what_is_no_link_is_refused_before_anything_is_done(panel: Panel, tmp_path: Path, link: str) -> None:
    with pytest.raises(StartupError, match="no link to enrol with"):
        enrol(link, tmp_path / "agent.toml")


def test_the_token_is_not_used_up_where_nothing_could_be_kept(panel: Panel) -> None:
    with pytest.raises(StartupError, match="cannot be kept"):
        enrol(panel.link, Path("/proc/nobody/agent.toml"))
    assert panel.asked == []


def test_an_environment_that_would_win_is_refused(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_ID", "other")
    with pytest.raises(StartupError, match="Unset NODE_ID first"):
        enrol(panel.link, tmp_path / "agent.toml")
    assert panel.asked == []


def test_a_panel_that_is_not_there_is_said(tmp_path: Path, panel: Panel) -> None:
    with pytest.raises(StartupError, match="not reached from this machine"):
        enrol("http://127.0.0.1:1#token", tmp_path / "agent.toml")


def test_others_than_root_find_their_settings_in_their_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(AgentConfig.file_variable, raising=False)
    own = tmp_path / "ctrl-alt-play" / "agent.toml"
    assert AgentConfig.own_file() == own
    own.parent.mkdir()
    own.touch()
    assert AgentConfig.find_file() == own
