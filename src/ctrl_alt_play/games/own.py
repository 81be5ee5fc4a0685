"""Templates of our own, and the images that they name, which are built on this machine."""

from collections.abc import Callable
from pathlib import Path

from ctrl_alt_play.games.debian import BUSYBOX, GAMES
from ctrl_alt_play.games.image import Recipe, build
from ctrl_alt_play.games.minecraft import MINECRAFT
from ctrl_alt_play.games.openarena import OPENARENA

FOLDER = Path(__file__).with_name("templates")


def own_templates() -> list[tuple[str, str]]:
    """The name and the text of each, as a file in the field's newest format."""
    return [(file.stem, file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.yaml"))]


def own_images() -> dict[str, Recipe]:
    """By their tags."""
    return {
        **{game.image: game.recipe for game in (OPENARENA, MINECRAFT)},
        **{f"ctrl-alt-play/{name}:demo": parts.recipe for name, parts in (GAMES | {"busybox": BUSYBOX}).items()},
    }


def build_own(image: str, cache: Path, say: Callable[[str], None]) -> bool:
    """Makes an image, unless it is there and current; gives whether it is one of ours. Raises BuildFailed."""
    recipe = own_images().get(image)
    if recipe is not None:
        build(image, recipe, cache, say)
    return recipe is not None
