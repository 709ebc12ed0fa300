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
        """Codes (m, n) that fit real weights W (m, n) best or nearly so, data aside [6.3.2]."""
        W = np.asarray(W, dtype=np.float64)
        if self.binary:
            return np.where(W < 0, -1, 1).astype(np.int8)
        if self.places == (1,):
            ternary: Codes = ternary_rows(W)[0]
            return ternary
        codes = np.empty(W.shape, dtype=np.int8)
        for f, w in enumerate(W):
            codes[f] = self._digitwise(w, self._rounded(w))
        return codes

    def _rounded(self, w: Reals) -> Codes:
        """Alternate q = saturate(round(w / alpha)) and alpha = <w, q> / <q, q> until q repeats."""
        top = self.type.hi
        q = np.zeros(w.shape, dtype=np.int8)
        alpha = float(np.abs(w).max(initial=0.0)) / top
        for _ in range(_ROUNDS):
            # Tiny weights may have no binary64 scale; they are as good as zero.
            if not alpha > np.finfo(float).tiny:
                break
            before, q = q, np.clip(np.rint(w / alpha), -top, top).astype(np.int8)
            if np.array_equal(q, before):
                break
            alpha = _scale(w, q)
        return q

    def _digitwise(self, w: Reals, q: Codes) -> Codes:
        """Alternate alpha and, highest place first, the ternary projection of the rest."""
        digits = self.split(q[None])
        for _ in range(_ROUNDS):
            alpha = _scale(w, self.stitch(digits)[0])
            if not alpha > np.finfo(float).tiny:
                break
            before = digits.copy()
            for b, place in enumerate(self.places):
                others = self.stitch(digits)[0] - place * digits[0, b].astype(np.float64)
                rest = (w / alpha - others) / place
                digits[0, b] = np.sign(rest) * (2 * np.abs(rest) > 1)
            if np.array_equal(digits, before):
                break
        codes: Codes = self.stitch(digits)[0]
        return codes


TERNARY_GRID = Grid()


def _scale(w: Reals, q: Codes) -> float:
    """The scale that fits w best: <w, q> / <q, q>, 0 without a code."""
    wide = q.astype(np.float64)
    size = float(wide @ wide)
    return float(w @ wide) / size if size else 0.0
