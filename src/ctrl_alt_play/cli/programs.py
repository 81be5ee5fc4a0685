"""Starting the two programs that run for months. Each is imported when it is started, so that an agent's machine needs nothing of the panel."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrl_alt_play import logs
from ctrl_alt_play.errors import StartupError


def run_panel(config: Path | None = None) -> None:
    """Until it is told to end. Raises: SystemExit, once it has told why it cannot start."""
    from ctrl_alt_play.panel.config import load  # noqa: PLC0415
    from ctrl_alt_play.panel.main import run  # noqa: PLC0415

    with _telling_why("panel"):
        settings = load(config)
        logs.configure(settings.log, settings.secrets())
        run(settings)


def run_agent(config: Path | None = None) -> None:
    """As `run_panel`."""
    import uvloop  # noqa: PLC0415

    from ctrl_alt_play.agent.config import load_config  # noqa: PLC0415
    from ctrl_alt_play.agent.main import run  # noqa: PLC0415

    with _telling_why("agent"):
        settings = load_config(config)
        logs.configure(settings.log, settings.secrets())
        uvloop.run(run(settings))


def enrol_agent(link: str, config: Path | None = None) -> None:
    """Enrols this machine, and becomes its agent: as a new program, whose command line holds no token. Raises: SystemExit, as above."""
    from ctrl_alt_play.agent.config import AgentConfig  # noqa: PLC0415
    from ctrl_alt_play.agent.enrolment import enrol  # noqa: PLC0415

    with _telling_why("agent"):
        file = enrol(link, config)
    sys.stderr.write(
        f"This machine is enrolled; its settings are in {file}. From now on it is started by: ctrl-alt-play agent\n"
    )
    os.environ[AgentConfig.file_variable] = str(file)
    os.execv(sys.executable, [sys.executable, "-m", "ctrl_alt_play", "agent"])  # noqa: S606 - no shell is wanted


@contextmanager
def _telling_why(program: str) -> Iterator[None]:
    try:
        yield
    except StartupError as error:
        logs.tell_why(program, error)
        raise SystemExit(1) from error


PROGRAMS = {"panel": run_panel, "agent": run_agent}
