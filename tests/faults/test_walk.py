"""A short walk of orders and faults; `scripts/faults` takes a long one."""

import os
from pathlib import Path

import pytest
from tests.faults.plan import Fault
from tests.faults.report import Report
from tests.faults.run import run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
SEED = 20261121
OPERATIONS, FAULTS = 72, len(Fault)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run an engine of its own")
async def test_a_walk_of_orders_and_every_fault_breaks_no_promise(folder: Path) -> None:
    report = Report(SEED, folder)
    await run(folder, SEED, OPERATIONS, FAULTS, report)
    assert report.violations == []
    assert report.summary == f"operations={OPERATIONS} faults={FAULTS} violations=0"
