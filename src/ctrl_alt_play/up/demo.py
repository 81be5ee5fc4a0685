"""`up --demo`: a real game server, made through the public API as anyone would make it, and asked as a player's program asks it."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ctrl_alt_play.client import Api, ApiError
from ctrl_alt_play.games import GAMES
from ctrl_alt_play.games.commands import BuildFailed
from ctrl_alt_play.games.game import Answer, Game, NoAnswer
from ctrl_alt_play.up.checks import free_port
from ctrl_alt_play.up.say import Trouble, say, step

ANSWER_TIMEOUT_S = 90.0
QUERY_TIMEOUT_S = 1.0
QUERY_EVERY_S = 0.1


class Demo:
    """The demo server of one game on one node. It is found again by its name."""

    def __init__(self, api: Api, game: Game, node_id: str, name: str, check: Callable[[], None]) -> None:
        self._api = api
        self._name = name
        self._game = game
        self._node_id = node_id
        self._check = check
        self._server_id = ""
        self.port = 0

    def run(self, cache: Path) -> float:
        """Builds, creates and starts it, and waits until the game answers; gives the seconds from the start to the answer.

        Raises:
            Trouble: it does not come up.
        """
        with step(f"Building {self._game.name} from your distribution's packages (downloads at the first time)"):
            try:
                self._game.build(cache, lambda words: say(f"    {words}"))
            except BuildFailed as error:
                raise Trouble(f"The demo could not be built: {error}") from error
        found = [each for each in self._api.every("/api/servers", name=self._name) if each["name"] == self._name]
        if found and found[0]["status"] == "INSTALL_FAILED":
            self._api.follow(self._api.call("DELETE", f"/api/servers/{found.pop(0)['id']}"))
        if found:
            self._server_id, self.port = found[0]["id"], found[0]["ports"][0]["external"]
        else:
            self._create()
        began = time.monotonic()
        with step(f"Starting {self._game.name}"):
            if not found or found[0]["status"] != "RUNNING":
                self._api.follow(self._api.call("POST", f"/api/servers/{self._server_id}/start"))
            answer = self._wait_for_answer()
        took_s = time.monotonic() - began
        say(
            f"  {self._game.name} answers: {answer.motd or answer.version}, {answer.players_online} of {answer.players_max} players."
        )
        return took_s

    def remove(self) -> None:
        """Stops it as the game likes it, if it runs, and deletes it with its files."""
        if not self._server_id:
            return
        with step("Stopping and removing the demo"):
            with suppress(ApiError):
                self._api.follow(self._api.call("POST", f"/api/servers/{self._server_id}/stop"))
            self._api.follow(self._api.call("DELETE", f"/api/servers/{self._server_id}"))

    def _create(self) -> None:
        game = self._game
        self.port = free_port(game.port, game.protocol)
        body = {
            "name": self._name,
            "node_id": self._node_id,
            "image": game.image,
            "startup": game.startup,
            "environment": dict(game.environment),
            "limits": {"memory": game.memory_bytes, "cpu": game.cpu_percent, "disk": game.disk_bytes},
            "ports": [{"internal": game.port, "external": self.port, "protocol": game.protocol}],
            "stop": {"command": game.stop_command},
            "readiness": {"text": game.ready_line},
            "query": {"protocol": game.query_protocol},
        }
        with step("Creating the server through the API"):
            operation = self._api.call("POST", "/api/servers", body)
            self._server_id = operation["server_id"]
            self._api.follow(operation)

    def _wait_for_answer(self) -> Answer:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            self._check()
            try:
                return self._game.query("127.0.0.1", self.port, QUERY_TIMEOUT_S)
            except NoAnswer as error:
                if time.monotonic() > deadline:
                    raise Trouble(
                        f"{self._game.name} runs but does not answer on port {self.port}: {error}."
                    ) from error
            time.sleep(QUERY_EVERY_S)


def game_named(key: str) -> Game:
    """Raises: Trouble, for a game that is not there."""
    try:
        return GAMES[key]
    except KeyError as error:
        raise Trouble(f"There is no demo of {key!r}: choose one of {', '.join(sorted(GAMES))}.") from error
