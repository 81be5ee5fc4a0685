"""What both programs are told, and from where: the environment first, then a TOML file, then defaults. Also what may be told anew while they run."""

import asyncio
import os
import signal
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator

from ctrl_alt_play import logs
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.logs import LogFormat, LogLevel, LogSettings
from ctrl_alt_play.paths import data_folder
from ctrl_alt_play.supervision import Supervisor

DATA_IN_FILE = ("ctrl_alt_play_data", "data_folder")
LOG_SETTINGS = frozenset({"log_level", "log_format", "log_file", "log_file_max_bytes", "log_files_kept"})
log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Settings(BaseModel):
    """Each is known by its name in capitals in the environment, and by its name in the TOML file; but `data` by other names in both."""

    model_config = ConfigDict(validate_default=True, hide_input_in_errors=True, frozen=True)

    file_variable: ClassVar[str]
    default_file: ClassVar[Path]

    config_file: Path | None = None
    data: Path = Field(default_factory=data_folder)
    log_level: LogLevel = "info"
    log_format: LogFormat = "console"
    log_file: Path | None = None
    log_file_max_bytes: int = Field(default=LogSettings.max_bytes, ge=0)
    log_files_kept: int = Field(default=LogSettings.files_kept, ge=1, le=1000)
    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, config_file: Path | None = None, **given: Any) -> Self:
        """The settings of this process. What is `given` wins over the environment.

        Raises:
            StartupError: one sentence, naming everything that is wrong; never a secret's value.
        """
        file = cls.find_file(config_file)
        told = {**(cls._in_file(file) if file else {}), **cls._in_environment(), **given}
        try:
            settings = cls(config_file=file, **told)
        except ValidationError as error:
            raise StartupError(f"Wrong settings: {_sentence(error)}.") from error
        settings._given = {"config_file": config_file, **given}
        return settings

    def read_again(self) -> Self:
        """As they would be if the program started now.

        Raises:
            StartupError: as `read`.
        """
        return type(self).read(**self._given)

    @property
    def log(self) -> LogSettings:
        return LogSettings(self.log_level, self.log_format, self.log_file, self.log_file_max_bytes, self.log_files_kept)

    def secrets(self) -> list[str]:
        """What must not be seen in a log."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]

    @field_validator("data")
    @classmethod
    def _whole_path(cls, value: Path) -> Path:
        """Docker mounts only absolute paths."""
        return value.expanduser().absolute()

    @field_validator("log_file", mode="before")
    @classmethod
    def _nothing_is_no_file(cls, value: Any) -> Any:
        return value or None

    @field_validator("log_file")
    @classmethod
    def _whole_log_path(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @classmethod
    def default_files(cls) -> tuple[Path, ...]:
        """Where settings are looked for when no file is named; the first that is there counts."""
        return (cls.default_file,)

    @classmethod
    def find_file(cls, told: Path | None = None) -> Path | None:
        """The file that counts: the one that is told, or named by the environment, whether it is there or not; else one at a usual place."""
        if told is not None:
            return told
        if named := os.environ.get(cls.file_variable):
            return Path(named)
        return next((file for file in cls.default_files() if os.path.lexists(file)), None)

    @classmethod
    def _in_file(cls, file: Path) -> dict[str, Any]:
        try:
            told = tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise StartupError(f"The settings file {file} cannot be read: {error}.") from error
        known = {*cls.model_fields, *DATA_IN_FILE} - {"config_file", "data"}
        if unknown := set(told) - known:
            raise StartupError(
                f"The settings file {file} holds {', '.join(sorted(unknown))}, which is no setting; settings are {', '.join(sorted(known))}."
            )
        return {"data" if name in DATA_IN_FILE else name: value for name, value in told.items()}

    @classmethod
    def _in_environment(cls) -> dict[str, str]:
        variables = {name: _variable(name) for name in cls.model_fields if name != "config_file"}
        return {name: os.environ[variable] for name, variable in variables.items() if variable in os.environ}


Kind = TypeVar("Kind", bound=Settings)


class LiveSettings(Generic[Kind]):
    """The settings in force. Those of the log can always be changed; others by whoever asks to be told of them."""

    def __init__(self, settings: Kind) -> None:
        self.current = settings
        self._told: list[tuple[Collection[str], Callable[[Kind], None]]] = []
        self._heeding: list[Callable[[], None]] = []

    def tell(self, names: Collection[str], change: Callable[[Kind], None]) -> None:
        """`change` is called with the new settings when one of these has another value."""
        self._told.append((names, change))

    def heed(self, call: Callable[[], None]) -> None:
        """`call` is called at each reload, whatever has changed."""
        self._heeding.append(call)

    def reload(self) -> None:
        """Reads them again. Where that fails everything stays as it was, and the log says why. The log's file is opened anew in any case."""
        for call in self._heeding:
            call()
        try:
            new = self.current.read_again()
        except StartupError as error:
            self._apply_to_log(self.current)
            log.error("settings_not_reloaded", reason=str(error))  # noqa: TRY400 - the sentence says it
            return
        fields = set(type(new).model_fields) - {"config_file"}
        changed = {name for name in fields if getattr(new, name) != getattr(self.current, name)}
        safe = changed & LOG_SETTINGS.union(*(names for names, _ in self._told))
        self.current = self.current.model_copy(update={name: getattr(new, name) for name in safe})
        self._apply_to_log(self.current)
        for names, change in self._told:
            if safe.intersection(names):
                self._apply(change)
        log.info("settings_reloaded", changed=_as_told(safe))
        if changed - safe:
            log.warning("settings_need_restart", settings=_as_told(changed - safe))

    def reload_on_hangup(self, supervisor: Supervisor) -> None:
        """From now on SIGHUP reloads, for as long as this event loop lives."""

        def reload() -> None:
            with supervisor.reloading():
                self.reload()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)

    def _apply_to_log(self, settings: Kind) -> None:
        logs.configure(settings.log, settings.secrets())

    def _apply(self, change: Callable[[Kind], None]) -> None:
        try:
            change(self.current)
        except Exception:
            log.exception("settings_not_applied")


def _as_told(names: Collection[str]) -> list[str]:
    return sorted(map(_variable, names))


def _variable(name: str) -> str:
    return "CTRL_ALT_PLAY_DATA" if name == "data" else name.upper()


def _sentence(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        ": ".join([*(_variable(str(part)) for part in problem["loc"]), problem["msg"].removeprefix("Value error, ")])
        for problem in problems
    )
