"""The panel is away: the node sees to its games by itself, and tells all of it later. A machine that is booted anew: tests/faults/test_reboot.py."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
Event = dict[str, Any]
DEATHS = (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT)


@dataclass(frozen=True)
class Absence:
    """What was there while the panel was away, and when it was about to come back."""

    crashing: Puppet
    ending: Puppet
    stop: dict[str, Any]
    killed: Puppet
    undisturbed: Puppet
    pid_of_undisturbed: int
    off: Puppet
    before: int
    """Events of `crashing` that were told before."""
    back_at: datetime

    @property
    def servers(self) -> tuple[Puppet, ...]:
        return self.crashing, self.ending, self.killed, self.undisturbed, self.off


@pytest.fixture(scope="module")
def absence(installation: Installation, puppet_image: str) -> Absence:
    """The panel is killed. One game crashes three times, another ends as it was asked to; then the agent is killed, and a game with it."""
    crashing = Puppet(installation, puppet_image, crash={"backoff": [0]})
    ending = Puppet(installation, puppet_image, at_end="busybox sleep 1")
    killed, undisturbed, off = (Puppet(installation, puppet_image) for _ in range(3))
    for each in (crashing, ending, killed, undisturbed):
        each.does("start")
    before, pid_of_undisturbed = len(crashing.events()), undisturbed.pid
    stop = ending.order("stop")
    installation.kill(installation.panel)
    die_repeatedly(crashing)
    until(lambda: ending.pid == 0, "it has ended")
    installation.kill(installation.agent)
    pid = killed.pid
    killed.game.kill()
    until(lambda: killed.pid == 0, "it is dead")
    installation.start_agent()
    killed.runs_anew(pid)
    back_at = datetime.now(UTC)
    installation.start_panel()
    installation.wait_for_panel()
    installation.wait_for_node()
    killed.becomes("RUNNING")
    return Absence(crashing, ending, stop, killed, undisturbed, pid_of_undisturbed, off, before, back_at)


def die_repeatedly(game: Puppet) -> None:
    for number, death in enumerate(DEATHS, 2):
        pid = game.pid
        game.game.send_signal(death)
        game.runs_anew(pid)
        until(lambda n=number: len(game.lives()) == n, "it runs again")


def test_a_crashed_game_is_started_again_while_the_panel_is_away(absence: Absence) -> None:
    game = absence.crashing
    assert game.lives() == ["start"] * 4
    assert game.status() == "RUNNING"
    assert [report["signal"] for report in game.crashes()] == [death.name for death in reversed(DEATHS)]
    assert [report["crashes"] for report in game.crashes()] == [3, 2, 1]


def test_what_happened_while_the_panel_was_away_is_told_with_its_own_time(absence: Absence) -> None:
    told = [event for event in absence.crashing.events() if event["kind"] == "server_crashed"]
    assert len(told) == len(DEATHS)
    for event in told:
        assert datetime.fromisoformat(event["happened_at"]) < absence.back_at
        assert absence.back_at < datetime.fromisoformat(event["received_at"])


def test_everything_that_happened_while_the_panel_was_away_is_told_in_order_and_once(absence: Absence) -> None:
    assert became(absence.crashing.events()[absence.before :]) == ["crashed", "running"] * 3
    for server in absence.servers:
        is_told_in_order_and_once(server.events())


def test_what_ends_while_the_panel_is_away_is_told_as_it_ended(absence: Absence) -> None:
    game = absence.ending
    ended = game.ended(absence.stop)
    assert (ended["state"], ended["result"]) == ("succeeded", {"forced": False, "exitCode": 0})
    assert (game.status(), game.lives(), game.crashes()) == ("OFFLINE", ["start", "end"], [])


def test_what_should_run_runs_again_when_the_agent_comes_back_without_a_panel(absence: Absence) -> None:
    assert absence.killed.lives() == ["start", "start"]
    assert absence.undisturbed.pid == absence.pid_of_undisturbed
    assert (absence.off.pid, absence.off.status(), absence.off.lives()) == (0, "OFFLINE", [])


def became(events: Sequence[Event]) -> list[str]:
    """What a server was for a while, without what it only passed through."""
    words = [event["data"]["current_status"] for event in events if event["data"].get("current_status")]
    lasting = [word for word in words if word not in {"starting", "stopping"}]
    return [word for before, word in pairwise([None, *lasting]) if word != before]


def is_told_in_order_and_once(events: Sequence[Event]) -> None:
    """No number of the node's is missing, time does not go back, and nothing is there twice."""
    for earlier, later in pairwise(events):
        assert earlier["happened_at"] <= later["happened_at"]
        assert earlier["received_at"] <= later["received_at"]
    assert [event["missing"] for event in events] == [0] * len(events)
    once = [event["data"].get("crashed_at") or event["data"].get("finished_at") for event in events]
    told = [each for each in once if each is not None]
    assert len(set(told)) == len(told)
