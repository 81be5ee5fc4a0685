"""Values as they are given on a command line."""

import math
import re
from typing import Any

import typer

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(f"{text!r} is no number: give one such as 30 or 1.5")
    return value


def size(text: str) -> int:
    """`2G`, `512M`, or bytes."""
    match = re.fullmatch(r"([0-9]{1,18})([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size: give one such as 512M or 2G")
    return int(match[1]) * _UNITS[match[2].upper()]


def port_range(text: str) -> dict[str, int]:
    """`25565-25600`, or one alone."""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} are no ports: give some such as 25565-25600, or one")
    return {"first": int(match[1]), "last": int(match[2] or match[1])}


def variable(text: str) -> str:
    name, is_given, _ = text.partition("=")
    if not name or not is_given:
        raise typer.BadParameter(f"{text!r} is no variable: give NAME=VALUE")
    return text


def given(**fields: Any) -> dict[str, Any]:
    """Those that are."""
    return {name: value for name, value in fields.items() if value is not None and value != {}}
