"""A log in a file: turned over by size, or by whoever else turns it over; and never a reason for a program to end."""

import errno
import logging
import os
import stat
import time
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

RETRY_S = 30.0
log: structlog.stdlib.BoundLogger = structlog.get_logger()


class LogFile(RotatingFileHandler):
    """Only its owner, and a group where the file had one before, may read it.

    While the file cannot be written (a full disk, a folder that is not ours) events go to `fallback`; that is said once, and the file is tried
    again every half minute. A file that was moved away is made anew at its place.
    """

    def __init__(self, path: Path, max_bytes: int, kept: int, fallback: logging.Handler) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=kept, encoding="utf-8", delay=True)
        self._fallback = fallback
        self._has_failed = False
        self._is_torn = False
        self._retry_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() < self._retry_at:
            self._fallback.emit(record)
            return
        line = self.format(record) + self.terminator
        try:
            self._write(line.encode(errors="backslashreplace"))
        except OSError as error:
            self._give_up(error)
            self._fallback.emit(record)
            return
        if self._has_failed:
            self._has_failed = False
            log.warning("log_file_written_again", file=self.baseFilename)

    def _give_up(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        if not self._has_failed:
            self._has_failed = True
            log.error("log_file_not_written", file=self.baseFilename, reason=error.strerror or str(error))

    def _write(self, line: bytes) -> None:
        """Straight to the file: what a buffer holds back of a full disk would come out later, and twice."""
        size = os.fstat(self._current().fileno()).st_size
        if self.maxBytes and size and size + len(line) > self.maxBytes:
            self.doRollover()
        descriptor = self._current().fileno()
        if self._is_torn:
            line = b"\n" + line
        written = os.write(descriptor, line)
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _current(self) -> TextIOWrapper:
        """The file that is at its place now."""
        if self.stream is not None and not self._is_at_its_place(self.stream):
            self.stream.close()
            self.stream = None
        if self.stream is None:
            self.stream = self._open()
            self._is_torn = False
        return self.stream

    def _is_at_its_place(self, stream: TextIOWrapper) -> bool:
        try:
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(stream.fileno()))
        except FileNotFoundError:
            return False

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open(path, "a", encoding="utf-8", opener=open_private)


def open_private(path: str, flags: int) -> int:
    """An opener for `open`: a file that is made is its owner's alone; one that is there is closed to all others."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    now = os.fstat(descriptor)
    if stat.S_ISREG(now.st_mode) and now.st_mode & stat.S_IRWXO:
        with suppress(PermissionError):
            os.fchmod(descriptor, stat.S_IMODE(now.st_mode) & ~stat.S_IRWXO)
    return descriptor
