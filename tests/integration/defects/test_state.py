"""State: what is wanted, what holds it, what is done to it and what it is seen to be are axes of their own."""

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]


def test_finishing_an_operation_does_not_end_a_hold(puppet: MakePuppet) -> None:
    game = puppet()
    game.does("start")
    game.is_held("suspended")
    game.becomes("SUSPENDED")
    assert game.view()["desired"] == "on"
    game.is_changed(environment={"WORD": "new"})
    game.does("status")
    assert game.is_refused("start") == (409, "SERVER_ON_HOLD")
    until(lambda: game.pid == 0, "it is stopped")
    held = game.view()
    assert (held["status"], held["hold"], held["desired"]) == ("SUSPENDED", "suspended", "on")


def test_what_is_wanted_outlives_a_hold(puppet: MakePuppet) -> None:
    on, off = puppet(), puppet()
    on.does("start")
    for each in (on, off):
        each.is_held("maintenance")
    on.becomes("OFFLINE")
    for each in (on, off):
        each.is_held("none")
    on.becomes("RUNNING")
    assert on.lives() == ["start", "end", "start"]
    assert (off.status(), off.lives()) == ("OFFLINE", [])


def test_a_hold_in_the_middle_of_a_start_is_not_overwritten_by_its_end(puppet: MakePuppet) -> None:
    game = puppet(at_start="echo booting", readiness={"text": ["Done"]})
    started = game.order("start")
    game.becomes("STARTING")
    game.is_held("suspended")
    game.ended(started)
    until(lambda: game.view()["observed"] == "stopped", "it is stopped")
    held = game.view()
    assert (held["status"], held["hold"], held["desired"]) == ("SUSPENDED", "suspended", "on")
    assert (game.pid, game.lives()) == (0, ["start", "end"])


def test_a_crash_does_not_end_a_hold_nor_a_hold_a_crash(puppet: MakePuppet) -> None:
    game = puppet(crash={"backoff": [60]})
    game.does("start")
    game.crashes_by("exit 3")
    game.becomes("CRASHED")
    game.is_held("suspended")
    held = game.view()
    assert (held["status"], held["observed"], held["exit_code"]) == ("SUSPENDED", "crashed", 3)
    game.is_held("none")
    game.becomes("RUNNING")


def test_a_failed_operation_leaves_what_is_seen_as_it_is(puppet: MakePuppet) -> None:
    game = puppet()
    game.does("start")
    pid = game.pid
    assert game.is_refused("start") == (409, "INVALID_STATE")
    seen = game.view()
    assert (seen["status"], seen["observed"], seen["desired"], game.pid) == ("RUNNING", "running", "on", pid)
