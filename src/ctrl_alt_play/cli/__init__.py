"""The command line: `ctrl-alt-play`."""

import sys

from ctrl_alt_play.cli.programs import PROGRAMS


def main() -> None:
    """A program that is given no options is started at once: what reads options is 2 MiB, which it would hold for months."""
    try:
        match sys.argv[1:]:
            case [name] if name in PROGRAMS:
                PROGRAMS[name]()
            case _:
                from ctrl_alt_play.cli.main import app  # noqa: PLC0415

                app()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ctrl_alt_play"):
            raise
        sys.stderr.write(
            f"This part of Ctrl-Alt-Play is not installed here ({error.name} is missing): run pip install '.[panel,agent]'.\n"
        )
        raise SystemExit(1) from error
