"""What the agent is told, and what it says when it is told wrong."""

from pathlib import Path

import pytest

from ctrl_alt_play.agent.config import is_loopback, load_config
from ctrl_alt_play.errors import StartupError

SECRET = "0123456789abcdef"
NAMES = (
    "PANEL_URL", "NODE_ID", "AGENT_SECRET", "PANEL_CA_FILE", "HEALTH_HOST", "HEALTH_PORT", "DOCKER_HOST", "CTRL_ALT_PLAY_DATA",
    "LOG_LEVEL", "LOG_FORMAT", "LOG_FILE", "LOG_FILE_MAX_BYTES", "LOG_FILES_KEPT",
)  # fmt: skip


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration file, and nothing in the environment."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "agent.toml"
    file.touch()
    monkeypatch.setenv("CTRL_ALT_PLAY_AGENT_CONFIG", str(file))
    return file


def test_an_agent_that_is_told_nothing_finds_a_panel_on_its_machine() -> None:
    config = load_config()
    assert config.panel_url == "ws://localhost:8080"
    assert (str(config.url.origin()), config.url.path) == ("ws://localhost:8080", "/")
    assert config.node_id
    assert (config.health_host, config.health_port) == ("127.0.0.1", 8081)
    assert config.agent_secret.get_secret_value() == "agent-secret"
    assert config.folder.is_absolute()


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('node_id = "from-file"\nhealth_port = 9000\n')
    monkeypatch.setenv("NODE_ID", "from-environment")
    config = load_config()
    assert (config.node_id, config.health_port) == ("from-environment", 9000)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://192.0.2.7:8080", "ws://192.0.2.7:8080/"),
        ("https://panel.example.org", "wss://panel.example.org/"),
        ("wss://panel.example.org/agents", "wss://panel.example.org/agents"),
    ],
)
def test_a_web_address_is_a_panels_address(given: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANEL_URL", given)
    monkeypatch.setenv("AGENT_SECRET", SECRET)
    found = load_config().url
    assert f"{found.origin()}{found.path}" == url


@pytest.mark.parametrize("secret", ["agent-secret", "short", "", "changeme", "password", "x" * 15])
@pytest.mark.parametrize(
    "host", ["panel.example.org", "192.0.2.7", "localhost.example.org", "127.0.0.1.example.org", "0.0.0.0"]
)
def test_a_default_or_short_secret_is_refused_for_a_panel_elsewhere(
    secret: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANEL_URL", f"ws://{host}:8080")
    monkeypatch.setenv("AGENT_SECRET", secret)
    with pytest.raises(StartupError, match="enrol this node at the panel"):
        load_config()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]", "panel.localhost"])
def test_a_default_secret_will_do_on_this_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANEL_URL", f"ws://{host}:8080")
    assert load_config().agent_secret.get_secret_value() == "agent-secret"


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SECRET", SECRET)
    assert SECRET not in repr(load_config())


def test_a_secret_from_a_file_with_a_line_break_at_its_end_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SECRET", f"{SECRET}\n")
    assert load_config().agent_secret.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PANEL_URL", "panel.example.org", "PANEL_URL: give the panel's address"),
        ("PANEL_URL", "ftp://panel", "PANEL_URL: give the panel's address"),
        ("PANEL_URL", "ws://panel:99999", "PANEL_URL: "),
        ("NODE_ID", "two words", "NODE_ID: "),
        ("NODE_ID", "", "NODE_ID: "),
        ("HEALTH_PORT", "many", "HEALTH_PORT: "),
        ("HEALTH_PORT", "65536", "HEALTH_PORT: "),
        ("LOG_LEVEL", "loud", "LOG_LEVEL: "),
        ("AGENT_SECRET", "two\r\nX-Header: lines", "AGENT_SECRET: a secret holds no blanks"),
        ("AGENT_SECRET", "geheimnisträger-01", "AGENT_SECRET: a secret holds no blanks"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as refused:
        load_config()
    assert said in str(refused.value)
    assert value == "" or name != "AGENT_SECRET" or value not in str(refused.value)


def test_every_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ID", "two words")
    monkeypatch.setenv("HEALTH_PORT", "many")
    with pytest.raises(StartupError, match=r"NODE_ID: .*; HEALTH_PORT: "):
        load_config()


def test_a_file_that_cannot_be_read_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("node_id = ")
    with pytest.raises(StartupError, match=r"agent\.toml cannot be read"):
        load_config()
    monkeypatch.setenv("CTRL_ALT_PLAY_AGENT_CONFIG", "/nowhere/agent.toml")
    with pytest.raises(StartupError, match=r"/nowhere/agent\.toml cannot be read"):
        load_config()


def test_a_name_that_is_no_setting_is_refused_for_it_may_be_a_slip(file: Path) -> None:
    file.write_text('agent_secrt = "abc"')
    with pytest.raises(StartupError, match=r"holds agent_secrt, which is no setting; settings are agent_secret, "):
        load_config()


@pytest.mark.parametrize("name", ["ctrl_alt_play_data", "data_folder"])
def test_the_data_folder_has_two_names_in_a_file(file: Path, tmp_path: Path, name: str) -> None:
    file.write_text(f'{name} = "{tmp_path}/elsewhere"')
    assert load_config().folder == tmp_path / "elsewhere" / "agent"


def test_a_file_given_by_hand_is_read_instead(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('node_id = "other"')
    assert load_config(file).node_id == "other"


def test_a_relative_data_folder_is_made_absolute_for_docker_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTRL_ALT_PLAY_DATA", "data")
    assert load_config().folder == tmp_path / "data" / "agent"


def test_only_this_machine_is_loopback() -> None:
    assert [host for host in ("localhost", "::1", "127.0.0.1", "10.0.0.1", "example.org", "") if is_loopback(host)] == [
        "localhost", "::1", "127.0.0.1",
    ]  # fmt: skip
