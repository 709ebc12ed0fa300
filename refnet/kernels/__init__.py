"""Compiled twins of the program operators: the same integers as ``Op.evaluate``, faster.

A kernel is a file that begins with its loop nest; ``KERNELS`` lists them; ``execute`` is the hook
of ``refnet.program.run``; ``compile`` makes a program ready for many calls.
"""

from refnet.kernels._kernel import Kernel as Kernel
from refnet.kernels.assembly import Stage as Stage
from refnet.kernels.dispatch import KERNELS as KERNELS
from refnet.kernels.dispatch import choose as choose
from refnet.kernels.dispatch import execute as execute
from refnet.kernels.plan import Plan as Plan
from refnet.kernels.plan import compile as compile
