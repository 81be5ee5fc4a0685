"""Structured logs of both programs: an event name and fields, one line each, on standard error or in a file; never a secret."""

import json
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ctrl_alt_play.imports import without

with without("rich", "greenlet"):  # a look that is not ours, and threads that are none: 3 MiB in each program
    import structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

from ctrl_alt_play.log_file import LogFile
from ctrl_alt_play.redaction import Redaction

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
OURS = "ctrl_alt_play"

log: structlog.stdlib.BoundLogger = structlog.get_logger()
_redaction = Redaction()


@dataclass(frozen=True)
class LogSettings:
    """`max_bytes` 0: somebody else turns the file over. `files_kept` counts the old ones."""

    level: LogLevel = "info"
    format: LogFormat = "console"
    file: Path | None = None
    max_bytes: int = 10 * 1024 * 1024
    files_kept: int = 5


def configure(settings: LogSettings, secrets: Iterable[str] = ()) -> None:
    """Sends every event, ours and the libraries', warnings and what nobody caught, through one chain.

    Call it first of all, and again when settings have changed or a file is to be opened anew. `secrets` are blotted out from then on.
    """
    _redaction.learn(secrets)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_FIRST,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _put_in_place(_handler(settings))
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    logging.getLogger(OURS).setLevel(level)
    logging.getLogger().setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


@contextmanager
def carrying(**ids: str | None) -> Iterator[None]:
    """All that is logged inside carries these fields, also in tasks that are made inside, for as long as those live.

    What has no value is left out. Tasks that were there before, and queues, carry nothing over: bind again where the work is taken up.
    """
    with structlog.contextvars.bound_contextvars(**{name: id_ for name, id_ in ids.items() if id_ is not None}):
        yield


def nothing_carried() -> Context:
    """For a task that outlives what began it: what it logs belongs to no request and to no command but those it takes up itself."""
    return Context()


def keep_out(*secrets: str) -> None:
    """Secrets that became known later than `configure`."""
    _redaction.learn(secrets)


def tell_why(program: str, error: Exception) -> None:
    """Why a program cannot start: a sentence on standard error for a person, an event where others read the log."""
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each.formatter, _Formatter)), None)
    is_json = handler is not None and isinstance(handler.formatter, _Formatter) and handler.formatter.is_json
    if is_json or isinstance(handler, LogFile):
        log.error("program_cannot_start", program=program, reason=str(error))
    if not is_json or isinstance(handler, LogFile):
        sys.stderr.write(f"The {program} cannot start: {_redaction.text(str(error))}\n")


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def __init__(self, log_format: LogFormat, *, colours: bool = False) -> None:
        self.is_json = log_format == "json"
        last: list[Processor] = (
            [structlog.processors.JSONRenderer()]
            if self.is_json
            else [_on_one_line, structlog.dev.ConsoleRenderer(colors=colours, sort_keys=False, repr_native_str=True)]
        )
        super().__init__(
            processors=[
                self.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.StackInfoRenderer(),
                _redaction,
                *last,
            ],
            foreign_pre_chain=[*_FIRST, _name_the_event],
        )

    def format(self, record: logging.LogRecord) -> str:
        """What cannot be rendered costs its fields, not the line."""
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - a log must not break who logs
            return json.dumps({"event": "event_not_rendered", "logger": record.name, "reason": type(error).__name__})


class _StandardError(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Where standard error is gone, or full, there is nowhere left to say it."""


def _handler(settings: LogSettings) -> logging.Handler:
    on_screen = _StandardError(sys.stderr)
    on_screen.setFormatter(_Formatter(settings.format, colours=sys.stderr.isatty()))
    if settings.file is None:
        return on_screen
    in_file = LogFile(settings.file, settings.max_bytes, settings.files_kept, on_screen)
    in_file.setFormatter(_Formatter(settings.format))
    return in_file


def _put_in_place(handler: logging.Handler) -> None:
    root = logging.getLogger()
    before = [each for each in root.handlers if isinstance(each.formatter, _Formatter)]
    root.addHandler(handler)
    for each in before:
        root.removeHandler(each)
        each.close()


def _name_the_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Libraries log sentences; an event has a name."""
    return {**event, "event": "library_message", "message": str(event["event"]).strip()}


def _on_one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The renderer shows fields as Python would, with `\\n` for a line break; but an event's name, and these two, as they are."""
    event["event"] = event["event"] if event["event"].isprintable() else repr(event["event"])
    for name, field in (("exception", "traceback"), ("stack", "stack_trace")):
        if name in event:
            event[field] = event.pop(name)
    return event


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("program_broke", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(broken: threading.ExceptHookArgs) -> None:
    name = broken.thread.name if broken.thread else None
    log.error("thread_broke", thread=name, exc_info=(broken.exc_type, broken.exc_value, broken.exc_traceback))


_FIRST: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
