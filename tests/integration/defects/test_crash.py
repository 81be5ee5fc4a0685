"""Crashes: the policy is the server's own, and the node carries it out by itself."""

from datetime import datetime
from typing import Any

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
SLACK_S = 1.5


def delay_s(report: dict[str, Any]) -> float:
    """Between a crash and the start that follows."""
    return (at(report["restart_at"]) - at(report["crashed_at"])).total_seconds()


def at(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


def test_crashes_climb_the_servers_own_ladder_and_harm_no_other(puppet: MakePuppet) -> None:
    game, other = puppet(crash={"backoff": [0, 0.3, 0.6]}), puppet(crash={"restart": False})
    for each in (game, other):
        each.does("start")
    assert other.crashes_by("exit 3")["restart_at"] is None
    for count, rung_s in enumerate((0, 0.3, 0.6, 0.6), 1):
        pid = game.pid
        report = game.crashes_by("exit 3")
        assert report["crashes"] == count
        assert rung_s <= delay_s(report) < rung_s + SLACK_S
        game.runs_anew(pid)
        game.becomes("RUNNING")
        container = game.installation.container(game.id)
        assert container is not None
        assert at(container["State"]["StartedAt"]) >= at(report["restart_at"])
    assert game.lives() == ["start"] * 5
    assert (other.status(), other.view()["desired"], other.lives()) == ("CRASHED", "off", ["start"])


def test_past_the_limit_a_server_stays_down_until_a_person_starts_it(puppet: MakePuppet) -> None:
    game = puppet(crash={"backoff": [0], "limit": 2})
    game.does("start")
    for _ in range(2):
        pid = game.pid
        assert game.crashes_by("exit 3")["restart_at"] is not None
        game.runs_anew(pid)
    last = game.crashes_by("exit 3")
    assert (last["crashes"], last["restart_at"]) == (3, None)
    view = game.view()
    assert (view["status"], view["desired"], view["restart_at"]) == ("CRASHED", "off", None)
    assert "it is not started again by itself" in view["detail"]
    assert game.lives() == ["start"] * 3
    game.does("start")
    assert game.crashes_by("exit 3")["crashes"] == 1


def test_past_the_limit_a_server_is_tried_again_at_the_longest_interval_where_its_policy_says_so(
    puppet: MakePuppet,
) -> None:
    game = puppet(crash={"backoff": [0.4, 0], "limit": 1, "then": "retry"})
    game.does("start")
    for count in (1, 2, 3):
        pid = game.pid
        report = game.crashes_by("exit 3")
        assert report["crashes"] == count
        assert 0.4 <= delay_s(report) < 0.4 + SLACK_S
        game.runs_anew(pid)


def test_a_clean_exit_is_no_crash_and_what_follows_is_the_servers_own_rule(puppet: MakePuppet) -> None:
    stays = puppet(crash={"backoff": [0]})
    returns = puppet(crash={"backoff": [0], "clean": "restart"})
    for each in (stays, returns):
        each.does("start")
    pid = returns.pid
    for each in (stays, returns):
        each.types("exit 0")
    returns.runs_anew(pid)
    returns.becomes("RUNNING")
    stays.becomes("OFFLINE")
    assert (stays.view()["desired"], stays.crashes(), stays.lives()) == ("off", [], ["start"])
    assert (returns.crashes(), returns.lives()) == ([], ["start", "start"])


def test_a_stop_keeps_what_has_crashed_from_being_started_again(puppet: MakePuppet) -> None:
    game = puppet(crash={"backoff": [60]})
    game.does("start")
    game.crashes_by("exit 3")
    assert game.view()["restart_at"] is not None
    game.does("stop")
    view = game.view()
    assert (view["desired"], view["restart_at"], game.pid) == ("off", None, 0)


def test_a_game_that_does_not_answer_any_more_is_ended_and_started_again(puppet: MakePuppet) -> None:
    rule = {"probe": {"kind": "tcp", "port": 7777}, "lost": 1}
    game = puppet(at_start="busybox httpd -p 7777", readiness=rule, crash={"backoff": [0]})
    game.does("start")
    pid = game.pid
    game.types("busybox killall busybox")
    report = game.next_crash(0)
    assert report["cause"] == "readiness_lost"
    assert report["summary"] == "It ran, but did not answer any more for 1 s, so the node ended it."
    game.runs_anew(pid)
    until(lambda: game.view()["ready"], "it is ready again")
