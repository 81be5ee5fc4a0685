"""What the agent is told: by the environment, and by a TOML file, of which the environment wins."""

import ipaddress
import os
import socket
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from yarl import URL

from ctrl_alt_play.logs import LogFormat, LogLevel
from ctrl_alt_play.paths import data_folder

DEFAULT_FILE = Path("/etc/ctrl-alt-play/agent.toml")
DEFAULT_SECRET = "agent-secret"  # noqa: S105 - refused wherever it could matter
_KNOWN_SECRETS = {DEFAULT_SECRET, "secret", "changeme", "change-me", "your-secret-here", "password"}
SHORTEST_SECRET = 16


class ConfigError(Exception):
    """The agent cannot run as configured; the message says what to change."""


class AgentConfig(BaseSettings):
    """Names are those of the environment, in lower case in the file."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    panel_url: str = "ws://localhost:8080"
    node_id: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    agent_secret: SecretStr = SecretStr(DEFAULT_SECRET)
    panel_ca_file: Path | None = None
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=8081, ge=0, le=65535, description="0: any free port, told in the log")
    docker_host: str | None = None
    ctrl_alt_play_data: Path = Field(default_factory=data_folder)
    log_level: LogLevel = "info"
    log_format: LogFormat = "console"

    @property
    def folder(self) -> Path:
        """The agent's own part of the data folder."""
        return self.ctrl_alt_play_data / "agent"

    @property
    def url(self) -> URL:
        """The panel's address as a WebSocket address; the path is `/` unless one is given."""
        url = URL(self.panel_url)
        return url.with_scheme({"http": "ws", "https": "wss"}.get(url.scheme, url.scheme))

    @field_validator("ctrl_alt_play_data")
    @classmethod
    def _stays_where_it_is(cls, value: Path) -> Path:
        """Docker mounts only absolute paths."""
        return value.absolute()

    @field_validator("docker_host")
    @classmethod
    def _is_an_engines_address(cls, value: str | None) -> str | None:
        if value and not value.startswith(("unix:///", "tcp://", "http://", "https://")):
            raise ValueError("give the engine's address, such as unix:///var/run/docker.sock or tcp://127.0.0.1:2375")
        return value or None

    @field_validator("agent_secret")
    @classmethod
    def _fits_a_header(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value().strip()
        if not secret.isascii() or not all(c.isprintable() and not c.isspace() for c in secret):
            raise ValueError("a secret holds no blanks, line breaks or other than ASCII characters")
        return SecretStr(secret)

    @field_validator("panel_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        url = URL(value)
        if url.scheme not in {"ws", "wss", "http", "https"} or not url.host:
            raise ValueError("give the panel's address, such as wss://panel.example.org or ws://192.0.2.7:8080")
        return value

    @model_validator(mode="after")
    def _secret_is_a_secret(self) -> "AgentConfig":
        secret = self.agent_secret.get_secret_value()
        if is_loopback(self.url.host or "") or (len(secret) >= SHORTEST_SECRET and secret not in _KNOWN_SECRETS):
            return self
        raise ValueError(
            f"AGENT_SECRET is a default or shorter than {SHORTEST_SECRET} characters, and the panel is on another machine: "
            "enrol this node at the panel and use the secret that it shows"
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())


def load_config() -> AgentConfig:
    """The configuration of this process.

    Raises:
        ConfigError: naming every setting that is wrong.
    """
    file = _config_file()
    if file != DEFAULT_FILE and not file.is_file():
        raise ConfigError(f"The configuration file {file} is not there, or not readable.")
    try:
        return AgentConfig()
    except ValidationError as error:
        wrong = [
            f"{_setting(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}" for problem in error.errors()
        ]
        raise ConfigError("; ".join(wrong)) from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"The configuration file {file} cannot be read: {error}") from error


def _setting(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place)).upper() or "configuration"


def _config_file() -> Path:
    return Path(os.environ.get("CTRL_ALT_PLAY_AGENT_CONFIG", DEFAULT_FILE))


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
