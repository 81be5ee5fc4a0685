"""What stands in double braces in configuration files. Older formats have other names for the same things."""

import re
from collections.abc import Callable

PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")

_WHOLE = {
    "server.build.default.ip": "server.allocations.default.ip",
    "server.build.default.port": "server.allocations.default.port",
    "server.build.env.SERVER_IP": "server.allocations.default.ip",
    "server.build.env.SERVER_PORT": "server.allocations.default.port",
    "server.build.environment.SERVER_IP": "server.allocations.default.ip",
    "server.build.environment.SERVER_PORT": "server.allocations.default.port",
    "env.SERVER_IP": "server.allocations.default.ip",
    "env.SERVER_PORT": "server.allocations.default.port",
    "server.build.memory": "server.build.memory_limit",
    "server.build.env.SERVER_MEMORY": "server.build.memory_limit",
    "server.build.environment.SERVER_MEMORY": "server.build.memory_limit",
    "env.SERVER_MEMORY": "server.build.memory_limit",
    "config.docker.network.interface": "config.docker.interface",
}
_BEGINNINGS = ("server.build.env.", "server.build.environment.", "env.")
ENVIRONMENT = "server.environment."
_OLD = {
    "server.allocations.default.ip": "server.build.default.ip",
    "server.allocations.default.port": "server.build.default.port",
    "server.build.memory_limit": "server.build.memory",
}
_OLD_ENVIRONMENT = "server.build.env."

NAMES = frozenset({*_OLD, "config.docker.interface"})
"""All that there is beside what stands in the environment: nothing else of a node or a panel can be had."""


def newest(text: str) -> str:
    """As the newest format names them."""
    return _renamed(text, _newest)


def oldest(text: str) -> str:
    """As the first formats name them."""
    return _renamed(text, _oldest)


def unknown(text: str) -> list[str]:
    """Those of a text (in the newest format) that stand for nothing."""
    return [name for name in PLACEHOLDER.findall(text) if name not in NAMES and not name.startswith(ENVIRONMENT)]


def _renamed(text: str, rename: Callable[[str], str]) -> str:
    return PLACEHOLDER.sub(lambda found: f"{{{{{rename(found[1])}}}}}", text)


def _newest(name: str) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    for beginning in _BEGINNINGS:
        if name.startswith(beginning):
            return ENVIRONMENT + name.removeprefix(beginning)
    return name if "." in name else ENVIRONMENT + name


def _oldest(name: str) -> str:
    if name.startswith(ENVIRONMENT):
        return _OLD_ENVIRONMENT + name.removeprefix(ENVIRONMENT)
    return _OLD.get(name, name)
