"""Who plays, out of what the libraries make of games' answers: each family has words of its own for it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ctrl_alt_play.protocol.live import PlayersSeen

MOST_NAMES = 1000
NAME_CHARS = 64
MOST_PLAYERS = 2**31
_ONLINE = ("online", "num_players", "numplayers", "players")
_MAX = ("max", "max_players", "maxplayers", "sv_maxclients", "maxclients", "si_maxplayers")
_NAME = ("name", "player", "playername")
_MARKS = re.compile(r"§.|[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Minecraft's colours, and what would move a terminal's cursor or turn a line around."""


def seen(status: Any, players: Iterable[Any] = ()) -> PlayersSeen:
    """From a status, which is an object or holds `info`, and its players. Where the number is not told, the players are counted."""
    listed = list(players)
    told = _told(status)
    online = _number(told, _ONLINE)
    names = [name for each in listed if (name := _name(each))]
    return PlayersSeen(
        online=len(listed) if online is None else online, max=_number(told, _MAX), list=tuple(names[:MOST_NAMES])
    )


def _told(status: Any) -> Mapping[str, Any]:
    info = getattr(status, "info", None)
    if not isinstance(info, Mapping):
        info = status if isinstance(status, Mapping) else vars(status)
    return {str(name).lower(): value for name, value in info.items()}


def _number(told: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """The first that is one: `players` may be a number or a list, and numbers may be texts."""
    for name in names:
        value = told.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, int) and 0 <= value < MOST_PLAYERS:
            return value
    return None


def _name(player: Any) -> str:
    told = player if isinstance(player, Mapping) else vars(player)
    text = next((value for name in _NAME if isinstance(value := told.get(name), str)), "")
    return _MARKS.sub("", text).strip()[:NAME_CHARS].strip()
