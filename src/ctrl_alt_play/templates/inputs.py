"""How a variable is best asked for, as its rules and its name tell."""

import re
from dataclasses import dataclass
from typing import Literal

from ctrl_alt_play.templates.model import Variable
from ctrl_alt_play.templates.rules import parsed

Kind = Literal["text", "secret", "switch", "choice", "integer", "number"]
_SECRET = re.compile(r"PASS(WORD|WD|PHRASE)?($|_)|TOKEN|SECRET|API_?KEY|(LICENSE|ACCESS|PRIVATE)_?KEY|AUTH_?KEY|GSLT")
_BOUNDS = {"min": (0, None), "gte": (0, None), "max": (None, 0), "lte": (None, 0), "between": (0, 1)}
"""Which parameter of a rule is the least, and which the most."""


@dataclass(frozen=True, slots=True)
class Input:
    kind: Kind
    options: tuple[str, ...] = ()
    """Of a choice all that there are; of a switch what off and on are."""
    least: float | None = None
    most: float | None = None
    is_required: bool = False


def input_of(variable: Variable) -> Input:
    rules = dict(parsed(rule) for rule in variable.rules)
    is_required = bool(rules.keys() & {"required", "filled"})
    if "in" in rules:
        options = rules["in"] if is_required or "" in rules["in"] else ["", *rules["in"]]
        return Input("choice", tuple(dict.fromkeys(options)), is_required=is_required)
    if rules.keys() & {"boolean", "bool"}:
        is_word = variable.default.lower() in ("true", "false")
        return Input("switch", ("false", "true") if is_word else ("0", "1"), is_required=is_required)
    if rules.keys() & {"integer", "int"}:
        return Input("integer", (), *_bounds(rules), is_required)
    if rules.keys() & {"numeric", "decimal"}:
        return Input("number", (), *_bounds(rules), is_required)
    is_secret = _SECRET.search(variable.environment_name.upper()) is not None
    return Input("secret" if is_secret else "text", is_required=is_required)


def _bounds(rules: dict[str, list[str]]) -> tuple[float | None, float | None]:
    least = most = None
    for name, (first, last) in _BOUNDS.items():
        if name in rules:
            least = least if first is None else float(rules[name][first])
            most = most if last is None else float(rules[name][last])
    return least, most
