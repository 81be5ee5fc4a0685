"""Characters that a terminal or a page obeys instead of showing them: controls, changes of direction, and what has no width."""

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories: control, format, surrogate, and the separators of lines and paragraphs."""


def is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def shown(text: str) -> str:
    """With `\\x1b` and the like in place of what would not be seen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if is_unseen(character) else character for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
