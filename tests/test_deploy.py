"""The units for systemd, as systemd itself reads them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[1] / "deploy" / "systemd").glob("*.service"))


def test_there_is_one_for_each_program() -> None:
    assert [unit.name for unit in UNITS] == ["ctrl-alt-play-agent.service", "ctrl-alt-play-panel.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_wrong_with_it(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    assert {"Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "KillMode=mixed", "WatchdogSec=60"} <= set(
        text.splitlines()
    )
    here = tmp_path / unit.name
    here.write_text(text.replace("/opt/ctrl-alt-play/bin/ctrl-alt-play", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
