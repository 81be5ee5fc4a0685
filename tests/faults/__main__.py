"""`scripts/faults`: a random walk of orders and faults over real processes and a real Docker Engine."""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.faults.report import Report
from tests.faults.run import run


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="ctrl-alt-play-faults-"))
    report = Report(options.seed, folder)
    asyncio.run(run(folder, options.seed, options.operations, options.faults, report))
    print(report.summary)  # noqa: T201 - as above
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
