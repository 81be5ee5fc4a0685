"""How long an agent with many containers takes from its start until the panel knows the truth about all of them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.installation import docker
from tests.waiting import until

from bench.place import Place, remark, show
from ctrl_alt_play.games import image
from ctrl_alt_play.games.image import Recipe, Root, Say

SERVERS = 50
AT_ONCE = 4
IMAGE = "ctrl-alt-play/bench:sleep"
PATIENCE_S = 120
SLEEP = Path(shutil.which("sleep") or "/bin/sleep").resolve()


def _assemble(_cache: Path, _scratch: Path, _say: Say) -> Root:
    root = Root()
    root.add_program("/bin/sleep", SLEEP)
    return root


def _ingredients() -> Iterator[bytes]:
    yield Path(__file__).read_bytes()


TINY = Recipe(_assemble, _ingredients, changes=(), check=("/bin/sleep", "0"))
"""This machine's own `sleep`, and nothing to fetch."""


def measure(place: Place) -> None:
    image.build(IMAGE, TINY, place.folder / "cache", lambda _: None)
    with ThreadPoolExecutor(AT_ONCE) as people:
        ids = list(people.map(lambda _: run_server(place), range(SERVERS)))
        _measure_boots(place, [f"ctrl-alt-play-{server_id}" for server_id in ids])
        list(people.map(lambda server_id: place.installation.do("DELETE", f"/api/servers/{server_id}"), ids))


def run_server(place: Place) -> str:
    """Of a game that only sleeps, which no signal but one ends."""
    server_id = place.installation.create(image=IMAGE, startup="/bin/sleep infinity", stop={"signal": "SIGKILL"})
    place.installation.do("POST", f"/api/servers/{server_id}/start")
    return server_id


def _measure_boots(place: Place, names: list[str]) -> None:
    _kill_agent(place)
    inspecting_s = _took(lambda: docker("inspect", *names))
    show(f"boot, {SERVERS} running; docker inspect beside it", _boot(place), inspecting_s, "s")
    _kill_agent(place)
    docker("kill", *names)
    starting_s = _took(lambda: docker("start", *names))
    docker("kill", *names)
    show(f"boot, {SERVERS} ended meanwhile; docker start", _boot(place), starting_s, "s")
    interpreter_s = _took(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    imports_s = _took(lambda: subprocess.run([sys.executable, "-c", "import ctrl_alt_play.agent.main"], check=True))
    remark(f"of it the interpreter's start {interpreter_s:.2f} s, with all that the agent imports {imports_s:.2f} s")


def _kill_agent(place: Place) -> None:
    installation = place.installation
    installation.kill(installation.agent)
    until(lambda: not installation.get(f"/api/nodes/{installation.node_id}")["online"], "the agent is missed")


def _boot(place: Place) -> float:
    """Seconds from the start of the process until the panel says of each server that it runs, and was told so since."""
    installation = place.installation
    began_at = datetime.now(UTC)

    def is_told(server: dict[str, str]) -> bool:
        return server["status"] == "RUNNING" and datetime.fromisoformat(server["observed_at"]) > began_at

    def is_all_told() -> bool:
        servers = installation.get("/api/servers", limit=200)["items"]
        return len(servers) == SERVERS and all(map(is_told, servers))

    return _took(lambda: (installation.start_agent(), until(is_all_told, "all is told", PATIENCE_S)))


def _took(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
