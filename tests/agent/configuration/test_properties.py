"""What holds for every document: what is set is read back, the rest reads as before, and writing twice changes nothing the second time."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import tomlkit
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.agent.configuration.edits import Edit, Scalar
from ctrl_alt_play.agent.configuration.parsers import Parser, edited

KEYS = st.text("abcdefghij_-", min_size=1, max_size=6).filter(lambda key: not key.startswith("-"))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028\u2029"), max_size=12)
LEAVES = st.one_of(st.integers(-(2**31), 2**31), st.booleans(), TEXTS)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(st.lists(inner, min_size=1, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
        max_leaves=12,
    ),
    min_size=1,
    max_size=5,
)
DUMPED: dict[Parser, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "json": (lambda tree: json.dumps(tree, indent=2, ensure_ascii=False), json.loads),
    "yaml": (lambda tree: yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), yaml.safe_load),
    "toml": (tomlkit.dumps, lambda text: tomlkit.parse(text).unwrap()),
}


def leaves(tree: Any, path: str = "") -> list[tuple[str, Scalar]]:
    match tree:
        case dict():
            return [leaf for key, each in tree.items() for leaf in leaves(each, f"{path}.{key}" if path else key)]
        case list():
            return [leaf for at, each in enumerate(tree) for leaf in leaves(each, f"{path}[{at}]")]
        case _:
            return [(path, tree)]


@given(st.sampled_from(sorted(DUMPED)), TREES, st.data())
def test_a_leaf_of_a_tree(parser: Parser, tree: dict[str, Any], data: st.DataObject) -> None:
    dump, load = DUMPED[parser]
    content = dump(tree)
    found = leaves(load(content))
    if not found:
        return
    path, present = data.draw(st.sampled_from(found))
    kind = TEXTS if isinstance(present, str) else st.booleans() if isinstance(present, bool) else st.integers(0, 2**31)
    value = data.draw(kind)
    once = edited(parser, content.encode(), [Edit(path, value)])
    expected = [(each, value if each == path else was) for each, was in found]
    assert leaves(load(once.decode())) == expected
    assert edited(parser, once, [Edit(path, value)]) == once
    assert load(edited(parser, once, [Edit(path, present)]).decode()) == load(content)


@given(st.sampled_from(sorted(DUMPED)), TREES, KEYS, KEYS, TEXTS)
def test_a_key_that_is_not_there(parser: Parser, tree: dict[str, Any], outer: str, inner: str, text: str) -> None:
    dump, load = DUMPED[parser]
    value = f"x{text}"
    if outer in tree:
        return
    once = edited(parser, dump(tree).encode(), [Edit(f"{outer}.{inner}", value)])
    expected = deepcopy(load(dump(tree))) | {outer: {inner: value}}
    assert load(once.decode()) == expected
    assert edited(parser, once, [Edit(f"{outer}.{inner}", value)]) == once


@given(st.dictionaries(KEYS, TEXTS.filter(lambda text: text == text.strip()), min_size=1, max_size=6), st.data())
def test_keys_and_values_in_lines(pairs: dict[str, str], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(pairs)))
    value = data.draw(TEXTS)
    content = "# one\n\n" + "".join(f"{each}=0\n! more\n" for each in pairs)
    written = edited("properties", content.encode(), [Edit(each, said) for each, said in pairs.items()])
    changed = edited("properties", written, [Edit(key, value)])
    again = edited("properties", changed, [Edit(key, pairs[key])])
    assert again == written
    assert edited("properties", changed, [Edit(key, value)]) == changed
    others = [line for line in written.splitlines() if not line.startswith(f"{key}=".encode())]
    assert [line for line in changed.splitlines() if not line.startswith(f"{key}=".encode())] == others
