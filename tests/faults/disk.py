"""A disk that can be full: a small file system of memory, mounted where a program keeps its data."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BALLAST, PROBE = ".ballast", ".probe"


class Disk:
    def __init__(self, folder: Path, size_mib: int) -> None:
        self.folder = folder
        self._size_mib = size_mib
        self._mounted: list[Path] = []

    def open(self, *roomy: tuple[str, Path]) -> None:
        """Mounts it. Each of `roomy` names a folder on it, and a place elsewhere that is found there: it is never full."""
        self._mount("-t", "tmpfs", "-o", f"size={self._size_mib}m,mode=755", "tmpfs", at=self.folder)
        for name, elsewhere in roomy:
            elsewhere.mkdir(parents=True, exist_ok=True)
            self._mount("--bind", str(elsewhere), at=self.folder / name)

    def close(self) -> None:
        for folder in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", folder], check=False, timeout=30)

    @property
    def is_full(self) -> bool:
        """Whether not even a page can be written."""
        probe = self.folder / PROBE
        try:
            with probe.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 1)
        except OSError:
            return True
        finally:
            probe.unlink(missing_ok=True)
        return False

    @contextmanager
    def full(self) -> Iterator[None]:
        ballast = self.folder / BALLAST
        with ballast.open("wb") as file:
            free = os.statvfs(self.folder)
            for size in (free.f_bavail * free.f_frsize, 1 << 16, 1 << 12):
                self._grow(file.fileno(), size)
        try:
            yield
        finally:
            ballast.unlink()

    def _grow(self, file: int, step: int) -> None:
        """By `step`, as often as there is room."""
        while True:
            try:
                os.posix_fallocate(file, os.fstat(file).st_size, max(step, 1))
            except OSError:
                return

    def _mount(self, *what: str, at: Path) -> None:
        at.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *what, at], check=True, timeout=30)
        self._mounted.append(at)
