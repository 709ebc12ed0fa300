"""Questions beyond the core tier: whole spaces and chains by their digests, widths, machine clocks.

A digest is the SHA-256 of integers as 32-bit little-endian numbers, in a stated order [9.1.1].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType, evaluate, requantize, run
from refnet.program.program import Execute
from refnet.vectors.building import exact_fields, operands_of, operator_of, program_of
from refnet.vectors.functions import Implementation, Outputs
from refnet.vectors.layers import LAYER_FUNCTIONS
from refnet.vectors.record import Vector, VectorError

Ints = NDArray[np.int64]
#: Results in one block of an exhaustive digest: the first block that differs is a place to look.
BLOCK = 2**15


def digest_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The SHA-256 of ``values`` as 32-bit little-endian numbers in C order, 32 bytes [9.1.1]."""
    raw = np.ascontiguousarray(values, dtype="<i4").tobytes()
    return np.frombuffer(hashlib.sha256(raw).digest(), dtype=np.uint8)


def _grid(values: range, n: int) -> Ints:
    """Every vector of ``n`` values, the last element fastest (len(values)**n, n)."""
    axes = np.indices((len(values),) * n).reshape(n, -1).T
    return np.asarray(axes * values.step + values.start, dtype=np.int64)


def _dots(attributes: Mapping[str, Any]) -> Iterator[Ints]:
    """w . x for every ternary w and then every x of 2-bit codes [9.2.1]."""
    n = attributes["n"]
    yield (_grid(range(-1, 2), n) @ _grid(range(4), n).T).ravel()


def _requantized(attributes: Mapping[str, Any]) -> Iterator[Ints]:
    """Every accumulator of [-bound, bound], ascending [9.2.2]."""
    acc = np.arange(-attributes["bound"], attributes["bound"] + 1)
    type = IntType.parse(attributes["type"])
    yield requantize(acc, attributes["mult"], attributes["shift"], type, attributes["rounding"])


def ternary_codes(w: Ints) -> Ints:
    """[6.1] of every row of w (rows, n), in integers: fractions are compared crosswise."""
    size = np.sort(np.abs(w), axis=1)[:, ::-1]
    total = np.cumsum(size, axis=1)
    best = np.zeros(len(w), np.int64)
    for j in range(1, w.shape[1]):
        more = total[:, j] ** 2 * (best + 1) > total[np.arange(len(w)), best] ** 2 * (j + 1)
        best = np.where(more, j, best)
    least = np.take_along_axis(size, best[:, None], axis=1)
    return np.where((np.abs(w) >= least) & (w != 0), np.sign(w), 0)


def _solved(attributes: Mapping[str, Any]) -> Iterator[Ints]:
    """Codes of every magnitude vector; element i is negated where i is odd [9.2.3]."""
    for n in range(1, attributes["n"] + 1):
        w = _grid(range(attributes["top"] + 1), n) * (-1) ** np.arange(n)
        yield ternary_codes(w).ravel()


SPACES = {"ternary_dot": _dots, "requantize": _requantized, "optimal_ternary": _solved}
_FIELDS = {
    "ternary_dot": ("space", "n"),
    "requantize": ("space", "bound", "mult", "shift", "type", "rounding"),
    "optimal_ternary": ("space", "n", "top"),
}


def exhaustive(vector: Vector) -> Outputs:
    """The digest of all results, their number, and (on the way) the digest of each block."""
    space = vector.attributes.get("space")
    if space not in SPACES:
        raise VectorError(f"vector {vector.id!r}: space {space!r} is none of {', '.join(SPACES)}")
    exact_fields(vector.attributes, _FIELDS[space], vector.op)
    values = np.concatenate([*SPACES[space](vector.attributes)])
    blocks = [digest_of(values[i : i + BLOCK]) for i in range(0, len(values), BLOCK)]
    return {
        "sha256": digest_of(values), "count": np.array([len(values)]), "blocks": np.stack(blocks)
    }


def chained(vector: Vector, execute: Execute = evaluate) -> Outputs:
    """The input after ``times`` runs of the program, and the digest of all states [9.3.1]."""
    given = dict(vector.attributes)
    times = given.pop("times", 0)
    held = {name: getattr(vector, name) for name in Vector.__dataclass_fields__}
    program = program_of(Vector(**{**held, "attributes": given}))
    x, states = vector.arrays[program.input], []
    for _ in range(times):
        x = run(program, x, execute=execute)
        states.append(x)
    hundreds = [digest_of(np.stack(states[i : i + 100])) for i in range(0, times, 100)]
    return {"y": x, "sha256": digest_of(np.stack(states)), "hundreds": np.stack(hundreds)}


def accumulator_width(vector: Vector) -> Outputs:
    """The proved range of an accumulator and the fewest bits that hold it [9.4.1]."""
    given = exact_fields(vector.attributes, ("op", "attributes"), vector.op)
    found = operator_of(given["op"], given["attributes"]).infer(*operands_of(vector)).type
    return {"range": np.array([found.lo, found.hi]), "bits": np.array([found.bits])}


def machine(vector: Vector) -> Outputs:
    """Clocks of one product on an array by the closed forms of [7.3.1] to [7.3.4] [9.5.1]."""
    given = exact_fields(vector.attributes, ("dataflow", "problem", "array"), vector.op)
    m, k, n = (given["problem"][name] for name in "mkn")
    rows, columns = given["array"]["rows"], given["array"]["columns"]
    over = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n), "bitserial": (m, n, k)}
    first, second, steps = over[given["dataflow"]]
    folds = -(-first // rows) * -(-second // columns)
    compute, drain = folds * steps, folds * (2 * rows + columns - 2)
    if given["dataflow"] == "bitserial":
        planes = given["problem"]["input_bits"] * given["problem"]["weight_bits"]
        compute, drain = folds * -(-steps // given["array"]["depth"]) * planes, 3
    counts = {"macs": m * k * n, "compute_cycles": compute, "fill_drain_cycles": drain}
    return {name: np.array([value]) for name, value in counts.items()}


#: What vectors beyond the core tier ask.
TIER_FUNCTIONS: dict[str, Implementation] = {
    "exhaustive": exhaustive,
    "chain": chained,
    "accumulator_width": accumulator_width,
    "machine": machine,
    **LAYER_FUNCTIONS,
}
