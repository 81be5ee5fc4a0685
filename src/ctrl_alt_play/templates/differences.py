"""What is different between two versions of a template, part by part; of long texts line by line."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ctrl_alt_play.templates.model import Template

Kind = Literal["added", "removed", "changed", "reordered"]
LONG = 80
"""Characters from which on a text is compared by its lines."""
MOST_LINES = 20_000
"""Of both texts. Beyond that the comparison would take minutes; nobody reads it."""


@dataclass(frozen=True, slots=True)
class Change:
    """`before` and `after` are None where there is nothing; in their place there are `lines` (as `diff -u` has them) of long texts."""

    path: tuple[str, ...]
    """`variables`, `MAP`, `default`: what has a name is called by it."""
    kind: Kind
    before: Any = None
    after: Any = None
    lines: tuple[str, ...] | None = None


def changes(before: Template, after: Template) -> list[Change]:
    """Nothing only where both are the same."""
    return list(_between((), named(before), named(after)))


def is_same(before: Template, after: Template) -> bool:
    """As `changes` has it, without looking for what is different."""
    return before.model_dump_json() == after.model_dump_json()


def named(template: Template) -> dict[str, Any]:
    """Lists of things that have names as what stands under these names. Of an icon only what tells it from another."""
    found = template.model_dump(mode="json")
    found["variables"] = _by(found["variables"], "environment_name")
    found["ports"] = _by(found["ports"], "name")
    for file in found["configuration"]:
        for each in file["replacements"]:
            each["where"] = each["match"] if each["if_value"] is None else f"{each['match']} = {each['if_value']}"
        file["replacements"] = {where: each["value"] for where, each in _by(file["replacements"], "where").items()}
    found["configuration"] = _by(found["configuration"], "path")
    if template.icon is not None:
        digest = hashlib.sha256(template.icon.encode()).hexdigest()[:16]
        found["icon"] = f"{template.icon.partition(';')[0][:64]}, {len(template.icon)} characters, SHA-256 {digest}"
    return found


def _by(things: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """Of several by the same name each is a thing of its own."""
    found: dict[str, dict[str, Any]] = {}
    for each in things:
        name, number = str(each[key]), 2
        while name in found:
            name, number = f"{each[key]} ({number})", number + 1
        found[name] = each
    return found


def _between(path: tuple[str, ...], before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        one, other, here = before.get(name), after.get(name), (*path, name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _between(here, one, other)
        elif name not in before or name not in after or not _is_equal(one, other):
            yield _change(here, one, other)
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield Change(path, "reordered", list(before), list(after))


def _is_equal(one: Any, other: Any) -> bool:
    """For Python, 1 is True."""
    return type(one) is type(other) and bool(one == other)


def _change(path: tuple[str, ...], one: Any, other: Any) -> Change:
    kind: Kind = "added" if one is None else "removed" if other is None else "changed"
    if all(text is None or isinstance(text, str) for text in (one, other)) and _is_long(one, other):
        return Change(path, kind, lines=_lines(one or "", other or ""))
    return Change(path, kind, one, other)


def _is_long(*texts: str | None) -> bool:
    return any(text is not None and ("\n" in text or len(text) > LONG) for text in texts)


def _lines(before: str, after: str) -> tuple[str, ...]:
    one, other = before.splitlines(), after.splitlines()
    if len(one) + len(other) > MOST_LINES:
        return (f"-({len(one)} lines)", f"+({len(other)} lines)")
    found = list(difflib.unified_diff(one, other, lineterm="", n=3))[2:]
    return tuple(found) or ("-(other ends of lines)", "+(other ends of lines)")
