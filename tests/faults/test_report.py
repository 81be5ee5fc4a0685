"""What is told of a run, and that it is told whatever happens."""

import asyncio
import sys
import tempfile
from pathlib import Path

import pytest
from tests.faults import __main__ as program
from tests.faults import means
from tests.faults.awaited import Awaited
from tests.faults.plan import Blow, Fault, Kind, Order
from tests.faults.report import Report
from tests.faults.run import Hung, within
from tests.faults.violations import Violation
from tests.faults.walk import Course

ORDER = Order(1, 3, Kind.START, 0, is_patient=True)


def blow(fault: Fault) -> Blow:
    return Blow(fault, ORDER, 0.1, 1.0, 0.5)


def test_a_fault_that_struck_nothing_is_told_and_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(7, tmp_path, {})
    report.add(1, Course([], [blow(Fault.LINK_CUT)], [blow(Fault.GAME_KILLED)]), [], 0.1)
    report.close()
    told = capsys.readouterr().out.splitlines()
    assert "    struck nothing: game killed 100 ms into start of slot 3 for 1.0 s" in told
    assert told[-2:] == ["struck nothing: game killed (1)", "operations=0 faults=1 violations=0"]


def test_what_is_left_out_is_told_at_the_beginning_and_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Report(7, tmp_path, {Fault.AGENT_CLOCK: "want of a compiler", Fault.PANEL_CLOCK: "want of a compiler"}).close()
    told = capsys.readouterr().out.splitlines()
    left_out = "left out: agent's clock jumps, panel's clock jumps, for want of a compiler"
    assert told[1:] == [left_out, left_out, "operations=0 faults=0 violations=0"]


async def test_a_round_that_hangs_says_what_it_waits_for() -> None:
    awaited = Awaited()
    undone = asyncio.Event()

    async def hang() -> None:
        try:
            with awaited.waiting_for("an answer to order 3"), awaited.waiting_for("the calm"):
                await asyncio.Event().wait()
        finally:
            undone.set()

    with pytest.raises(Hung, match="an answer to order 3; the calm"):
        await within(0.05, hang(), awaited)
    assert undone.is_set()


async def test_what_goes_wrong_in_a_round_is_raised() -> None:
    async def fail() -> None:
        raise RuntimeError("the engine is gone")

    with pytest.raises(RuntimeError, match="the engine is gone"):
        await within(5, fail(), Awaited())


@pytest.mark.parametrize("error", [Hung("the calm"), RuntimeError("the engine is gone")], ids=["hung", "broken"])
def test_the_last_line_is_told_also_when_a_walk_does_not_come_to_its_end(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(means, "left_out", dict)
    monkeypatch.setattr("tests.faults.run.World.open", fail)
    monkeypatch.setattr(sys, "argv", ["scripts/faults", "--seed", "7"])
    assert program.main() == 1
    told = capsys.readouterr().out
    assert str(error) in told
    assert told.splitlines()[-1] == "operations=0 faults=0 violations=1"


def test_without_means_there_is_no_walk_and_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["scripts/faults"])
    assert program.main() == program.NO_MEANS
    told = capsys.readouterr().out.splitlines()
    assert told[-2:] == [
        "left out: all faults, for only root can have an engine, disks and mounts of its own",
        "operations=0 faults=0 violations=0",
    ]


def test_a_violation_outside_of_a_round_counts(tmp_path: Path) -> None:
    report = Report(7, tmp_path, {})
    report.add_violation(Violation("a rule", "something", "this", "that"))
    assert report.summary == "operations=0 faults=0 violations=1"
