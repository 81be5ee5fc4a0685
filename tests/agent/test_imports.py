"""What an agent loads it holds for months, on a machine that is there for the games."""

import os
import subprocess
import sys
from pathlib import Path

START = """
import sys
from ctrl_alt_play.cli import main

sys.argv = ["ctrl-alt-play", "agent"]
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
OF_COMMANDS = {"typer", "rich", "httpx", "prompt_toolkit"}
OF_THE_PANEL = {
    "fastapi",
    "starlette",
    "uvicorn",
    "websockets",
    "sqlalchemy",
    "greenlet",
    "alembic",
    "asyncpg",
    "argon2",
    "jwt",
}
WHEN_NEEDED = {"mcstatus", "opengsq", "re2"}
OURS = {f"ctrl_alt_play.{part}" for part in ("panel", "client", "games", "up", "cli.main")}


def test_an_agent_loads_nothing_that_it_may_never_need(tmp_path: Path) -> None:
    """It is started in a folder that it cannot use, so that it ends once it has loaded all."""
    (tmp_path / "agent").touch()
    environment = {**os.environ, "CTRL_ALT_PLAY_DATA": str(tmp_path), "CTRL_ALT_PLAY_AGENT_CONFIG": os.devnull}
    done = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    assert "The agent cannot start" in done.stderr
    loaded = set(done.stdout.split())
    assert "ctrl_alt_play.agent.main" in loaded
    assert loaded & (OF_COMMANDS | OF_THE_PANEL | WHEN_NEEDED | OURS) == set()
