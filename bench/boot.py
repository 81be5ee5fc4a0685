"""How long an agent with many containers takes from its start until the panel knows the truth about all of them."""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.integration.installation import docker
from tests.waiting import until

from bench.place import Place, remark, show
from ctrl_alt_play.games import image, packages
from ctrl_alt_play.games.image import Recipe, Root, Say

SERVERS = 50
AT_ONCE = 8
IMAGE = "ctrl-alt-play/bench:tiny"
PATIENCE_S = 120


def measure(place: Place) -> None:
    image.build(IMAGE, TINY, place.folder / "cache", lambda _: None)
    with ThreadPoolExecutor(AT_ONCE) as people:
        ids = list(people.map(lambda number: _run_server(place, number), range(SERVERS)))
    names = [f"ctrl-alt-play-{server_id}" for server_id in ids]
    interpreter_s = _took(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    imports_s = _took(lambda: subprocess.run([sys.executable, "-c", "import ctrl_alt_play.agent.main"], check=True))
    inspecting_s = _took(lambda: docker("inspect", *names))
    boot_s = _boot(place, lambda: None)
    show(f"boot, {SERVERS} running; `docker inspect` of all", boot_s, inspecting_s, "s")
    starting_s = _boot(place, lambda: docker("kill", *names), then=lambda: docker("start", *names))
    show(f"boot, {SERVERS} ended meanwhile; `docker start`", starting_s, _boot.reference_s, "s")
    remark(f"of it the interpreter's start {interpreter_s:.2f} s, and with the agent's imports {imports_s:.2f} s")
    with ThreadPoolExecutor(AT_ONCE) as people:
        list(people.map(lambda server_id: place.installation.do("DELETE", f"/api/servers/{server_id}"), ids))
