"""A server's configuration files, set before each start as its specification wants them."""

from collections.abc import Mapping

from ctrl_alt_play.agent.configuration.edits import Broken, Edit, Scalar
from ctrl_alt_play.agent.configuration.parsers import edited
from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.agent.engine.environment import environment
from ctrl_alt_play.agent.servers import files
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import ConfigurationFile, Specification
from ctrl_alt_play.templates.placeholders import ENVIRONMENT, PLACEHOLDER

INTERFACE = "config.docker.interface"


def asks_for_interface(specification: Specification) -> bool:
    return any(INTERFACE in str(each.value) for file in specification.configuration for each in file.replacements)


def values(plan: Plan, interface: str) -> dict[str, str]:
    """All that placeholders may name; `interface` is the node's address among its containers."""
    known = environment(plan)
    return {
        "server.allocations.default.ip": known["SERVER_IP"],
        "server.allocations.default.port": known.get("SERVER_PORT", ""),
        "server.build.memory_limit": known["SERVER_MEMORY"],
        INTERFACE: interface,
        **{f"{ENVIRONMENT}{name}": value for name, value in known.items()},
    }


def configure(plan: Plan, interface: str) -> None:
    """Each file by itself; one that is as it should be is not touched. It may take long, so it belongs in a thread.

    Raises:
        Fault: `CONFIG_INVALID`, with the file, the line and the reason; the file is then as it was.
    """
    known = values(plan, interface)
    for file in plan.specification.configuration:
        try:
            _configure(plan, file, known)
        except (Broken, Fault) as error:
            sentence = f"{file.path} could not be set up: {str(error).rstrip('.')}. Mend the file, or take it away: then it is made anew."
            raise Fault(ErrorCode.CONFIG_INVALID, sentence) from error


def _configure(plan: Plan, file: ConfigurationFile, known: Mapping[str, str]) -> None:
    try:
        before = files.read(plan.folder, file.path)
    except files.NotThere:
        before = b""
    edits = [Edit(each.match, _filled(each.value, known), each.if_value) for each in file.replacements]
    after = edited(file.parser, before, edits)
    if after != before:
        files.write(plan.folder, file.path, after, plan.uid, plan.gid)


def _filled(value: Scalar, known: Mapping[str, str]) -> Scalar:
    """A variable that there is not is empty."""
    return PLACEHOLDER.sub(lambda found: known.get(found[1], ""), value) if isinstance(value, str) else value
