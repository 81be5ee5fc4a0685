"""Builds the page into the package: `python ui/build.py`.

Where nothing has changed since the last time, nothing is done.
"""

import hashlib
import os
import sys
from pathlib import Path

from npm import UI, npm

BUILT = UI.parent / "src" / "ctrl_alt_play" / "panel" / "page" / "built"
STAMP = ".built-from"
MADE = {"node_modules", "__pycache__"}


def build() -> None:
    """Raises: SystemExit."""
    stamp = _stamp()
    known = BUILT / STAMP
    if known.exists() and known.read_text() == stamp:
        return
    sys.stderr.write("Building the page …\n")
    npm("ci", "--no-audit", "--no-fund", "--silent")
    npm("run", "build", "--silent")
    known.write_text(stamp)


def _stamp() -> str:
    """Of all that the page is built from."""
    found = hashlib.sha256()
    for folder, inner, names in os.walk(UI):
        inner[:] = sorted(set(inner) - MADE)
        for name in sorted(names):
            path = Path(folder, name)
            found.update(f"{path.relative_to(UI)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


if __name__ == "__main__":
    build()
