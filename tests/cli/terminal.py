"""A command at a terminal of its own."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Self


class Terminal:
    """`text` is all that was printed, as a terminal gets it."""

    def __init__(self, arguments: list[str], rows: int = 24, columns: int = 200, **environment: str) -> None:
        self.text = ""
        self._read = 0
        self._keyboard, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ctrl_alt_play", *arguments],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - without it Ctrl-C is no signal; no thread of a test holds a lock
        )
        os.close(inside)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._keyboard)

    def types(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def shows(self, *words: str, timeout_s: float = 20) -> None:
        """Waits until each of these was printed, after what was waited for before."""
        deadline = time.monotonic() + timeout_s
        for word in words:
            while (found := self.text.find(word, self._read)) < 0:
                assert self._more(deadline - time.monotonic()), f"{word!r} is not in {self.text[self._read :]!r}"
            self._read = found + len(word)

    def ends(self, timeout_s: float = 20) -> int:
        """Waits until it has; gives the exit code."""
        deadline = time.monotonic() + timeout_s
        while self._more(deadline - time.monotonic()):
            pass
        return self._process.wait(max(0.1, deadline - time.monotonic()))

    def _more(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._keyboard], [], [], max(0.0, timeout_s))
        try:
            taken = os.read(self._keyboard, 65536) if ready else b""
        except OSError:  # the other side is closed
            taken = b""
        self.text += taken.decode(errors="replace")
        return bool(taken)
