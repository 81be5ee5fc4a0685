"""`.ini`, `.cfg` and the like: keys in sections. There is no standard; what games do is taken as it is."""

import re
from collections.abc import Sequence

from ctrl_alt_play.agent.configuration.edits import Edit, text

_LINE = re.compile(r"(?P<bare>[^\r\n]*)(?P<end>\r\n|\r|\n|\Z)")
_SECTION = re.compile(r"\s*\[(?P<name>[^\]]*)\]")
_ENTRY = re.compile(
    r"(?P<before>\s*(?P<key>[^\s=:#;\[][^=:]*?)(?P<is>\s*[=:][ \t]*))"
    r"(?P<value>\"[^\"]*\"|'[^']*'|.*?)(?P<after>[ \t]+[;#].*|[ \t]*)"
)
_MATCH = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<section>[^.\[]+))\.(?P<key>.+)")


def edited(content: str, edits: Sequence[Edit]) -> str:
    """`section.key` and `[section.with.dots].key`; a key alone stands before all sections. Where it is there twice the last one is changed."""
    for edit in edits:
        content = _set(content, edit)
    return content


def _set(content: str, edit: Edit) -> str:
    named = _MATCH.fullmatch(edit.match)
    section, key = (named["bracketed"] or named["section"], named["key"]) if named else (None, edit.match)
    here: str | None = None
    end = 0 if section is None else None
    """Where the section's last line with anything in it ends."""
    found: tuple[int, re.Match[str]] | None = None
    delimiter = "="
    for line in _LINE.finditer(content):
        if header := _SECTION.match(line["bare"]):
            here = header["name"].strip()
        if here == section and line["bare"].strip():
            end = line.end()
        if entry := _ENTRY.fullmatch(line["bare"]):
            delimiter = entry["is"]
            if here == section and entry["key"] == key:
                found = line.start(), entry
    if found is not None:
        return _changed(content, *found, edit)
    return (
        content if edit.if_value is not None else _added(content, section, end, f"{key}{delimiter}{text(edit.value)}")
    )


def _changed(content: str, start: int, entry: re.Match[str], edit: Edit) -> str:
    written = entry["value"]
    quote = written[0] if len(written) > 1 and written[0] == written[-1] and written[0] in "\"'" else ""
    present = written[1:-1] if quote else written
    after = text(edit.on(present))
    return f"{content[: start + entry.start('value')]}{quote}{after}{quote}{content[start + entry.end('value') :]}"


def _added(content: str, section: str | None, end: int | None, entry: str) -> str:
    newline = "\r\n" if "\r\n" in content else "\n"
    if end is None:
        apart = "" if not content else newline if content.endswith(("\n", "\r")) else newline * 2
        return f"{content}{apart}[{section}]{newline}{entry}{newline}"
    between = newline if end and not content[:end].endswith(("\n", "\r")) else ""
    return f"{content[:end]}{between}{entry}{newline}{content[end:]}"
