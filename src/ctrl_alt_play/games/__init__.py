"""Real game servers as container images, built on this machine from distribution packages: no image registry is asked."""

from ctrl_alt_play.games.commands import BuildFailed
from ctrl_alt_play.games.game import Answer, Game, NoAnswer
from ctrl_alt_play.games.minecraft import MINECRAFT
from ctrl_alt_play.games.openarena import OPENARENA

GAMES: dict[str, Game] = {game.key: game for game in (OPENARENA, MINECRAFT)}

__all__ = ["GAMES", "Answer", "BuildFailed", "Game", "NoAnswer"]
