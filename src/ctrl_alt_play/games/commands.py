"""The programs a build runs: each with a deadline, and with a failure that says what to do."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

_ERROR = re.compile(r"\b(error|Error|ERROR)\b|^E: ")


class BuildFailed(Exception):
    """An image could not be built. The message is one sentence: what happened, then what to do about it."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(f"{cause}; {fix}.")
        self.cause = cause
        self.fix = fix


def run(command: Sequence[str | Path], *, fix: str, timeout_s: float, folder: Path | None = None) -> str:
    """The standard output of a program that ended with 0 in time; anything else raises BuildFailed with this fix."""
    program = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=True,
        )
    except FileNotFoundError as missing:
        raise BuildFailed(f"{program} is not installed", fix) from missing
    except subprocess.TimeoutExpired as late:
        raise BuildFailed(f"{program} did not end within {timeout_s:g} s", fix) from late
    except subprocess.CalledProcessError as failed:
        raise BuildFailed(f"{program} failed ({_gist(failed)})", fix) from failed
    return done.stdout


def _gist(failed: subprocess.CalledProcessError) -> str:
    """The first line that is called an error, or else the last one: advice and traces come after the former."""
    lines = [line.strip().rstrip(".") for line in str(failed.stderr).splitlines() if line.strip()]
    return next(filter(_ERROR.search, lines), lines[-1] if lines else f"exit code {failed.returncode}")
