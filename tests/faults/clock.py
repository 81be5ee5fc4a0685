"""A wall clock that can be set: for one program alone, by a library that is loaded before it."""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")


def obstacle() -> str | None:
    """Why no clock can be set here."""
    if shutil.which("cc") is None:
        return "there is no C compiler (cc) for the library by which a clock is set"
    with tempfile.TemporaryDirectory() as folder:
        failure = _compile(Path(folder) / "wall_clock.so")
    return f"cc cannot compile the library by which a clock is set: {failure}" if failure else None


class WallClock:
    """`environment` belongs to the program's. Its steady clock is left alone. Where there is an `obstacle`, it is the machine's."""

    def __init__(self, folder: Path, name: str) -> None:
        self.library = folder / "wall_clock.so"
        self._offset = folder / f"{name}.clock"
        self.set(0)
        if shutil.which("cc") is not None and not self.library.exists():
            _compile(self.library)

    @property
    def environment(self) -> dict[str, str]:
        if not self.library.exists():
            return {}
        return {"LD_PRELOAD": str(self.library), "CLOCK_OFFSET_FILE": str(self._offset)}

    def set(self, ahead_s: float) -> None:
        """From this moment on the program's wall clock is so many seconds ahead of the machine's."""
        if not self._offset.exists():
            self._offset.write_bytes(bytes(8))
        with self._offset.open("r+b") as file:
            file.write(struct.pack("=q", round(ahead_s * 1e9)))


def _compile(library: Path) -> str:
    """What is wrong, if anything is."""
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    return (done.stderr.strip() or f"it ended with {done.returncode}") if done.returncode else ""
