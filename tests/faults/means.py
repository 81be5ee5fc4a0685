"""Which faults there are no means for on this machine, and why."""

import os
import shutil

from tests.faults import clock
from tests.faults.plan import Fault

TOOLS = ("dockerd", "docker", "ip", "mount", "nsenter", "setpriv", "unshare")
CLOCKS = (Fault.AGENT_CLOCK, Fault.PANEL_CLOCK)


def left_out() -> dict[Fault, str]:
    """Without root, or without an engine, none is left and there is no walk."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return dict.fromkeys(Fault, "only root can have an engine, disks and mounts of its own")
    if missing:
        return dict.fromkeys(Fault, f"these programs are missing: {', '.join(missing)}")
    reason = clock.obstacle()
    return dict.fromkeys(CLOCKS, reason) if reason else {}
