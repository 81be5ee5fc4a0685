"""JSON, and what games write beside it: comments, and a comma too many."""

import json
import re
from collections.abc import Sequence

from ctrl_alt_play.agent.configuration import tree
from ctrl_alt_play.agent.configuration.edits import Broken, Edit, Scalar, Step, built
from ctrl_alt_play.agent.configuration.tree import Change, Entry, Leaf, Listing, Mapping, Missing, Node

DEEPEST = 100
_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*[\s\S]*?\*/)*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")


def edited(content: str, edits: Sequence[Edit]) -> str:
    """Raises: Broken."""
    if not _BLANK.sub("", content):
        content = f"{content}{{}}\n"
    return tree.edited(content, edits, _parse, lambda _, __, value: json.dumps(value, ensure_ascii=False), _make)


class _Reader:
    def __init__(self, content: str) -> None:
        self.content = content
        self.at = 0

    def root(self) -> Node:
        node = self.value(0)
        self.skip()
        if self.at < len(self.content):
            raise self.broken("there is something after the end of the document")
        return node

    def value(self, depth: int) -> Node:
        self.skip()
        if depth > DEEPEST:
            raise self.broken(f"it is deeper than {DEEPEST}")
        if self.takes("{"):
            return self.mapping(depth)
        if self.takes("["):
            return self.listing(depth)
        found = _STRING.match(self.content, self.at) or _WORD.match(self.content, self.at)
        if found is None:
            raise self.broken("a value was expected")
        self.at = found.end()
        return Leaf(found.start(), found.end(), self.loaded(found[0]))

    def mapping(self, depth: int) -> Mapping:
        node = Mapping(self.at - 1, 0, [])
        self.skip()
        while not self.takes("}"):
            key = _STRING.match(self.content, self.at)
            if key is None:
                raise self.broken("a key in double quotes was expected")
            self.at = key.end()
            self.skip()
            if not self.takes(":"):
                raise self.broken("a colon was expected")
            node.entries.append(Entry(str(self.loaded(key[0])), key.start(), self.value(depth + 1)))
            self.goes_on("}")
        node.end = self.at
        return node

    def listing(self, depth: int) -> Listing:
        node = Listing(self.at - 1, 0, [])
        self.skip()
        while not self.takes("]"):
            node.items.append(self.value(depth + 1))
            self.goes_on("]")
        node.end = self.at
        return node

    def goes_on(self, closing: str) -> None:
        self.skip()
        if self.takes(","):
            self.skip()
        elif self.content[self.at : self.at + 1] != closing:
            raise self.broken(f"a comma or {closing} was expected")

    def skip(self) -> None:
        found = _BLANK.match(self.content, self.at)
        self.at = found.end() if found else self.at

    def takes(self, character: str) -> bool:
        is_there = self.content.startswith(character, self.at)
        self.at += is_there
        return is_there

    def loaded(self, written: str) -> Scalar:
        try:
            value: Scalar = json.loads(written)
        except ValueError as error:
            raise self.broken("a text has an escape that there is not") from error
        return value

    def broken(self, message: str) -> Broken:
        return Broken(message, self.content.count("\n", 0, self.at) + 1)


def _parse(content: str) -> Node:
    return _Reader(content).root()


def _make(content: str, missing: Missing, value: Scalar) -> Change:
    match missing.node:
        case Mapping() as node if isinstance(missing.path[0], str):
            new = f"{json.dumps(missing.path[0], ensure_ascii=False)}: {{}}"
            return _added(content, node, [entry.start for entry in node.entries], new, missing.path[1:], value)
        case Listing() as node if missing.path[0] == len(node.items):
            return _added(content, node, [item.start for item in node.items], "{}", missing.path[1:], value)
        case Leaf(value=None) as node:
            indent = _indent(content, node.start)
            return node.start, node.end, _dumped(built(missing.path, value), indent)
        case node:
            raise Broken(f"there is no place for {missing.path[0]}", content.count("\n", 0, node.start) + 1)


def _added(
    content: str, node: Mapping | Listing, starts: list[int], pattern: str, path: Sequence[Step], value: Scalar
) -> Change:
    """Behind the last one, in the same manner."""
    if not starts:
        outer = _indent(content, node.start)
        inner = f"{outer}{_unit(content)}"
        new = pattern.replace("{}", _dumped(built(path, value), inner))
        return node.start + 1, node.end - 1, f"\n{inner}{new}\n{outer}"
    last = (node.entries[-1].node if isinstance(node, Mapping) else node.items[-1]).end
    before = content[: starts[-1]]
    blank = before[len(before.rstrip(" \t\r\n")) :]
    own_line = "\n" in blank
    new = pattern.replace("{}", _dumped(built(path, value), blank.rpartition("\n")[2] if own_line else ""))
    has_comma = content[last : node.end - 1].lstrip().startswith(",")
    separator = blank[blank.index("\n") - blank[: blank.index("\n")].endswith("\r") :] if own_line else " "
    if has_comma:
        last = content.index(",", last) + 1
        return last, last, f"{separator}{new},"
    return last, last, f",{separator}{new}"


def _dumped(made: object, indent: str) -> str:
    if not isinstance(made, dict | list) or not indent:
        return json.dumps(made, ensure_ascii=False)
    return json.dumps(made, ensure_ascii=False, indent=2).replace("\n", f"\n{indent}")


def _indent(content: str, at: int) -> str:
    line = content[content.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _unit(content: str) -> str:
    """By how much this file goes in."""
    found = re.search(r"\n([ \t]+)\S", content)
    return found[1] if found else "  "
