"""A record with ``type``, ``codes``, ``values``, ``mask``, such as refnet.quant has, under test."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from refnet.laws.sut import QuantizerUnderTest
from refnet.program import IntType


class Quantizer(Protocol):
    """What is asked of the record; parameters are inside, ``fit`` is not used."""

    @property
    def type(self) -> IntType:
        """The range of the codes."""

    def codes(self, x: Any) -> Any:
        """Codes of x."""

    def values(self, codes: Any) -> Any:
        """Reals of codes."""

    def mask(self, x: Any) -> Any:
        """Where the gradient passes."""


def is_quantizer(thing: object) -> bool:
    """Whether ``thing`` is such a record (and no class of them)."""
    names = ("type", "codes", "values", "mask")
    return not isinstance(thing, type) and all(hasattr(thing, name) for name in names)


def of(quantizer: Quantizer, **facts: Any) -> QuantizerUnderTest:
    """The facts that a quantizer record tells about itself, and ``facts`` beside them.

    Infinities saturate, NaN is refused, codes have the storage of ``type``. Where it has
    ``thresholds`` the code is the number of thresholds below x, so a threshold that stands there
    several times skips codes; x on a threshold has the lower code. Otherwise its levels are the
    codes that are their own.
    """
    known: dict[str, Any] = {
        "dequantize": quantizer.values, "nan": "refuse", "code_dtype": quantizer.type.dtype,
        "passes": quantizer.mask, "name": type(quantizer).__name__,
    }
    thresholds = getattr(quantizer, "thresholds", None)
    if thresholds is not None:
        places, times = np.unique(np.asarray(thresholds, dtype=np.float64), return_counts=True)
        low = quantizer.type.lo
        known |= {
            "thresholds": places.tolist(), "tie": "down",
            "levels": [low, *(low + np.cumsum(times)).tolist()],
        }
    else:
        every = np.arange(quantizer.type.lo, quantizer.type.hi + 1)
        own = quantizer.codes(np.asarray(quantizer.values(every), dtype=np.float64)) == every
        known["levels"] = every[own].tolist()
    return QuantizerUnderTest(quantizer.codes, **{**known, **facts})
