"""A short walk of orders and faults; `scripts/faults` takes a long one."""

import os
from pathlib import Path

import pytest
from tests.faults import means
from tests.faults.plan import Fault
from tests.faults.report import Report
from tests.faults.run import run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
SEED = 20261121
OPERATIONS = 48


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run an engine of its own")
async def test_a_walk_of_orders_and_every_fault_breaks_no_promise(folder: Path) -> None:
    left_out = means.left_out()
    report = Report(SEED, folder, left_out)
    await run(folder, SEED, OPERATIONS, len(Fault) - len(left_out), left_out, report)
    report.close()
    assert report.violations == []
    assert report.operations >= OPERATIONS
    assert set(report.struck) == set(Fault) - left_out.keys()
