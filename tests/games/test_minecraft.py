"""What goes into Minecraft's image, and how a server that says nonsense is met."""

import json
import re
import socket
from importlib.resources import files
from pathlib import Path, PurePosixPath

import pytest

from ctrl_alt_play.games import GAMES, Game, NoAnswer, minecraft

DATA = "minecraft-data/minecraft-data/data"


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        (f"{DATA}/pc/1.21.4/blocks.json", True),
        (f"{DATA}/pc/1.20/items.json", True),
        (f"{DATA}/pc/common/versions.json", True),
        (f"{DATA}/dataPaths.json", True),
        (f"{DATA}/pc/1.8/blocks.json", False),
        (f"{DATA}/bedrock/1.21/blocks.json", False),
        ("flying-squid/src/index.js", True),
        ("flying-squid/package.json", True),
        ("flying-squid/LICENSE", True),
        ("flying-squid/README.md", False),
        ("flying-squid/index.d.ts", False),
        ("vec3/test/vec3.js", False),
    ],
)
def test_of_the_modules_only_what_runs_one_version_is_kept(tmp_path: Path, file: str, *, wanted: bool) -> None:
    (tmp_path / DATA).mkdir(parents=True)
    paths = {"pc": {"1.21.4": {"blocks": "pc/1.21.4", "items": "pc/1.20"}, "1.8": {"blocks": "pc/1.8"}}}
    (tmp_path / DATA / "dataPaths.json").write_text(json.dumps(paths))
    assert minecraft._wanted(tmp_path)(PurePosixPath(file)) is wanted


def test_the_lock_file_verifies_every_package_and_names_no_registry() -> None:
    text = files(minecraft).joinpath("package-lock.json").read_text(encoding="utf-8")
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert packages
    assert all("integrity" in package for package in packages.values())
    assert '"resolved"' not in text


def test_launcher_and_bot_are_for_the_version_that_is_promised() -> None:
    for script in ("server.js", "join_bot.js"):
        text = files(minecraft).joinpath(script).read_text(encoding="utf-8")
        assert set(re.findall(r"'(1\.\d+\.\d+)'", text)) == {minecraft.VERSION}


def test_a_port_where_nobody_listens_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    with pytest.raises(NoAnswer):
        minecraft.query("127.0.0.1", port, 1)


def test_a_server_that_accepts_and_says_nothing_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(NoAnswer):
        minecraft.query("127.0.0.1", server.getsockname()[1], 0.05)


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_every_game_says_in_one_sentence_how_to_join(game: Game) -> None:
    sentence = game.join("play.test", 4000)
    assert "play.test:4000" in sentence
    assert sentence.endswith(".")
