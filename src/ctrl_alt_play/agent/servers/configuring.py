"""A server's configuration files, set before each start as its specification wants them."""

from collections.abc import Mapping
from pathlib import Path

from ctrl_alt_play.agent.configuration.edits import Broken, Edit, Scalar
from ctrl_alt_play.agent.configuration.parsers import edited
from ctrl_alt_play.agent.servers import files
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import MIB, ConfigurationFile, Specification
from ctrl_alt_play.templates.placeholders import ENVIRONMENT, PLACEHOLDER

INTERFACE = "config.docker.interface"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - where a game listens within its container


def asks_for_interface(specification: Specification) -> bool:
    return any(INTERFACE in str(each.value) for file in specification.configuration for each in file.replacements)


def values(specification: Specification, interface: str) -> dict[str, str]:
    """All that placeholders may name; `interface` is the node's address among its containers."""
    ports, memory = specification.ports, specification.limits.memory
    return {
        "server.allocations.default.ip": EVERYWHERE,
        "server.allocations.default.port": str(ports[0].internal) if ports else "",
        "server.build.memory_limit": str(memory // MIB),
        INTERFACE: interface,
        **{f"{ENVIRONMENT}{name}": value for name, value in specification.environment.items()},
    }


def configure(folder: Path, specification: Specification, interface: str, uid: int, gid: int) -> None:
    """Each file by itself; one that is as it should be is not touched. It may take long, so it belongs in a thread.

    Raises:
        Fault: `CONFIG_INVALID`, with the file, the line and the reason; the file is then as it was.
    """
    known = values(specification, interface)
    for file in specification.configuration:
        try:
            _configure(folder, file, known, uid, gid)
        except (Broken, Fault) as error:
            sentence = f"{file.path} could not be set up: {str(error).rstrip('.')}. Mend the file, or take it away: then it is made anew."
            raise Fault(ErrorCode.CONFIG_INVALID, sentence) from error


def _configure(folder: Path, file: ConfigurationFile, known: Mapping[str, str], uid: int, gid: int) -> None:
    try:
        before = files.read(folder, file.path)
    except files.NotThere:
        before = b""
    edits = [Edit(each.match, _filled(each.value, known), each.if_value) for each in file.replacements]
    after = edited(file.parser, before, edits)
    if after != before:
        files.write(folder, file.path, after, uid, gid)


def _filled(value: Scalar, known: Mapping[str, str]) -> Scalar:
    """A variable that there is not is empty."""
    return PLACEHOLDER.sub(lambda found: known.get(found[1], ""), value) if isinstance(value, str) else value
