"""The command line ``hwsim``: simulate a workload, list the architectures."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hwsim import presets
from hwsim.report import Report
from hwsim.simulator import simulate
from hwsim.workload import load

_FIGURES = (".png", ".svg", ".pdf")


class _Parser(argparse.ArgumentParser):
    """Bad usage gets one line like every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 after one line about bad input."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        return _refuse(f"{what}{error.strerror or error}")
    except ValueError as error:
        return _refuse(str(error))
    return 0


def _refuse(message: str) -> int:
    print(f"hwsim: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hwsim", description="Cycles and energy of networks on accelerators.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_simulate(commands)
    _add_compare(commands)
    published = commands.add_parser(
        "published", help="published machines: what the model gives, what was published",
        description="Every figure with its source, the ratio, and what the difference is.",
    )
    published.set_defaults(command=_published)
    published.add_argument("--json", action="store_true", help="print the rows as JSON")
    archs = commands.add_parser(
        "archs", help="the named architectures and their sources",
        description="The architectures that --arch knows by name.",
    )
    archs.set_defaults(command=_archs)
    archs.add_argument("--json", action="store_true", help="print them as JSON")
    return parser


def _add_simulate(commands: Any) -> None:
    sim = commands.add_parser(
        "simulate", help="cost of a workload on an architecture",
        description="Cycles, memory traffic and energy of every layer of a workload.",
    )
    sim.set_defaults(command=_simulate)
    sim.add_argument("workload", metavar="WORKLOAD", help="a program file or a topology CSV")
    sim.add_argument("--arch", metavar="NAME_OR_TOML", help="a preset, or a TOML file")
    sim.add_argument("--config", metavar="FILE.cfg",
                     help="a SCALE-Sim configuration instead of --arch")
    sim.add_argument("--compat", choices=("scalesim-3.0.0",),
                     help="report what that tool would report of a topology CSV, bugs included")
    sim.add_argument("--reports", metavar="DIR",
                     help="with --compat: write the report CSVs of the tool there")
    sim.add_argument("--topology", choices=("conv", "gemm"),
                     help="layout of a topology CSV (default conv)")
    sim.add_argument(
        "--as", dest="method", metavar="METHOD", help="the network as blockterm[:R=4,ratio=2], "
        "factorized or twostep would make it, by its shapes",
    )
    sim.add_argument(
        "--codes", metavar="FILE.npy", help="input codes of a program: it is run on them, so that "
        "zeros among the activations are known to architectures that skip them",
    )
    sim.add_argument("--fuse", action="store_true", help="run chains of layers tile by tile where "
                     "that saves DRAM traffic; needs a memory for maps")
    sim.add_argument("--json", action="store_true", help="print the report as JSON, not a table")
    sim.add_argument("--csv", metavar="PATH", help="also write a CSV, one line a layer")
    sim.add_argument("--plot", metavar="PATH",
                     help="also write bars of every layer (.png, .svg, .pdf)")
    sim.add_argument("--roofline", metavar="PATH",
                     help="also write a roofline (.png, .svg, .pdf)")


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare", help="latency, energy and area of workloads on several machines",
        description="Kinds of PE are brought to the area, or to the bits of operands a clock, of "
        "the first architecture that is named, on its memories.",
    )
    parser.set_defaults(command=_compare)
    parser.add_argument("workloads", nargs="+", metavar="PROGRAM_OR_TOPOLOGY")
    parser.add_argument("--arch", required=True, metavar="A,B,C",
                        help="presets, TOML files, or kinds of PE (int8, ternary2-dot, ...)")
    parser.add_argument("--equal", choices=("area", "bandwidth"), default="area",
                        help="what kinds of PE share with the first architecture (default area)")
    parser.add_argument("--as", dest="methods", metavar="METHOD", action="append",
                        help="a topology as this method would make it, 'none' for as it is; may be "
                        "repeated")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--csv", metavar="PATH", help="also write a CSV, one line a pair")
    parser.add_argument("--plot", metavar="PATH",
                        help="also write energy against latency (.png, .svg, .pdf)")


def _compare(options: argparse.Namespace) -> None:
    from hwsim.compare import compare, machines
    from hwsim.shapes import Shape, as_method

    _check_figures(options, "plot")
    workloads = []
    for path in options.workloads:
        workload = load(path)
        workloads += [workload if text == "none" else as_method(workload, Shape.parse(text))
                      for text in options.methods or ["none"]]
    found = compare(workloads, machines(options.arch.split(","), options.equal))
    if options.csv is not None:
        _write(options.csv, lambda path: _save_text(path, found.to_csv()))
    if options.plot is not None:
        from hwsim import plot

        format = Path(options.plot).suffix.lower()[1:]
        _write(options.plot, lambda path: plot.compared(found, path, format=format))
    sys.stdout.write(found.to_json() if options.json else found.to_table())


def _published(options: argparse.Namespace) -> None:
    from hwsim.published import rows, to_table

    found = rows()
    text = json.dumps([row.as_dict() for row in found], indent=2) + "\n"
    sys.stdout.write(text if options.json else to_table(found))


def _check_figures(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        target = getattr(options, name)
        if target is not None and Path(target).suffix.lower() not in _FIGURES:
            raise ValueError(f"--{name} {target}: rule a name that ends in {', '.join(_FIGURES)}")


def _simulate(options: argparse.Namespace) -> None:
    _check_figures(options, "plot", "roofline")
    if options.compat is not None:
        _compatible(options)
        return
    if options.reports is not None or (options.arch is None) == (options.config is None):
        raise ValueError("rule either --arch or --config, and --reports only with --compat")
    if options.config is None:
        architecture = presets.resolve(options.arch)
    else:
        from hwsim.scalesim import architecture_of, read_config

        architecture = architecture_of(read_config(options.config))
    workload = load(options.workload, kind=options.topology, codes=options.codes)
    if options.method is not None:
        from hwsim.shapes import Shape, as_method

        workload = as_method(workload, Shape.parse(options.method))
    if options.fuse:
        from hwsim.fusion import simulate_fused

        report = simulate_fused(workload, architecture)
    else:
        report = simulate(workload, architecture)
    if options.csv is not None:
        _write(options.csv, lambda path: _save_text(path, report.to_csv()))
    for name in ("plot", "roofline"):
        if getattr(options, name) is not None:
            _figure(name, report, getattr(options, name))
    sys.stdout.write(report.to_json() if options.json else report.to_table())


def _compatible(options: argparse.Namespace) -> None:
    from hwsim.scalesim import simulate, write_reports

    if options.config is None:
        raise ValueError(f"--compat {options.compat}: rule a SCALE-Sim configuration by --config")
    for flag, value in (("arch", options.arch), ("csv", options.csv), ("plot", options.plot),
                        ("as", options.method), ("codes", options.codes),
                        ("fuse", options.fuse or None)):
        if value is not None:
            raise ValueError(f"--compat {options.compat}: rule no --{flag}")
    run = simulate(options.workload, options.config, kind=options.topology or "conv")
    if options.reports is not None:
        write_reports(run.reports(), options.reports)
    sys.stdout.write(run.to_json() if options.json else run.to_table())


def _save_text(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


def _figure(name: str, report: Report, target: str) -> None:
    from hwsim import plot

    format = Path(target).suffix.lower()[1:]
    draw = {"plot": plot.plot, "roofline": plot.roofline}[name]
    _write(target, lambda path: draw(report, path, format=format))


def _write(target: str, save: Callable[[str], None]) -> None:
    """Write under a temporary name in the same folder, then rename: all or nothing."""
    folder = Path(target).absolute().parent
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".hwsim-", suffix=".part")
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from None
    os.close(handle)
    try:
        save(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, target) from None
        raise


def _umask() -> int:
    """The mask of new files; reading it needs a change and a change back."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _archs(options: argparse.Namespace) -> None:
    if options.json:
        known = [architecture.as_dict() for architecture in presets.EVERY]
        sys.stdout.write(json.dumps(known, indent=2) + "\n")
        return
    for a in presets.EVERY:
        sizes = {"input": a.input, "weights": a.weights, "output": a.output, "maps": a.maps}
        memories = ", ".join(f"{name} {memory.bytes // 1024} KiB"
                             for name, memory in sizes.items() if memory is not None)
        print(f"{a.name}: {a.size} {a.pe}, {a.described}, {a.clock_hz / 1e6:g} MHz; {memories}; "
              f"{a.dram.kind} {a.dram.bandwidth_bits_per_cycle} bits a cycle; {a.technology}")
        print(f"    {a.source}")


if __name__ == "__main__":
    sys.exit(main())
