"""A library of wrong quantizers: does a test suite notice them?

Every mutant has a right twin of the same signature, and the facts under which the laws try it.
:func:`unnoticed` asks a suite of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from refnet.laws import mutants_affine as affine
from refnet.laws import mutants_codes as codes
from refnet.laws import mutants_integers as integers
from refnet.laws import mutants_memory as memory
from refnet.laws import mutants_scale as scale
from refnet.laws.sut import QuantizerUnderTest
from refnet.program import TERNARY, UINT2

#: The right twins, by subject, with everything that is known of them.
RIGHT: dict[str, QuantizerUnderTest] = {
    "affine": QuantizerUnderTest(
        affine.right, dequantize=affine.right_values, levels=range(-8, 8), tie="even",
        nan="refuse", code_dtype="int8", name="affine",
    ),
    "per_channel": QuantizerUnderTest(
        memory.channels_right, levels=range(-8, 8), scale=memory.SCALES, axis=0, tie="even",
        nan="refuse", code_dtype="int8", name="per_channel",
    ),
    "ternary": QuantizerUnderTest(
        codes.ternary_right, dequantize=lambda c: c * 1.0, levels=TERNARY,
        thresholds=(-codes.DELTA, codes.DELTA), tie="zero", nan="refuse", code_dtype="int8",
        name="ternary",
    ),
    "binary": QuantizerUnderTest(
        codes.binary_right, dequantize=lambda c: c * 1.0, levels=[-1, 1], thresholds=(0.0,),
        tie="up", nan="refuse", code_dtype="int8", name="binary",
    ),
    "gradient": QuantizerUnderTest(
        codes.gradient_codes, dequantize=lambda c: c * codes.STEP, levels=range(-8, 8), tie="even",
        grad=codes.gradient_right, passes="levels", inclusive="both", name="gradient",
    ),
    "pack": QuantizerUnderTest(
        pack=integers.pack_right, unpack=integers.unpack_right, packing="bits", levels=TERNARY,
        name="pack",
    ),
    "dot": QuantizerUnderTest(dot=integers.dot_right, dot_types=(UINT2, TERNARY), name="dot"),
    "requantize": QuantizerUnderTest(
        requantize=integers.requantize_right, levels=integers.INT8, tie="even", name="requantize",
    ),
    "fit": QuantizerUnderTest(
        fit=integers.fit_right, name="fit",
        claims=(
            "fit_ternary", "fit_scale", "fit_order", "fit_mean", "fit_optimal", "fit_smallest",
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A wrong function in the place ``role`` of the right one of ``subject``."""

    name: str
    subject: str
    role: str
    make: Callable[[], Callable[..., Any]]
    meaning: str

    @property
    def function(self) -> Callable[..., Any]:
        """The wrong function; one with a state starts anew each time."""
        return self.make()

    @property
    def under_test(self) -> QuantizerUnderTest:
        """The right twin's facts, with the wrong function."""
        facts: dict[str, Any] = {self.role: self.function, "name": self.name}
        return replace(RIGHT[self.subject], **facts)


def _mutant(subject: str, role: str, function: Callable[..., Any]) -> Mutant:
    meaning = " ".join((function.__doc__ or "").split())
    return Mutant(
        name=function.__name__, subject=subject, role=role, make=lambda: function, meaning=meaning
    )


def _stateful(name: str) -> Mutant:
    meaning = " ".join(str(getattr(memory.Stateful, name).__doc__).split())
    return Mutant(
        name=name, subject="affine", role="quantize", meaning=meaning,
        make=lambda: getattr(memory.Stateful(), name),
    )


#: Every mutant, once.
MUTANTS: tuple[Mutant, ...] = (
    *(_mutant("affine", "quantize", f) for f in affine.QUANTIZE),
    *(_mutant("affine", "quantize", f) for f in scale.QUANTIZE),
    *(_mutant("affine", "dequantize", f) for f in scale.DEQUANTIZE),
    *(_mutant("affine", "quantize", f) for f in memory.STATELESS),
    *(_stateful(name) for name in memory.STATEFUL),
    *(_mutant("per_channel", "quantize", f) for f in memory.CHANNELS),
    *(_mutant("ternary", "quantize", f) for f in codes.TERNARY_CODES),
    *(_mutant("binary", "quantize", f) for f in codes.BINARY_CODES),
    *(_mutant("gradient", "grad", f) for f in codes.GRADIENTS),
    *(_mutant("pack", "pack", f) for f in integers.PACKS),
    _mutant("pack", "unpack", integers.unpack_unsigned),
    *(_mutant("dot", "dot", f) for f in integers.DOTS),
    *(_mutant("requantize", "requantize", f) for f in integers.REQUANTIZES),
    *(_mutant("fit", "fit", f) for f in integers.FITS),
)


def _of(subject: str, role: str) -> Iterator[Mutant]:
    return (m for m in MUTANTS if m.subject == subject and m.role == role)


def unnoticed(
    suite: Callable[[Callable[..., Any]], object], *, subject: str = "affine",
    role: str = "quantize",
) -> list[str]:
    """Names of the mutants that ``suite`` does not notice.

    ``suite(function)`` tests a function of the signature of the right twin; it notices by raising
    ``AssertionError`` (or anything else), or by returning False. It must accept the right twin, or
    ``ValueError`` is raised: a suite that refuses everything notices nothing.

    >>> import numpy as np
    >>> def suite(quantize):
    ...     x = np.random.default_rng(0).normal(size=1000)
    ...     assert np.array_equal(quantize(x, 0.1, 0), np.clip(np.rint(x / 0.1), -8, 7))
    >>> len(unnoticed(suite)) > 20
    True
    """
    held = RIGHT.get(subject)
    function = None if held is None else getattr(held, role, None)
    if function is None or not any(_of(subject, role)):
        raise ValueError(f"mutants of {subject!r} {role!r}: none; see refnet.laws.mutants.MUTANTS")
    if _notices(suite, function):
        raise ValueError("the suite does not accept the right function")
    return [m.name for m in _of(subject, role) if not _notices(suite, m.function)]


def _notices(suite: Callable[[Callable[..., Any]], object], function: Callable[..., Any]) -> bool:
    try:
        return suite(function) is False
    except Exception:
        return True
