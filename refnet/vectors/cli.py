"""``refnet vectors generate | check | export | explain``; exit 0 pass, 1 failures, 2 bad input.

The program ``refnet`` adds these commands with :func:`add_arguments`; how to make an ``execute``
hook of other packages (the compiled kernels) is handed in, because this package knows none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from refnet.program.files import is_program, load
from refnet.vectors.check import check, select
from refnet.vectors.clauses import read_clauses, specification
from refnet.vectors.expected import read_expected
from refnet.vectors.export import FORMATS, export_program, export_vector, read_npy, write_whole
from refnet.vectors.flags import ERRORS, FLAGS
from refnet.vectors.functions import Implementation
from refnet.vectors.generate import SCHEMA_NAME, TIER_FOLDER, first_difference, write
from refnet.vectors.golden import MANIFEST, golden_input
from refnet.vectors.loading import load_implementation
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.onnxfile import NotInOnnx
from refnet.vectors.outputs import FolderImplementation
from refnet.vectors.process import ProcessImplementation
from refnet.vectors.reading import read
from refnet.vectors.record import TIERS, Vector, VectorError
from refnet.vectors.reference import OPS, TIER_OPS, Execute, executed_by, reference

#: The longest ``--timeout``; threads cannot wait for ever.
MOST_SECONDS = 86400
#: Of ``--tier``: no choice among the tiers.
EVERY_TIER = "all"
#: Makes an execute hook when it is asked for, so that heavy imports wait until then.
MakeExecute = Callable[[], Execute]


def add_arguments(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    executors: Mapping[str, MakeExecute] | None = None,
) -> None:
    """Add the command ``vectors``; its handler is in ``args.handler(args) -> exit code``.

    ``executors`` are further implementations for ``check --implementation``, by name.
    """
    parser = subparsers.add_parser("vectors", help="golden vectors: write, check, convert, explain")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="write the vectors, or compare (--check)"))
    _add_check(commands.add_parser("check", help="check an implementation"), dict(executors or {}))
    _add_export(commands.add_parser("export", help="convert vectors and programs"))
    _add_explain(commands.add_parser("explain", help="explain a clause, flag or look-alike"))


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", type=Path, help="default: the specs' own folder")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where the files differ"
    )
    parser.set_defaults(handler=lambda args: _bounded(_generate, args))


def _add_check(parser: argparse.ArgumentParser, executors: dict[str, MakeExecute]) -> None:
    parser.add_argument("paths", nargs="*", type=Path, help="vector files or folders of them")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--sut", metavar="CMD", help="a process: JSON lines on stdin and stdout")
    names = ("reference", *executors)
    who.add_argument(
        "--callable", metavar="MODULE:OBJECT", help="a Python function of a vector, or FILE.py:NAME"
    )
    who.add_argument(
        "--outputs", metavar="DIR", type=Path,
        help="answers as files: ID.NAME.npy, .bin (memory dump), .mem ($writememh), ID.refused",
    )  # fmt: skip
    who.add_argument("--implementation", choices=names, default="reference")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds an answer may take")
    parser.add_argument(
        "--tier", choices=(*TIERS, EVERY_TIER),
        help="smoke is part of core; default: core, and all that there is in PATHS",
    )  # fmt: skip
    ops = (*OPS, *TIER_OPS)
    parser.add_argument("--op", action="append", choices=ops, default=[], help="repeatable")
    parser.add_argument(
        "--without", action="append", default=[], metavar="CAPABILITY",
        help="leave out vectors that need it, such as Conv.dilation or refuse; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--having", action="append", default=[], metavar="CAPABILITY",
        help="all that the implementation has: leave out what needs anything else; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--expected-failures", type=Path, metavar="FILE",
        help="a line an id and its reason; one that passes is an error",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    parser.set_defaults(handler=lambda args: _bounded(lambda a: _check(a, executors), args))


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", type=Path,
        help="vector files, folders of them, golden folders, or program files (with --input)",
    )  # fmt: skip
    parser.add_argument("--input", type=Path, help="codes of program files: .npy (N, ...)")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--id", action="append", default=[], help="only these ids; repeatable")
    parser.add_argument("--json", action="store_true", help="the paths as JSON")
    parser.set_defaults(handler=lambda args: _bounded(_export, args))


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a clause (4.1.3), flag (TIE), error class or look-alike")
    parser.set_defaults(handler=lambda args: _bounded(_explain, args))


def _bounded(handler: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """The exit code of a handler; bad input is one line and 2."""
    try:
        return handler(args)
    except (ValueError, OSError) as error:
        line = " ".join(str(error).split())
        print(f"refnet vectors: {line}", file=sys.stderr)
        return 2


def _own_folder() -> Path:
    return specification() / "vectors"


def _generate(args: argparse.Namespace) -> int:
    folder = args.directory or _own_folder()
    if args.check:
        found = first_difference(folder)
        print(found or f"{folder}: as generated")
        return 1 if found else 0
    for name in write(folder):
        print(folder / name)
    return 0


def vectors_in(paths: Sequence[Path]) -> list[Vector]:
    """The vectors of files and of folders (every ``*.json`` but the schema), ids once."""
    found: dict[str, Vector] = {}
    for path in paths or [_own_folder()]:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        for file in files:
            if file.name == SCHEMA_NAME and path.is_dir():
                continue
            for vector in read(file).vectors:
                if vector.id in found:
                    raise VectorError(f"{file}: vector {vector.id!r} was read already")
                found[vector.id] = vector
    if not found:
        raise VectorError(f"no vectors in {', '.join(map(str, paths))}")
    return list(found.values())


def _held(args: argparse.Namespace) -> list[Vector]:
    """The vectors among which a check chooses; expected failures may name any of them."""
    if args.paths:
        return vectors_in(args.paths)
    core = _own_folder()
    beyond = args.tier not in (None, "smoke", "core") or args.expected_failures is not None
    return vectors_in([core, core / TIER_FOLDER] if beyond else [core])


def _check(args: argparse.Namespace, executors: Mapping[str, MakeExecute]) -> int:
    if not 0 < args.timeout <= MOST_SECONDS:
        raise VectorError(f"--timeout {args.timeout:g}: rule (0, {MOST_SECONDS}] seconds")
    held, tier = _held(args), args.tier or ("core" if not args.paths else EVERY_TIER)
    chosen = select(
        held, tier=None if tier == EVERY_TIER else tier, ops=args.op, without=args.without,
        having=args.having,
    )  # fmt: skip
    args.expected = {}
    if args.expected_failures is not None:
        args.expected = read_expected(args.expected_failures, (v.id for v in held))
    if args.sut is not None:
        with ProcessImplementation(args.sut, timeout_seconds=args.timeout) as process:
            return _report(chosen, process, args)
    if args.callable is not None:
        return _report(chosen, load_implementation(args.callable), args)
    if args.outputs is not None:
        return _report(chosen, FolderImplementation(args.outputs), args)
    if args.implementation == "reference":
        return _report(chosen, reference, args)
    return _report(chosen, executed_by(executors[args.implementation]()), args)


def _report(
    vectors: Sequence[Vector], implementation: Implementation, args: argparse.Namespace
) -> int:
    report = check(vectors, implementation, expected=args.expected)
    if args.junit is not None:
        write_whole(args.junit, report.junit().encode())
    print(json.dumps(report.plain(), indent=1) if args.json else "\n".join(report.lines()))
    return 0 if report.ok else 1


def _export(args: argparse.Namespace) -> int:
    programs = [p for p in args.paths if (p / MANIFEST).is_file()]
    files = [p for p in args.paths if p.is_file() and is_program(p)]
    rest = [p for p in args.paths if p not in programs and p not in files]
    if (args.input is None) != (not files):
        raise VectorError("--input are the codes of program files: each needs the other")
    held = {v.id: v for v in vectors_in(rest)} if rest else {}
    unknown = sorted(set(args.id) - set(held))
    if unknown:
        raise VectorError(f"no vector {', '.join(unknown)}")
    traced = [golden_input(p) for p in programs]
    traced += [(load(p), read_npy(args.input.read_bytes())) for p in files]
    paths = [p for t in traced for p in export_program(*t, args.format, args.out)]
    left_out: list[str] = []
    for name in args.id or held:
        try:
            paths += export_vector(held[name], args.format, args.out)
        except NotInOnnx as error:
            # Of many, those that the format cannot say are named; of the ones asked for, refused.
            if args.id:
                raise
            left_out.append(str(error))
    if not paths:
        raise VectorError(left_out[0] if left_out else "nothing to export")
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    print(json.dumps([str(p) for p in paths]) if args.json else f"{len(paths)} files in {args.out}")
    return 0


def explained(name: str) -> str:
    """What a clause, flag, error class or look-alike is; :class:`VectorError` for other names."""
    wrong = {k.name: k for k in LOOKALIKES}
    if name in FLAGS:
        return f"{name}: {FLAGS[name]['meaning']}\nfailing suggests: {FLAGS[name]['suggests']}"
    if name in ERRORS:
        return f"error class {name}: {ERRORS[name]}"
    if name in wrong:
        return f"look-alike {name} ({', '.join(wrong[name].ops)}): {wrong[name].meaning}"
    clauses = read_clauses(specification())
    number = name.strip("[]")
    if number in clauses:
        clause = clauses[number]
        return f"[{number}] {clause.title} ({clause.chapter})\n\n{clause.text}"
    raise VectorError(f"{name!r} is no clause, flag, error class or look-alike")


def _explain(args: argparse.Namespace) -> int:
    print(explained(args.name))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The commands without the rest of ``refnet``; ``argv`` begins with ``vectors``."""
    parser = argparse.ArgumentParser(prog="refnet")
    add_arguments(parser.add_subparsers(required=True, metavar="COMMAND"))
    args = parser.parse_args(argv)
    code: int = args.handler(args)
    return code
