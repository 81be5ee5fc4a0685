"""XML. Elements are known by the names on the way to them, beginning with the root's."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ctrl_alt_play.agent.configuration.edits import ANY, Broken, Edit, Step, text

_ATTRIBUTE = re.compile(r"\[([\w:.-]+)='(.*)'\]", re.DOTALL)
"""A value of this form sets an attribute, as templates have it."""
_TAG = re.compile(rb"<(?:[^'\">]|'[^']*'|\"[^\"]*\")*>")
_COMMENT = re.compile(rb"<!--[\s\S]*?-->")
_UNIT = b"  "


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    tag: bytes
    start: int
    end: int = 0
    """Where its content ends."""
    said: str = ""
    children: list["_Element"] = field(default_factory=list)

    @property
    def inside(self) -> int:
        return self.start + len(self.tag)

    @property
    def is_empty(self) -> bool:
        return self.tag.endswith(b"/>")


def edited(content: str, edits: Sequence[Edit]) -> str:
    """Where several elements have the same name, all are meant. Raises: Broken."""
    data = content.encode()
    for edit in edits:
        if not data.strip() and edit.makes:
            root = str(edit.path[0]).encode()
            data = b'<?xml version="1.0" encoding="utf-8"?>\n<%s>\n</%s>\n' % (root, root)
        if data.strip():
            for start, end, written in sorted(_changes(data, edit), reverse=True):
                data = data[:start] + written + data[end:]
    return data.decode()


def _changes(data: bytes, edit: Edit) -> Iterator[tuple[int, int, bytes]]:
    root = _parse(data)
    first, rest = edit.path[0], edit.path[1:]
    if first not in (root.name, ANY):
        raise Broken(f"its root is {root.name}, not {first}", _line(data, root.start))
    for element, missing in _at([root], rest):
        if not missing:
            yield from _change(data, element, edit)
        elif edit.makes:
            yield _added(data, element, missing, edit)


def _parse(data: bytes) -> _Element:
    parser = expat.ParserCreate("utf-8")
    open_: list[_Element] = [_Element("", {}, b"", 0)]

    def starts(name: str, attributes: dict[str, str]) -> None:
        at = parser.CurrentByteIndex
        tag = _TAG.match(data, at)
        element = _Element(name, attributes, tag[0] if tag else b"", at)
        open_[-1].children.append(element)
        open_.append(element)

    def ends(_: str) -> None:
        element = open_.pop()
        element.end = element.inside if element.is_empty else parser.CurrentByteIndex

    def says(said: str) -> None:
        open_[-1].said += said

    parser.StartElementHandler = starts
    parser.EndElementHandler = ends
    parser.CharacterDataHandler = says
    try:
        parser.Parse(data, True)  # noqa: FBT003 - it takes no names
    except expat.ExpatError as error:
        raise Broken(expat.ErrorString(error.code), error.lineno) from error
    return open_[0].children[0]


def _at(found: list[_Element], path: Sequence[Step]) -> Iterator[tuple[_Element, Sequence[Step]]]:
    """Each element at the end of the path, or the last on the way to it and the steps that are not there."""
    if path and isinstance(path[0], int):
        yield from _at(found[path[0] : path[0] + 1], path[1:])
        return
    for element in found:
        if not path:
            yield element, ()
            continue
        inner = [child for child in element.children if path[0] in (child.name, ANY)]
        if inner:
            yield from _at(inner, path[1:])
        else:
            yield element, path


def _change(data: bytes, element: _Element, edit: Edit) -> Iterator[tuple[int, int, bytes]]:
    said = element.said.strip()
    after = text(edit.on(said))
    if attribute := _ATTRIBUTE.fullmatch(after):
        if element.attributes.get(attribute[1]) != attribute[2]:
            yield element.start, element.inside, _with_attribute(element.tag, attribute[1], attribute[2])
    elif element.children:
        raise Broken(f"{edit.match} holds elements, not a value", _line(data, element.start))
    elif after != said:
        kept = b"".join(_COMMENT.findall(data[element.inside : element.end]))
        yield from _filled(element, kept + escape(after).encode())


def _filled(element: _Element, content: bytes) -> Iterator[tuple[int, int, bytes]]:
    if element.is_empty:
        tag = element.tag.removesuffix(b"/>").rstrip()
        yield element.start, element.inside, b"%s>%s</%s>" % (tag, content, element.name.encode())
    else:
        yield element.inside, element.end, content


def _with_attribute(tag: bytes, name: str, value: str) -> bytes:
    written = quoteattr(value).encode()
    present = re.compile(rb"(\s%s\s*=\s*)(?:'[^']*'|\"[^\"]*\")" % re.escape(name.encode()))
    if present.search(tag):
        return present.sub(lambda found: found[1] + written, tag, count=1)
    ending = b"/>" if tag.endswith(b"/>") else b">"
    bare = tag.removesuffix(ending)
    return b"%s %s=%s%s" % (bare.rstrip(), name.encode(), written, bare[len(bare.rstrip()) :] + ending)


def _added(data: bytes, parent: _Element, path: Sequence[Step], edit: Edit) -> tuple[int, int, bytes]:
    """Behind the last of its children."""
    if not all(isinstance(step, str) for step in path):
        raise Broken(f"there is no place for {edit.match}", _line(data, parent.start))
    line = data[data.rfind(b"\n", 0, parent.start) + 1 : parent.start]
    outer = line if not line.strip() else b""
    new = _written([str(step) for step in path], text(edit.value), outer + _UNIT)
    if parent.is_empty:
        ((start, end, written),) = _filled(parent, b"\n" + new + outer)
        return start, end, written
    inside = data[parent.inside : parent.end]
    at = parent.inside + len(inside.rstrip())
    return at, parent.end, b"\n" + new + outer


def _written(path: Sequence[str], value: str, indent: bytes) -> bytes:
    name = path[0].encode()
    if path[1:]:
        return b"%s<%s>\n%s%s</%s>\n" % (indent, name, _written(path[1:], value, indent + _UNIT), indent, name)
    if attribute := _ATTRIBUTE.fullmatch(value):
        return b"%s<%s %s=%s/>\n" % (indent, name, attribute[1].encode(), quoteattr(attribute[2]).encode())
    return b"%s<%s>%s</%s>\n" % (indent, name, escape(value).encode(), name)


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1
