"""The functions of the specification that vectors ask, from refnet.program and chapter 06."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType, Op, Operand, ProgramError, arith, load, packing, run
from refnet.program.files import to_bytes
from refnet.vectors import blockterms, decomposing, solving
from refnet.vectors.building import exact_fields, operands_of, operator_of, program_of
from refnet.vectors.record import Vector

#: What answers a vector: outputs by name, and intermediates where there are any.
Outputs = Mapping[str, NDArray[Any]]
Implementation = Callable[[Vector], Outputs]


def _integer_type(vector: Vector) -> Outputs:
    held = IntType.parse(exact_fields(vector.attributes, ("name",), vector.op)["name"])
    return {
        "range": np.array([held.lo, held.hi]),
        "bits": np.array([held.bits]),
        "storage": np.array([8 * held.dtype.itemsize, int(held.dtype.kind == "i")]),
        "canonical": np.frombuffer(held.name.encode(), dtype=np.uint8),
    }


def _inner(vector: Vector) -> tuple[Op, tuple[Operand, ...]]:
    given = exact_fields(vector.attributes, ("op", "attributes"), vector.op)
    return operator_of(given["op"], given["attributes"]), operands_of(vector)


def _result_type(vector: Vector) -> Outputs:
    op, operands = _inner(vector)
    found = op.infer(*operands)
    return {"range": np.array([found.type.lo, found.type.hi]), "shape": np.array(found.shape)}


def _work(vector: Vector) -> Outputs:
    op, operands = _inner(vector)
    found = op.work(*operands)
    counts = ("macs", "additions", "multiplications", "comparisons")
    return {name: np.array([getattr(found, name)]) for name in counts}


def _saturate(vector: Vector) -> Outputs:
    given = exact_fields(vector.attributes, ("lo", "hi"), vector.op)
    return {"y": arith.saturate(vector.arrays["x"], given["lo"], given["hi"])}


def _rounding_shift(vector: Vector) -> Outputs:
    given = exact_fields(vector.attributes, ("rounding",), vector.op)
    held = vector.arrays
    return {"y": arith.rounding_shift(held["x"], held["shift"], given["rounding"])}


def _requantize(vector: Vector) -> Outputs:
    given, held = exact_fields(vector.attributes, ("type", "rounding"), vector.op), vector.arrays
    product = held["acc"].astype(np.int64) * held["mult"]
    y = arith.requantize(
        held["acc"], held["mult"], held["shift"], IntType.parse(given["type"]), given["rounding"]
    )
    rounded = arith.rounding_shift(product, held["shift"], given["rounding"])
    return {"y": y, "product": product, "rounded": rounded}


def _ratio(vector: Vector) -> Outputs:
    held = vector.arrays
    if "ratio" in held:
        ratios: list[float | Fraction] = [float(r) for r in held["ratio"]]
    else:
        pairs = zip(held["numerator"].tolist(), held["denominator"].tolist(), strict=True)
        ratios = [Fraction(n, d) for n, d in pairs]
    found = np.array([arith.ratio_to_mult_shift(r) for r in ratios]).reshape(-1, 2)
    return {"mult": found[:, 0], "shift": found[:, 1]}


def _integer_thresholds(vector: Vector) -> Outputs:
    acc = IntType.parse(exact_fields(vector.attributes, ("acc",), vector.op)["acc"])
    held = vector.arrays
    t, sign = arith.integer_thresholds(held["levels"], held["scale"], held["offset"], acc)
    return {"t": t, "sign": sign}


def _typed(vector: Vector, *names: str) -> tuple[IntType, Mapping[str, Any]]:
    given = exact_fields(vector.attributes, ("type", *names), vector.op)
    return IntType.parse(given["type"]), given


def _pack(vector: Vector) -> Outputs:
    codes = vector.arrays["codes"]
    if vector.op == "pack_trits":
        return {"bytes": packing.pack_trits(codes)}
    if vector.op == "pack_ternary_planes":
        return dict(zip(("nonzero", "negative"), packing.pack_ternary_planes(codes), strict=True))
    pack = packing.pack_bits if vector.op == "pack_bits" else packing.pack_planes
    return {"bytes": pack(codes, _typed(vector)[0])}


def _unpack(vector: Vector) -> Outputs:
    held = vector.arrays
    if vector.op in ("unpack_trits", "unpack_ternary_planes"):
        size = exact_fields(vector.attributes, ("size",), vector.op)["size"]
        if vector.op == "unpack_trits":
            return {"codes": packing.unpack_trits(held["bytes"], size)}
        masks = held["nonzero"], held["negative"]
        return {"codes": packing.unpack_ternary_planes(*masks, size)}
    type, given = _typed(vector, "size")
    unpack = packing.unpack_bits if vector.op == "unpack_bits" else packing.unpack_planes
    return {"codes": unpack(held["bytes"], given["size"], type)}


def _load(vector: Vector) -> Outputs:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "program"
        path.write_bytes(vector.arrays["file"].astype(np.uint8).tobytes())
        try:
            program = load(path)
        except ProgramError as error:
            raise ProgramError(str(error).removeprefix(f"{path}: ")) from None
    return {"y": run(program, vector.arrays["x"])}


def _save(vector: Vector) -> Outputs:
    return {"file": np.frombuffer(to_bytes(program_of(vector)), dtype=np.uint8)}


def _weight_bits(vector: Vector) -> Outputs:
    return {"bits": np.array([program_of(vector).weight_bits()])}


def _classify(vector: Vector) -> Outputs:
    return {"class": np.argmax(vector.arrays["scores"], axis=1)}


FUNCTIONS: dict[str, Implementation] = {
    "integer_type": _integer_type,
    "result_type": _result_type,
    "work": _work,
    "saturate": _saturate,
    "rounding_shift": _rounding_shift,
    "requantize": _requantize,
    "ratio_to_mult_shift": _ratio,
    "integer_thresholds": _integer_thresholds,
    "pack_bits": _pack,
    "unpack_bits": _unpack,
    "pack_trits": _pack,
    "unpack_trits": _unpack,
    "pack_planes": _pack,
    "unpack_planes": _unpack,
    "pack_ternary_planes": _pack,
    "unpack_ternary_planes": _unpack,
    "load": _load,
    "save": _save,
    "weight_bits": _weight_bits,
    "classify": _classify,
    "optimal_ternary": solving.optimal_ternary,
    "weight_codes": solving.weight_codes,
    "code_least_squares": solving.code_least_squares,
    "z_step": solving.z_step,
    "semidiscrete": decomposing.semidiscrete,
    "block_term": blockterms.block_term,
}
