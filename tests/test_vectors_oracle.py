"""Expected outputs of the vectors against the oracle: plain integers, from the text alone."""

from __future__ import annotations

import ast
import json
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import isfinite, prod
from pathlib import Path
from types import SimpleNamespace

import oracle
import oracle_blockterms
import oracle_codes
import oracle_programs
import oracle_semidiscrete
import oracle_solvers
import oracle_types
import pytest
from oracle import Refused, Value, numbers_in, require
from oracle_programs import KINDS, operator_of

from refnet.program import IntType
from refnet.vectors.cli import vectors_in
from refnet.vectors.record import Array, Vector
from refnet.vectors.reference import OPS

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
Answer = dict[str, list]


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def nested(array: Array) -> list:
    """Nested lists of Python numbers; reals from their bit patterns."""
    flat = list(array.data)
    if array.type == "binary64":
        flat = [struct.unpack(">d", bytes.fromhex(v))[0] for v in flat]

    def shaped(values: list, shape: tuple[int, ...]) -> list:
        if len(shape) <= 1:
            return values
        step = prod(shape[1:])
        return [shaped(values[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]

    return shaped(flat, array.shape)


def held(vector: Vector) -> dict[str, list]:
    return {a.name: nested(a) for a in vector.operands}


def limits(name: str) -> tuple[int, int]:
    return oracle.type_range(name)


def operands(vector: Vector) -> list[Value]:
    values = [Value(*limits(a.type), a.shape[1:]) for a in vector.inputs]
    return values + [Value(*limits(a.type), a.shape, nested(a)) for a in vector.constants]


def rows(pack: Callable[[list], list], codes: list) -> list:
    """``pack`` on every row, whatever axes are outside."""
    if codes and isinstance(codes[0], list):
        return [rows(pack, part) for part in codes]
    return pack(codes)


def rule_of(vector: Vector) -> str:
    require(vector.attributes.get("rounding") in oracle.RULES, "[3.1.2]")
    return vector.attributes["rounding"]


def an_operator(vector: Vector) -> Answer:
    op = operator_of(vector.op, vector.attributes)
    values = operands(vector)
    result = oracle_types.infer(op, *values)
    y = oracle.ORACLE[vector.op](op, *(nested(a) for a in vector.operands))
    for out in vector.outputs:
        assert limits(out.type) == (result.lo, result.hi), "[4] the proved type"
        assert out.shape[1:] == result.shape
    return {"y": y}


def of_attributes(vector: Vector) -> SimpleNamespace:
    """The program of a vector, from its attributes and constants as they stand in the file."""
    constants = {
        a.name: oracle_programs.constant_of(a.name, a.type, a.shape, list(a.data))
        for a in vector.constants
    }
    return oracle_programs.program_of(vector.attributes, constants)


def a_program(vector: Vector) -> Answer:
    program = of_attributes(vector)
    x = vector.inputs[0]
    require(x.type != "binary64", "[5.2.1] integers")
    require(x.shape[1:] == program.input_type.shape, "[5.2.1] shape")
    type = program.input_type.type
    require(all(type.lo <= v <= type.hi for v in x.data), "[5.2.1] range")
    for array in vector.outputs + vector.intermediates:
        proved = program.types[array.name]
        assert limits(array.type) == (proved.lo, proved.hi), (vector.id, array.name)
        assert array.shape[1:] == proved.shape
    return oracle.run_program(program, nested(x))


def an_integer_type(vector: Vector) -> Answer:
    lo, hi = limits(vector.attributes["name"])
    storage = oracle.type_storage(lo, hi)
    name = oracle.type_name(lo, hi)
    return {"range": [lo, hi], "bits": [oracle.type_bits(lo, hi)], "canonical": [*name.encode()],
            "storage": [int(storage.strip("uint")), int(not storage.startswith("u"))]}


def a_result_type(vector: Vector) -> Answer:
    op = operator_of(vector.attributes["op"], vector.attributes["attributes"])
    found = oracle_types.infer(op, *operands(vector))
    return {"range": [found.lo, found.hi], "shape": list(found.shape)}


def a_work(vector: Vector) -> Answer:
    op = operator_of(vector.attributes["op"], vector.attributes["attributes"])
    return {k: [n] for k, n in oracle_types.work(op, *operands(vector)).items()}


def a_saturation(vector: Vector) -> Answer:
    lo, hi = vector.attributes["lo"], vector.attributes["hi"]
    require(lo <= hi, "[1.1.1]")
    return {"y": [oracle.saturate(x, lo, hi) for x in held(vector)["x"]]}


def a_shift(vector: Vector) -> Answer:
    rule, values = rule_of(vector), held(vector)
    require(min(values["shift"]) >= 0, "[3.1.1]")
    pairs = zip(values["x"], values["shift"], strict=True)
    return {"y": [oracle.rounding_shift(x, s, rule) for x, s in pairs]}


def a_requantization(vector: Vector) -> Answer:
    rule, values = rule_of(vector), held(vector)
    lo, hi = limits(vector.attributes["type"])
    require(all(abs(acc) <= oracle.BOUND for acc in values["acc"]), "[3.2.2] [1.3.1]")
    triples = list(zip(values["acc"], values["mult"], values["shift"], strict=True))
    return {"y": [oracle.requantize(*t, lo, hi, rule) for t in triples],
            "product": [a * m for a, m, _ in triples],
            "rounded": [oracle.rounding_shift(a * m, s, rule) for a, m, s in triples]}


def a_ratio(vector: Vector) -> Answer:
    values = held(vector)
    ratios = values.get("ratio") or [
        Fraction(n, d) for n, d in zip(values["numerator"], values["denominator"], strict=True)]
    require(all(map(isfinite, ratios)), "[3.3.1] finite")
    pairs = [oracle.ratio_to_mult_shift(r) for r in ratios]
    return {"mult": [m for m, _ in pairs], "shift": [s for _, s in pairs]}


def some_thresholds(vector: Vector) -> Answer:
    values, (lo, hi) = held(vector), limits(vector.attributes["acc"])
    levels = values["levels"]
    require(all(isfinite(v) for part in values.values() for v in part), "[3.4.2] finite")
    require(levels == sorted(levels), "[3.4.1] order")
    pairs = list(zip(values["scale"], values["offset"], strict=True))
    found = [oracle.integer_thresholds(levels, *pair, lo, hi) for pair in pairs]
    if hi - lo < 500:
        for (t, sign), pair in zip(found, pairs, strict=True):
            for acc in range(lo, hi + 1):
                code = sum(sign * acc >= v for v in t)
                assert code == oracle.real_code(levels, *pair, acc), "[3.4.1]"
    return {"t": [t for t, _ in found], "sign": [s for _, s in found]}


def a_packing(vector: Vector) -> Answer:
    codes = held(vector)["codes"]
    lo, hi = limits(vector.attributes.get("type", "ternary"))
    require(all(lo <= q <= hi for q in numbers_in(codes)), "[2.1.1] codes of the type")
    if vector.op == "pack_bits":
        return {"bytes": rows(lambda row: oracle_codes.pack_bits(row, lo, hi), codes)}
    if vector.op == "pack_trits":
        return {"bytes": rows(oracle_codes.pack_trits, codes)}
    if vector.op == "pack_planes":
        k = oracle.type_bits(lo, hi)
        return {"bytes": [rows(lambda row, b=b: oracle_codes.pack_planes(row, lo, hi)[b], codes)
                          for b in range(k)]}
    return {name: rows(lambda row, b=b: oracle_codes.pack_masks(row)[b], codes)
            for b, name in enumerate(("nonzero", "negative"))}


def an_unpacking(vector: Vector) -> Answer:
    values, n = held(vector), vector.attributes["size"]
    lo, hi = limits(vector.attributes.get("type", "ternary"))
    if vector.op == "unpack_bits":
        codes = rows(lambda row: oracle_codes.unpack_bits(row, n, lo, hi), values["bytes"])
    elif vector.op == "unpack_trits":
        codes = rows(lambda row: oracle_codes.unpack_trits(row, n), values["bytes"])
    elif vector.op == "unpack_planes":
        codes = planes_apart(values["bytes"], lambda p: oracle_codes.unpack_planes(p, n, lo, hi))
    else:
        masks = [values["nonzero"], values["negative"]]
        codes = planes_apart(masks, lambda p: oracle_codes.unpack_masks(*p, n))
    return {"codes": codes}


def planes_apart(planes: list, unpack: Callable[[list], list]) -> list:
    """``unpack`` on the planes of every row, whatever axes lie between planes and rows."""
    if planes[0] and isinstance(planes[0][0], list):
        return [planes_apart([p[i] for p in planes], unpack) for i in range(len(planes[0]))]
    return unpack(planes)


def a_loading(vector: Vector) -> Answer:
    program = oracle_programs.program_in(bytes(held(vector)["file"]))
    return {"y": oracle.run_program(program, held(vector)["x"])[program.output]}


def a_class(vector: Vector) -> Answer:
    return {"class": [row.index(max(row)) for row in held(vector)["scores"]]}


def a_saving(vector: Vector) -> Answer:
    return {"file": list(oracle_codes.file_bytes(of_attributes(vector)))}


def weight_bits(vector: Vector) -> Answer:
    return {"bits": [oracle_codes.weight_bits(of_attributes(vector))]}


def some_ternary_codes(vector: Vector) -> Answer:
    codes, kept, total = oracle_solvers.optimal_ternary(held(vector)["w"])
    return {"codes": codes, "support": [kept], "sum": [total]}


def some_weight_codes(vector: Vector) -> Answer:
    return {"codes": oracle_solvers.weight_codes(held(vector)["w"], vector.attributes["bits"])}


def a_descent(vector: Vector) -> Answer:
    values, given = held(vector), vector.attributes
    codes, N, D = oracle_solvers.code_least_squares(
        values["X"], values["z"], values["start"], given["bits"], given["form"], given["sweeps"])
    return {"codes": codes, "N": [N], "D": [D]}


def a_z_step(vector: Vector) -> Answer:
    values, form = held(vector), vector.attributes["form"]
    fixed = values["penalty"][0], values["thresholds"], values["levels"], form
    pairs = zip(values["y"], values["v"], strict=True)
    return {"z": [oracle_solvers.z_step(y, v, *fixed) for y, v in pairs]}


def a_decomposition(vector: Vector) -> Answer:
    return oracle_semidiscrete.decompose(held(vector)["W"], **vector.attributes)


def some_block_terms(vector: Vector) -> Answer:
    return oracle_blockterms.block_term(**held(vector))


ANSWERS: dict[str, Callable[[Vector], Answer]] = {
    **dict.fromkeys(KINDS, an_operator), "Program": a_program, "integer_type": an_integer_type,
    "result_type": a_result_type, "work": a_work, "saturate": a_saturation,
    "rounding_shift": a_shift, "requantize": a_requantization, "ratio_to_mult_shift": a_ratio,
    "integer_thresholds": some_thresholds, "load": a_loading, "save": a_saving,
    "weight_bits": weight_bits, "classify": a_class, "optimal_ternary": some_ternary_codes,
    "weight_codes": some_weight_codes, "code_least_squares": a_descent, "z_step": a_z_step,
    "semidiscrete": a_decomposition,
    "block_term": some_block_terms,
    **dict.fromkeys(("pack_bits", "pack_trits", "pack_planes", "pack_ternary_planes"), a_packing),
    **dict.fromkeys(
        ("unpack_bits", "unpack_trits", "unpack_planes", "unpack_ternary_planes"), an_unpacking),
}  # fmt: skip

def test_every_op_has_an_oracle() -> None:
    assert set(ANSWERS) == set(OPS) == {v.op for v in vectors()}


@pytest.mark.parametrize("op", OPS)
def test_answers_agree(op: str) -> None:
    musts = [v for v in vectors() if v.op == op and v.result != "must_fail"]
    assert musts
    for vector in musts:
        answer = ANSWERS[op](vector)
        for want in vector.outputs + vector.intermediates:
            if want.name in answer:
                assert answer[want.name] == nested(want), (vector.id, want.name)
        assert {a.name for a in vector.outputs} <= set(answer), vector.id
        if op == "Program":
            assert {a.name for a in vector.intermediates} <= set(answer), vector.id


def test_refusals_agree() -> None:
    """Every vector that must be refused is, by a rule of the text and by nothing else."""
    refused = [v for v in vectors() if v.result == "must_fail"]
    assert len(refused) > 100
    for vector in refused:
        with pytest.raises(Refused):
            raise AssertionError((vector.id, json.dumps(ANSWERS[vector.op](vector))[:200]))


def test_the_oracle_imports_nothing_of_the_project() -> None:
    for path in sorted(Path(oracle.__file__).parent.glob("oracle*.py")):
        tree = ast.parse(path.read_text())
        names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        tops = {str(name).partition(".")[0] for name in names}
        assert not tops & {"refnet", "hwsim", "numpy"}, path.name


def test_type_names_by_both_readers() -> None:
    kinds = ("int", "uint", "sint")
    widths = [f"{kind}{K}" for kind in kinds for K in range(35)]
    for name in ["ternary", "int[-3,5]", "int[3,2]", *widths]:
        try:
            want = oracle.type_range(name)
        except Refused:
            with pytest.raises(ValueError, match=r"IntType|type"):
                IntType.parse(name)
        else:
            held = IntType.parse(name)
            assert (held.lo, held.hi) == want, name


def test_a_wrong_vector_is_found() -> None:
    vector = next(v for v in vectors() if v.id == "conv.basic.0001")
    assert ANSWERS["Conv"](vector)["y"] == nested(vector.outputs[0])
    flipped = Array.of("w", "ternary", vector.constants[0].array()[:, :, ::-1, ::-1])
    change = {n: getattr(vector, n) for n in Vector.__dataclass_fields__}
    assert an_operator_unchecked(Vector(**{**change, "constants": (flipped,)})) != nested(
        vector.outputs[0])


def an_operator_unchecked(vector: Vector) -> list:
    op = operator_of(vector.op, vector.attributes)
    return oracle.ORACLE[vector.op](op, *(nested(a) for a in vector.operands))
