"""The two programs as children of `up`: each with a log of its own, ended in order."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ctrl_alt_play.log_file import open_private
from ctrl_alt_play.up.say import Trouble, say

STOP_TIMEOUT_S = 10.0
LAST_LINES = 8
LEAST_LIFE_S = 10.0
"""One that ends sooner would end again."""


@dataclass
class Program:
    """A running child. It has a session of its own, so that Ctrl-C reaches `up` alone, which then ends it in its turn."""

    name: str
    settings: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    began_at: float

    @classmethod
    def start(cls, name: str, settings: dict[str, str], log_folder: Path) -> "Program":
        """Starts `ctrl-alt-play <name>`; the settings reach it by its environment, for anyone may read a command line."""
        log = log_folder / f"{name}.log"
        return cls(name, settings, log, _launch(name, settings, log), time.monotonic())

    def keep(self) -> None:
        """Starts it again when it has ended.

        Raises:
            Trouble: it had hardly begun.
        """
        code = self.process.poll()
        if code is None:
            return
        if time.monotonic() - self.began_at < LEAST_LIFE_S:
            self.check()
        say(f"The {self.name} has ended (exit code {code}) and is started again; {self.log} may say why.")
        self.process, self.began_at = _launch(self.name, self.settings, self.log), time.monotonic()

    def check(self) -> None:
        """Raises: Trouble, with its last words, when it has ended."""
        code = self.process.poll()
        if code is None:
            return
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        words = "\n".join(f"    {line}" for line in lines)
        raise Trouble(f"The {self.name} has ended (exit code {code}). Its last words, from {self.log}:\n{words}")

    def stop(self) -> None:
        """Asks it to end, and insists after a while."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _launch(name: str, settings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with open(log, "ab", opener=open_private) as file:
        return subprocess.Popen(
            [sys.executable, "-m", "ctrl_alt_play", name],
            env={**os.environ, **settings, "LOG_FILE": str(log)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
