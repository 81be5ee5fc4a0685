"""What somebody gives as a template, looked at before anything is kept of it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from ctrl_alt_play.panel.requests import unkept
from ctrl_alt_play.panel.templates.fetching import Fetcher
from ctrl_alt_play.panel.templates.schemas import Draft
from ctrl_alt_play.templates import extension
from ctrl_alt_play.templates.model import Template
from ctrl_alt_play.templates.reading import Flaw, NotATemplate, examine
from ctrl_alt_play.templates.writing import write

LONGEST = {"name": 191, "author": 191, "uuid": 64}
"""As our tables have it."""


@dataclass(frozen=True, slots=True)
class Found:
    template: Template | None
    flaws: list[Flaw]
    document: str | None
    """Where it was fetched."""
    source: str | None


async def found_in(draft: Draft, fetcher: Fetcher) -> Found:
    """Raises: Invalid, for an address where there is nothing to be had."""
    if draft.url is not None:
        document = await fetcher.fetch(draft.url)
        template, flaws = await asyncio.to_thread(_read, document)
        return Found(template, flaws, document, draft.url.strip())
    if draft.document is not None:
        template, flaws = await asyncio.to_thread(_read, draft.document)
        return Found(template, flaws, None, draft.source)
    assert draft.content is not None  # noqa: S101 - one of the three is
    template, flaws = await asyncio.to_thread(_read_parts, draft.content)
    return Found(template, flaws, None, None)


def _read(document: str) -> tuple[Template | None, list[Flaw]]:
    """Nothing of what cannot even be sent on."""
    try:
        template, flaws = examine(document)
    except NotATemplate as error:
        return None, error.flaws
    problems = list(unkept(template.model_dump()))
    flaws += [
        Flaw(name, f"has more than {most} characters")
        for name, most in LONGEST.items()
        if _length(template, name) > most
    ]
    return (None if problems else template), [*flaws, *(Flaw(each.field, each.message) for each in problems)]


def _read_parts(content: Template) -> tuple[Template | None, list[Flaw]]:
    """What is wrong has the place that it would have in a document."""
    return (None, flaws) if (flaws := list(_unwritable(content))) else _read(write(content))


def _unwritable(content: Template) -> Iterator[Flaw]:
    """What a document cannot even say."""
    if not content.startup_commands:
        yield Flaw("startup", "names no command")
    _, wrongs = extension.read(content.model_dump(include=set(extension.Extension.model_fields)))
    yield from (Flaw(place, message) for place, message in wrongs)
    paths: set[str] = set()
    for file in content.configuration:
        place = f"config.files[{file.path!r}]"
        if file.path in paths:
            yield Flaw(place, "is there twice")
        paths.add(file.path)
        seen: dict[str, set[str | None]] = {}
        for each in file.replacements:
            conditions = seen.setdefault(each.match, set())
            if each.if_value in conditions or (conditions and None in (each.if_value, *conditions)):
                yield Flaw(f"{place}.find[{each.match!r}]", "is there twice")
            conditions.add(each.if_value)


def _length(template: Template, name: str) -> int:
    return len(getattr(template, name) or "")
