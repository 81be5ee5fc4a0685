"""Who plays: two real games, real players who come and go, and what is shown, told and kept of them."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from tests.integration.installation import Installation, free_port
from tests.integration.test_whole_path import specification
from tests.waiting import until

from ctrl_alt_play.games import GAMES, minecraft
from ctrl_alt_play.games.game import Game

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
ROUND_S = 40.0
"""Within this time a game was asked twice."""
Leave = Callable[[], object]


class Match:
    """One server, and who plays on it as the panel has it."""

    def __init__(self, installation: Installation, game: Game) -> None:
        self.port = free_port(socket.SOCK_DGRAM if game.protocol == "udp" else socket.SOCK_STREAM)
        self._installation = installation
        recipe = {**specification(game, self.port), "readiness": {"text": [game.ready_line]}}
        self.id = installation.create(**recipe, query={"protocol": game.query_protocol})
        self._path = f"/api/servers/{self.id}"
        installation.do("POST", f"{self._path}/start")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Its figures are measured, and told, every second."""
        with self._installation.api.stream("GET", "/api/live/events", params={"topic": f"figures:{self.id}"}):
            yield

    def types(self, line: str) -> None:
        self._installation.do("POST", f"{self._path}/command", {"command": line})

    def has(self, *names: str) -> None:
        """Waits until these are shown, and nobody else."""
        until(lambda: self.shown() == (len(names), sorted(names)), f"{names} play; {self.shown()} do", ROUND_S)
        status = self._installation.do("POST", f"{self._path}/status")["result"]
        assert (status["players"]["online"], sorted(status["players"]["list"])) == (len(names), sorted(names))

    def shown(self) -> tuple[int | None, list[str]]:
        figures = self._installation.get(self._path)["figures"] or {}
        return figures.get("players"), sorted(figures.get("player_names") or ())

    def told(self) -> list[str]:
        """Who came (+) and who went (-), in order."""
        found = self._installation.get(f"{self._path}/events", kind="players_changed", limit=200)["items"][::-1]
        signs = {"joined": "+", "left": "-"}
        return [sign + name for event in found for word, sign in signs.items() for name in event["data"][word]]

    def most_at_once(self) -> int:
        """By the history of the last hour."""
        graph = self._installation.get(f"{self._path}/figures")
        return max(players for players in graph["columns"]["players"] if players is not None)


def join_openarena(match: Match, name: str) -> Leave:
    match.types(f"addbot {name.lower()} 3")
    return lambda: match.types(f"kick {name}")


def join_minecraft(bots: ExitStack, match: Match, name: str) -> Leave:
    bot = bots.enter_context(minecraft.send_bot("127.0.0.1", match.port, name, 200))
    bots.callback(bot.terminate)
    assert bot.stdout is not None
    assert json.loads(bot.stdout.readline())["joined"] is True
    return bot.terminate


def play(installation: Installation, game: Game, join: Callable[[Match, str], Leave], one: str, other: str) -> None:
    match = Match(installation, game)
    with match.watched():
        leave_one, leave_other = join(match, one), join(match, other)
        match.has(one, other)
        leave_one()
        match.has(other)
        leave_other()
        match.has()
    came, went = match.told()[:2], match.told()[2:]
    assert (sorted(came), went) == ([f"+{one}", f"+{other}"], [f"-{one}", f"-{other}"])
    assert match.most_at_once() == 2


@pytest.mark.usefixtures("built_games")
def test_players_of_two_games_are_shown_told_and_kept_as_they_come_and_go(installation: Installation) -> None:
    with ExitStack() as bots, ThreadPoolExecutor(2) as both:
        playing = [
            both.submit(play, installation, GAMES["openarena"], join_openarena, "Grunt", "Sarge"),
            both.submit(play, installation, GAMES["minecraft"], partial(join_minecraft, bots), "Alex", "Steve"),
        ]
        for each in playing:
            each.result()
