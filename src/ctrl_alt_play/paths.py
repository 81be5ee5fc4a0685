"""Where the programs keep their data, when they are not told."""

import os
from pathlib import Path


def data_folder() -> Path:
    """`CTRL_ALT_PLAY_DATA`; else /var/lib/ctrl-alt-play for root, and the user's own data folder for others."""
    if told := os.environ.get("CTRL_ALT_PLAY_DATA"):
        return Path(told).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/ctrl-alt-play")
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "ctrl-alt-play"
