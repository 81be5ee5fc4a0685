"""The rules of variables."""

import pytest

from ctrl_alt_play.templates import rules
from ctrl_alt_play.templates.model import Variable


def variable(written: str, *, name: str = "X", default: str = "") -> Variable:
    return Variable(
        name=name,
        description="",
        environment_name=name,
        default=default,
        is_viewable=True,
        is_editable=True,
        rules=rules.split(written),
    )


KEPT = [
    ("required|string|max:5", "12345"),
    ("nullable|integer", ""),
    ("string", ""),
    ("required|integer|between:1,256", "256"),
    ("required|numeric|min:0.5", "0.5"),
    ("required|string|between:2,3", "999"),
    ("required|boolean", "0"),
    ("required|in:easy,normal,hard", "hard"),
    ('required|in:"a,b",c', "a,b"),
    ("required|regex:/^([\\w\\d._-]+)(\\.jar)$/", "server.jar"),
    ("required|regex:/^(a|b)$/i|max:1", "B"),
    ("nullable|regex:([a-z-0-9]+$)", "a-1"),
    ("required|regex:#^x/y$#", "x/y"),
    ("required|not_regex:/x/", "y"),
    ("required|alpha_dash", "a-b_1"),
    ("required|alpha_num", "a1"),
    ("required|url", "https://example.org/a?b=1"),
    ("required|ip", "::1"),
    ("required|ipv4", "10.0.0.1"),
    ("required|size:4|alpha", "abcd"),
    ("required|digits_between:1,3", "123"),
    ("required|digits:2", "12"),
    ("required|starts_with:a,b", "bc"),
    ("required|uuid", "f7f78ce6-3f6f-4b7a-bab4-341aa8243f2f"),
    ("required|timezone", "Europe/Berlin"),
    ("required|email", "a@example.org"),
]
BROKEN = [
    ("required|string", "", "is required"),
    ("required|string|max:5", "123456", "must have at most 5 characters"),
    ("required|integer", "1.5", "must be a whole number"),
    ("required|integer|between:1,256", "257", "must be 1 to 256"),
    ("required|numeric|max:2", "x", "must be a number"),
    ("required|boolean", "2", "must be 1 or 0"),
    ("required|in:easy,hard", "odd", "must be one of easy, hard"),
    ("required|regex:/^a$/", "b", "must match /^a$/"),
    ("required|not_regex:/x/", "x", "must not match /x/"),
    ("required|alpha_dash", "a b", "must have letters, digits, - and _ alone"),
    ("required|url", "example", "must be an address such as https://example.org"),
    ("required|ipv4", "::1", "must be an IPv4 address"),
    ("required|size:4", "abc", "must have exactly 4 characters"),
    ("required|digits_between:1,3", "1234", "must have 1 to 3 digits"),
    ("required|timezone", "Mars", "must be a time zone such as Europe/Berlin"),
]


@pytest.mark.parametrize(("written", "value"), KEPT)
def test_a_value_that_keeps_them(written: str, value: str) -> None:
    for rule in rules.split(written):
        rules.check(rule)
    assert rules.problems(variable(written), value) == []


@pytest.mark.parametrize(("written", "value", "problem"), BROKEN)
def test_a_value_that_does_not(written: str, value: str, problem: str) -> None:
    assert problem in rules.problems(variable(written), value)


@pytest.mark.parametrize(
    "rule", ["colour", "max", "max:x", "between:1", "digits", "regex:/(/", r"regex:/(a)\1/", "size:"]
)
def test_a_rule_that_there_is_not(rule: str) -> None:
    with pytest.raises(rules.BadRule):
        rules.check(rule)


def test_all_that_fail_are_told_at_once() -> None:
    some = [
        variable("required|integer|max:5", name="A"),
        variable("required", name="B", default="x"),
        variable("in:1", name="C"),
    ]
    assert rules.failures(some, {"A": "9.5", "C": "2"}) == {
        "A": ["must be a whole number", "must be at most 5"],
        "C": ["must be one of 1"],
    }
