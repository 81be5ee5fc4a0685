"""Panel and agent as processes, each with its own data, disk and clock."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.faults.clock import WallClock
from tests.faults.disk import Disk
from tests.faults.engine import TIED_TO_US

END_TIMEOUT_S = 20.0
REVIVE_AFTER_S = 1.0


class Program:
    """`ctrl-alt-play <name>`. Its data folder is its disk; its log is beside that. Where it ends by itself it is started again, and that is noted."""

    def __init__(self, name: str, database: Path, disk: Disk, settings: dict[str, str], *before: str) -> None:
        self.name = name
        self.database = database
        self.disk = disk
        self.clock = WallClock(disk.folder.parent, name)
        self.settings = settings
        self.unasked_ends: list[str] = []
        self._log = disk.folder.parent / f"{name}.log"
        self._before = before
        self._process: asyncio.subprocess.Process | None = None
        self._guard: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts it, and sees to it that it runs."""
        await self._start()
        self._guard = asyncio.create_task(self._revive(), name=f"guard of {self.name}")

    async def kill(self) -> bool:
        """Whether it was alive, and died of this."""
        return await self._end(signal.SIGKILL) == -signal.SIGKILL

    async def terminate(self) -> bool:
        """Whether it was alive, and ended as it was told."""
        return await self._end(signal.SIGTERM) in {0, -signal.SIGTERM}

    def has_loaded(self, library: Path) -> bool:
        """Whether it is alive, with that library in it."""
        if self._process is None or self._process.returncode is not None:
            return False
        try:
            return str(library) in Path(f"/proc/{self._process.pid}/maps").read_text()
        except OSError:
            return False

    async def _start(self) -> None:
        environment = {
            **os.environ,
            "CTRL_ALT_PLAY_DATA": str(self.disk.folder),
            **self.settings,
            **self.clock.environment,
        }
        command = (*TIED_TO_US, *self._before, sys.executable, "-m", "ctrl_alt_play", self.name)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)

    async def _revive(self) -> None:
        while self._process is not None:
            code = await self._process.wait()
            self.unasked_ends.append(f"exit code {code}: {self._last_words()}")
            await asyncio.sleep(REVIVE_AFTER_S)
            await self._start()

    async def _end(self, number: signal.Signals) -> int | None:
        """Its exit code; None where it was dead already."""
        if self._guard is not None:
            self._guard.cancel()
            await asyncio.gather(self._guard, return_exceptions=True)
        if self._process is None or self._process.returncode is not None:
            return None
        self._process.send_signal(number)
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                code = await self._process.wait()
        except TimeoutError:
            self.unasked_ends.append(f"did not end within {END_TIMEOUT_S:g} s of {number.name}")
            self._process.kill()
            return await self._process.wait()
        if code not in {0, -number}:
            self.unasked_ends.append(f"exit code {code} after {number.name}: {self._last_words()}")
        return code

    def _last_words(self) -> str:
        return (self._log.read_text(errors="replace").strip().splitlines() or [""])[-1][:300]
