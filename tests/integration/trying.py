"""Templates on trial, and small ones of busybox alone."""

import json
from typing import Any

from ctrl_alt_play.cli import trials
from ctrl_alt_play.templates.reading import read

BUSYBOX = "ctrl-alt-play/busybox:demo"


def small(startup: str, *, image: str = BUSYBOX, stop: str = "^C", done: Any = "ready", **more: Any) -> str:
    """The text of a template."""
    variables = more.pop("variables", {})
    return json.dumps(
        {
            "meta": {"version": "PLCN_v3"},
            "name": "Small",
            "docker_images": {"Busybox": image},
            "startup_commands": {"Default": startup},
            "config": {"files": {}, "startup": done if isinstance(done, dict) else {"done": done}, "stop": stop},
            "variables": [{"env_variable": name, "default_value": value} for name, value in variables.items()],
            "ctrl_alt_play": {"stop_timeout": 5},
            **more,
        }
    )


async def tried(name: str, text: str, ready_timeout_s: float = 20, **values: str) -> tuple[int, list[str]]:
    """How many failed, and what was said."""
    said: list[str] = []
    failed = await trials.run([trials.Trial(name, read(text), values, ready_timeout_s)], said.append)
    return failed, said


def step(said: list[str], name: str) -> str | None:
    """What was said of a step."""
    found = [line.split(None, 4) for line in said if line.split()[1:2] == [name]]
    return None if not found else (found[0][4] if len(found[0]) > 4 else "")
