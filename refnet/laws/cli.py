"""``refnet laws``: the arguments. What they do is loaded when the command is given."""

from __future__ import annotations

import argparse


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its handler is in ``options.handler(options) -> exit code``."""
    parser = commands.add_parser(
        "laws", help="try the laws of quantizers on one of yours",
        description="Try the laws of chapter 08 on a quantizer: an object of a Python module, or a "
        "process that answers JSON lines. Exit code 1 where a law fails.",
    )
    parser.add_argument("quantizer", nargs="?", metavar="MODULE:OBJECT", help="or FILE.py:OBJECT")
    parser.add_argument("--sut", metavar="COMMAND", help="a process instead")
    parser.add_argument("--parameters", action="store_true", help="it is given scale, zero_point")
    for name, kind, what in (
        ("levels", str, "LO:HI"), ("tie", str, "RULE"), ("nan", str, "RULE"),
        ("infinity", str, "RULE"), ("scale", float, "S"), ("zero-point", int, "Z"),
        ("division", str, "HOW"), ("dtypes", str, "NAMES"),
    ):
        parser.add_argument(f"--{name}", type=kind, metavar=what, help="of a function or process")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--examples", type=int, default=200, metavar="N", help="(default: 200)")
    parser.add_argument("--law", action="append", default=[], metavar="NAME", help="repeatable")
    parser.add_argument("--xfails", metavar="FILE", help="laws expected to fail, with reasons")
    parser.add_argument("--save", metavar="FILE.json", help="write counterexamples as vectors")
    parser.add_argument("--replay", metavar="FILE.json", help="try those instead")
    parser.add_argument("--list", action="store_true", help="print all laws")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.set_defaults(handler=_laws)


def _laws(options: argparse.Namespace) -> int:
    try:
        from refnet.laws.command import run
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ValueError("laws: needs hypothesis; pip install 'refnet[laws]'") from None
    return run(options)
