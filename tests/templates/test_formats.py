"""Templates in the field's formats: read, written, and what is said of those that are broken."""

import json
from typing import Any, get_args

import pytest
import yaml

from ctrl_alt_play.agent.configuration.parsers import PARSERS as WRITTEN_BY_AGENTS
from ctrl_alt_play.templates.model import ConfigurationFile, Installer, Port, Query, Replacement
from ctrl_alt_play.templates.reading import PARSERS, NotATemplate, read
from ctrl_alt_play.templates.stopping import Stop, parsed
from ctrl_alt_play.templates.writing import Format, lost, write

FORMATS: tuple[Format, ...] = get_args(Format)


def document(**fields: Any) -> dict[str, Any]:
    """As an older panel writes it."""
    files = {
        "server.properties": {
            "parser": "properties",
            "find": {
                "server-port": "{{server.build.default.port}}",
                "motd": "{{ server.build.env.MOTD }}",
                "pvp": True,
            },
        },
        "config.yml": {
            "parser": "yml",
            "find": {"servers.*.address": {"127.0.0.1": "{{config.docker.interface}}", "regex:^x": "{{env.MOTD}}$1"}},
        },
    }
    return {
        "meta": {"version": "PTDL_v2", "update_url": None},
        "exported_at": "2026-11-21T00:00:00+00:00",
        "name": "Castle",
        "author": "ann@example.org",
        "description": "A castle.\r\nWith a moat.",
        "features": ["eula"],
        "docker_images": {"Java 21": "example.org/java:21", "Java 17": "example.org/java:17"},
        "file_denylist": [""],
        "startup": "java -jar {{JAR}}",
        "config": {
            "files": json.dumps(files),
            "startup": '{"done": ["Done (", "regex:^ready"], "strip_ansi": true}',
            "logs": "[]",
            "stop": "stop",
        },
        "scripts": {"installation": {"script": "#!/bin/ash\r\ntrue\r\n", "container": "alpine:3", "entrypoint": "ash"}},
        "variables": [
            {
                "name": "Jar",
                "description": "",
                "env_variable": "JAR",
                "default_value": "server.jar",
                "user_viewable": True,
                "user_editable": False,
                "rules": "required|regex:/^(a|b)$/|max:20",
                "field_type": "text",
            },
            {"name": "Message", "env_variable": "MOTD", "default_value": 5, "rules": ["nullable", "string"], "sort": 2},
        ],
        **fields,
    }


def test_what_is_in_a_template_is_read() -> None:
    template = read(json.dumps(document()))
    assert template.name == "Castle"
    assert list(template.images) == ["Java 21", "Java 17"]
    assert template.startup_commands == {"Default": "java -jar {{JAR}}"}
    assert template.readiness.done == ("Done (", "regex:^ready")
    assert template.readiness.strip_ansi
    assert template.denied_files == ()
    assert template.installer == Installer(image="alpine:3", entrypoint="ash", script="#!/bin/ash\ntrue\n")
    assert template.configuration == (
        ConfigurationFile(
            path="server.properties",
            parser="properties",
            replacements=(
                Replacement(match="server-port", value="{{server.allocations.default.port}}"),
                Replacement(match="motd", value="{{server.environment.MOTD}}"),
                Replacement(match="pvp", value=True),
            ),
        ),
        ConfigurationFile(
            path="config.yml",
            parser="yaml",
            replacements=(
                Replacement(match="servers.*.address", value="{{config.docker.interface}}", if_value="127.0.0.1"),
                Replacement(match="servers.*.address", value="{{server.environment.MOTD}}$1", if_value="regex:^x"),
            ),
        ),
    )
    jar, message = template.variables
    assert jar.rules == ("required", "regex:/^(a|b)$/", "max:20")
    assert (jar.is_editable, jar.is_viewable, jar.position) == (False, True, None)
    assert (message.default, message.rules, message.position) == ("5", ("nullable", "string"), 2)


@pytest.mark.parametrize("as_yaml", [False, True])
@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_written_is_read_back(format_: Format, as_yaml: bool) -> None:
    template = read(json.dumps(document()))
    again = read(write(template, format_, as_yaml=as_yaml))
    if format_ == "PTDL_v1":
        assert lost(template, format_) == ["the names of the images"]
        again = again.model_copy(update={"images": template.images})
    assert again == template


OWN = {
    "ports": [{"name": "game", "internal": 27960, "variable": "GAME_PORT"}, {"name": "rcon", "protocol": "tcp"}],
    "query": {"protocol": "quake3", "port": "game"},
    "stop_timeout": 90.0,
}


@pytest.mark.parametrize("as_yaml", [False, True])
@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_our_own_is_in_all_formats_under_one_key(format_: Format, as_yaml: bool) -> None:
    template = read(json.dumps(document(ctrl_alt_play=OWN)))
    assert template.ports[0] == Port(name="game", protocol="both", internal=27960, variable="GAME_PORT")
    assert (template.query, template.stop_timeout) == (Query(protocol="quake3", port="game"), 90)
    text = write(template, format_, as_yaml=as_yaml)
    assert yaml.safe_load(text)["ctrl_alt_play"] == OWN
    again = read(text)
    assert (again.ports, again.query, again.stop_timeout) == (template.ports, template.query, template.stop_timeout)
    assert "ctrl_alt_play" not in write(read(json.dumps(document())), format_, as_yaml=as_yaml)


def test_what_a_format_has_no_place_for_is_said() -> None:
    newest = document(
        meta={"version": "PLCN_v3"},
        image="data:image/png;base64,AA==",
        tags=["java"],
        startup_commands={"A": "a", "B": "b"},
    )
    template = read(yaml.safe_dump(newest))
    assert (template.icon, template.tags) == ("data:image/png;base64,AA==", ("java",))
    assert lost(template, "PLCN_v3") == []
    assert read(write(template, "PLCN_v3")) == template
    assert lost(template, "PTDL_v2") == ["all startup commands but the first", "the icon", "the tags"]


def test_the_first_format_has_one_image() -> None:
    first = document(meta={"version": "PTDL_v1"}, image="example.org/java:8")
    del first["docker_images"]
    assert read(json.dumps(first)).images == {"example.org/java:8": "example.org/java:8"}


def broken(**fields: Any) -> str:
    return json.dumps(document(**fields))


WITHOUT_CONFIG = {"files": "{}", "startup": "{}", "logs": "{}", "stop": ""}
FLAWS = [
    ('{\n  "name": ,\n}', "line 2, column 11"),
    ("a: [", "line 2, column 1"),
    ("a: &x [1]\nb: *x\n", "line 2: aliases are not taken"),
    ("[]", "it is no template"),
    (f"a: {'[' * 100_000}{']' * 100_000}", "line 1: it is deeper than 100"),
    (f'{{"a": {"[" * 100_000}{"]" * 100_000}}}', "it is too deep"),
    (broken(meta={}), "meta.version: is None"),
    (broken(name=""), "name: is missing"),
    (broken(docker_images={}), "docker_images: names no image"),
    (broken(startup=""), "startup: names no command"),
    (broken(config={**WITHOUT_CONFIG, "files": "{"}), "config.files: is no JSON"),
    (broken(config={**WITHOUT_CONFIG, "files": {"a": {"parser": "csv"}}}), "config.files['a'].parser: is 'csv'"),
    (
        broken(config={**WITHOUT_CONFIG, "files": {"a": {"parser": "ini", "find": {"b": "{{config.token}}"}}}}),
        "config.files['a'].find['b']: {{config.token}} stands for nothing",
    ),
    (broken(startup="./game {{config.token}}"), "startup: {{config.token}} stands for nothing"),
    (
        broken(config={**WITHOUT_CONFIG, "startup": {"done": ["ready", "regex:(?=x)"]}}),
        "config.startup.done: 'regex:(?=x)' is no regular expression that can be used here",
    ),
    (broken(variables=[{"env_variable": "A B"}]), "variables[0].env_variable: 'A B' is no name"),
    (broken(variables=[{"env_variable": "A"}, {"env_variable": "A"}]), "variables[1].env_variable: 'A' is there twice"),
    (broken(variables=[{"env_variable": "A", "rules": "colour"}]), "variables[0].rules: there is no rule 'colour'"),
    (broken(scripts={"installation": {"script": "true"}}), "scripts.installation.container: is missing"),
    (broken(ctrl_alt_play=[]), "ctrl_alt_play: should be a valid dictionary"),
    (broken(ctrl_alt_play={"port": []}), "ctrl_alt_play.port: is not known here"),
    (broken(ctrl_alt_play={"ports": [{"name": "game", "protocol": "sctp"}]}), "ctrl_alt_play.ports[0].protocol: "),
    (broken(ctrl_alt_play={"ports": [{"name": "a"}, {"name": "a"}]}), "ctrl_alt_play: two ports are called 'a'"),
    (broken(ctrl_alt_play={"query": {"protocol": "quake3", "port": "x"}}), "the query asks at the port 'x'"),
    (broken(features="eula", tags=[1]), "tags: is no list of texts"),
]


@pytest.mark.parametrize(("text", "said"), FLAWS)
def test_what_is_broken_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(NotATemplate) as refused:
        read(text)
    assert said in str(refused.value)


def test_all_flaws_are_said_at_once() -> None:
    with pytest.raises(NotATemplate) as refused:
        read(broken(name="", startup="", variables=[{"env_variable": ""}]))
    assert [flaw.place for flaw in refused.value.flaws] == ["name", "startup", "variables[0].env_variable"]


@pytest.mark.parametrize(
    ("stop", "meaning"),
    [
        ("stop", Stop(("stop",), "SIGTERM")),
        ("save-all\r\n stop \n", Stop(("save-all", "stop"), "SIGTERM")),
        ("shutdown; exit;", Stop(("shutdown; exit;",), "SIGTERM")),
        ("^C", Stop((), "SIGINT")),
        ("^c", Stop((), "SIGINT")),
        ("^^C", Stop((), "SIGINT")),
        ("^SIGKILL", Stop((), "SIGKILL")),
        ("^X", Stop((), "SIGTERM")),
        ("", Stop((), "SIGTERM")),
    ],
)
def test_how_a_server_is_stopped(stop: str, meaning: Stop) -> None:
    assert parsed(stop) == meaning


def test_agents_write_all_that_templates_name() -> None:
    assert set(PARSERS) == set(WRITTEN_BY_AGENTS)
