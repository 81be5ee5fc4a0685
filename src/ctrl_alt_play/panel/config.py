"""What the panel is told from outside: environment first, then a TOML file, then defaults."""

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator

from ctrl_alt_play import logs
from ctrl_alt_play.addresses import own_address
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.log_file import open_private
from ctrl_alt_play.settings import Settings

SHORTEST_SECRET = 32
DATABASE_FILE = "panel.db"

_ADDRESS = re.compile(r"https?://[^\s/?#@]+")
_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - looked for, not listened on

PortNumber = Annotated[int, Field(ge=0, le=65535)]


class Config(Settings):
    """The panel's settings."""

    file_variable: ClassVar[str] = "CTRL_ALT_PLAY_PANEL_CONFIG"
    default_file: ClassVar[Path] = Path("/etc/ctrl-alt-play/panel.toml")

    host: str = "0.0.0.0"  # noqa: S104 - people and agents come from elsewhere
    port: PortNumber = 3000
    websocket_port: PortNumber = 8080
    public_url: str = ""
    database_url: str = ""
    jwt_secret: SecretStr | None = None
    agent_secret: SecretStr | None = None
    metrics_token: SecretStr | None = None
    fetch_networks: tuple[IPvAnyNetwork, ...] = ()

    @field_validator("fetch_networks", mode="before")
    @classmethod
    def _parted_by_commas(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("jwt_secret", "agent_secret", "metrics_token", mode="after")
    @classmethod
    def _nothing_is_absent(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value() else None

    @field_validator("jwt_secret", mode="after")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"give at least {SHORTEST_SECRET} characters, or leave it out and the panel makes its own")
        return value

    @field_validator("public_url", mode="after")
    @classmethod
    def _an_address(cls, value: str) -> str:
        address = value.strip().rstrip("/").lower()
        if address and _ADDRESS.fullmatch(address) is None:
            raise ValueError("give it as people type it, without a path: https://panel.example.org")
        return address

    def people_url(self, port: int) -> str:
        """Where a browser finds the panel that listens on this port."""
        if self.public_url:
            return self.public_url
        host = own_address() if self.host in _EVERYWHERE else self.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def shared_secret(self) -> str | None:
        """What all nodes may come with."""
        return self.agent_secret.get_secret_value() if self.agent_secret else None

    @property
    def metrics_bearer(self) -> str | None:
        """What opens `/metrics`; None where it is for this machine alone."""
        return self.metrics_token.get_secret_value() if self.metrics_token else None

    def secrets(self) -> list[str]:
        with suppress(ValueError):
            if password := urlsplit(self.database_url).password:
                return [*super().secrets(), password, unquote(password)]
        return super().secrets()

    @property
    def database(self) -> str:
        """The database's address, with the driver that we use for it."""
        if not self.database_url:
            return f"sqlite:///{self.data / DATABASE_FILE}"
        scheme, separator, rest = self.database_url.partition("://")
        drivers = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
        return f"{drivers.get(scheme, scheme)}{separator}{rest}"

    def signing_key(self) -> str:
        """The secret that access tokens are signed with; made, and kept in the data folder, when none is given."""
        if self.jwt_secret is not None:
            return self.jwt_secret.get_secret_value()
        key = _kept_secret(self.make_data_folder() / "jwt-secret")
        logs.keep_out(key)
        return key

    def make_data_folder(self) -> Path:
        """Raises: StartupError, when the folder cannot be made or is a file."""
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(f"The data folder {self.data} cannot be made: {error.strerror}.") from error
        return self.data

    def make_database_file(self) -> None:
        """Our own file is its owner's alone, whatever the folder: games' passwords are in it. What is wrong with it is seen when it is used."""
        with suppress(OSError), open(self.make_data_folder() / DATABASE_FILE, "ab", opener=open_private):
            pass


def load(config_file: Path | None = None, **overrides: Any) -> Config:
    """The settings of this process.

    Raises:
        StartupError: one sentence, naming what is wrong; never a secret's value.
    """
    return Config.read(config_file, **overrides)


def _kept_secret(path: Path) -> str:
    """The secret in `path`. Two processes that both make it end with the same one: the first link wins."""
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_text().strip()
    except OSError as error:
        raise StartupError(f"The signing secret {path} cannot be read or made: {error.strerror}.") from error
    if len(secret) < SHORTEST_SECRET:
        raise StartupError(
            f"The signing secret in {path} is shorter than {SHORTEST_SECRET} characters; delete the file to have a new one made."
        )
    return secret


def _make_secret(path: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=".jwt-secret-", dir=path.parent)  # mkstemp gives it to us alone: 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
