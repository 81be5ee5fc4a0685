"""A startup command with its variables' values, for people to look at. What runs is made on the node."""

import re
from collections.abc import Mapping

from ctrl_alt_play.protocol.specification import MIB, Recipe
from ctrl_alt_play.templates.placeholders import ENVIRONMENT, PLACEHOLDER, newest

_SHELLS = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def shown(recipe: Recipe, values: Mapping[str, str]) -> str:
    """With those values and what the node tells each game; all else stays as it is written."""
    known = {**values, **_told(recipe)}
    whole = {
        **{f"{ENVIRONMENT}{name}": value for name, value in known.items()},
        "server.allocations.default.ip": known["SERVER_IP"],
        "server.allocations.default.port": known["SERVER_PORT"],
        "server.build.memory_limit": known["SERVER_MEMORY"],
    }
    filled = PLACEHOLDER.sub(lambda found: whole.get(newest(found[0])[2:-2], found[0]), recipe.startup)
    return _SHELLS.sub(lambda found: known.get(found[1] or found[2], found[0]), filled)


def _told(recipe: Recipe) -> dict[str, str]:
    return {
        "SERVER_MEMORY": str(recipe.limits.memory // MIB),
        "SERVER_IP": "0.0.0.0",  # noqa: S104 - where a game listens within its container
        "SERVER_PORT": str(recipe.ports[0].internal) if recipe.ports else "",
    }
