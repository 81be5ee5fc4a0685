"""Where the panel's settings come from, and what is said when they are wrong."""

import stat
from pathlib import Path

import pytest

from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel.config import load


def test_defaults_are_the_protocols_own(tmp_path: Path) -> None:
    config = load(data=tmp_path)
    assert (config.host, config.port, config.websocket_port) == ("0.0.0.0", 3000, 8080)
    assert config.database == f"sqlite:///{tmp_path}/panel.db"


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "panel.toml"
    file.write_text('port = 4000\nwebsocket_port = 4001\nhost = "127.0.0.1"\n')
    monkeypatch.setenv("CTRL_ALT_PLAY_PANEL_CONFIG", str(file))
    monkeypatch.setenv("CTRL_ALT_PLAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PORT", "5000")
    config = load()
    assert (config.port, config.websocket_port, config.host) == (5000, 4001, "127.0.0.1")
    assert config.data == tmp_path / "data"


def test_a_file_given_by_hand_is_read(tmp_path: Path) -> None:
    file = tmp_path / "panel.toml"
    file.write_text(f'data_folder = "{tmp_path}/elsewhere"\n')
    assert load(file).data == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 70000", "PORT: "),
        ('jwt_secret = "short"', "at least 32 characters"),
        ("prot = 3000", "prot"),
        ('public_url = "panel.example.org"', "PUBLIC_URL: give it as people type it"),
        ('public_url = "https://panel.example.org/sub"', "without a path"),
        ('public_url = "ftp://panel.example.org"', "PUBLIC_URL"),
        ("port = ", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_without_a_secret(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "panel.toml"
    file.write_text(text)
    with pytest.raises(StartupError, match=sentence) as wrong:
        load(file)
    assert "short" not in str(wrong.value).replace("shorter", "")


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"public_url": "https://Panel.example.org/"}, "https://panel.example.org"),
        ({"host": "192.0.2.7"}, "http://192.0.2.7:3000"),
        ({"host": "::1"}, "http://[::1]:3000"),
    ],
)
def test_where_people_find_the_panel(tmp_path: Path, settings: dict[str, str], address: str) -> None:
    assert load(data=tmp_path, **settings).people_url(3000) == address


def test_a_panel_that_listens_everywhere_is_found_at_an_address_of_this_machine(tmp_path: Path) -> None:
    assert "//0.0.0.0" not in load(data=tmp_path).people_url(3000)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be read"):
        load(tmp_path / "missing.toml")


def test_the_signing_secret_is_made_once_and_for_the_panels_eyes_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    key = load(data=folder).signing_key()
    assert len(key) >= 43
    assert load(data=folder).signing_key() == key
    assert stat.S_IMODE((folder / "jwt-secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["jwt-secret"]


def test_a_kept_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jwt-secret").write_text("short")
    with pytest.raises(StartupError, match="shorter than 32"):
        load(data=tmp_path).signing_key()


def test_a_given_secret_is_used_and_none_is_kept(tmp_path: Path) -> None:
    assert load(data=tmp_path, jwt_secret="x" * 32).signing_key() == "x" * 32
    assert not list(tmp_path.iterdir())


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    shown = repr(load(data=tmp_path, jwt_secret="hidden" * 8, agent_secret="hidden-too"))
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_database_addresses_are_taken_as_people_write_them(tmp_path: Path, given: str, used: str) -> None:
    assert load(data=tmp_path, database_url=given).database == used
