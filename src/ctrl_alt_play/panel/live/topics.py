"""What can be looked at, and what one must be allowed to do for it."""

from enum import StrEnum
from typing import NamedTuple

from ctrl_alt_play.characters import shown
from ctrl_alt_play.panel.errors import FieldProblem, Invalid
from ctrl_alt_play.panel.permissions import Permission

LONGEST_NAME = 128


class Kind(StrEnum):
    SERVERS = "servers"
    OPERATIONS = "operations"
    NODES = "nodes"
    SERVER = "server"
    CONSOLE = "console"
    FIGURES = "figures"
    NODE = "node"
    FIGURES_OF_NODE = "figures-node"


LISTS = (Kind.SERVERS, Kind.OPERATIONS, Kind.NODES)
OF_A_SERVER = (Kind.SERVER, Kind.CONSOLE, Kind.FIGURES)
OF_A_NODE = (Kind.NODE, Kind.FIGURES_OF_NODE)
RESUMABLE = (Kind.SERVER, Kind.CONSOLE)

NEEDED: dict[Kind, tuple[Permission, ...]] = {
    Kind.SERVERS: (Permission.SERVERS_SEE,),
    Kind.OPERATIONS: (Permission.OPERATIONS_SEE,),
    Kind.NODES: (Permission.NODES_MANAGE,),
    Kind.SERVER: (Permission.SERVERS_SEE, Permission.SERVERS_EVENTS, Permission.OPERATIONS_SEE),
    Kind.CONSOLE: (Permission.SERVERS_CONSOLE,),
    Kind.FIGURES: (Permission.SERVERS_SEE,),
    Kind.NODE: (Permission.NODES_MANAGE,),
    Kind.FIGURES_OF_NODE: (Permission.NODES_MANAGE,),
}


class Topic(NamedTuple):
    kind: Kind
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


def read(name: str) -> Topic:
    """Raises: Invalid, there is no such topic."""
    word, colon, id_ = name.partition(":")
    if word in set(Kind) and len(name) <= LONGEST_NAME and id_.isprintable():
        kind = Kind(word)
        if bool(id_) is (kind not in LISTS) and bool(colon) is bool(id_):
            return Topic(kind, id_)
    reason = f"{shown(name[:LONGEST_NAME])} is no topic; there are: {', '.join(map(_pattern, Kind))}"
    raise Invalid.of([FieldProblem("topic", reason)])


def _pattern(kind: Kind) -> str:
    return kind if kind in LISTS else f"{kind}:<id>"
