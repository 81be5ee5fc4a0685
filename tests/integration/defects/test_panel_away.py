"""The panel is away: the node sees to its games by itself, and tells all of it later. Reboots of a whole machine are in tests/faults/test_reboot.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import psutil
import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.integration.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]


@contextmanager
def alone(installation: Installation) -> Iterator[None]:
    """The node, without its panel; which is back, and knows all, afterwards."""
    installation.kill(installation.panel)
    try:
        yield
    finally:
        installation.start_panel()
        installation.wait_for_panel()
        installation.wait_for_node()


def test_what_crashes_while_the_panel_is_away_is_started_again_and_told_in_order_and_once(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet(crash={"backoff": [0]})
    game.does("start")
    before = len(game.events())
    with alone(installation):
        for signal in (psutil.signal.SIGSEGV, psutil.signal.SIGKILL, psutil.signal.SIGABRT):
            pid = game.pid
            game.game.send_signal(signal)
            game.runs_anew(pid)
        until(lambda: len(game.lives()) == 4, "it runs for the fourth time")
        back_at = datetime.now(UTC)
    game.becomes("RUNNING")
    until(lambda: len(game.crashes()) == 3, "all is told")
    assert [report["signal"] for report in game.crashes()] == ["SIGABRT", "SIGKILL", "SIGSEGV"]
    told = game.events()[before:]
    is_told_in_order_and_once(told)
    assert [became(event) for event in told if became(event) in {"crashed", "running"}] == ["crashed", "running"] * 3
    crashes = [event for event in told if event["kind"] == "server_crashed"]
    assert [event["data"]["crashes"] for event in crashes] == [1, 2, 3]
    assert all(event["happened_at"] < back_at.isoformat() < event["received_at"] for event in crashes)


def test_what_should_run_runs_again_when_the_agent_comes_back_without_a_panel(
    installation: Installation, puppet: MakePuppet
) -> None:
    killed, runs_on, off = puppet(), puppet(), puppet()
    for each in (killed, runs_on, off):
        each.does("start")
    off.does("stop")
    died, stays = killed.pid, runs_on.pid
    with alone(installation):
        installation.kill(installation.agent)
        killed.game.kill()
        until(lambda: killed.pid == 0, "the game is dead")
        installation.start_agent()
        killed.runs_anew(died)
    killed.becomes("RUNNING")
    assert runs_on.pid == stays
    assert (off.pid, off.status(), off.lives()) == (0, "OFFLINE", ["start", "end"])
    for each in (killed, runs_on, off):
        is_told_in_order_and_once(each.events())


def test_what_ends_while_the_panel_is_away_is_told_as_it_ended(installation: Installation, puppet: MakePuppet) -> None:
    game = puppet(at_end="busybox sleep 1")
    game.does("start")
    stopped = game.order("stop")
    with alone(installation):
        until(lambda: game.pid == 0, "it has ended")
    ended = game.ended(stopped)
    assert (ended["state"], ended["result"]) == ("succeeded", {"forced": False, "exitCode": 0})
    completed = [event for event in game.events() if event["data"].get("commandId") == stopped["id"]]
    assert [event["kind"] for event in completed if event["kind"] == "command_completed"] == ["command_completed"]
    assert (game.status(), game.lives()) == ("OFFLINE", ["start", "end"])


def became(event: dict[str, Any]) -> str | None:
    word = event["data"].get("currentStatus") if event["kind"] == "server_status_changed" else None
    before = event["data"].get("previousStatus")
    return word if word != before else None


def is_told_in_order_and_once(events: list[dict[str, Any]]) -> None:
    """In the order in which it happened; each change begins where the one before it ended, so that none is missing, and none is there twice."""
    for before, after in pairwise(events):
        assert before["happened_at"] <= after["happened_at"]
        assert before["received_at"] <= after["received_at"]
    assert [event["missing"] for event in events] == [0] * len(events)
    completed = [event["data"]["commandId"] for event in events if event["kind"] == "command_completed"]
    assert len(set(completed)) == len(completed)
    reported = [event["data"]["crashedAt"] for event in events if event["kind"] == "server_crashed"]
    assert len(set(reported)) == len(reported)
