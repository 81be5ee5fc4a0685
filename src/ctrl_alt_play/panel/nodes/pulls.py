"""Images that nodes were asked to pull, and how far that is: the newest word on each, in memory only."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable

from ctrl_alt_play.panel.nodes.schemas import PullView
from ctrl_alt_play.protocol.images import LONGEST_IMAGE, ImagePull

PULLS_PER_NODE = 32
LONGEST_MESSAGE = 1000


class Pulls:
    """A node tells again what it has pulled when it comes, so what is known of one that is away is forgotten."""

    def __init__(self) -> None:
        self._nodes: defaultdict[str, OrderedDict[str, PullView]] = defaultdict(OrderedDict)
        self._listener: Callable[[str], None] = lambda _: None

    def report_to(self, listener: Callable[[str], None]) -> None:
        """Told of each node whose pulls have changed."""
        self._listener = listener

    def tell(self, node_id: str, told: ImagePull) -> None:
        pulls, view = self._nodes[node_id], view_of(told)
        pulls[view.image] = view
        pulls.move_to_end(view.image)
        if len(pulls) > PULLS_PER_NODE:
            pulls.popitem(last=False)
        self._listener(node_id)

    def of(self, node_id: str) -> list[PullView]:
        """The newest last."""
        return list(self._nodes[node_id].values()) if node_id in self._nodes else []

    def forget(self, node_id: str) -> None:
        self._nodes.pop(node_id, None)


def view_of(told: ImagePull) -> PullView:
    percent = None if told.percent is None else min(100.0, max(0.0, told.percent))
    return PullView(
        image=told.image[:LONGEST_IMAGE], state=told.state, percent=percent, message=told.message[:LONGEST_MESSAGE]
    )
