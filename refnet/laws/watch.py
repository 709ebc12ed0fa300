"""What is seen of a quantizer at every call, whatever law asks: spoilt arguments, dtypes, answers.

A quantizer that changes its input for infinities only, or answers differently once in a while, does
so where no law that looks for it happens to be. So all calls are watched, and judged at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Calls that are kept to be asked again at the end: the first, and then one of so many ...
EVERY = 7
#: ... up to this number, of at most so many reals.
MOST_KEPT, MOST_REALS = 96, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call and its answer."""

    params: Any
    x: NDArray[Any]
    codes: NDArray[np.int64]


@dataclass(slots=True)
class Watch:
    """What was seen: by role the first call that changed its argument, dtypes, some answers."""

    spoilt: dict[str, str] = field(default_factory=dict)
    dtypes: dict[np.dtype[Any], str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    calls: int = 0

    def argument(self, role: str, before: NDArray[Any], after: NDArray[Any]) -> None:
        """An argument before and after a call of the function in this role."""
        if role not in self.spoilt and before.tobytes() != after.tobytes():
            seen = np.array2string(before.ravel()[:6], threshold=6)
            self.spoilt[role] = f"{role} changes its input: {before.dtype} {before.shape} {seen}"

    def codes(self, params: Any, x: NDArray[Any], result: Any, codes: NDArray[np.int64]) -> None:
        """An answer of the quantizer."""
        kind = np.asarray(result).dtype
        if kind not in self.dtypes:
            self.dtypes[kind] = f"{x.dtype} of shape {x.shape}"
        if self.calls % EVERY == 0 and len(self.asked) < MOST_KEPT and x.size <= MOST_REALS:
            self.asked.append(Asked(params=params, x=x.copy(), codes=codes.copy()))
        self.calls += 1

    def code_dtype(self, codes: NDArray[Any]) -> np.dtype[Any]:
        """The dtype in which the quantizer itself gives such codes; int64 where that is not known.

        A way back to reals that overflows in the dtype of the codes is met only in that dtype.
        """
        kind = next(iter(self.dtypes), np.dtype(np.int64))
        if kind.kind not in "iu" or not codes.size:
            return np.dtype(np.int64)
        info = np.iinfo(kind)
        held = info.min <= codes.min() and codes.max() <= info.max
        return kind if held else np.dtype(np.int64)
