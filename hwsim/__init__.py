"""Cycle-approximate simulator of systolic-array and bit-serial accelerators.

``simulate(from_program(program), presets.EDGE_16X16_OS)`` gives a report with exact cycle and event
counts and priced energy.
"""

from hwsim import presets as presets
from hwsim.architecture import Architecture as Architecture
from hwsim.layers import Workload as Workload
from hwsim.report import Report as Report
from hwsim.simulator import simulate as simulate
from hwsim.topology import read_topology as read_topology
from hwsim.workload import from_program as from_program
