"""Laws of quantizers: plug in your own, and be told which hold, with counterexamples."""

from refnet.laws.case import Case as Case
from refnet.laws.case import Counterexample as Counterexample
from refnet.laws.law import Law as Law
from refnet.laws.suite import LAWS as LAWS
from refnet.laws.suite import LawReport as LawReport
from refnet.laws.suite import run_laws as run_laws
from refnet.laws.sut import QuantizerUnderTest as QuantizerUnderTest
