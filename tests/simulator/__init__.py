"""A deterministic AWS in process: real boto3 clients in front, simulated time underneath.

`World` is where a test begins; see its three groups of verbs, Given, Meanwhile and Truth.
How a deployment moves is in `scheduler`, how a task lives in `task_life`, what AWS leaves
open in `core.Quirks`, and what can go wrong with a call in `faults`.
"""

from . import faults
from .behaviour import Behaviour, OneOff
from .calls import Call, Change, Fault, FaultRule, History, SimulatedError
from .clock import SimClock
from .core import Quirks, Timings
from .given import Image
from .state import Vulnerability
from .world import World

__all__ = [
    "Behaviour",
    "Call",
    "Change",
    "Fault",
    "FaultRule",
    "History",
    "Image",
    "OneOff",
    "Quirks",
    "SimClock",
    "SimulatedError",
    "Timings",
    "Vulnerability",
    "World",
    "faults",
]
