"""Golden vectors on PyTorch, ONNX Runtime, Brevitas: who agrees, and what a deviation equals.

    python benchmarks/peers.py

Each adapter asks a package the way its users do: operands in the storage of their type, the
operator of that name, requantization by its own quantizer with scale 2**shift / mult. No project
promises this specification's integers; the table says where two of them will differ. Packages that
are not installed are skipped, with a line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from refnet.program import IntType
from refnet.vectors import CheckReport, Unsupported, Vector, check
from refnet.vectors.cli import vectors_in
from refnet.vectors.functions import Implementation
from refnet.vectors.onnxfile import NotInOnnx, onnx_of_vector

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "peers.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An adapter: what it is called, the packages it needs, and what makes the implementation."""

    name: str
    packages: tuple[str, ...]
    make: Callable[[], Implementation]


#: A quantizer: (x float32, scale, lo, hi) -> codes with zero point 0.
Quantize = Callable[[Any, float, IntType], Any]


def requantized(quantize: Quantize) -> Implementation:
    """[3.2.2] by the quantizer of a package, scale by scale; scales are positive there."""

    def answer(vector: Vector) -> dict[str, Any]:
        if vector.result == "must_fail" or vector.op not in ("requantize", "Requantize"):
            raise Unsupported("quantizers requantize")
        held, channels = vector.arrays, vector.op == "Requantize"
        acc = held["x" if channels else "acc"].astype(np.int64)
        axes = (1, -1, *(1,) * (acc.ndim - 2)) if channels else None
        mult, shift = (held[n].astype(np.int64) for n in ("mult", "shift"))
        if axes:
            mult, shift = mult.reshape(axes), shift.reshape(axes)
        acc, mult, shift = np.broadcast_arrays(acc, mult, shift)
        if acc.size and mult.min() <= 0:
            raise Unsupported("a scale must be positive")
        y = np.zeros(acc.shape, dtype=np.int64)
        for m, s in sorted({*zip(mult.ravel().tolist(), shift.ravel().tolist(), strict=True)}):
            here = (mult == m) & (shift == s)
            type = IntType.parse(vector.attributes["type"])
            codes = quantize(acc[here].astype(np.float32), 2.0**s / m, type)
            y[here] = np.asarray(codes, dtype=np.int64)
        return {"y": y}

    return answer


_TORCH_OPS = ("Conv", "Add", "MaxPool", "SumPool", "Reshape", "classify", "saturate",
              "rounding_shift")  # fmt: skip


def _torch_operators() -> Implementation:
    import torch
    from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

    def pads(vector: Vector) -> list[int]:
        (top, bottom), (left, right) = vector.attributes["padding"]
        return [left, right, top, bottom]

    def answer(vector: Vector) -> dict[str, Any]:
        if vector.result == "must_fail" or not vector.outputs[0].data:
            raise Unsupported("answers where there are some")
        if vector.op not in _TORCH_OPS:
            raise Unsupported(f"no {vector.op}")
        given, (x, *rest) = vector.attributes, [torch.tensor(a.array()) for a in vector.operands]
        match vector.op:
            case "Conv":
                # Integers below 2**53 are exact in this type, in any order of addition.
                x, rest = pad(x.double(), pads(vector)), [r.double() for r in rest]
                y = conv2d(x, *rest, stride=given["stride"], dilation=given["dilation"],
                             groups=given["groups"]).long()  # fmt: skip
            case "Add":
                try:
                    y = x + rest[0]
                except RuntimeError as error:
                    raise Unsupported(str(error)) from None
            case "MaxPool":
                (top, bottom), (left, right) = given["padding"]
                if (top, left) != (bottom, right) or 2 * top > given["kernel"][0]:
                    raise Unsupported("padding is symmetric and at most half the kernel")
                y = max_pool2d(x.double(), given["kernel"], given["stride"], (top, left)).long()
            case "SumPool":
                y = avg_pool2d(pad(x.double(), pads(vector)), given["kernel"], given["stride"],
                                 divisor_override=1).long()  # fmt: skip
            case "Reshape":
                y = x.reshape(len(x), *given["shape"])
            case "classify":
                return {"class": x.argmax(dim=1).numpy()}
            case "saturate":
                y = x.clamp(given["lo"], given["hi"])
            case "rounding_shift":
                y = torch.round(x.double() / 2.0 ** rest[0].double()).long()
        return {"y": y.numpy()}

    return answer


def _torch_fake_quantize() -> Implementation:
    import torch

    def quantize(x: Any, scale: float, type: IntType) -> Any:
        y = torch.fake_quantize_per_tensor_affine(torch.tensor(x), scale, 0, type.lo, type.hi)
        return torch.round(y.double() / np.float32(scale)).numpy()

    return requantized(quantize)


def _torch_quantize() -> Implementation:
    import torch

    kinds = {"int8": torch.qint8, "uint8": torch.quint8, "int32": torch.qint32}

    def quantize(x: Any, scale: float, type: IntType) -> Any:
        if type.name not in kinds:
            raise Unsupported(f"no {type.name}")
        return torch.quantize_per_tensor(torch.tensor(x), scale, 0, kinds[type.name]).int_repr()

    return requantized(quantize)


def _session(model: bytes) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


def _onnx_operators() -> Implementation:
    import onnx

    def answer(vector: Vector) -> dict[str, Any]:
        try:
            files = onnx_of_vector(vector)
        except NotInOnnx as error:
            raise Unsupported(str(error)) from None
        held = [onnx.load_tensor_from_string(files[f"{vector.id}/test_data_set_0/input_{i}.pb"])
                for i in range(len(vector.inputs))]  # fmt: skip
        given = {t.name: onnx.numpy_helper.to_array(t) for t in held}
        y = _session(files[f"{vector.id}/model.onnx"]).run(None, given)[0]
        return {vector.outputs[0].name: y}

    return answer


def _onnx_quantize() -> Implementation:
    import onnx

    def quantize(x: Any, scale: float, type: IntType) -> Any:
        if type.name not in ("int8", "uint8", "int16", "uint16"):
            raise Unsupported(f"no {type.name}")
        text = (
            '<ir_version: 9, opset_import: ["" : 21]> q (float[n] x, float s, TYPE z) => '
            "(TYPE[n] y) { y = QuantizeLinear(x, s, z) }"
        ).replace("TYPE", type.name)
        model = onnx.parser.parse_model(text).SerializeToString()
        given = {"x": x, "s": np.array(scale, np.float32), "z": np.zeros((), type.dtype)}
        return _session(model).run(None, given)[0]

    return requantized(quantize)


def _brevitas() -> Implementation:
    import torch
    from brevitas.core.function_wrapper import Identity
    from brevitas.core.quant import IntQuant

    def quantize(x: Any, scale: float, type: IntType) -> Any:
        narrow, signed = -type.lo == type.hi, type.lo < 0
        if type.name not in ("ternary",) and "[" in type.name:
            raise Unsupported(f"no {type.name}")
        quant = IntQuant(narrow_range=narrow, signed=signed, input_view_impl=Identity())
        given = (torch.tensor(v) for v in (scale, 0.0, float(type.bits)))
        return quant.to_int(*given, torch.tensor(x)).detach().numpy()

    return requantized(quantize)


PEERS: tuple[Peer, ...] = (
    Peer(name="PyTorch, operators", packages=("torch",), make=_torch_operators),
    Peer(name="PyTorch, fake_quantize_per_tensor_affine", packages=("torch",),
         make=_torch_fake_quantize),
    Peer(name="PyTorch, quantize_per_tensor", packages=("torch",), make=_torch_quantize),
    Peer(name="ONNX Runtime, exported integer operators", packages=("onnxruntime", "onnx"),
         make=_onnx_operators),
    Peer(name="ONNX Runtime, QuantizeLinear", packages=("onnxruntime", "onnx"),
         make=_onnx_quantize),
    Peer(name="Brevitas, IntQuant", packages=("brevitas", "torch"), make=_brevitas),
)  # fmt: skip


def missing(peer: Peer) -> list[str]:
    """Packages of it that are not installed."""
    found = []
    for package in peer.packages:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            found.append(package)
    return found


def asked(peer: Peer, vectors: list[Vector]) -> CheckReport:
    """The report of a peer that is installed; what it says on the way is not ours to report."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return check(vectors, peer.make())


def rule_of(vector: Vector) -> str:
    """What a row of the table is about: the op, and the rounding rule where it has one."""
    rule = vector.attributes.get("rounding")
    return f"{vector.op}, {rule}" if isinstance(rule, str) else vector.op


def rows(report: CheckReport, vectors: list[Vector]) -> list[str]:
    """A row a kind of vector: how many agree, and what the others equal."""
    kinds = {v.id: rule_of(v) for v in vectors}
    failed = {f.id: f for f in report.failures}
    out = []
    for kind in dict.fromkeys(kinds.values()):
        ran = [i for i in (*report.passed, *failed) if kinds[i] == kind]
        if not ran:
            continue
        wrong = [failed[i] for i in ran if i in failed]
        if broken := [f.line() for f in wrong if f.kind != "differs"]:
            raise SystemExit(f"an adapter is wrong: {broken[0]}")
        counts: dict[str, int] = {}
        for failure in wrong:
            for name in failure.lookalikes or ("no look-alike",):
                counts[name] = counts.get(name, 0) + 1
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
        equals = ", ".join(f"{name} on {n} of {len(wrong)}" for name, n in most)
        first = wrong[0].id if wrong else ""
        out.append(f"| {kind} | {len(ran) - len(wrong)} of {len(ran)} | {equals} | {first} |")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    vectors = vectors_in([ROOT / "specs" / "vectors"])
    today = datetime.date.today().isoformat()
    out = [
        "# Golden vectors on other projects\n",
        f"Written by `python benchmarks/peers.py` on {today}, NumPy {np.__version__}, "
        f"{len(vectors)} vectors. Operands come in the storage of their type; requantization is "
        "asked of the quantizer with scale 2**shift / mult in binary32, whatever rule the vector "
        "names: a project has one rule, and the vectors of the others say which. A deviation is "
        "no verdict: no project promises these integers.\n",
    ]
    for peer in PEERS:
        if absent := missing(peer):
            print(f"{peer.name}: skipped, {', '.join(absent)} not installed", file=sys.stderr)
            continue
        print(peer.name, file=sys.stderr)
        versions = ", ".join(f"{p} {metadata.version(p)}" for p in peer.packages)
        report = asked(peer, vectors)
        out += [f"## {peer.name}\n", f"{versions}\n",
                "| vectors | agree | the others equal | first that differs |",
                "| --- | --- | --- | --- |", *rows(report, vectors), ""]  # fmt: skip
    options.out.write_text("\n".join(out).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
