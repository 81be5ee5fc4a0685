"""The command line: `ctrl-alt-play`."""

from ctrl_alt_play.cli.main import main

__all__ = ["main"]
