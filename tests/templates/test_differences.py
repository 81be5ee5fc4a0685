"""What is told to be different between two versions of a template."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.templates.test_formats import document

from ctrl_alt_play.templates.differences import Change, changes, is_same
from ctrl_alt_play.templates.model import Replacement, Template
from ctrl_alt_play.templates.reading import NotATemplate, examine, read

BEFORE = read(json.dumps(document()))
JAR, *REST = BEFORE.variables


def after(**fields: Any) -> Template:
    return BEFORE.model_copy(update=fields)


def test_the_same_has_no_changes() -> None:
    assert changes(BEFORE, read(json.dumps(document(exported_at="later")))) == []


def test_what_has_a_name_is_called_by_it() -> None:
    other = after(variables=(JAR.model_copy(update={"default": "paper.jar"}), *REST), stop="end")
    assert changes(BEFORE, other) == [
        Change(("stop",), "changed", "stop", "end"),
        Change(("variables", "JAR", "default"), "changed", "server.jar", "paper.jar"),
    ]


def test_what_is_new_and_what_is_gone() -> None:
    map_ = JAR.model_copy(update={"environment_name": "MAP"})
    (gone, new) = changes(BEFORE, after(variables=(map_, *REST)))
    assert (gone.path, gone.kind, gone.after) == (("variables", "JAR"), "removed", None)
    assert (new.path, new.kind, new.before) == (("variables", "MAP"), "added", None)


def test_another_order_is_a_change_for_the_first_image_is_the_usual_one() -> None:
    swapped = dict(reversed(BEFORE.images.items()))
    assert changes(BEFORE, after(images=swapped)) == [
        Change(("images",), "reordered", ["Java 21", "Java 17"], ["Java 17", "Java 21"])
    ]


def test_scripts_are_compared_by_their_lines() -> None:
    assert BEFORE.installer
    installer = BEFORE.installer.model_copy(update={"script": "#!/bin/ash\ntrue\necho done\n"})
    (change,) = changes(BEFORE, after(installer=installer))
    assert change.path == ("installer", "script")
    assert change.lines == ("@@ -1,2 +1,3 @@", " #!/bin/ash", " true", "+echo done")


def test_of_an_icon_only_what_tells_it_from_another_is_told() -> None:
    (change,) = changes(BEFORE, after(icon="data:image/png;base64," + "A" * 100_000))
    assert change.kind == "added"
    assert str(change.after).startswith("data:image/png, 100022 characters, SHA-256 ")


def test_true_is_not_one_and_two_of_one_name_are_two() -> None:
    file = BEFORE.configuration[0]
    once, twice = (Replacement(match="pvp", value=value) for value in (True, 1))
    one = after(configuration=(file.model_copy(update={"replacements": (once, once)}),))
    other = after(configuration=(file.model_copy(update={"replacements": (twice, once)}),))
    (change,) = changes(one, other)
    assert (change.path[-1], change.before, change.after) == ("pvp", True, 1)


TEXTS = st.sampled_from(["", "a", "b", "a\nb", "a\r\nb", "x" * 200])
TEMPLATES = st.builds(
    lambda images, logs, stop, names: after(
        images=dict(images), logs=dict(logs), stop=stop, variables=tuple(map(_variable, names))
    ),
    st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
    st.lists(st.tuples(TEXTS, st.sampled_from([None, True, 1, 0, 1.0, "1"])), max_size=2),
    TEXTS,
    st.lists(TEXTS, max_size=3),
)


def _variable(name: str) -> Any:
    return JAR.model_copy(update={"environment_name": name})


@given(TEMPLATES, TEMPLATES)
def test_there_are_changes_just_where_two_are_not_the_same(one: Template, other: Template) -> None:
    assert (changes(one, other) == []) == is_same(one, other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=6,
)
PLACES = sorted([*document(), *(f"config.{name}" for name in document()["config"]), "variables.0", "files.parser"])


@given(st.sampled_from(PLACES), JSON, st.booleans())
def test_whatever_stands_in_a_document_it_is_read_or_its_flaws_are_told(place: str, value: Any, as_text: bool) -> None:
    spoilt = document()
    first, _, second = place.partition(".")
    if first == "files":
        spoilt["config"]["files"] = {"a.yml": {second: value, "find": {"a": {1: value}, 2: value}}}
    elif second:
        spoilt[first][int(second) if second.isdigit() else second] = json.dumps(value) if as_text else value
    else:
        spoilt[first] = value
    with suppress(NotATemplate):
        template, _ = examine(json.dumps(spoilt))
        json.dumps(template.model_dump(mode="json"), allow_nan=False)


@pytest.mark.parametrize(
    "spoilt",
    [
        '{"meta": {"version": ' + "9" * 5000 + "}}",
        json.dumps(document(config={"files": "[" * 50_000})),
        json.dumps(document(config={"files": {"a": {"parser": ["yml"], "find": {"b": 1e400}}}})),
        "meta: {version: PLCN_v3}\nconfig: {files: {a: {parser: yaml, find: {x: {1: 2, true: .inf}}}}}",
    ],
)
def test_what_no_program_would_write_is_told_as_a_flaw(spoilt: str) -> None:
    try:
        _, flaws = examine(spoilt)
    except NotATemplate as error:
        flaws = error.flaws
    assert flaws
