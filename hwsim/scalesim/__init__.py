"""What SCALE-Sim 3.0.0 reports of a topology, without running it.

The tool writes out every address that an array asks for, clock by clock. Here the same integers
come from closed forms; only the windows of a convolution that share elements are written out, once
a pass, where they do not fit the buffer. Chapter [7b] of the specification states the rules and
how the numbers differ from hwsim's own. Every line is this project's.
"""

from hwsim.scalesim.command import COMPATIBLE as COMPATIBLE
from hwsim.scalesim.command import Run as Run
from hwsim.scalesim.command import simulate as simulate
from hwsim.scalesim.command import write_reports as write_reports
from hwsim.scalesim.config import Config as Config
from hwsim.scalesim.config import read_config as read_config
from hwsim.scalesim.convert import to_topology as to_topology
from hwsim.scalesim.layer import Layer as Layer
from hwsim.scalesim.machine import architecture_of as architecture_of
from hwsim.scalesim.results import run as run
