"""Weights of few bits as sums of ternary digits: split, start, stitch.

Source: Wang et al., Towards Accurate Post-training Network Quantization via Bit-Split and
Stitching, ICML 2020. A weight of b bits is q = sum over m of 2^m q_m with b - 1 ternary digits, so
q lies in +-(2^(b-1) - 1); each digit is solved as a ternary weight is. Two bits have one digit and
are the ternary weights; one bit has the weights -1 and +1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import IntType
from refnet.quant.ternary import ternary_rows

Reals = NDArray[np.float64]
Codes = NDArray[np.int8]

# Alternations between a scale and its codes; each lowers the error, and they end much sooner.
_ROUNDS = 100
# Weights whose sum is no larger are as good as zero, and their quotients would overflow.
_TINY = float(np.finfo(float).tiny)
# Weight codes are int8.
_MOST_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The codes of a weight: digits -1, 0, 1 of these ``places``; or -1 and 1 (``binary``).

    >>> Grid.of("ternary").places, Grid.of(2).places, Grid.of(4).places, Grid.of(4).type.name
    ((1,), (1,), (4, 2, 1), 'sint4')
    """

    places: tuple[int, ...] = (1,)
    binary: bool = False

    @classmethod
    def of(cls, bits: int | str | None) -> Grid:
        """The grid of ``weight_bits``: None or "ternary", 1 (binary), 2 (ternary), 3 to 8."""
        if bits is None or bits == "ternary":
            return cls()
        if isinstance(bits, bool) or bits not in range(1, _MOST_BITS + 1):
            raise ValueError(f"weight_bits={bits!r} must be 'ternary' or 1 to {_MOST_BITS}")
        if bits == 1:
            return cls(binary=True)
        return cls(places=tuple(2**m for m in reversed(range(int(bits) - 1))))

    @property
    def type(self) -> IntType:
        """The symmetric range of the codes; binary codes are declared ternary."""
        top = sum(self.places)
        return IntType(lo=-top, hi=top)

    def split(self, codes: Codes) -> Codes:
        """Digits (m, B, n) of codes (m, n): the binary digits of |q|, each with the sign of q."""
        size = np.abs(codes.astype(np.int64))
        digits = [size // place % 2 for place in self.places]
        return (np.stack(digits, axis=1) * np.sign(codes)[:, None]).astype(np.int8)

    def stitch(self, digits: NDArray[np.int8]) -> Codes:
        """The codes (m, n) of digits (m, B, n): sum of place_b times digit b [6.3.1]."""
        places = np.array(self.places, dtype=np.int64)
        return np.tensordot(digits.astype(np.int64), places, (1, 0)).astype(np.int8)

    def start(self, W: NDArray[np.floating]) -> Codes:
        """Codes (m, n) that fit real weights W (m, n) best or nearly so, data aside [6.3.3]."""
        W = np.asarray(W, dtype=np.float64)
        if self.binary:
            return np.where(W < 0, -1, 1).astype(np.int8)
        if self.places == (1,):
            ternary: Codes = ternary_rows(W)[0]
            return ternary
        codes = np.empty(W.shape, dtype=np.int8)
        for f, w in enumerate(W):
            codes[f] = self._rounded(w)
        return codes

    def _rounded(self, w: Reals) -> Codes:
        """Alternate q = saturate(round(w / alpha)) and alpha = <w, q> / <q, q> until q repeats.

        The paper goes on digit by digit, q_m = sign(e) where 2 |e| > 1 with e the rest of w / alpha
        at that place. That never changes a q that repeats: w / alpha and q differ by at most 1/2,
        so e and q_m differ by at most 1/2 too, and a saturated q has every digit at its end.
        """
        top = self.type.hi
        q = np.zeros(w.shape, dtype=np.int8)
        # alpha as a fraction: on integers w, ties of w / alpha are then exact.
        above, below = float(np.abs(w).max(initial=0.0)), float(top)
        for _ in range(_ROUNDS):
            if not above > _TINY:
                break
            before, q = q, np.clip(np.rint(w * below / above), -top, top).astype(np.int8)
            if np.array_equal(q, before):
                break
            above, below = _scale(w, q)
        return q


TERNARY_GRID = Grid()


def _scale(w: Reals, q: Codes) -> tuple[float, float]:
    """The scale that fits w best, <w, q> / <q, q>, as numerator and denominator."""
    wide = q.astype(np.float64)
    return float(w @ wide), float(wide @ wide)
