"""Documents as trees whose leaves know where in the text they stand, so that one can be changed and all else stay as it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ctrl_alt_play.agent.configuration.edits import ANY, Broken, Edit, Scalar, Step, text, typed


@dataclass(slots=True)
class Node:
    start: int
    end: int


@dataclass(slots=True)
class Leaf(Node):
    value: Scalar


@dataclass(slots=True)
class Entry:
    key: str
    start: int
    """Of the key."""
    node: Node


@dataclass(slots=True)
class Mapping(Node):
    entries: list[Entry]

    def get(self, key: str) -> Node | None:
        """Of the same key twice the last one counts."""
        return next((entry.node for entry in reversed(self.entries) if entry.key == key), None)


@dataclass(slots=True)
class Listing(Node):
    items: list[Node]


@dataclass(slots=True)
class Missing:
    """Where a path ends too early: what is there, and the steps that are not."""

    node: Node
    path: Sequence[Step]


Change = tuple[int, int, str]
"""What stands from one place to another, and what is to stand there."""


def edited(
    content: str,
    edits: Sequence[Edit],
    parse: Callable[[str], Node],
    write: Callable[[str, Leaf, Scalar], str],
    make: Callable[[str, Missing, Scalar], Change],
) -> str:
    """Each edit by itself, for one may make what the next is to change.

    Raises:
        Broken
    """
    for edit in edits:
        changes = list(_changes(content, edit, parse(content), write, make))
        for start, end, written in sorted(changes, reverse=True):
            content = f"{content[:start]}{written}{content[end:]}"
    return content


def _changes(
    content: str,
    edit: Edit,
    root: Node,
    write: Callable[[str, Leaf, Scalar], str],
    make: Callable[[str, Missing, Scalar], Change],
) -> Iterator[Change]:
    for found in _at(root, edit.path):
        match found:
            case Leaf():
                present = text(found.value)
                after = edit.on(present)
                value = found.value if edit.if_value is not None and after == present else typed(after, found.value)
                if value != found.value or type(value) is not type(found.value):
                    yield found.start, found.end, write(content, found, value)
            case Missing() if edit.makes:
                yield make(content, found, edit.value)
            case Node():
                raise Broken(f"{edit.match} is not one value but several", content.count("\n", 0, found.start) + 1)


def _at(node: Node, path: Sequence[Step]) -> Iterator[Node | Missing]:
    if not path:
        yield node
        return
    step, rest = path[0], path[1:]
    match node:
        case Mapping() if step is ANY:
            for entry in node.entries:
                yield from _at(entry.node, rest)
        case Listing() if step is ANY:
            for item in node.items:
                yield from _at(item, rest)
        case Mapping() if (found := node.get(str(step))) is not None:
            yield from _at(found, rest)
        case Listing() if _place(step) < len(node.items):
            yield from _at(node.items[_place(step)], rest)
        case _:
            yield Missing(node, path)


def _place(step: Step) -> int:
    """In a list. `[0]` and `.0` are the same there; a name is past its end."""
    match step:
        case int():
            return step
        case str() if step.isdecimal():
            return int(step)
        case _:
            return 2**31
