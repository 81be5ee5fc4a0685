"""What the agent is told: by the environment, and by a TOML file, of which the environment wins."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator
from yarl import URL

from ctrl_alt_play.settings import Settings

DEFAULT_SECRET = "agent-secret"  # noqa: S105 - refused wherever it could matter
_KNOWN_SECRETS = {DEFAULT_SECRET, "secret", "changeme", "change-me", "your-secret-here", "password"}
SHORTEST_SECRET = 16
LINK_SETTINGS = frozenset({"panel_url", "agent_secret", "panel_ca_file"})
"""What the next connection to the panel can be made with, without a new start."""


class AgentConfig(Settings):
    """The agent's settings."""

    file_variable: ClassVar[str] = "CTRL_ALT_PLAY_AGENT_CONFIG"
    default_file: ClassVar[Path] = Path("/etc/ctrl-alt-play/agent.toml")

    panel_url: str = "ws://localhost:8080"
    node_id: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    agent_secret: SecretStr = SecretStr(DEFAULT_SECRET)
    panel_ca_file: Path | None = None
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=8081, ge=0, le=65535, description="0: any free port, told in the log")
    docker_host: str | None = None

    @classmethod
    def own_file(cls) -> Path:
        """Where an agent of this user finds its settings without being told."""
        if os.geteuid() == 0:
            return cls.default_file
        home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(home).expanduser() / "ctrl-alt-play" / cls.default_file.name

    @classmethod
    def default_files(cls) -> tuple[Path, ...]:
        return (cls.own_file(), cls.default_file)

    @property
    def folder(self) -> Path:
        """The agent's own part of the data folder."""
        return self.data / "agent"

    @property
    def url(self) -> URL:
        """The panel's address as a WebSocket address; the path is `/` unless one is given."""
        url = URL(self.panel_url)
        return url.with_scheme({"http": "ws", "https": "wss"}.get(url.scheme, url.scheme))

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


def load_config(config_file: Path | None = None) -> AgentConfig:
    """The configuration of this process.

    Raises:
        StartupError: naming every setting that is wrong.
    """
    return AgentConfig.read(config_file)


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
