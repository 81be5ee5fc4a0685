"""hatchling's hook: in a wheel the page is a part of the package. An editable install serves what is built beside it."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "ui")))
        import build as page  # noqa: PLC0415 - it stands beside this file, which is known only now

        page.build()
        build_data["artifacts"].append(f"{page.BUILT.relative_to(self.root)}/**")
