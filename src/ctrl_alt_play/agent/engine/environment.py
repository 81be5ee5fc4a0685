"""What every container of a server finds in its environment: the game's own, and its installer's.

The names are those of the field's agent, `GetEnvironmentVariables` in github.com/pterodactyl/wings `server/server.go`, and of its panel.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import MIB
from ctrl_alt_play.templates.startup import named

HOME = "/home/container"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - where a game listens within its container


def environment(plan: Plan) -> dict[str, str]:
    """The server's variables, and what images and templates expect beside them; what the node knows best no variable replaces.

    Raises:
        Fault: `CONFIG_INVALID`, when the startup command cannot be read.
    """
    specification = plan.specification
    with readable():
        startup = named(specification.startup)
    found = {
        "HOME": HOME,
        "TZ": plan.timezone,
        "P_SERVER_LOCATION": plan.node_id,
        "P_SERVER_ALLOCATION_LIMIT": "0",
        **specification.environment,
        "P_SERVER_UUID": plan.server_id,
        "SERVER_IP": EVERYWHERE,
        "SERVER_MEMORY": str(specification.limits.memory // MIB),
        "STARTUP": startup,
    }
    return found | ({"SERVER_PORT": str(specification.ports[0].internal)} if specification.ports else {})


@contextmanager
def readable() -> Iterator[None]:
    """Says what is wrong with a startup command that is read within."""
    try:
        yield
    except ValueError as error:
        sentence = f"The startup command cannot be read: {error}. Check its quotes and placeholders."
        raise Fault(ErrorCode.CONFIG_INVALID, sentence) from error
