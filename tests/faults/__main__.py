"""`scripts/faults`: a random walk of orders and faults over real processes and a real Docker Engine."""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.faults import means
from tests.faults.plan import Fault
from tests.faults.report import Report
from tests.faults.run import run

NO_MEANS = 2


def main() -> int:
    """The last line is said however it ends."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="ctrl-alt-play-faults-"))
    left_out = means.left_out()
    report = Report(options.seed, folder, left_out)
    try:
        if len(left_out) == len(Fault):
            folder.rmdir()
            return NO_MEANS
        asyncio.run(run(folder, options.seed, options.operations, options.faults, left_out, report))
    finally:
        report.close()
    return 1 if report.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--faults", type=int, help="one for every ten operations, unless told")
    parser.add_argument("--seed", type=int, help="what decides everything; told at the beginning")
    options = parser.parse_args()
    if options.faults is None:
        options.faults = options.operations // 10
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    return options


if __name__ == "__main__":
    sys.exit(main())
