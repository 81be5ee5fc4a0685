"""Startup commands become arguments, and no value of a variable ever becomes more than a value."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctrl_alt_play.templates.startup import arguments, named

SHOW = Path(__file__).with_name("show.py")
ENVIRONMENT = {"NAME": "Ann's place", "ARGS": " -a  -b ", "NONE": "", "CODE": "$(id) `id` \"';&|\\"}

SPOKEN = [
    ("./game +map dm1", ["./game", "+map", "dm1"]),
    ("./game --name '{{NAME}}' \"{{NAME}}\"", ["./game", "--name", "Ann's place", "Ann's place"]),
    ("./game {{ARGS}} {{NONE}} {{MISSING}}", ["./game", "-a", "-b"]),
    ("./game x{{ARGS}}y '{{NONE}}'", ["./game", "x", "-a", "-b", "y", ""]),
    ("./game {{env.NAME}} -n={{ server.environment.NAME }}", ["./game", "Ann's", "place", "-n=Ann's", "place"]),
    ("./game '{{CODE}}'", ["./game", ENVIRONMENT["CODE"]]),
    ("", []),
]
WRITTEN = [
    ("./game *.jar", "exec ./game *.jar"),
    ("java -Xmx{{server.build.memory}}M $X", "exec java -Xmx${SERVER_MEMORY}M $X"),
    ("./game '{{NAME}}' ~", "exec ./game ''\"${NAME}\"'' ~"),
    ("./game \"it's {{NAME}}\" ~", "exec ./game \"it's ${NAME}\" ~"),
    ("./game $(cat '{{NAME}}' | head) \"$(cat '{{NAME}}')\"", "exec ./game $(cat ''\"${NAME}\"'' | head) \"$(cat ''\"${NAME}\"'')\""),
    ("{{CMD}} `a;b` \\; ';'", "exec ${CMD} `a;b` \\; ';'"),
    ("cd x && ./game {{NAME}}", "cd x && ./game ${NAME}"),
    ("./a; ./b", "./a; ./b"),
    ("(./a)", "(./a)"),
    ("cd /somewhere", "cd /somewhere"),
    ("LD_LIBRARY_PATH=. ./game", "LD_LIBRARY_PATH=. ./game"),
    ("if true; then ./a; fi", "if true; then ./a; fi"),
]  # fmt: skip


@pytest.mark.parametrize(("startup", "expected"), SPOKEN)
def test_a_plain_command_needs_no_shell(startup: str, expected: list[str]) -> None:
    assert arguments(startup, ENVIRONMENT) == expected


@pytest.mark.parametrize(("startup", "expected"), WRITTEN)
def test_a_shell_is_told_where_to_find_values_and_makes_way_for_a_single_program(startup: str, expected: str) -> None:
    assert arguments(startup, ENVIRONMENT) == ["/bin/sh", "-c", expected]


def test_what_only_bash_knows_is_given_to_bash_where_the_image_has_it() -> None:
    shell = arguments("if [[ {{NAME}} == A* ]]; then echo yes $0; fi", ENVIRONMENT)
    assert shell[:2] == ["/bin/sh", "-c"]
    assert run(shell, ENVIRONMENT).startswith("yes ")
    without = subprocess.run(shell, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert "not found" in without.stderr


@pytest.mark.parametrize(
    "startup", ["./game 'x", './game "{{NAME}}', "./game {{a.b.c}}", "./game {{A-B}}", "x\0y", "./x ~ {{1}}"]
)
def test_what_cannot_be_read_is_said(startup: str) -> None:
    with pytest.raises(ValueError, match=r"quotation|stands for nothing|no command can have"):
        arguments(startup, ENVIRONMENT)


def test_an_image_that_fills_in_values_itself_finds_short_names() -> None:
    assert named("./game {{ X }} {{server.build.default.port}} ${Y} {") == "./game {{X}} {{SERVER_PORT}} ${Y} {"


# Against a real shell

HOSTILE = st.text(st.sampled_from("ab '\"$`\\;&|<>(){}[]!#~=-\n\t\N{SNOWMAN}")) | st.sampled_from(
    ["$(echo pwned)", "`echo pwned`", "'; echo pwned; '", '"; echo pwned; "', "${HOME}", "{{B}}", "\\", "a'b\"c", "$((1+1))", "eval echo pwned"]
)  # fmt: skip
HOLES = ["'{{A}}'", '"{{A}}"', "'x {{B}} y'", '"it\'s {{B}}"', "p'{{A}}'\"{{B}}\"s", '"$(printf %s "{{B}}")"']
ENDS = ["", " ; true", " && true", " ${NOTHING}", " $(true)"]


@settings(deadline=None, max_examples=60)
@given(holes=st.lists(st.sampled_from(HOLES), max_size=4), end=st.sampled_from(ENDS), a=HOSTILE, b=HOSTILE)
@example(holes=HOLES, end=" ; true", a="'; echo pwned #", b='"$(echo pwned)')
def test_a_value_in_quotes_reaches_the_game_as_it_is(holes: list[str], end: str, a: str, b: str) -> None:
    values = {"A": a, "B": b}
    assert shown(f"{' '.join(holes)}{end}", values) == [expected(hole, values) for hole in holes]


@settings(deadline=None, max_examples=60)
@given(before=st.sampled_from(["", "p"]), end=st.sampled_from(ENDS), value=HOSTILE)
def test_a_value_without_quotes_is_parted_at_its_blanks_and_nothing_else_happens(
    before: str, end: str, value: str
) -> None:
    value = value.replace("*", "").replace("?", "").replace("[", "")  # a shell looks for files of such names
    assert shown(f"x{before}{{{{A}}}} y{end}", {"A": value}) == [*f"x{before}{value}".split(), "y"]


def expected(hole: str, values: dict[str, str]) -> str:
    """What the shell makes of one, told without a shell."""
    if hole.startswith('"$('):
        return values["B"].rstrip("\n")
    bare = {"p'{{A}}'\"{{B}}\"s": "p{{A}}{{B}}s"}.get(hole, hole[1:-1])
    before, *rest = bare.split("{{")
    return before + "".join(values[piece[0]] + piece[3:] for piece in rest)


def shown(command: str, values: dict[str, str]) -> list[str]:
    """The arguments that a program found which was started so."""
    said = run(arguments(f"{sys.executable} -S {SHOW} {command}", values), values)
    return list(json.loads(said))


def run(command: list[str], environment: dict[str, str]) -> str:
    path = {"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"}
    done = subprocess.run(command, env=path | environment, capture_output=True, check=True, timeout=20)
    return done.stdout.decode()
