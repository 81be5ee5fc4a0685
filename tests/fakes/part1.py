"""The examples of part 1 of the protocol, one JSON object a line: `name`, `direction`, `message`, and of requests `given` and `expect`."""

import json
from pathlib import Path
from typing import Any

Example = dict[str, Any]

FILE = Path(__file__).parents[1] / "data" / "part1_messages.jsonl"


def examples(direction: str) -> list[Example]:
    """The examples of one direction, in order."""
    found = [json.loads(line) for line in FILE.read_text().splitlines()]
    return [example for example in found if example["direction"] == direction]


def is_within(expected: object, found: object) -> bool:
    """Whether all that is expected is there; what is there besides does not matter."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and is_within(value, found[key]) for key, value in expected.items()
        )
    return expected == found
