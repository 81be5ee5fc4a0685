"""The two programs as children of `up`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import until

from ctrl_alt_play.up import programs
from ctrl_alt_play.up.programs import Program
from ctrl_alt_play.up.say import Trouble


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Program]:
    """An agent that refuses its settings."""
    program = Program.start("agent", {"CTRL_ALT_PLAY_DATA": str(tmp_path), "PANEL_URL": "nowhere"}, tmp_path)
    until(lambda: program.process.poll() is not None, "it has ended", 20)
    yield program
    program.stop()


def test_a_program_that_ended_later_on_is_started_again(
    ended: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(programs, "LEAST_LIFE_S", 0.0)
    first = ended.process
    ended.keep()
    assert ended.process.pid != first.pid
    assert f"The agent has ended (exit code {first.returncode}) and is started again" in capsys.readouterr().err


def test_a_program_that_hardly_began_is_not(ended: Program) -> None:
    with pytest.raises(Trouble, match="PANEL_URL"):
        ended.keep()
