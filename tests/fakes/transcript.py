"""Conversations kept to the letter: what the other side says and what happens is the script, what our program then does is the record.

A transcript is a file of JSON lines. `scene` begins a conversation of its own; `happens` is something that is done to our program, and names
a method of the stage; all else is a frame under the name of whoever sends it, or something else that our program does. A frame is an object,
or a text where it is not one. Frames of ours are compared as the text that they are: the order of their fields, their numbers and their blanks
count. `differs` says why something that `was` recorded is not so any more, and what `is` said now.

With `RECORD_TRANSCRIPTS` set, what our program does is written down in place of being compared. The transcripts of part 1 were recorded with
the last version that knew no other part; what was recorded later proves nothing.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

DATA = Path(__file__).parents[1] / "data"
IS_RECORDING = bool(os.environ.get("RECORD_TRANSCRIPTS"))
PATIENCE_S = 10.0
SILENCE_S = 0.35 if IS_RECORDING else 0.1

Line = dict[str, Any]


class Stage(Protocol):
    """Our program, alone with the other side."""

    async def say(self, frame: str) -> None:
        """The other side sends this."""
        ...

    async def happen(self, name: str, details: Line) -> None: ...

    async def next(self, timeout_s: float) -> str:
        """The next thing that our program does, as a line of the transcript.

        Raises:
            TimeoutError: it does nothing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    lines: tuple[Line, ...]


def scenes(file: Path) -> list[Scene]:
    found: list[tuple[str, list[Line]]] = []
    for line in map(json.loads, file.read_text().splitlines()):
        if "scene" in line:
            found.append((line["scene"], []))
        else:
            found[-1][1].append(line)
    return [Scene(name, tuple(lines)) for name, lines in found]


def text_of(value: object) -> str:
    """JSON as our programs write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def play(file: Path, scene: Scene, stage: Stage, other: str) -> None:
    """Plays a scene against a stage; `other` is the name of the other side."""
    if IS_RECORDING:
        await _record(file, scene, stage, other)
        return
    for number, line in enumerate(scene.lines, 1):
        if _is_script(line, other):
            await _perform(stage, line, other)
            continue
        for expected in line["is"] if "differs" in line else [line]:
            said = await _next(stage, expected)
            assert said == text_of(expected), f"{scene.name}, line {number}\nwas: {text_of(expected)}\nis:  {said}"
    assert [text async for text in _until_silence(stage)] == [], f"{scene.name}: more than there was"


async def _record(file: Path, scene: Scene, stage: Stage, other: str) -> None:
    recorded: list[Line] = []
    for line in scene.lines:
        if not _is_script(line, other):
            continue
        recorded.append(line)
        await _perform(stage, line, other)
        async for text in _until_silence(stage):
            recorded.append(json.loads(text))
            assert text_of(recorded[-1]) == text, "what is written down would not be what was said"
    every = [Scene(each.name, tuple(recorded)) if each.name == scene.name else each for each in scenes(file)]
    lines = [line for each in every for line in ({"scene": each.name}, *each.lines)]
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    await asyncio.to_thread(file.write_text, text)


def _is_script(line: Line, other: str) -> bool:
    return "happens" in line or other in line


async def _perform(stage: Stage, line: Line, other: str) -> None:
    if "happens" in line:
        await stage.happen(line["happens"].replace(" ", "_"), {k: v for k, v in line.items() if k != "happens"})
        return
    frame = line[other]
    await stage.say(frame if isinstance(frame, str) else text_of(frame))


async def _next(stage: Stage, line: Line) -> str:
    try:
        return await stage.next(PATIENCE_S)
    except TimeoutError:
        raise AssertionError(f"it never came: {text_of(line)}") from None


async def _until_silence(stage: Stage) -> Any:
    while True:
        try:
            yield await stage.next(SILENCE_S)
        except TimeoutError:
            return
