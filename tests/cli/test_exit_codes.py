"""The command line's exit codes, where no panel is needed to see them; with one they are seen in the tests of `up`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctrl_alt_play.cli.main import app
from ctrl_alt_play.client import Login


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("CTRL_ALT_PLAY_URL", "CTRL_ALT_PLAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_login_commands_say_how_to_get_one() -> None:
    done = CliRunner().invoke(app, ["server", "list"])
    assert done.exit_code == 4
    assert "ctrl-alt-play login" in done.stderr


def test_a_panel_that_does_not_answer_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRL_ALT_PLAY_TOKEN", "token")
    monkeypatch.setenv("CTRL_ALT_PLAY_URL", "http://127.0.0.1:9")
    done = CliRunner().invoke(app, ["node", "list", "--json"])
    assert done.exit_code == 5
    assert "UNREACHABLE" in done.stderr
    assert done.stdout == ""


def test_a_description_that_is_no_json_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "server.json"
    file.write_text("{")
    assert CliRunner().invoke(app, ["server", "create", str(file)]).exit_code == 2
    assert CliRunner().invoke(app, ["up", "--check"]).exit_code == 2


def test_a_deletion_asks_first() -> None:
    done = CliRunner().invoke(app, ["server", "delete", "arena"], input="n\n")
    assert done.exit_code == 1
    assert "gone for good" in done.stdout


def test_a_login_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    Login("http://127.0.0.1:3000", "secret").keep()
    file = tmp_path / "ctrl-alt-play" / "login.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["token"] == "secret"
    assert Login.load() == Login("http://127.0.0.1:3000", "secret")


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip()[0].isdigit()
