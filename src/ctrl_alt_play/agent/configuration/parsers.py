"""A file's bytes, changed by the parser that a template names."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Literal, cast, get_args

from ctrl_alt_play.agent.configuration.edits import Edit

Parser = Literal["file", "properties", "ini", "json", "yaml", "toml", "xml"]
PARSERS: tuple[str, ...] = get_args(Parser)
MARK = "\ufeff"
_ROOMS = {"file": "plain"}


def edited(parser: Parser, content: bytes, edits: Sequence[Edit]) -> bytes:
    """What nothing is said of stays as it is, to the byte: comments, order, blanks, line ends, encoding.

    Raises:
        Broken: it is not what the parser reads, or has no place for what is to be set.
    """
    room = import_module(f"{__package__}.{_ROOMS.get(parser, parser)}")
    edit = cast("Callable[[str, Sequence[Edit]], str]", room.edited)
    encoding = "utf-8"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = content.decode(encoding)
    mark = MARK if text.startswith(MARK) else ""
    has_returns = "\r\n" in text and parser in ("json", "yaml", "xml")
    before = text.removeprefix(mark)
    after = edit(before.replace("\r\n", "\n") if has_returns else before, edits)
    if has_returns:
        after = before if after == before.replace("\r\n", "\n") else after.replace("\n", "\r\n")
    return f"{mark}{after}".encode(encoding, "replace")
