"""Laws of quantizers: plug in your own, and be told which hold, with counterexamples."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refnet.laws.case import Case as Case
    from refnet.laws.case import Counterexample as Counterexample
    from refnet.laws.checks import parametrize_with_laws as parametrize_with_laws
    from refnet.laws.law import Law as Law
    from refnet.laws.suite import LawReport as LawReport
    from refnet.laws.suite import run_laws as run_laws
    from refnet.laws.sut import QuantizerUnderTest as QuantizerUnderTest
    from refnet.laws.table import LAWS as LAWS

__all__ = (
    "LAWS", "Case", "Counterexample", "Law", "LawReport", "QuantizerUnderTest",
    "parametrize_with_laws", "run_laws",
)

# Hypothesis is loaded where a law is run, not where the command line lists its arguments.
_HOMES = {
    "LAWS": "table", "Case": "case", "Counterexample": "case", "Law": "law", "LawReport": "suite",
    "QuantizerUnderTest": "sut", "parametrize_with_laws": "checks", "run_laws": "suite",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'refnet.laws' has no attribute {name!r}")
    return getattr(import_module(f"refnet.laws.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
