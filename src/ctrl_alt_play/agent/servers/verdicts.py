"""How an installer's run is judged: by its exit code, what it used, and what it left."""

from collections.abc import Sequence
from dataclasses import dataclass

from ctrl_alt_play.agent.consoles.ansi import plain
from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.servers.words import size
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Specification

MOST_LAYER_BYTES = 10 * 2**30
"""What an installer may write beside the server's folder: packages, and what it unpacks on the way."""
MOST_LINES, MOST_CHARS = 10, 1200
KILLED = 137
EMPTY = "The installer ended well, but left no file in the server's folder. If the game is not in its image, it will not start."
GONE = "The container of the installer was removed while it was at work, so what is in the server's folder may be half done: reinstall the server."


@dataclass(frozen=True, slots=True)
class Use:
    """What a run of an installer has taken."""

    seconds: float
    folder_bytes: int
    layer_bytes: int


def excess(specification: Specification, use: Use) -> Fault | None:
    """What it took too much of."""
    timeout_s = specification.installer.timeout if specification.installer else 0.0
    if use.seconds >= timeout_s:
        sentence = f"The installer took longer than the {timeout_s:g} s that it has, and was ended."
        return Fault(ErrorCode.TIMEOUT, sentence)
    limit = specification.limits.disk
    if limit and use.folder_bytes > limit:
        sentence = (
            f"The installer was ended, for the server's files outgrew its disk limit of {size(limit)}: give it more."
        )
        return Fault(ErrorCode.INSUFFICIENT_RESOURCES, sentence)
    if use.layer_bytes > MOST_LAYER_BYTES:
        sentence = (
            f"The installer was ended, for it wrote more than {size(MOST_LAYER_BYTES)} beside the server's folder."
        )
        return Fault(ErrorCode.INSUFFICIENT_RESOURCES, sentence)
    return None


def failure(specification: Specification, container: Container, use: Use, last_lines: Sequence[str]) -> Fault | None:
    """Why it failed, with its last lines; None when it did not. A run that ended well just before its time was up is good."""
    if container.exit_code == 0:
        return None
    too_much = excess(specification, use) if container.exit_code == KILLED else None
    if too_much is not None:
        return Fault(too_much.code, _with_lines(too_much.message, last_lines))
    sentence = f"The installer failed with exit code {container.exit_code}, after {use.seconds:.0f} s."
    if container.oom_killed:
        sentence += " It ran out of memory: give the server more."
    elif container.exit_code == KILLED:
        sentence += " It was killed."
    return Fault(ErrorCode.INSTALL_FAILED, _with_lines(sentence, last_lines))


def success(use: Use) -> str:
    return f"The installer ended with exit code 0, after {use.seconds:.0f} s."


def _with_lines(sentence: str, lines: Sequence[str]) -> str:
    told = [text for line in lines if (text := plain(line).strip())][-MOST_LINES:]
    return "\n".join([sentence, *told])[: len(sentence) + MOST_CHARS] if told else sentence
