"""The game of this harness: a shell script that keeps a diary in its folder, so that what was done to it can be counted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrl_alt_play.games import packages
from ctrl_alt_play.games.image import Root

IMAGE = "ctrl-alt-play/diary:test"
CHANGES = ("USER 1000:1000", "WORKDIR /home/container", "ENV PATH=/bin", "ENV HOME=/home/container")
SCRIPT = Path(__file__).with_name("game.sh")
BACKOFF_S = (0.2, 0.5, 1.0)


def assemble(cache: Path, archive: Path) -> None:
    """Writes the image's files: busybox under two names, and the script. Raises BuildFailed."""
    cache.mkdir(parents=True, exist_ok=True)
    packages.unpack(["busybox-static"], cache / "root", cache, lambda _: None)
    busybox = next((cache / "root").rglob("bin/busybox"))
    Root({"/bin/busybox": busybox, "/bin/sh": busybox, "/game/run": SCRIPT}).write(archive)


def specification(word: str, *, slow_s: float, is_stopped_by_line: bool) -> dict[str, Any]:
    stop: dict[str, Any] = {"timeout": 10}
    return {
        "image": IMAGE,
        "startup": "/bin/sh /game/run",
        "environment": {"WORD": word, "SLOW": str(slow_s)},
        "limits": {"memory": 16 * 1024**2, "cpu": 50},
        "stop": {**stop, "command": "quit"} if is_stopped_by_line else stop,
        "crash": {"backoff": BACKOFF_S, "limit": 1000},
    }


@dataclass(frozen=True, slots=True)
class Diary:
    """What a game wrote down. A start is a run and the word that it was given; a line is a run and what it read."""

    starts: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> list[str]:
        return [word for _, word in self.starts]

    def count(self, line: str) -> int:
        return sum(read == line for _, read in self.lines)


def read_diary(folder: Path) -> Diary:
    return Diary(_pairs(folder / "starts"), _pairs(folder / "lines"))


def _pairs(file: Path) -> tuple[tuple[str, str], ...]:
    try:
        text = file.read_text()
    except FileNotFoundError:
        return ()
    return tuple((run, rest) for run, _, rest in (line.partition(" ") for line in text.splitlines()))
