"""The games as their users meet them: real images, in containers as locked as the agent's, on ports of this machine."""

import json
import os
import shlex
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from ctrl_alt_play.games import GAMES, Answer, BuildFailed, Game, NoAnswer, minecraft
from ctrl_alt_play.games.image import Recipe, Root, build

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

T = TypeVar("T")
UID = 20001 if os.geteuid() == 0 else os.getuid()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("games")


@pytest.fixture(params=list(GAMES.values()), ids=list(GAMES))
def game(request: pytest.FixtureRequest, cache: Path) -> Game:
    game: Game = request.param
    game.build(cache, print)
    return game


def test_a_server_runs_locked_up_under_any_uid_answers_and_stops_with_0(game: Game, tmp_path: Path) -> None:
    with running(game, tmp_path) as server:
        answer = server.answer()
        assert "Ctrl-Alt-Play demo" in answer.motd
        assert answer.players == ()
        assert answer.players_online == 0
        assert answer.players_max > 0
        server.type(game.stop_command)
        assert server.exit_code() == 0


def test_a_server_starts_without_any_file_of_ours(game: Game, tmp_path: Path) -> None:
    with running(replace(game, files={}), tmp_path) as server:
        assert server.answer().players_max > 0


def test_a_mistyped_command_does_not_end_the_game(game: Game, tmp_path: Path) -> None:
    with running(game, tmp_path) as server:
        for line in ("", "no such command", "kick", "kick nobody", "ban", "help 999", "give", "tp", "/"):
            server.type(line)
        assert server.answer().players_online == 0
        server.type(game.stop_command)
        assert server.exit_code() == 0


def test_openarena_counts_bots_as_players(tmp_path: Path, cache: Path) -> None:
    openarena = GAMES["openarena"]
    openarena.build(cache, print)
    with running(openarena, tmp_path) as server:
        server.type("addbot sarge 3")
        answer = server.answer(lambda answer: answer.players == ("Sarge",))
        assert answer.map == "oa_dm1"
        assert answer.players_online == 1
        server.type("say hello")
        server.wait_for_line("hello")
        server.type("kick allbots")
        server.answer(lambda answer: answer.players == ())


def test_minecraft_lists_a_player_who_really_joined_until_he_leaves(tmp_path: Path, cache: Path) -> None:
    game = GAMES["minecraft"]
    game.build(cache, print)
    with running(game, tmp_path) as server:
        server.type("help")
        server.wait_for_line("page 1 of")
        with minecraft.send_bot("127.0.0.1", server.port, "Alex", 60) as bot:
            assert bot.stdout is not None
            assert json.loads(bot.stdout.readline())["joined"] is True
            answer = server.answer(lambda answer: answer.players == ("Alex",))
            assert answer.players_online == 1
            assert answer.version == minecraft.VERSION
            server.type("list")
            server.wait_for_line("1 of a max of 20 players online: Alex")
            server.type("say hello")
            server.wait_for_line("[Server] hello")
            bot.terminate()
            assert bot.wait(timeout=30) == 0
        server.answer(lambda answer: answer.players_online == 0)
        server.type(game.stop_command)
        assert server.exit_code() == 0


def test_a_bot_leaves_after_the_time_it_was_given(tmp_path: Path, cache: Path) -> None:
    game = GAMES["minecraft"]
    game.build(cache, print)
    with running(game, tmp_path) as server, minecraft.send_bot("127.0.0.1", server.port, "Alex", 0.2) as bot:
        output, _ = bot.communicate(timeout=60)
        assert json.loads(output)["joined"] is True
        assert bot.returncode == 0


def test_a_bot_without_a_server_says_so_and_ends_with_1(cache: Path) -> None:
    GAMES["minecraft"].build(cache, print)
    with minecraft.send_bot("127.0.0.1", free_port("tcp"), "Alex", 1) as bot:
        output, _ = bot.communicate(timeout=60)
    assert json.loads(output)["joined"] is False
    assert bot.returncode == 1


def test_a_second_build_does_nothing_and_is_quick(game: Game, tmp_path: Path) -> None:
    said: list[str] = []
    started = time.monotonic()
    game.build(tmp_path / "never-made", said.append)
    assert time.monotonic() - started < 0.3
    assert said == []
    assert not (tmp_path / "never-made").exists()


def test_an_image_is_rebuilt_when_and_only_when_its_recipe_changed(tmp_path: Path) -> None:
    with a_tag() as tag:
        build(tag, a_recipe(b"first"), tmp_path, print)
        first = image_id(tag)
        build(tag, a_recipe(b"first"), tmp_path, print)
        assert image_id(tag) == first
        build(tag, a_recipe(b"second"), tmp_path, print)
        assert image_id(tag) != first
        assert first not in docker("image", "ls", "--all", "--quiet", "--no-trunc").split()


def test_an_image_that_fails_its_check_is_not_kept_and_replaces_nothing(tmp_path: Path) -> None:
    with a_tag() as tag:
        build(tag, a_recipe(b"good"), tmp_path, print)
        good = image_id(tag)
        with pytest.raises(BuildFailed, match="docker failed"):
            build(tag, a_recipe(b"bad", check=("/bin/missing",)), tmp_path, print)
        assert image_id(tag) == good


class Server:
    """A game's container. Its console is the standard input and output of `docker run`, without a TTY."""

    def __init__(self, game: Game, data: Path) -> None:
        self.game = game
        self.name = f"ctrl-alt-play-test-{uuid.uuid4().hex[:12]}"
        self.port = free_port(game.protocol)
        self._lines: list[str] = []
        self._arrived = threading.Condition()
        self._process = subprocess.Popen(
            self._command(data), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def wait_for_line(self, text: str) -> None:
        with self._arrived:
            seen = self._arrived.wait_for(lambda: any(text in line for line in self._lines), timeout=30)
            assert seen, f"no {text!r} among: {''.join(self._lines)}"

    def answer(self, condition: Callable[[Answer], bool] = lambda _: True) -> Answer:
        """The first answer that meets the condition."""

        def ask() -> Answer | None:
            try:
                answer = self.game.query("127.0.0.1", self.port, 2)
            except NoAnswer:
                return None
            return answer if condition(answer) else None

        return eventually(ask)

    def exit_code(self) -> int:
        return self._process.wait(timeout=30)

    def remove(self) -> None:
        docker("rm", "--force", self.name)
        self._process.wait(timeout=30)
        self._reader.join(timeout=30)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._arrived:
                self._lines.append(line.decode(errors="replace"))
                self._arrived.notify_all()

    def _command(self, data: Path) -> list[str]:
        game = self.game
        return [
            *("docker", "run", "--name", self.name, "--init", "--interactive"),
            *("--user", f"{UID}:{UID}", "--read-only", "--tmpfs", "/tmp"),  # noqa: S108
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "128"),
            *("--memory", str(game.memory_bytes), "--memory-swap", str(game.memory_bytes)),
            *("--cpus", str(game.cpu_percent / 100)),
            *("--publish", f"127.0.0.1:{self.port}:{game.port}/{game.protocol}"),
            *("--volume", f"{data}:/home/container", "--workdir", "/home/container", "--env", "HOME=/home/container"),
            *(part for name, value in game.environment.items() for part in ("--env", f"{name}={value}")),
            *(game.image, *shlex.split(game.startup)),
        ]


@contextmanager
def running(game: Game, folder: Path) -> Iterator[Server]:
    """A server that has said that players may join; its container is removed whatever happens."""
    data = folder / "data"
    data.mkdir()
    for path, content in game.files.items():
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text(content, encoding="utf-8")
    for owned in (data, *data.rglob("*")):
        os.chown(owned, UID, UID)
    server = Server(game, data)
    try:
        server.wait_for_line(game.ready_line)
        yield server
    finally:
        server.remove()


@contextmanager
def a_tag() -> Iterator[str]:
    tag = f"ctrl-alt-play/test:{uuid.uuid4().hex[:12]}"
    try:
        yield tag
    finally:
        docker("image", "rm", "--force", tag)


def a_recipe(ingredient: bytes, *, check: tuple[str, ...] = ("/bin/true",)) -> Recipe:
    def assemble(cache: Path, scratch: Path, say: Callable[[str], None]) -> Root:
        root = Root()
        root.add_program("/bin/true", Path("/bin/true"))
        root.contents["/ingredient"] = ingredient
        return root

    return Recipe(assemble=assemble, ingredients=lambda: [ingredient], changes=("CMD /bin/true",), check=check)


def image_id(tag: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", tag)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def free_port(protocol: str) -> int:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(attempt: Callable[[], T | None], *, within_s: float = 30) -> T:
    """The first result that is not None."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while (result := attempt()) is None:
        assert time.monotonic() < deadline, f"not within {within_s} s"
        pause.wait(0.02)
    return result
