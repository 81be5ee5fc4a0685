"""The status query of Quake III Arena and its descendants: one datagram each way.

Source: `SVC_Status` in ioquake3's `code/server/sv_main.c`."""

import re
import secrets
import socket

from ctrl_alt_play.games.game import Answer, NoAnswer

_HEADER = b"\xff\xff\xff\xffstatusResponse\n"
_PLAYER = re.compile(r'-?\d+ -?\d+ "(.*)"')
_COLOUR = re.compile(r"\^[^^]")


def query(host: str, port: int, timeout_s: float) -> Answer:
    """Ask a server for its settings and players; bots count as players. Raises NoAnswer."""
    challenge = secrets.token_hex(8)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect((host, port))
            connection.send(f"\xff\xff\xff\xffgetstatus {challenge}\n".encode("latin-1"))
            return parse(connection.recv(65535), challenge)
    except (OSError, ValueError) as failure:
        raise NoAnswer(host, port, str(failure)) from failure


def parse(datagram: bytes, challenge: str) -> Answer:
    """The answer in a datagram. Lines that are unfinished or no player are left out; ValueError for other defects."""
    if not datagram.startswith(_HEADER):
        raise ValueError("the datagram is no status response")
    settings_line, *player_lines = datagram.removeprefix(_HEADER).decode("latin-1").split("\n")
    if not player_lines:
        raise ValueError("the status response is cut off")
    words = settings_line.split("\\")[1:]
    settings = dict(zip(words[::2], words[1::2], strict=False))
    if settings.get("challenge") != challenge:
        raise ValueError("the status response answers another question")
    players = tuple(_plain(found[1]) for line in player_lines[:-1] if (found := _PLAYER.fullmatch(line)))
    return Answer(
        version=settings.get("version", ""),
        map=settings.get("mapname"),
        motd=_plain(settings.get("sv_hostname", "")),
        players=players,
        players_online=len(players),
        players_max=int(settings.get("sv_maxclients", "")),
    )


def _plain(text: str) -> str:
    return _COLOUR.sub("", text)
