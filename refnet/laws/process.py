"""A quantizer in another process, in any language: JSON lines as `refnet vectors check` has them.

Request: ``{"id": ..., "op": "quantize", "attributes": {"dtype": "float32"}, "operands": [...]}``
with operands ``x`` (``binary64``: 16 hexadecimal digits a real, the sign bit first), and ``scale``
(binary64, shape [1]) and ``zero_point`` (an integer, shape [1]) where the process takes them.
Answer: ``{"id": ..., "outputs": {"codes": {"shape": [...], "data": [...]}}}``, or
``{"id": ..., "error": "why"}`` to refuse. The op ``dequantize`` has the operand ``codes`` and the
output ``values`` (binary64); a process without it answers ``{"id": ..., "unsupported": "why"}``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.sut import QuantizerUnderTest
from refnet.vectors.process import ProcessImplementation
from refnet.vectors.record import REAL, WIDE, Array, Vector
from refnet.vectors.reference import Unsupported

#: Array types of what is given, and of what is answered.
_GIVEN = {"quantize": ("x", REAL), "dequantize": ("codes", WIDE)}
_ANSWERED = {"quantize": ("codes", WIDE), "dequantize": ("values", REAL)}


def _vector(op: str, array: NDArray[Any], parameters: dict[str, float], number: int) -> Vector:
    name, kind = _GIVEN[op]
    answer, answer_kind = _ANSWERED[op]
    inputs = [Array.of(name, kind, array)]
    for key, value in parameters.items():
        inputs.append(Array.of(key, REAL if key == "scale" else WIDE, np.array([value])))
    # Only the name and the type of the output are looked at.
    wanted = Array.of(answer, answer_kind, np.zeros(0, dtype=np.float64 if answer_kind == REAL
                                                    else np.int64))
    return Vector(
        id=f"laws.{op}.{number % 10000:04}", tier="core", clauses=("8.1.1",), op=op,
        attributes={"dtype": array.dtype.name}, capabilities=(op,), inputs=tuple(inputs),
        constants=(), outputs=(wanted,), intermediates=(), result="must", error=None,
        flags=("BASIC",), kills=(), comment="a question of the law suite",
    )


class ProcessQuantizer:
    """``quantize`` and ``dequantize`` that ask a running process."""

    def __init__(self, process: ProcessImplementation) -> None:
        self._process = process
        self._number = 0

    def _ask(self, op: str, array: NDArray[Any], **parameters: float) -> NDArray[Any]:
        self._number += 1
        answer = self._process(_vector(op, np.asarray(array), parameters, self._number))
        name = _ANSWERED[op][0]
        if name not in answer:
            raise TypeError(f"the process answered no {name}")
        return answer[name]

    def quantize(self, x: NDArray[Any]) -> NDArray[Any]:
        """Codes of x; the process has its parameters inside."""
        return self._ask("quantize", x)

    def dequantize(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Reals of codes; the process has its parameters inside."""
        return self._ask("dequantize", codes)

    def quantize_scaled(self, x: NDArray[Any], scale: float, zero_point: int) -> NDArray[Any]:
        """Codes of x by the parameters given."""
        return self._ask("quantize", x, scale=scale, zero_point=zero_point)

    def dequantize_scaled(
        self, codes: NDArray[Any], scale: float, zero_point: int
    ) -> NDArray[Any]:
        """Reals of codes by the parameters given."""
        return self._ask("dequantize", codes, scale=scale, zero_point=zero_point)

    def has_dequantize(self, parameters: bool) -> bool:
        """Whether the process answers ``dequantize``."""
        codes = np.zeros(1, dtype=np.int64)
        try:
            if parameters:
                self.dequantize_scaled(codes, 1.0, 0)
            else:
                self.dequantize(codes)
        except Unsupported:
            return False
        except Exception:
            # Whatever else is wrong with it is for the laws to say.
            return True
        return True


def under_test(
    process: ProcessImplementation, *, parameters: bool = False, **facts: Any
) -> QuantizerUnderTest:
    """The quantizer of a running process; ``parameters``: it is given scale and zero point."""
    asked = ProcessQuantizer(process)
    quantize = asked.quantize_scaled if parameters else asked.quantize
    dequantize: Any = asked.dequantize_scaled if parameters else asked.dequantize
    if not asked.has_dequantize(parameters):
        dequantize = None
    return QuantizerUnderTest(quantize, dequantize=dequantize, **{"name": "process", **facts})
