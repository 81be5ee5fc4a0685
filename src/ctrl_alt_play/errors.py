"""What keeps a program from starting, whichever of the two it is."""


class StartupError(Exception):
    """The program cannot run as it is set up. Its text is one sentence for whoever starts it: what is wrong, and what to change."""
