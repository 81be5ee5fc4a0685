"""Public templates, unchanged, with images of the names that they call: made here, of what a distribution has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.integration.installation import docker
from tests.integration.trying import step, tried

from ctrl_alt_play.games.own import build_own

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "templates"
pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="there are no templates beside this project"),
]
DOCKERFILE = """FROM {game}
COPY --from=ctrl-alt-play/busybox:demo /bin/busybox /bin/busybox
USER 0
RUN ["/bin/busybox", "--install", "-s", "/bin"]
USER 1000:1000
COPY . /
CMD ["/bin/sh", "/entrypoint.sh"]
"""
ENTRYPOINT = r"""#!/bin/sh
cd /home/container || exit 1
{placed}
PARSED=$(echo "${{STARTUP}}" | sed -e 's/{{{{/${{/g' -e 's/}}}}/}}/g' | eval echo "$(cat -)")
exec ${{PARSED}}
"""
"""As in the images of the field; before that the game is put where its install script, which asks the net, would have put it."""
INSTALLER = "#!/bin/sh\necho 'as if it were installed' > /mnt/server/installed.txt\n"
INSTALLERS = ("alpine:latest", "ghcr.io/parkervcp/installers:debian", "ghcr.io/pelican-eggs/installers:alpine")
YOLK = "ghcr.io/parkervcp/yolks:debian"
STANDALONE = "games-standalone"
SCRIPT = "printf '#!/bin/sh\\nexec %s \"$@\"\\n' '{0}' > {1}; chmod +x {1}"


@dataclass(frozen=True)
class Case:
    file: str
    game: str
    placed: str = ""
    """Shell."""
    image: str = YOLK
    values: dict[str, str] = field(default_factory=dict)
    stop: str = "by SIGINT, exit code 0"


CASES = [
    Case(
        f"{STANDALONE}/openarena__egg-pterodactyl-open-arena.json",
        "openarena",
        SCRIPT.format(
            "/opt/openarena/ioq3ded +set com_basegame baseoa +set fs_basepath /opt/openarena +set fs_homepath . "
            "+set dedicated 1 +set sv_pure 0 +set vm_game 0",
            "oa_ded.x86_64",
        ),
        values={"GAME_MAP": "oa_dm1"},
        stop="by SIGINT, exit code 1",
    ),
    Case(
        f"{STANDALONE}/openttd__egg-pterodactyl-open-t-t-d-server.json",
        "openttd",
        "ln -sf /usr/games/openttd .",
        stop="by exit, exit code 0",
    ),
    Case(
        f"{STANDALONE}/ddracenetwork__egg-pterodactyl-d-d-race-network.json",
        "ddnet",
        "ln -sf /usr/games/DDNet-Server .; ln -sfn /usr/share/games/ddnet/data/maps data/maps; "
        "ln -sfn /usr/share/games/ddnet/data/mapres data/mapres",
    ),
    Case(
        "voice/mumble__egg-mumble-server.yaml",
        "mumble",
        "PATH=$PATH:/home/container/bin; mkdir -p bin; ln -sf /usr/sbin/murmurd bin/mumble-server",
        image="ghcr.io/pelican-eggs/yolks:voice_mumble",
        stop="by SIGINT, exit code 130",
    ),
    Case(
        f"{STANDALONE}/cubeengine__cube2__egg-pterodactyl-cube2--sauerbraten.json",
        "sauerbraten",
        "mkdir -p bin_unix; ln -sf /usr/lib/cube2/cube2_server bin_unix/linux_64_server",
        values={"CUBE_ADMINPASSWORD": "secret", "CUBE_SERVERDESCRIPTION": "Cubes", "CUBE_MASTERSERVER": "localhost"},
        stop="by SIGINT, exit code 130",
    ),
    Case(
        f"{STANDALONE}/minetest__egg-pterodactyl-minetest.json",
        "luanti",
        "PATH=$PATH:/home/container/bin; mkdir -p bin .minetest/worlds; "
        "STARTUP=$(echo \"$STARTUP\" | sed -e 's/--server//' -e 's/--terminal//'); "
        "ln -sf /usr/lib/minetest/minetestserver bin/minetest",
        image="ghcr.io/parkervcp/games:minetest",
        values={"SERVER_ADMIN_NAME": "ann", "DEFAULT_GAME": "minetest_game", "SERVER_ANNOUNCE": "false"},
        stop="FAILED: it did not end within 30 s of /shutdown, and was killed",
    ),
]
"""Minetest's console is for a terminal alone, so that nobody reads what the template types there."""
TEEWORLDS = Case(
    f"{STANDALONE}/teeworlds__egg-teeworlds.json",
    "teeworlds",
    "ln -sf /usr/games/teeworlds-server teeworlds_srv; ln -sfn /usr/share/games/teeworlds/data data",
)


@pytest.fixture
def make(own_data: Path, tmp_path: Path) -> Iterator[Callable[[Case], str]]:
    """Makes the images of a case, and gives its template; where somebody has images of these names they are left alone, and nothing is tried."""
    made: list[str] = []

    def make(case: Case) -> str:
        if docker("image", "ls", "--quiet", case.image):
            pytest.skip(f"this machine has an image {case.image} of its own")
        for name in (case.game, "busybox"):
            build_own(f"ctrl-alt-play/{name}:demo", own_data, print)
        entrypoint = ENTRYPOINT.format(placed=case.placed)
        _build(tmp_path / "game", case.image, f"ctrl-alt-play/{case.game}:demo", {"entrypoint.sh": entrypoint})
        made.append(case.image)
        for name in INSTALLERS:
            if not docker("image", "ls", "--quiet", name):
                files = {"bin/bash": INSTALLER, "bin/ash": INSTALLER}
                _build(tmp_path / "installer", name, "ctrl-alt-play/busybox:demo", files)
                made.append(name)
        return (FOLDER / case.file).read_text()

    yield make
    for name in made:
        docker("image", "rm", "--force", name)


def _build(folder: Path, image: str, game: str, files: dict[str, str]) -> None:
    for name, content in {**files, "Dockerfile": DOCKERFILE.format(game=game)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    docker("build", "--quiet", "--tag", image, str(folder))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.game)
async def test_a_public_template_goes_the_whole_way(case: Case, make: Callable[[Case], str]) -> None:
    _, said = await tried(case.game, make(case), **case.values)
    assert step(said, "ready") == "", said
    assert step(said, "stop") == case.stop


async def test_one_whose_ready_line_does_not_come_is_said_to_run_unready(make: Callable[[Case], str]) -> None:
    failed, said = await tried("teeworlds", make(TEEWORLDS), 3)
    assert failed == 1
    assert step(said, "ready") == "FAILED: nothing that it wrote within 3 s says that it is ready"
    assert any("server name is" in line for line in said)
