"""TOML: https://toml.io/en/v1.0.0"""

from collections.abc import Iterator, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Array, Table

from ctrl_alt_play.agent.configuration.edits import ANY, Broken, Edit, Scalar, Step, built, text, typed


def edited(content: str, edits: Sequence[Edit]) -> str:
    """Raises: Broken."""
    try:
        document = tomlkit.parse(content)
        for edit in edits:
            for holder, step, rest in list(_places(document, edit.path)):
                _set(holder, step, rest, edit)
        return tomlkit.dumps(document)
    except ParseError as error:
        raise Broken(str(error).partition(" at line")[0], error.line) from error
    except (TOMLKitError, ValueError) as error:
        raise Broken(str(error)) from error


def _places(holder: Any, path: tuple[Step, ...]) -> Iterator[tuple[Any, Any, tuple[Step, ...]]]:
    """What holds the value, where in it, and the steps that are not there yet."""
    step, rest = path[0], path[1:]
    steps: list[Any] = [step]
    if step is ANY:
        steps = list(range(len(holder))) if isinstance(holder, list) else list(holder)
    for each in steps:
        if rest and _has(holder, each) and isinstance(holder[each], dict | list):
            yield from _places(holder[each], rest)
        elif not rest or not _has(holder, each):
            yield holder, each, rest
        else:
            raise Broken(f"there is no place for {rest[0]}: {each} is a value")


def _has(holder: Any, step: Any) -> bool:
    return isinstance(step, int) and step < len(holder) if isinstance(holder, list) else step in holder


def _set(holder: Any, step: Any, rest: tuple[Step, ...], edit: Edit) -> None:
    if not _has(holder, step):
        if edit.makes:
            _put(holder, step, built(rest, edit.value))
        return
    present = holder[step]
    if isinstance(present, dict | list):
        raise Broken(f"{edit.match} is not one value but several")
    plain: Scalar = present.unwrap() if hasattr(present, "unwrap") else present
    if not isinstance(plain, str | int | float | bool):
        plain = text(present.as_string())
    after = edit.on(text(plain))
    if edit.if_value is not None and after == text(plain):
        return
    if (value := typed(after, plain)) != plain or type(value) is not type(plain):
        holder[step] = "" if value is None else value


def _put(holder: Any, step: Any, made: Any) -> None:
    match holder:
        case Array() | AoT() if step == len(holder):
            holder.append(made)
        case Table() | tomlkit.TOMLDocument() if isinstance(step, str):
            holder[step] = made
        case dict() if isinstance(step, str):
            holder[step] = made
        case _:
            raise Broken(f"there is no place for {step}")
