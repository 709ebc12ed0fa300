"""A small program with a file, and its refusal."""

from __future__ import annotations

import numpy as np
import pytest

from refnet.program import (
    INT8,
    TERNARY,
    UINT2,
    Conv,
    Node,
    Program,
    ProgramError,
    Requantize,
    Reshape,
    TensorType,
    constant,
)
from refnet.program.files import from_bytes


def small() -> Program:
    """A program of few bytes with one of each kind of attribute and constants of three storages."""
    nodes = (
        Node(name="c", op=Conv(padding=((1, 0), (0, 1))), inputs=("x", "w", "b")),
        Node(name="r", op=Requantize(type=INT8, rounding="half_up"), inputs=("c", "m", "s")),
        Node(name="y", op=Reshape(shape=(8,)), inputs=("r",)),
    )
    constants = {
        "w": constant(np.array([1, 0, -1, 1]).reshape(2, 1, 1, 2), TERNARY),
        "b": constant(np.array([-1000, 70000])),
        "m": constant(np.array([3, 300])), "s": constant(np.array([1, 2])),
    }
    return Program(name="small", input="x", input_type=TensorType(type=UINT2, shape=(1, 1, 2)),
                   nodes=nodes, constants=constants, output="y")


def refused(data: bytes, message: str = ".") -> str:
    """The one-line message with which ``data`` is refused."""
    with pytest.raises(ProgramError, match=message) as caught:
        from_bytes(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)
