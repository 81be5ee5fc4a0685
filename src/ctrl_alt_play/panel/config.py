"""What the panel is told from outside: environment first, then a TOML file, then defaults."""

import os
import secrets
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ctrl_alt_play.logs import LogFormat, LogLevel
from ctrl_alt_play.panel.errors import StartupError
from ctrl_alt_play.paths import data_folder

CONFIG_VARIABLE = "CTRL_ALT_PLAY_PANEL_CONFIG"
SHORTEST_SECRET = 32

PortNumber = Annotated[int, Field(ge=0, le=65535)]


class Config(BaseSettings):
    """The panel's settings. Each is known by its name in capitals in the environment, and by its name in the TOML file."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True, frozen=True)

    config_file: Path | None = Field(default=None, validation_alias=CONFIG_VARIABLE)
    host: str = "0.0.0.0"  # noqa: S104 - people and agents come from elsewhere
    port: PortNumber = 3000
    websocket_port: PortNumber = 8080
    data: Path = Field(default_factory=data_folder, validation_alias=AliasChoices("CTRL_ALT_PLAY_DATA", "data_folder"))
    database_url: str = ""
    jwt_secret: SecretStr | None = None
    agent_secret: SecretStr | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "console"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - Pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        path = given.get(CONFIG_VARIABLE) or os.environ.get(CONFIG_VARIABLE)
        if not path:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(path))

    @field_validator("data")
    @classmethod
    def _whole_path(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("jwt_secret", "agent_secret", mode="after")
    @classmethod
    def _nothing_is_absent(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value() else None

    @field_validator("jwt_secret", mode="after")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"give at least {SHORTEST_SECRET} characters, or leave it out and the panel makes its own")
        return value

    @property
    def database(self) -> str:
        """The database's address, with the driver that we use for it."""
        if not self.database_url:
            return f"sqlite+aiosqlite:///{self.data / 'panel.db'}"
        scheme, separator, rest = self.database_url.partition("://")
        drivers = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
        return f"{drivers.get(scheme, scheme)}{separator}{rest}"

    def signing_key(self) -> str:
        """The secret that access tokens are signed with; made, and kept in the data folder, when none is given."""
        if self.jwt_secret is not None:
            return self.jwt_secret.get_secret_value()
        return _kept_secret(self.make_data_folder() / "jwt-secret")

    def make_data_folder(self) -> Path:
        """Raises: StartupError, when the folder cannot be made or is a file."""
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(f"The data folder {self.data} cannot be made: {error.strerror}.") from error
        return self.data


def load(config_file: Path | None = None, **overrides: Any) -> Config:
    """The settings of this process.

    Raises:
        StartupError: one sentence, naming what is wrong; never a secret's value.
    """
    path = config_file or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if path is not None:
        _check_file(path)
    given: dict[str, Any] = {CONFIG_VARIABLE: path, **overrides}
    try:
        return Config(**given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
        raise StartupError(f"The panel's settings are wrong: {wrong}.") from error


def _check_file(path: Path) -> None:
    known = {*Config.model_fields, "data_folder"} - {"config_file", "data"}
    try:
        unknown = set(tomllib.loads(path.read_text())) - known
    except (OSError, ValueError) as error:
        raise StartupError(f"The settings file {path} cannot be read: {error}.") from error
    if unknown:
        raise StartupError(
            f"The settings file {path} holds {', '.join(sorted(unknown))}, which the panel does not know; it knows {', '.join(sorted(known))}."
        )


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
