"""A startup command, made into what a container runs. Values of variables reach the game and never a shell's grammar: a shell finds them in its
environment alone.
"""

import re
import shlex
from collections.abc import Iterator, Mapping

from ctrl_alt_play.templates.placeholders import ENVIRONMENT, PLACEHOLDER, newest

_BUILT_IN = {
    "server.allocations.default.ip": "SERVER_IP",
    "server.allocations.default.port": "SERVER_PORT",
    "server.build.memory_limit": "SERVER_MEMORY",
}
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SHELL_CHARACTERS = set("|&;<>()$`\n*?[]{}~")
_JOINTS = set(";&|\n(")
"""What makes several commands of one."""
_SHELL_WORDS = {
    ".", ":", "[[", "!", "{", "alias", "break", "case", "cd", "command", "continue", "declare", "eval", "exec", "exit", "export", "for",
    "function", "if", "let", "local", "read", "readonly", "return", "select", "set", "shift", "shopt", "source", "time", "trap", "type",
    "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while",
}  # fmt: skip
"""What is no program, but a word of the shell's."""
_OF_BASH = re.compile(r"\[\[|\(\(|<\(|<<<|&>|\$'|\bsource\b")
_BEST_SHELL = 'exec "$(command -v bash || command -v sh)" -c "$0"'
_PIECE = re.compile(rf"{PLACEHOLDER.pattern}|\\.|\$\(|[^\\$(){{\"'`]+|.", re.DOTALL)
_QUOTED_PIECE = re.compile(rf"{PLACEHOLDER.pattern}|[^'{{]+|.", re.DOTALL)
_VALUE = re.compile(r"\0(\w+)\0|\{\{(\w+)\}\}")
"""A placeholder that is no quote's, and one that is."""


def variable(placeholder: str) -> str:
    """The variable that a placeholder means, by whichever of its names.

    Raises:
        ValueError: it means none.
    """
    name = newest(f"{{{{{placeholder}}}}}")[2:-2]
    found = _BUILT_IN.get(name, name.removeprefix(ENVIRONMENT))
    if not _NAME.fullmatch(found):
        raise ValueError(f"{{{{{placeholder}}}}} stands for nothing")
    return found


def named(startup: str) -> str:
    """With each placeholder as `{{VARIABLE}}`, which is what the images of the field replace by themselves.

    Raises:
        ValueError: one stands for nothing.
    """
    return PLACEHOLDER.sub(lambda found: f"{{{{{variable(found[1])}}}}}", startup)


def arguments(startup: str, environment: Mapping[str, str]) -> list[str]:
    """The program and its arguments; through the image's shell only where the command is written in a shell's language.

    As in a shell, the value of `{{VARIABLE}}` is parted at its blanks where no quotes are around it, and one that there is not is empty.

    Raises:
        ValueError: a quote is not closed, or a placeholder stands for nothing.
    """
    if "\0" in startup:
        raise ValueError("it holds a character that no command can have")
    bare = PLACEHOLDER.sub("x", startup)
    if not _SHELL_CHARACTERS & set(bare) and not _is_of_shell(bare):
        marked = "".join(
            f"\0{variable(found[1])}\0" if found[1] and not quote else named(found[0])
            for found, quote in _pieces(startup)
        )
        return [field for word in shlex.split(marked) for field in _fields(word, environment)]
    command = _for_shell(startup)
    return ["/bin/sh", "-c", _BEST_SHELL, command] if needs_bash(startup) else ["/bin/sh", "-c", command]


def needs_bash(startup: str) -> bool:
    """Whether it says what not every shell understands."""
    return _OF_BASH.search(startup) is not None


def _fields(word: str, environment: Mapping[str, str]) -> list[str]:
    def value(found: re.Match[str]) -> str:
        if found[1]:
            return re.sub(r"[ \t\n]+", "\0", environment.get(found[1], ""))
        return environment.get(found[2], "")

    filled = _VALUE.sub(value, word)
    return [field for field in filled.split("\0") if field] if "\0" in word else [filled]


def _for_shell(startup: str) -> str:
    """Each value is an expansion of the shell's, which it does not read again. Of a single command the shell makes way for the program, which
    signals reach then.
    """
    written, is_single = [], True
    for found, quote in _pieces(startup):
        if found[1]:
            expansion = f"${{{variable(found[1])}}}"
            written.append(f"'\"{expansion}\"'" if quote == "'" else expansion)
            continue
        piece = found[0]
        is_single &= bool(quote) or piece[0] == "\\" or piece == "$(" or not _JOINTS & set(piece)
        written.append(piece)
    command = "".join(written)
    return f"exec {command.lstrip()}" if is_single and not _is_of_shell(command) else command


def _is_of_shell(startup: str) -> bool:
    """Whether the first word is the shell's own."""
    word = next(iter(startup.split(maxsplit=1)), "")
    return word in _SHELL_WORDS or re.match(r"\w+=", word) is not None


def _pieces(startup: str) -> Iterator[tuple[re.Match[str], str]]:
    """The whole text, piece by piece, and what is around each: a quote, a bracket of the shell's, or nothing."""
    at, around = 0, [""]
    while at < len(startup):
        quote = around[-1]
        found = (_QUOTED_PIECE if quote == "'" else _PIECE).match(startup, at)
        if found is None:
            return
        yield found, quote
        at = found.end()
        piece = found[0]
        if piece == {"(": ")"}.get(quote, quote):
            around.pop()
        elif quote != "'" and piece in ('"', "`", "$("):
            around.append(piece[-1])
        elif quote not in ("'", '"') and piece in ("'", "("):
            around.append(piece)
