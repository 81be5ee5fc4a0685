"""The extra `[agent]` alone installs an agent that runs, and that knows nothing of the panel."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from tests.integration.installation import free_port

ROOT = Path(__file__).parents[2]
OF_THE_PANEL = (
    "fastapi",
    "starlette",
    "sqlalchemy",
    "alembic",
    "uvicorn",
    "argon2",
    "jwt",
    "mcstatus",
    "ctrl_alt_play.panel",
)

IMPORT_ALL = """
import importlib, pkgutil, sys
import ctrl_alt_play.agent, ctrl_alt_play.cli.main, ctrl_alt_play.protocol
for package in (ctrl_alt_play.agent, ctrl_alt_play.protocol):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print("\\n".join(sys.modules))
"""


@pytest.mark.timeout(180)
def test_an_agent_installed_alone_runs_and_imports_nothing_of_the_panel(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements" / "agent.txt"], check=True, timeout=120)
    subprocess.run([*pip, "--no-build-isolation", "--no-index", f"{ROOT}[agent]"], check=True, timeout=60)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", IMPORT_ALL], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    modules = done.stdout.split()
    assert "ctrl_alt_play.agent.main" in modules
    assert [module for module in modules if module.startswith(OF_THE_PANEL)] == []
    settings = {
        "CTRL_ALT_PLAY_DATA": str(tmp_path / "data"),
        "HEALTH_PORT": "0",
        "PANEL_URL": f"ws://127.0.0.1:{free_port()}",
        "NODE_ID": "alone",
    }
    with subprocess.Popen(
        [tmp_path / "venv" / "bin" / "ctrl-alt-play", "agent"],
        env={**environment, **settings},
        stderr=subprocess.PIPE,
        text=True,
    ) as agent:
        assert agent.stderr is not None
        try:
            assert any("panel_not_reached" in line for line in agent.stderr)
        finally:
            agent.terminate()
        agent.communicate(timeout=10)
    assert agent.returncode == 0
    assert sys.executable != str(python)
