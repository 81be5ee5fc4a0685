"""Power: one inbox for each server, nothing dropped, nothing done that was not asked for."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
UNKNOWN_SIGNALS = ("SIGBANANA", "9", 15, "", "KILL;TERM")
DEAF = "trap '' TERM; echo ready"


def test_an_action_during_boot_is_neither_dropped_nor_lost(puppet: MakePuppet) -> None:
    game = puppet(at_start="echo booting", readiness={"text": ["Done"]})
    orders = [game.order("start")]
    game.becomes("STARTING")
    orders += [game.order("stop"), game.order("start")]
    until(lambda: game.lives() == ["start", "end", "start"], "it was stopped, and started again")
    game.types("echo Done")
    assert [game.ended(order)["state"] for order in orders] == ["succeeded"] * 3
    assert game.status() == "RUNNING"


def test_an_action_asked_of_an_agent_that_is_about_to_boot_is_done_once(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet()
    assert installation.agent is not None
    with ThreadPoolExecutor(1) as person:
        installation.agent.send_signal(signal.SIGSTOP)
        started = person.submit(game.order, "start")
        until(lambda: len(installation.get(f"{game.path}/operations")["items"]) == 2, "it is asked of the node")
        installation.kill(installation.agent)
        installation.start_agent()
        assert game.ended(started.result())["state"] == "succeeded"
    assert game.lives() == ["start"]


def test_actions_given_at_once_are_done_one_after_the_other(puppet: MakePuppet) -> None:
    game = puppet()
    game.does("start")
    with ThreadPoolExecutor(4) as people:
        orders = list(people.map(game.order, ["restart"] * 4))
    assert [game.ended(order)["state"] for order in orders] == ["succeeded"] * 4
    assert game.lives() == ["start", *["end", "start"] * 4]


@pytest.fixture(scope="module")
def running(installation: Installation, puppet_image: str) -> Puppet:
    game = Puppet(installation, puppet_image)
    game.does("start")
    return game


@pytest.mark.parametrize("unknown", UNKNOWN_SIGNALS)
def test_an_unknown_signal_is_refused_and_nothing_is_killed(
    unknown: str | int, installation: Installation, running: Puppet
) -> None:
    pid, operations = running.pid, installation.get(f"{running.path}/operations")
    for action in ("stop", "restart"):
        assert running.is_refused(action, {"signal": unknown}) == (422, "INVALID_REQUEST")
    assert installation.get(f"{running.path}/operations") == operations
    assert running.pid == pid != 0


def test_stopped_means_that_the_process_has_exited(puppet: MakePuppet) -> None:
    game = puppet(at_end="busybox sleep 1")
    game.does("start")
    process = game.game
    stopped = game.order("stop")
    game.becomes("STOPPING")
    assert process.is_running()
    game.becomes("OFFLINE")
    assert not process.is_running()
    assert game.ended(stopped)["result"] == {"forced": False, "exitCode": 0}
    assert game.lives() == ["start", "end"]


def test_a_stop_waits_as_long_as_its_caller_said_and_then_says_that_it_was_forced(puppet: MakePuppet) -> None:
    game = puppet(at_start=DEAF, stop={"timeout": 60})
    game.does("start")
    process, began = game.game, time.monotonic()
    stopped = game.ended(game.order("stop", {"timeout": 1}))
    assert 1 <= time.monotonic() - began < 6
    assert stopped["result"] == {"forced": True, "exitCode": 137}
    assert stopped["message"] == "It did not end in the time it had, and was killed."
    assert not process.is_running()
    assert (game.status(), game.crashes()) == ("OFFLINE", [])


def test_a_stop_does_not_kill_before_the_time_that_its_caller_gave(puppet: MakePuppet) -> None:
    game = puppet(at_end="busybox sleep 1", stop={"timeout": 0.1})
    game.does("start")
    assert game.does("stop", {"timeout": 30})["result"] == {"forced": False, "exitCode": 0}
    assert game.lives() == ["start", "end"]


def test_only_a_kill_overtakes_what_takes_long(puppet: MakePuppet) -> None:
    game = puppet(at_start=DEAF, stop={"timeout": 60})
    game.does("start")
    stopped = game.order("stop")
    game.becomes("STOPPING")
    killed = game.does("kill")
    assert killed["result"] == {"forced": True, "exitCode": 137}
    assert game.ended(stopped)["state"] in {"succeeded", "failed"}
    assert (game.status(), game.pid, game.crashes()) == ("OFFLINE", 0, [])
