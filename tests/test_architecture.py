"""The floors of the house: who may import whom, light imports, sizes, docstrings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("refnet/**/*.py"), *ROOT.glob("hwsim/**/*.py")])
SOFT_LINES, HARD_LINES, FUNCTION_LINES = 300, 400, 40

# What each room may import beside the standard library and numpy: rooms of the project, then
# packages. A room that is not in the table fails.
FLOORS: dict[str, tuple[set[str], set[str]]] = {
    "refnet": (set(), set()),
    "refnet.program": (set(), set()),
    "refnet.compiled": (set(), {"numba"}),
    "refnet.kernels": ({"refnet.compiled", "refnet.program"}, {"numba", "llvmlite"}),
    # The solvers of chapter 06, and onnx, are reached inside the functions that ask them.
    "refnet.vectors": ({"refnet.methods", "refnet.program", "refnet.quant"}, {"onnx"}),
    # A counterexample is saved as a vector, and a process is asked as one.
    "refnet.laws": ({"refnet.program", "refnet.vectors"}, {"hypothesis", "pytest"}),
    # The compiled convolution; the compiler is loaded when it is first called.
    "refnet.autograd": ({"refnet.compiled"}, {"numba"}),
    "refnet.nn": ({"refnet.autograd"}, {"tqdm", "PIL"}),
    "refnet.quant": ({"refnet.autograd", "refnet.nn", "refnet.program"}, set()),
    "refnet.methods": (
        {"refnet.autograd", "refnet.compiled", "refnet.nn", "refnet.quant", "refnet.program"},
        {"scipy"},
    ),
    "refnet.lower": ({"refnet.nn", "refnet.quant", "refnet.program"}, set()),
    # Float networks by the compiled convolutions.
    "refnet.inference": (
        {"refnet.autograd", "refnet.kernels", "refnet.nn", "refnet.program"},
        set(),
    ),
    "refnet.compiler": (
        {
            "hwsim", "refnet.autograd", "refnet.kernels", "refnet.lower", "refnet.methods",
            "refnet.nn", "refnet.program", "refnet.quant", "refnet.vectors",
        },
        {"tqdm", "matplotlib"},
    ),
    "refnet.cli": (
        {
            "hwsim", "refnet.compiled", "refnet.compiler", "refnet.kernels", "refnet.laws",
            "refnet.methods", "refnet.nn", "refnet.program", "refnet.vectors",
        },
        set(),
    ),
    "hwsim": (set(), {"distributed", "matplotlib", "tqdm"}),
}
# Of the integer core, quant takes numbers and geometry, nothing that runs.
QUANT_FROM_PROGRAM = {"types", "arith", "window", "operators", "pooling"}
DOOR = ROOT / "hwsim" / "workload.py"


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "hwsim" or parts == ("refnet", "__init__"):
        return parts[0]
    return ".".join(parts[:2])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def local_room(name: str) -> str:
    parts = name.split(".")
    return parts[0] if parts[0] == "hwsim" else ".".join(parts[:2])


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_stay_on_their_floor(path: Path) -> None:
    own = room(path)
    rooms, packages = FLOORS[own]
    known = {name for name in FLOORS if name.count(".")} | {"hwsim"}
    for name in imports(path):
        top = name.split(".")[0]
        if top in {"refnet", "hwsim"}:
            target = local_room(name)
            if target not in known or target == own:
                continue
            allowed = rooms | ({"refnet.program"} if path == DOOR else set())
            assert target in allowed, f"{own} imports {name}"
        elif top not in sys.stdlib_module_names and top != "numpy":
            assert top in packages, f"{own} imports {name}"
            if top == "matplotlib":
                assert path.name == "plot.py", f"{path} imports matplotlib"


def test_every_room_of_the_table_exists() -> None:
    assert {room(path) for path in SOURCES} == set(FLOORS)


def test_quant_takes_only_numbers_and_geometry_from_the_program() -> None:
    for path in ROOT.glob("refnet/quant/*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[:2] == ["refnet", "program"]:
                assert len(parts) > 2, f"{path} imports {name}"
                assert parts[2] in QUANT_FROM_PROGRAM, f"{path} imports {name}"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("hwsim", ["numba", "scipy", "matplotlib", "hypothesis", "refnet.autograd"]),
        ("refnet", ["numpy", "numba", "scipy", "matplotlib", "hypothesis", "refnet.laws"]),
        ("refnet.laws.cli", ["numpy", "hypothesis", "pytest"]),
        ("refnet.program", ["numba", "scipy", "matplotlib", "refnet.autograd"]),
        ("refnet.vectors.cli", ["numba", "scipy", "matplotlib", "refnet.autograd"]),
        ("refnet.cli", ["numba", "scipy", "matplotlib", "hypothesis", "numpy"]),
    ],
)
def test_imports_are_light(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= HARD_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            body = lines - docstring_lines(node)
            assert body <= FUNCTION_LINES, f"{path}: {node.name} has {body} lines"


def docstring_lines(node: ast.FunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None or not isinstance(first, ast.Expr):
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def test_most_files_stay_within_the_soft_budget() -> None:
    over = [p for p in SOURCES if len(p.read_text().splitlines()) > SOFT_LINES]
    assert len(over) * 20 <= len(SOURCES), over


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not any(ast.unparse(d) == "overload" for d in node.decorator_list):
            assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"
