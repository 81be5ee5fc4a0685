"""YAML, block and flow: https://yaml.org/spec/1.1/, which is what games' libraries read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, DocumentStartEvent, MappingStartEvent, NodeEvent, ScalarEvent

from ctrl_alt_play.agent.configuration import tree
from ctrl_alt_play.agent.configuration.edits import Broken, Edit, Scalar, built
from ctrl_alt_play.agent.configuration.tree import Change, Entry, Leaf, Listing, Mapping, Missing, Node

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
_INDICATORS = re.compile(r"[,\[\]{}]")
_LOADED = {"bool", "int", "float", "null"}
_READER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Leaf(Leaf):
    style: str
    is_in_flow: bool


@dataclass(slots=True)
class _Mapping(Mapping):
    is_flow: bool


@dataclass(slots=True)
class _Listing(Listing):
    is_flow: bool


def edited(content: str, edits: Sequence[Edit]) -> str:
    """Raises: Broken."""
    return tree.edited(content, edits, _parse, _write, _make)


def _parse(content: str) -> Node:
    try:
        events = list(yaml.parse(content, Loader=_READER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Broken(error.problem or "it is no YAML", mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise Broken(f"it is no YAML: {error}") from error
    documents = [event for event in events if isinstance(event, DocumentStartEvent)]
    if len(documents) > 1:
        raise Broken("it holds several documents", content.count("\n", 0, _at(documents[1].start_mark)) + 1)
    nodes = _nodes(iter(events))
    return nodes if nodes is not None else Leaf(len(content), len(content), None)


def _at(mark: Any) -> int:
    """In characters; both readers count so."""
    return int(mark.index)


def _nodes(events: Iterator[yaml.Event]) -> Node | None:
    """Without recursion, for a document may be deep; an alias is the node that it stands for."""
    root: Node | None = None
    open_: list[_Mapping | _Listing] = []
    keys: list[tuple[str, int] | None] = []
    anchors: dict[str, Node] = {}
    for event in events:
        if isinstance(event, CollectionEndEvent):
            _close(open_.pop(), _at(event.end_mark))
            keys.pop()
        elif isinstance(event, NodeEvent):
            node = _node(event, anchors, is_in_flow=bool(open_) and open_[-1].is_flow)
            if not open_:
                root = node
            elif isinstance(parent := open_[-1], _Listing):
                parent.items.append(node)
            elif (key := keys[-1]) is None:
                keys[-1] = getattr(event, "value", ""), _at(event.start_mark)
            else:
                parent.entries.append(Entry(*key, node))
                keys[-1] = None
            if isinstance(node, _Mapping | _Listing) and not isinstance(event, AliasEvent):
                open_.append(node)
                keys.append(None)
    return root


def _node(event: NodeEvent, anchors: dict[str, Node], *, is_in_flow: bool) -> Node:
    start, end = _at(event.start_mark), _at(event.end_mark)
    node: Node
    if isinstance(event, AliasEvent):
        return _alias(anchors.get(event.anchor or ""), start, end, is_in_flow=is_in_flow)
    if isinstance(event, ScalarEvent):
        node = _Leaf(start, end, _loaded(event), event.style or "", is_in_flow)
    elif isinstance(event, MappingStartEvent):
        node = _Mapping(start, end, [], bool(event.flow_style))
    else:
        node = _Listing(start, end, [], bool(getattr(event, "flow_style", False)))
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _alias(stands_for: Node | None, start: int, end: int, *, is_in_flow: bool) -> Node:
    """Set, a value takes its place here; what is set in a mapping or a list that it stands for is set wherever that is."""
    match stands_for:
        case Leaf():
            return _Leaf(start, end, stands_for.value, "", is_in_flow)
        case _Mapping():
            return _Mapping(start, end, stands_for.entries, stands_for.is_flow)
        case _Listing():
            return _Listing(start, end, stands_for.items, stands_for.is_flow)
        case _:
            raise Broken("an alias stands for nothing")


def _close(node: _Mapping | _Listing, end: int) -> None:
    """A block ends with its last leaf; what the parser says is where the next thing begins."""
    children = [entry.node for entry in node.entries] if isinstance(node, _Mapping) else node.items
    node.end = end if node.is_flow else max((child.end for child in children), default=node.start)


def _loaded(event: ScalarEvent) -> Scalar:
    if not event.implicit[0]:
        return str(event.value)
    return _resolved(event.value)


_LOADER: Any = yaml.SafeLoader("")


def _resolved(written: str) -> Scalar:
    """A date stays a text: nobody changes dates."""
    tag = str(_LOADER.resolve(yaml.ScalarNode, written, (True, False)))
    if tag.rpartition(":")[2] not in _LOADED:
        return written
    try:
        value: Scalar = _LOADER.construct_object(yaml.ScalarNode(tag, written))
    except ValueError:
        return written
    return value


def _write(content: str, leaf: Leaf, value: Scalar) -> str:
    if not isinstance(leaf, _Leaf):
        return _scalar(value, "", is_in_flow=False)
    present = content[leaf.start : leaf.end]
    named = _PROPERTIES.match(present)
    written = f"{named[0] if named else ''}{_scalar(value, leaf.style, is_in_flow=leaf.is_in_flow)}"
    if leaf.start == leaf.end and content[leaf.start - 1 : leaf.start] == ":":
        written = f" {written}"
    return f"{written}\n" if present.endswith("\n") else written


def _make(content: str, missing: Missing, value: Scalar) -> Change:
    step, rest = missing.path[0], missing.path[1:]
    match missing.node:
        case _Leaf(value=None) as node:
            made = built(missing.path, value)
            if node.is_in_flow:
                return node.start, node.end, f" {_dumped(made, is_flow=True)}"
            return node.start, node.end, f"\n{_inside(content, node.start, made)}".rstrip("\n")
        case Leaf(value=None) as node:
            return _line(content, len(content), _dumped(built(missing.path, value)))
        case (_Mapping() | _Listing()) as node if content.startswith("*", node.start):
            raise Broken(f"there is no place for {step}: an alias stands there", _line_of(content, node))
        case _Mapping() as node if isinstance(step, str):
            return _added(content, node, {step: built(rest, value)})
        case _Listing() as node if step == len(node.items):
            return _added(content, node, [built(rest, value)])
        case node:
            raise Broken(f"there is no place for {step}", _line_of(content, node))


def _added(content: str, node: _Mapping | _Listing, made: object) -> Change:
    """Behind the last one."""
    if node.is_flow:
        inside = content[node.start + 1 : node.end - 1].rstrip()
        separator = "" if not inside else " " if inside.endswith(",") else ", "
        return node.end - 1, node.end - 1, f"{separator}{_dumped(made, is_flow=True)[1:-1]}"
    first = node.entries[0].start if isinstance(node, _Mapping) else node.start
    indent = " " * (first - content.rfind("\n", 0, first) - 1)
    at = node.end if content[: node.end].endswith("\n") else content.find("\n", node.end) + 1 or len(content)
    return _line(content, at, _indented(_dumped(made), indent))


def _line(content: str, at: int, lines: str) -> Change:
    return at, at, lines if at == 0 or content[at - 1] == "\n" else f"\n{lines}"


def _inside(content: str, at: int, made: object) -> str:
    line = content[content.rfind("\n", 0, at) + 1 : at]
    within = len(line) - len(line.lstrip(" -"))
    return _indented(_dumped(made), " " * (within + 2))


def _indented(lines: str, indent: str) -> str:
    return "".join(f"{indent}{line}" for line in lines.splitlines(keepends=True))


def _scalar(value: Scalar, style: str, *, is_in_flow: bool) -> str:
    if isinstance(value, str) and (style in ("|", ">") or "\n" in value or (is_in_flow and _INDICATORS.search(value))):
        style = '"'
    return _dumped(value, style=style if isinstance(value, str) else "").removesuffix("\n...\n").removesuffix("\n")


def _dumped(made: object, style: str = "", *, is_flow: bool = False) -> str:
    dumped = yaml.dump(
        made,
        Dumper=yaml.SafeDumper,
        default_style=style or None,
        default_flow_style=is_flow,
        allow_unicode=True,
        sort_keys=False,
        width=2**31,
    )
    return str(dumped).removesuffix("\n") if is_flow else str(dumped)


def _line_of(content: str, node: Node) -> int:
    return content.count("\n", 0, node.start) + 1
