"""What a server is made of, from a template and what people chose."""

from pathlib import Path
from typing import Any

import pytest

from ctrl_alt_play.panel.errors import Invalid
from ctrl_alt_play.panel.servers import commands
from ctrl_alt_play.panel.servers.rendering import BUILT_IN, Choices, examine, render, variables
from ctrl_alt_play.protocol.specification import MIB, Launch, Limits, Port
from ctrl_alt_play.templates import model
from ctrl_alt_play.templates.inputs import Input, input_of
from ctrl_alt_play.templates.reading import read

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "templates"
PATHS = [
    path
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in (".json", ".yaml", ".yml") and not path.name.startswith(".")
]
GAME = Port(internal=27960, external=27960, protocol="udp", name="game")


def variable(name: str, default: str = "", rules: str = "nullable", **more: Any) -> model.Variable:
    own = {"name": name.title(), "description": "", "environment_name": name, "default": default}
    shown = {"is_viewable": True, "is_editable": True}
    return model.Variable.model_validate({**own, **shown, "rules": rules.split("|"), **more})


def template(*variables: model.Variable, **more: Any) -> model.Template:
    own: dict[str, Any] = {
        "uuid": None,
        "name": "Quake",
        "author": "me@example.org",
        "description": "",
        "icon": None,
        "update_url": None,
        "tags": (),
        "features": (),
        "logs": {},
        "denied_files": (),
        "installer": None,
        "images": {"Small": "example.org/quake:1", "Large": "example.org/quake:2"},
        "startup_commands": {"Usual": "./quake +map {{MAP}} -p {{SERVER_PORT}}", "Other": "./other"},
        "stop": "quit",
        "readiness": model.Readiness(done=("ready",), strip_ansi=True),
        "configuration": (),
        "variables": variables,
    }
    return model.Template.model_validate({**own, **more})


def problems(made: model.Template, **choices: Any) -> dict[str, str]:
    return {each.field: each.message for each in examine(made, Choices(**{"ports": (GAME,), **choices}))[1]}


def test_a_template_with_nothing_chosen_is_made_of_its_usual() -> None:
    made = render(template(variable("MAP", "dm17")), Choices(ports=(GAME,)))
    assert (made.image, made.startup) == ("example.org/quake:1", "./quake +map {{MAP}} -p {{SERVER_PORT}}")
    assert made.environment == {"MAP": "dm17"}
    assert (made.stop.command, made.readiness.text, made.readiness.strip_ansi) == ("quit", ("ready",), True)
    assert made.launch is Launch.IMAGE
    assert made.ports == (GAME,)


def test_what_is_chosen_is_taken_by_its_name_and_no_value_comes_into_the_command() -> None:
    hostile = "dm1; rm -rf / $(id) {{SERVER_PORT}}"
    chosen = Choices("Large", "Other", {"MAP": hostile}, Limits(memory=64 * MIB), (GAME,))
    made = render(template(variable("MAP", "dm17")), chosen)
    assert (made.image, made.startup, made.limits.memory) == ("example.org/quake:2", "./other", 64 * MIB)
    assert made.environment == {"MAP": hostile}
    assert hostile not in made.startup


def test_all_that_is_wrong_is_said_at_once() -> None:
    made = template(variable("MAP", rules="required"), variable("MOST", "8", "integer|max:8"))
    found = problems(made, image="None", startup="None", variables={"MOST": "9", "WRONG": "1"}, ports=())
    assert found == {
        "image": "the template has none of that name; there are: Small, Large",
        "startup": "the template has none of that name; there are: Usual, Other",
        "variables.WRONG": "the template has no such variable",
        "variables.MAP": "is required",
        "variables.MOST": "must be at most 8",
        "ports.game": "the template needs this port",
    }
    with pytest.raises(Invalid) as raised:
        render(made, Choices(ports=(GAME,)))
    assert [problem.field for problem in raised.value.fields] == ["variables.MAP"]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_variable_of_a_reserved_name_shadows_nothing_and_is_nobodys_to_choose(name: str) -> None:
    made = template(variable(name, rules="required"))
    assert render(made, Choices(ports=(GAME,))).environment == {}
    assert problems(made, variables={name: "mine"}) == {f"variables.{name}": "the template has no such variable"}


def test_a_named_port_tells_its_number_and_is_asked_at() -> None:
    wanted = (model.Port(name="game"), model.Port(name="query", protocol="udp", variable="QUERY_PORT"))
    asked = model.Query(protocol="quake3", port="query")
    made = template(variable("QUERY_PORT", rules="required"), ports=wanted, query=asked, stop_timeout=9)
    ports = (GAME, Port(internal=5, external=6, protocol="udp", name="query"))
    recipe = render(made, Choices(ports=ports))
    assert recipe.environment == {"QUERY_PORT": "5"}
    assert recipe.query is not None
    assert (recipe.query.protocol, recipe.query.port, recipe.stop.timeout) == ("quake3", 5, 9)
    found = problems(made, ports=ports, variables={"QUERY_PORT": "7"})
    assert found == {"variables.QUERY_PORT": "is told by the port query: choose that"}
    assert problems(made) == {"ports.query": "the template needs this port"}


@pytest.mark.parametrize(
    ("stop", "command", "signal"),
    [("^C", None, "SIGINT"), ("^SIGKILL", None, "SIGKILL"), ("save\nquit", "save\nquit", "SIGTERM")],
)
def test_it_is_stopped_as_the_template_says(stop: str, command: str | None, signal: str) -> None:
    rule = render(template(stop=stop), Choices(ports=(GAME,))).stop
    assert (rule.command, rule.signal) == (command, signal)


def test_what_nothing_can_be_made_of_is_said_and_not_raised() -> None:
    recipe, found = examine(template(images={"Bad": "No Image"}), Choices(ports=(GAME,)))
    assert recipe is None
    assert [problem.field for problem in found] == ["image"]


@pytest.mark.parametrize(
    ("startup", "seen"),
    [
        ("{{MAP}} {{ env.MAP }} ${MAP} $MAP {{server.build.env.MAP}}", "dm17 dm17 dm17 dm17 dm17"),
        ("{{SERVER_PORT}} {{server.build.default.port}} {{SERVER_MEMORY}}", "27960 27960 64"),
        ("{{NONE}} ${NONE} $1", "{{NONE}} ${NONE} $1"),
    ],
)
def test_a_command_is_shown_with_its_values(startup: str, seen: str) -> None:
    made = template(variable("MAP", "dm17"), startup_commands={"Usual": startup})
    recipe = render(made, Choices(limits=Limits(memory=64 * MIB), ports=(GAME,)))
    assert commands.shown(recipe, recipe.environment) == seen


@pytest.mark.parametrize(
    ("name", "default", "rules", "expected"),
    [
        ("MAP", "", "required|string|max:20", Input("text", is_required=True)),
        ("RCON_PASSWORD", "", "nullable|string", Input("secret")),
        ("GITHUB_TOKEN", "", "nullable", Input("secret")),
        ("PASSENGERS", "", "nullable", Input("text")),
        ("EULA", "0", "required|boolean", Input("switch", ("0", "1"), is_required=True)),
        ("PVP", "true", "boolean", Input("switch", ("false", "true"))),
        ("MODE", "a", "required|in:a,b", Input("choice", ("a", "b"), is_required=True)),
        ("MODE", "a", "in:a,b", Input("choice", ("", "a", "b"))),
        ("MOST", "8", "required|integer|between:1,64", Input("integer", (), 1, 64, is_required=True)),
        ("RATE", "1", "numeric|min:0.5", Input("number", (), 0.5, None)),
    ],
)
def test_a_variable_is_asked_for_as_its_rules_and_its_name_tell(
    name: str, default: str, rules: str, expected: Input
) -> None:
    assert input_of(variable(name, default, rules)) == expected


@pytest.mark.skipif(not PATHS, reason="there are no templates beside this project")
def test_each_public_template_makes_a_server_or_says_which_variables_it_lacks() -> None:
    whole = 0
    for path in PATHS:
        made = read(path.read_text())
        recipe, found = examine(made, Choices(ports=(GAME,)))
        assert recipe is not None, (path.name, found)
        names = {f"variables.{each.environment_name}" for each in variables(made)}
        assert {problem.field for problem in found} <= names, path.name
        assert not recipe.environment.keys() & BUILT_IN, path.name
        for each in variables(made):
            input_of(each)
        commands.shown(recipe, recipe.environment)
        whole += not found
    assert whole > len(PATHS) * 0.7
