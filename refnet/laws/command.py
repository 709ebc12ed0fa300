"""What ``refnet laws`` does; exit code 0, 1 where a law fails, 2 on bad input."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from typing import Any

from refnet.laws.loading import load, read_expected, unexpected
from refnet.laws.process import under_test
from refnet.laws.suite import LawReport, run_laws
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.table import LAWS
from refnet.laws.vectors import replay, save
from refnet.vectors.process import ProcessImplementation


def run(options: argparse.Namespace) -> int:
    """The whole command."""
    if options.list:
        for law in LAWS:
            print(f"[{law.clause}] {law.name}: {law.statement}")
        return 0
    if (options.quantizer is None) == (options.sut is None):
        raise ValueError("laws: rule either MODULE:OBJECT or --sut COMMAND")
    expected = read_expected(options.xfails) if options.xfails else {}
    if options.sut is None:
        return _report([_try(q, options) for q in load(options.quantizer, **_facts(options))],
                       expected, options)
    with ProcessImplementation(options.sut) as process:
        q = under_test(process, parameters=options.parameters, **_facts(options))
        return _report([_try(q, options)], expected, options)


def _facts(options: argparse.Namespace) -> dict[str, Any]:
    """Facts stated on the command line, for functions and processes."""
    found: dict[str, Any] = {}
    if options.levels is not None:
        match = re.fullmatch(r"(-?\d+):(-?\d+)", options.levels)
        if match is None:
            raise ValueError(f"--levels {options.levels}: rule LO:HI, both included")
        found["levels"] = (int(match[1]), int(match[2]))
    for name in ("tie", "scale", "zero_point", "nan", "infinity", "division"):
        if (value := getattr(options, name)) is not None:
            found[name] = value
    if options.dtypes is not None:
        found["dtypes"] = tuple(options.dtypes.split(","))
    return found


def _try(q: QuantizerUnderTest, options: argparse.Namespace) -> LawReport:
    if options.replay is not None:
        return replay(options.replay, q)
    return run_laws(
        q, seed=options.seed, max_examples=options.examples, laws=options.law or None
    )


def _report(
    reports: Sequence[LawReport], expected: dict[str, str], options: argparse.Namespace
) -> int:
    wrong = []
    for report in reports:
        wrong += unexpected(report.failed, report.passed, expected)
        if not report.passed and not report.failed:
            wrong.append("no law was tried")
    if options.save is not None:
        with_failures = [r for r in reports if r.failed]
        if len(with_failures) > 1:
            raise ValueError(f"--save {options.save}: {len(with_failures)} quantizers, rule one")
        for report in with_failures:
            save(report, options.save)
    if options.json:
        print(json.dumps([report.plain() for report in reports], indent=1))
    else:
        for report in reports:
            print("\n".join(report.lines()))
        if expected:
            print("\n".join(wrong) if wrong else "as expected")
    return 1 if wrong else 0
