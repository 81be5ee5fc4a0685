"""What the panel keeps."""

from ctrl_alt_play.panel.models.event import Event
from ctrl_alt_play.panel.models.node import Node, Openness
from ctrl_alt_play.panel.models.operation import INSTALLS, OPEN_STATES, Operation, OperationKind, OperationState
from ctrl_alt_play.panel.models.registry import Registry
from ctrl_alt_play.panel.models.sample import Sample, Subject
from ctrl_alt_play.panel.models.server import Allocation, PortRange, Server
from ctrl_alt_play.panel.models.session import UserSession
from ctrl_alt_play.panel.models.template import Template, TemplateVersion
from ctrl_alt_play.panel.models.user import User

__all__ = [
    "INSTALLS",
    "OPEN_STATES",
    "Allocation",
    "Event",
    "Node",
    "Openness",
    "Operation",
    "OperationKind",
    "OperationState",
    "PortRange",
    "Registry",
    "Sample",
    "Server",
    "Subject",
    "Template",
    "TemplateVersion",
    "User",
    "UserSession",
]
