"""What a template's `stop` means: lines for the game's console, or a signal."""

from dataclasses import dataclass

_SIGNALS = {"C": "SIGINT", "^C": "SIGINT", "Z": "SIGTSTP", "\\": "SIGQUIT"}
"""As a terminal has them. `^^C` reached games as SIGINT from some programs of the field and as SIGKILL from others; who does not heed it is
killed a little later anyway."""
USUAL = "SIGTERM"


@dataclass(frozen=True, slots=True)
class Stop:
    lines: tuple[str, ...]
    signal: str


def parsed(stop: str) -> Stop:
    """`^C` and `^SIGKILL` are signals, all else is typed, line by line; where nothing is said, or no signal has that name, SIGTERM asks."""
    if not stop.startswith("^"):
        lines = tuple(line.strip() for line in stop.splitlines() if line.strip())
        return Stop(lines, USUAL)
    name = stop[1:].strip().upper()
    return Stop((), _SIGNALS.get(name, name if name.startswith("SIG") and name[3:].isalnum() else USUAL))
