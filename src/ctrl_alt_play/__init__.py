"""Ctrl-Alt-Play: a panel for people, and agents that run game servers as Docker containers."""

from importlib.metadata import version

__version__ = version("ctrl-alt-play")
