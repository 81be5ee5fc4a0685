"""`.properties`, as `java.util.Properties.load` reads them: https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html"""

import re
from collections.abc import Sequence

from ctrl_alt_play.agent.configuration.edits import Edit, text

_PROPERTY = re.compile(
    r"^[ \t\f]*(?![#!\s])(?P<key>(?:[^\\=: \t\f\r\n]|\\.)+)(?P<is>[ \t\f]*(?:[=:][ \t\f]*)?)"
    r"(?P<value>(?:[^\\\r\n]|\\(?:\r\n|[\s\S]))*)",
    re.MULTILINE,
)
_GOES_ON = re.compile(r"\\(?:\r\n|\r|\n)[ \t\f]*")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\([\s\S])")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPED = {"\\": "\\\\", **{character: f"\\{letter}" for letter, character in _ESCAPES.items()}}


def edited(content: str, edits: Sequence[Edit]) -> str:
    """Where a key is there twice the last one counts, and is changed."""
    for edit in edits:
        content = _set(content, edit)
    return content


def _set(content: str, edit: Edit) -> str:
    found = None
    for each in _PROPERTY.finditer(content):
        if _said(each["key"]) == edit.match:
            found = each
    if found is None:
        if edit.if_value is not None:
            return content
        newline = "\r\n" if "\r\n" in content else "\n"
        between = newline if content and not content.endswith(("\n", "\r")) else ""
        return f"{content}{between}{_key(edit.match)}={_written(text(edit.value), is_raw=False)}{newline}"
    present = _said(found["value"])
    after = text(edit.on(present))
    if after == present:
        return content
    value = _written(after, is_raw=not found["value"].isascii())
    return f"{content[: found.start('is')]}{found['is'] or '='}{value}{content[found.end() :]}"


def _said(written: str) -> str:
    def one(escape: re.Match[str]) -> str:
        return chr(int(escape[1], 16)) if escape[1] else _ESCAPES.get(escape[2], escape[2])

    said = _ESCAPE.sub(one, _GOES_ON.sub("", written))
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") if "\\u" in written else said


def _written(value: str, *, is_raw: bool) -> str:
    """What is not ASCII is escaped, which every Java reads alike, unless what stood there was not."""
    escaped = "".join(_ESCAPED.get(each, each) for each in value)
    if escaped.startswith(" "):
        escaped = f"\\{escaped}"
    return escaped if is_raw else "".join(each if each.isascii() else _in_units(each) for each in escaped)


def _in_units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _key(key: str) -> str:
    return re.sub(r"[=: #!]", lambda each: f"\\{each[0]}", _written(key, is_raw=False))
