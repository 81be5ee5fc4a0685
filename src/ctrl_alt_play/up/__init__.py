"""`ctrl-alt-play up`: the whole of Ctrl-Alt-Play on this machine, with one command."""
