"""What every request is held against before its route sees it: parameters that are not known, and text that nothing can keep."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.requests import HTTPConnection, Request
from fastapi.routing import APIRoute

from ctrl_alt_play.characters import shown
from ctrl_alt_play.panel.errors import FieldProblem, Invalid

_UNKEPT = re.compile("[\x00\ud800-\udfff]")
_SPELT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""How JSON spells them: nothing else in a body can stand for one."""


async def refuse_unknown(connection: HTTPConnection) -> None:
    """A misspelt parameter is told, as a field is: without `keep_data` files are gone for good. What is not of the API may be the page's own."""
    route = connection.scope["route"]
    if not connection.scope["query_string"] or not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    known = set(parameters(route.dependant))
    reason = f"is not known here; there are: {', '.join(sorted(known))}" if known else "is not known here, nor is any"
    unknown = sorted(set(connection.query_params) - known)
    if unknown:
        raise Invalid.of(FieldProblem(shown(name), reason) for name in unknown)


def parameters(dependant: Dependant) -> Iterator[str]:
    """Also those of what the route depends on."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for each in dependant.dependencies:
        yield from parameters(each)


async def refuse_unkept(connection: HTTPConnection) -> None:
    """PostgreSQL keeps no NUL, no program can be given one, and halves of characters cannot even be sent on."""
    route = connection.scope["route"]
    if not isinstance(connection, Request) or not isinstance(route, APIRoute) or route.body_field is None:
        return
    if _SPELT.search(await connection.body()) is None:
        return
    problems = list(unkept(await connection.json()))
    if problems:
        raise Invalid.of(problems)


def unkept(body: Any) -> Iterator[FieldProblem]:
    """Texts in it that hold such characters, by their places. Not by recursion: bodies may be as deep as they are long."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), body)]
    while waiting:
        place, value = waiting.pop()
        match value:
            case str():
                if (found := _UNKEPT.search(value)) is not None:
                    reason = f"leave out the character {shown(found[0])}, which nothing can keep"
                    yield FieldProblem(".".join(place) or "body", reason)
            case dict():
                waiting += [((*place, shown(name)), part) for name, part in value.items()]
                waiting += [((*place, shown(name)), name) for name in value]
            case list():
                waiting += [((*place, str(number)), part) for number, part in enumerate(value)]
