"""What terminals take as orders, not as text: colours, cursor movements, titles (ECMA-48)."""

import re

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours and cursor movements
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC: titles and the like
    r"|\x1b[ -/]*[0-~]"  # everything else that begins with an escape
)


def plain(text: str) -> str:
    """The text as a person reads it. Takes time in proportion to its length, whatever is in it."""
    return _SEQUENCE.sub("", text)
