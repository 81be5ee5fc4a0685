"""`python -m ctrl_alt_play` is `ctrl-alt-play`."""

from ctrl_alt_play.cli import main

main()
