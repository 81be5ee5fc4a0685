"""Plain text, where a line is known by how it begins."""

import re
from collections.abc import Sequence

from ctrl_alt_play.agent.configuration.edits import Edit, text

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


def edited(content: str, edits: Sequence[Edit]) -> str:
    """Lines that begin with what is looked for are replaced. A file in which there is nothing yet gets them all; another none, for where in it
    a line belongs nobody knows.
    """
    if not content.strip():
        return "".join(f"{text(edit.value)}\n" for edit in edits if edit.if_value is None)
    return _LINE.sub(lambda line: _replaced(line[0], edits), content)


def _replaced(line: str, edits: Sequence[Edit]) -> str:
    bare = line.rstrip("\r\n")
    for edit in reversed(edits):
        if bare.startswith(edit.match):
            return text(edit.on(bare)) + line[len(bare) :]
    return line
