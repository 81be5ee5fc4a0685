"""The rules that variables of templates keep, as Laravel has them: https://laravel.com/docs/11.x/validation#available-validation-rules"""

import csv
import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import available_timezones

from pydantic_core import SchemaError, SchemaValidator, ValidationError
from pydantic_core.core_schema import str_schema

from ctrl_alt_play.templates.model import Variable

_DELIMITERS = {"(": ")", "{": "}", "[": "]", "<": ">"}
_NUMERIC = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_INTEGER = re.compile(r"\s*[+-]?(0|[1-9]\d*)\s*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#]+\S*", re.IGNORECASE)
_TRUE_OR_FALSE = ("0", "1", "true", "false")


class BadRule(ValueError):
    """A rule that there is not, or whose parameters make no sense."""


def split(rules: str) -> tuple[str, ...]:
    """Rules with `|` between them. One within an expression belongs to it, which the field's own panels get wrong."""
    found: list[str] = []
    for piece in rules.split("|"):
        if (
            found
            and found[-1].partition(":")[0] in ("regex", "not_regex")
            and not _is_whole(found[-1].partition(":")[2])
        ):
            found[-1] += f"|{piece}"
        elif piece.strip():
            found.append(piece.strip())
    return tuple(found)


def _is_whole(expression: str) -> bool:
    first = expression[:1]
    if not first or first.isalnum() or first in "\\^([{<":
        return True
    return re.search(rf"(?<!\\){re.escape(first)}[a-zA-Z]*$", expression[1:]) is not None


def check(rule: str) -> None:
    """Raises: BadRule."""
    name, parameters = parsed(rule)
    if name not in _CHECKS and name not in _MARKS and name not in _SIZES:
        raise BadRule(f"there is no rule {name!r}")
    if name in _SIZES:
        _passes(name, parameters, "", is_number=False)
    elif name in ("regex", "not_regex"):
        _expression(parameters[0] if parameters else "")
    elif name in ("digits", "digits_between") and not (parameters and all(each.isdecimal() for each in parameters)):
        raise BadRule(f"{name!r} needs numbers")


def problems(variable: Variable, value: str) -> list[str]:
    """What is wrong with a value: for each rule that it does not keep the end of a sentence that begins with its name."""
    rules = [parsed(rule) for rule in variable.rules]
    names = {name for name, _ in rules}
    if value == "":
        return ["is required"] if "required" in names or "filled" in names else []
    is_number = bool(names & {"numeric", "integer", "int", "decimal"})
    found = []
    for name, parameters in rules:
        if name in _SIZES and not _passes(name, parameters, value, is_number=is_number):
            found.append(
                _SIZES[name].format("be" if is_number else "have", "" if is_number else " characters", *parameters)
            )
        elif name in _CHECKS and not _CHECKS[name][0](value, parameters):
            found.append(_CHECKS[name][1].format(*parameters, all=", ".join(parameters)))
    return found


def failures(variables: Sequence[Variable], values: Mapping[str, str]) -> dict[str, list[str]]:
    """All variables whose value does not keep their rules, by their names in the environment; one without a value has its default."""
    found = {
        each.environment_name: problems(each, values.get(each.environment_name, each.default)) for each in variables
    }
    return {name: said for name, said in found.items() if said}


def parsed(rule: str) -> tuple[str, list[str]]:
    """Its name, and its parameters."""
    name, colon, rest = rule.partition(":")
    name = name.strip().lower()
    if name in ("regex", "not_regex", "date_format"):
        return name, [rest]
    return name, next(csv.reader([rest], skipinitialspace=True), []) if colon else []


def _size(value: str, *, is_number: bool) -> float:
    if not is_number:
        return len(value)
    return float(value) if _NUMERIC.fullmatch(value) else float("nan")


def _passes(name: str, parameters: list[str], value: str, *, is_number: bool) -> bool:
    size = _size(value, is_number=is_number)
    try:
        bounds = [float(each) for each in parameters]
        match name, bounds:
            case "min" | "gte", [least]:
                return size >= least
            case "max" | "lte", [most]:
                return size <= most
            case "gt", [least]:
                return size > least
            case "lt", [most]:
                return size < most
            case "between", [least, most]:
                return least <= size <= most
            case "size", [exact]:
                return size == exact
            case "multiple_of", [step]:
                return step != 0 and size % step == 0
    except ValueError:
        pass
    raise BadRule(f"{name!r} has {len(parameters)} parameters that are no such numbers: {', '.join(parameters)!r}")


_SIZES = {
    "min": "must {0} at least {2}{1}",
    "gte": "must {0} at least {2}{1}",
    "max": "must {0} at most {2}{1}",
    "lte": "must {0} at most {2}{1}",
    "gt": "must {0} more than {2}{1}",
    "lt": "must {0} less than {2}{1}",
    "between": "must {0} {2} to {3}{1}",
    "size": "must {0} exactly {2}{1}",
    "multiple_of": "must {0} a multiple of {2}{1}",
}
_MARKS = frozenset({"required", "nullable", "filled", "present", "sometimes", "bail", "string"})
"""They say of no text that it is wrong, but of none at all."""


def _expression(written: str) -> SchemaValidator:
    """Of PHP's, with its delimiters and flags. Without look-around and back-references, as all that strangers write. Raises: BadRule."""
    first = written[:1]
    pattern, flags = written, ""
    if first and not first.isalnum() and first not in "\\^([{<":
        pattern, _, flags = written[1:].rpartition(first)
    elif first in _DELIMITERS and written.rstrip("imsxuD").endswith(_DELIMITERS[first]):
        pattern, _, flags = written[1:].rpartition(_DELIMITERS[first])
    kept = "".join(flag for flag in flags if flag in "imsx")
    try:
        return SchemaValidator(
            str_schema(pattern=f"(?{kept}){pattern}" if kept else pattern, regex_engine="rust-regex")
        )
    except SchemaError as error:
        raise BadRule(f"{written!r} is no regular expression that can be used here") from error


def _matches(value: str, parameters: list[str]) -> bool:
    try:
        _expression(parameters[0]).validate_python(value)
    except ValidationError:
        return False
    return True


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _is(kind: Callable[[str], object]) -> Callable[[str, list[str]], bool]:
    def passes(value: str, _: list[str]) -> bool:
        try:
            kind(value)
        except ValueError:
            return False
        return True

    return passes


def _digits(value: str, parameters: list[str]) -> bool:
    least, most = int(parameters[0]), int(parameters[-1])
    return value.isascii() and value.isdigit() and least <= len(value) <= most


_CHECKS: dict[str, tuple[Callable[[str, list[str]], bool], str]] = {
    "integer": (lambda value, _: _INTEGER.fullmatch(value) is not None, "must be a whole number"),
    "int": (lambda value, _: _INTEGER.fullmatch(value) is not None, "must be a whole number"),
    "numeric": (lambda value, _: _NUMERIC.fullmatch(value) is not None, "must be a number"),
    "decimal": (lambda value, _: _NUMERIC.fullmatch(value) is not None, "must be a number"),
    "boolean": (lambda value, _: value.lower() in _TRUE_OR_FALSE, "must be 1 or 0"),
    "bool": (lambda value, _: value.lower() in _TRUE_OR_FALSE, "must be 1 or 0"),
    "accepted": (lambda value, _: value.lower() in ("1", "true", "yes", "on"), "must be accepted"),
    "in": (lambda value, parameters: value in parameters, "must be one of {all}"),
    "not_in": (lambda value, parameters: value not in parameters, "must not be one of {all}"),
    "regex": (_matches, "must match {all}"),
    "not_regex": (lambda value, parameters: not _matches(value, parameters), "must not match {all}"),
    "alpha": (lambda value, _: value.isalpha(), "must have letters alone"),
    "alpha_num": (lambda value, _: value.isalnum(), "must have letters and digits alone"),
    "alpha_dash": (
        lambda value, _: all(each.isalnum() or each in "-_" for each in value),
        "must have letters, digits, - and _ alone",
    ),
    "ascii": (lambda value, _: value.isascii(), "must have plain characters alone"),
    "lowercase": (lambda value, _: value == value.lower(), "must have small letters"),
    "uppercase": (lambda value, _: value == value.upper(), "must have capital letters"),
    "digits": (_digits, "must have {0} digits"),
    "digits_between": (_digits, "must have {0} to {1} digits"),
    "starts_with": (lambda value, parameters: value.startswith(tuple(parameters)), "must begin with one of {all}"),
    "ends_with": (lambda value, parameters: value.endswith(tuple(parameters)), "must end with one of {all}"),
    "url": (lambda value, _: _URL.fullmatch(value) is not None, "must be an address such as https://example.org"),
    "active_url": (
        lambda value, _: _URL.fullmatch(value) is not None,
        "must be an address such as https://example.org",
    ),
    "email": (lambda value, _: _EMAIL.fullmatch(value) is not None, "must be an e-mail address"),
    "ip": (_is(ipaddress.ip_address), "must be an IP address"),
    "ipv4": (_is(ipaddress.IPv4Address), "must be an IPv4 address"),
    "ipv6": (_is(ipaddress.IPv6Address), "must be an IPv6 address"),
    "uuid": (_is(uuid.UUID), "must be a UUID"),
    "json": (lambda value, _: _is_json(value), "must be JSON"),
    "date": (_is(datetime.fromisoformat), "must be a date such as 2026-11-21"),
    "timezone": (lambda value, _: value in available_timezones(), "must be a time zone such as Europe/Berlin"),
}
NAMES = frozenset(_CHECKS) | frozenset(_SIZES) | _MARKS
