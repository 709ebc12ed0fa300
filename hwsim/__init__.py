"""Cycle-approximate simulator of systolic-array and bit-serial accelerators.

``simulate(from_program(program), presets.EDGE_16X16_OS)`` gives a report with exact cycle and event
counts and priced energy. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim import presets as presets
    from hwsim.architecture import Architecture as Architecture
    from hwsim.layers import Workload as Workload
    from hwsim.simulate import simulate as simulate
    from hwsim.topology import read_topology as read_topology
    from hwsim.workload import from_program as from_program

_HOMES = {
    "Architecture": "hwsim.architecture",
    "Workload": "hwsim.layers",
    "from_program": "hwsim.workload",
    "presets": "hwsim.presets",
    "read_topology": "hwsim.topology",
    "simulate": "hwsim.simulate",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    value = module if name == "presets" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
