"""Quantizers that tests of the laws share."""

import numpy as np

from refnet.laws import QuantizerUnderTest

SMALL = 6


def wide(x):
    return np.asarray(x, dtype=np.float64)


def q4(quantize, **facts):
    """A quantizer of 4 bits and scale 0.1 that claims to round half to even."""
    known = {"dequantize": lambda c: c * 0.1, "levels": (-8, 7), "tie": "even"}
    return QuantizerUnderTest(quantize, **{**known, **facts})


#: Divides in the dtype it is given instead of exactly.
OWN_DTYPE = q4(lambda x: np.clip(np.rint(x / 0.1), -8, 7).astype(int))
