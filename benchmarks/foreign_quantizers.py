"""Which laws hold for quantizers of other projects, with a counterexample for each that does not.

    python benchmarks/foreign_quantizers.py [--out FILE.md]

Tries what is installed of ONNX Runtime, PyTorch, torchao and Brevitas, names what is not, and runs
every counterexample again as three lines of Python that use the package alone. Writes
benchmarks/results/foreign_quantizers.md.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from refnet.laws import QuantizerUnderTest, run_laws
from refnet.laws.case import Counterexample
from refnet.laws.suite import LawReport
from refnet.laws.table import NAMES

RESULTS = Path(__file__).parent / "results" / "foreign_quantizers.md"
#: Normal scales, so that what is shown is no matter of subnormal numbers.
NORMAL = {"float32": (2.0**-126, 2.0**100), "float16": (2.0**-14, 2.0**9)}
#: Laws about memory are those of the adapter, which copies; they are left out.
ADAPTED = ("layout", "pure", "shape", "repeatable", "code_dtype")
ONNX_MODEL = (
    '<ir_version: 9, opset_import: ["" : 19]> q (KIND[n] x, KIND s, int8 z) => (int8[n] y) '
    "{ y = QuantizeLinear(x, s, z) }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A quantizer of another project: packages, facts, and three lines that ask it one real.

    ``make`` claims round(x / scale) + zero, ties to even, exactly; ``otherwise`` is nearer to what
    it computes, in words and as facts.

    ``<x>``, ``<scale>``, ``<zero>`` stand for numbers in the lines; ``code`` is the answer.
    """

    name: str
    packages: tuple[str, ...]
    make: Callable[[], QuantizerUnderTest]
    lines: str
    gradient_lines: str = ""
    otherwise: tuple[str, dict[str, Any]] = (
        "x / scale in the dtype of x", {"division": "input"}
    )


def _onnx(kind: str) -> Callable[[], QuantizerUnderTest]:
    def make() -> QuantizerUnderTest:
        import onnx
        import onnxruntime

        model = onnx.parser.parse_model(ONNX_MODEL.replace("KIND", kind))
        session = onnxruntime.InferenceSession(model.SerializeToString())
        dtype = "float32" if kind == "float" else kind

        def quantize(x: Any, scale: float, zero_point: int) -> Any:
            flat = np.array(x).ravel()
            given = {"x": flat, "s": np.array(scale, dtype), "z": np.array(zero_point, "int8")}
            return session.run(None, given)[0].reshape(np.shape(x))

        return QuantizerUnderTest(
            quantize, levels=(-128, 127), tie="even", dtypes=(dtype,), scale_dtype=dtype
        )

    return make


def _torch() -> QuantizerUnderTest:
    import torch

    def fake(x: Any, scale: float, zero_point: int) -> Any:
        given = torch.as_tensor(np.array(x))
        return torch.fake_quantize_per_tensor_affine(given, scale, zero_point, -8, 7)

    def quantize(x: Any, scale: float, zero_point: int) -> Any:
        back = fake(x, scale, zero_point).numpy().astype(np.float64)
        return np.rint(back / scale) + zero_point

    def grad(x: Any, g: Any, scale: float, zero_point: int) -> Any:
        leaf = torch.as_tensor(np.array(x)).requires_grad_()
        y = torch.fake_quantize_per_tensor_affine(leaf, scale, zero_point, -8, 7)
        y.backward(torch.as_tensor(np.array(g)))
        return leaf.grad.numpy()

    return QuantizerUnderTest(
        quantize, levels=(-8, 7), tie="even", dtypes=("float32",), grad=grad, passes="cells"
    )


def _torch_quantize() -> QuantizerUnderTest:
    import torch

    def quantize(x: Any, scale: float, zero_point: int) -> Any:
        given = torch.as_tensor(np.array(x))
        return torch.quantize_per_tensor(given, scale, zero_point, torch.qint8).int_repr().numpy()

    return QuantizerUnderTest(quantize, levels=(-128, 127), tie="even", dtypes=("float32",))


def _torchao() -> QuantizerUnderTest:
    import torch
    from torchao.quantization.quant_primitives import quantize_affine

    def quantize(x: Any, scale: float, zero_point: int) -> Any:
        flat = torch.as_tensor(np.array(x).ravel())
        if not flat.numel():
            return np.zeros(np.shape(x), np.int8)
        s, z = torch.tensor(scale), torch.tensor(zero_point)
        codes = quantize_affine(flat, (flat.numel(),), s, z, torch.int8, -8, 7)
        return codes.numpy().reshape(np.shape(x))

    return QuantizerUnderTest(quantize, levels=(-8, 7), tie="even", dtypes=("float32",))


def _brevitas() -> QuantizerUnderTest:
    import torch
    from brevitas.core.function_wrapper import Identity
    from brevitas.core.quant import IntQuant

    quant = IntQuant(narrow_range=False, signed=True, input_view_impl=Identity())

    def quantize(x: Any, scale: float, zero_point: int) -> Any:
        given = (torch.tensor(v) for v in (scale, float(zero_point), 4.0))
        return quant.to_int(*given, torch.as_tensor(np.array(x))).detach().numpy()

    return QuantizerUnderTest(quantize, levels=(-8, 7), tie="even", dtypes=("float32",))


def _brevitas_ternary() -> QuantizerUnderTest:
    import torch
    from brevitas.core.quant import TernaryQuant
    from brevitas.core.scaling import ConstScaling

    quant = TernaryQuant(ConstScaling(1.0), threshold=0.35)

    def quantize(x: Any) -> Any:
        return quant(torch.as_tensor(np.array(x)))[0].detach().numpy()

    bounds = [-float(np.float32(0.35)), float(np.float32(0.35))]
    return QuantizerUnderTest(
        quantize, levels=(-1, 1), thresholds=bounds, tie="zero", dtypes=("float32",)
    )


_FAKE = (
    "import torch\n"
    "y = torch.fake_quantize_per_tensor_affine(torch.tensor([<x>]), <scale>, <zero>, -8, 7)\n"
    "code = round(float(y[0]) / <scale>) + <zero>"
)
_FAKE_GRADIENT = (
    "import torch; x = torch.tensor([<x>], requires_grad=True)\n"
    "torch.fake_quantize_per_tensor_affine(x, <scale>, <zero>, -8, 7).sum().backward()\n"
    "code = float(x.grad[0])"
)


def _onnx_runtime(kind: str, dtype: str) -> Foreign:
    model = ONNX_MODEL.replace("KIND", kind)
    return Foreign(
        name=f"ONNX Runtime QuantizeLinear, {dtype}", packages=("onnxruntime", "onnx"),
        make=_onnx(kind), lines=(
            "import numpy as np, onnx, onnxruntime as ort; a = np.array\n"
            f"s = ort.InferenceSession(onnx.parser.parse_model('{model}').SerializeToString())\n"
            f"code = s.run(None, dict(x=a([<x>], '{dtype}'), s=a(<scale>, '{dtype}'), "
            "z=a(<zero>, 'int8')))[0][0]"
        ),
    )


FOREIGN: tuple[Foreign, ...] = (
    _onnx_runtime("float", "float32"),
    _onnx_runtime("float16", "float16"),
    Foreign(
        name="PyTorch fake_quantize_per_tensor_affine", packages=("torch",), make=_torch,
        lines=_FAKE, gradient_lines=_FAKE_GRADIENT, otherwise=(
            "x / scale in the dtype of x, gradient open at the upper bound",
            {"division": "input", "inclusive": "low"},
        ),
    ),
    Foreign(
        name="PyTorch quantize_per_tensor", packages=("torch",), make=_torch_quantize, lines=(
            "import torch\n"
            "y = torch.quantize_per_tensor(torch.tensor([<x>]), <scale>, <zero>, torch.qint8)\n"
            "code = int(y.int_repr()[0])"
        ),
    ),
    Foreign(
        name="torchao quantize_affine", packages=("torchao", "torch"), make=_torchao, lines=(
            "import torch\n"
            "from torchao.quantization.quant_primitives import quantize_affine as q\n"
            "code = int(q(torch.tensor([<x>]), (1,), torch.tensor(<scale>), torch.tensor(<zero>), "
            "torch.int8, -8, 7)[0])"
        ),
    ),
    Foreign(
        name="Brevitas IntQuant", packages=("brevitas", "torch"), make=_brevitas, otherwise=(
            "x / scale in the dtype of x, the zero point added before rounding",
            {"division": "input", "tie": "even_code"},
        ), lines=(
            "import torch; from brevitas.core.quant import IntQuant as Q; "
            "from brevitas.core.function_wrapper import Identity\n"
            "q, t = Q(narrow_range=False, signed=True, input_view_impl=Identity()), torch.tensor\n"
            "code = int(q.to_int(t(<scale>), t(<zero>.0), t(4.0), t([<x>]))[0])"
        ),
    ),
    Foreign(
        name="Brevitas TernaryQuant, threshold 0.35", packages=("brevitas", "torch"),
        make=_brevitas_ternary, lines=(
            "import torch; from brevitas.core.quant import TernaryQuant as Q\n"
            "from brevitas.core.scaling import ConstScaling\n"
            "code = int(Q(ConstScaling(1.0), threshold=0.35)(torch.tensor([<x>]))[0][0])"
        ),
    ),
)


def missing(foreign: Foreign) -> list[str]:
    """Packages of it that are not installed."""
    found = []
    for package in foreign.packages:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            found.append(package)
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What other packages say while they load is not ours to report."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def tried(foreign: Foreign, examples: int, **facts: Any) -> LawReport:
    """The report of a quantizer that is installed, with further facts."""
    with quiet():
        q = foreign.make()
        given: dict[str, Any] = {"infinity": None, "disclaims": ADAPTED, "name": foreign.name}
        if q.parameters:
            given["scale_range"] = NORMAL[q.dtypes[0]]
        return run_laws(replace(q, **given | facts), max_examples=examples)


def reproduced(foreign: Foreign, law: str, found: Counterexample) -> str | None:
    """Three lines that show the counterexample of a law; None where they show something else."""
    if found.value is None:
        return None
    gradient, params = law == "gradient", found.case.params
    # That law looks at the code with the next zero point.
    zero = (params.zero_point or 0) + (law == "zero_point_shift")
    lines = foreign.gradient_lines if gradient else foreign.lines
    for name, number in (("x", found.value), ("scale", params.scale), ("zero", zero)):
        lines = lines.replace(f"<{name}>", repr(number))
    held: dict[str, Any] = {}
    with quiet():
        exec(lines, held)
    if gradient:
        return f"{lines}  # {held['code']}"
    if held["code"] != found.got:
        return None
    right = "" if found.right is None else f", right is {' or '.join(map(str, found.right))}"
    return f"{lines}  # {found.got}{right}"


def section(foreign: Foreign, first: LawReport, second: LawReport | None) -> list[str]:
    """What the file says about one quantizer: the counterexamples of the first claim."""
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in foreign.packages)
    out = [f"## {foreign.name}\n", f"{versions}\n"]
    for name, found in first.counterexamples.items():
        out += [f"`{name}`: {found.detail}", ""]
        if (lines := reproduced(foreign, name, found)) is not None:
            out += ["```python", lines, "```", ""]
    if second is not None:
        broken = ", ".join(f"`{name}`" for name in second.failed) or "no law"
        out += [f"Claimed as {foreign.otherwise[0]}, it breaks {broken}.", ""]
    return out


def table(reports: dict[str, LawReport]) -> str:
    """Quantizers and laws: holds, broken, not tried."""
    columns = [n for n in NAMES if any(n in r.passed + r.failed for r in reports.values())]
    rows = [["", *columns], ["---"] * (len(columns) + 1)]
    for name, report in reports.items():
        marks = ["broken" if n in report.failed else "holds" if n in report.passed else ""
                 for n in columns]
        rows.append([name, *marks])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    today = datetime.date.today().isoformat()
    out = [
        "# Laws of quantizers of other projects\n",
        f"Written by `python benchmarks/foreign_quantizers.py` on {today}, NumPy {np.__version__}, "
        f"{options.examples} drawn examples a law, normal scales. Claimed is clip(round(x / scale) "
        "+ zero), ties to even, the quotient exact. A broken law is no verdict: most projects "
        "promise less. It says where two of them will differ.\n",
    ]
    reports: dict[str, LawReport] = {}
    sections: list[str] = []
    for foreign in FOREIGN:
        if absent := missing(foreign):
            print(f"{foreign.name}: skipped, {', '.join(absent)} not installed", file=sys.stderr)
            continue
        print(foreign.name, file=sys.stderr)
        reports[foreign.name] = first = tried(foreign, options.examples)
        second = None
        if first.failed:
            second = tried(foreign, options.examples, **foreign.otherwise[1])
        sections += section(foreign, first, second)
    out += [table(reports), "", *sections]
    options.out.write_text("\n".join(out).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
