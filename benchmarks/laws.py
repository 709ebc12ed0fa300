"""How well the laws tell wrong quantizers from right ones, over many seeds.

    python benchmarks/laws.py --kills 20 --alarms 200

Every mutant must break a law for every seed; no right quantizer may break one for any. Prints what
went wrong and writes benchmarks/results/laws.json after every seed: run again, it goes on from
there, unless the laws have changed since.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import refnet.laws
from refnet.laws.bench import Bench
from refnet.laws.case import Counterexample
from refnet.laws.mutants import MUTANTS, RIGHT
from refnet.laws.protocol import of
from refnet.laws.suite import afterwards, broken_law, draw_cases, judge, run_laws
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.table import LAWS
from refnet.quant import QUANTIZERS, TTQ, TWN, DoReFaWeights, LQWeights, Quantizer

RESULTS = Path(__file__).parent / "results" / "laws.json"


#: Weight rules whose boundaries are no midpoints of their levels.
NOT_NEAREST = (TWN, TTQ, DoReFaWeights, LQWeights)


def record(make: type[Quantizer]) -> QuantizerUnderTest:
    """A quantizer of the project with what it claims."""
    disclaims = ("nearest", "error_bound") if issubclass(make, NOT_NEAREST) else ()
    return of(make(), name=make.__name__, disclaims=disclaims)


class RightOne:
    """A right quantizer, tried on what has no seed once and on drawn cases seed by seed."""

    def __init__(self, q: QuantizerUnderTest) -> None:
        self.q = q
        report = run_laws(q, max_examples=1)
        self.found = [f"{q.name}: {name}" for name in report.failed]
        self.laws = [law for law in LAWS if law.name in report.passed]
        self.bench = Bench(q)

    def alarms(self, seed: int, examples: int) -> list[str]:
        """Laws that it breaks on the cases of this seed."""
        found, drawn = [], {}
        for law in self.laws:
            strategy = self.bench.cases(law.cases)[1]
            if strategy is None:
                continue
            if law.cases not in drawn:
                drawn[law.cases] = draw_cases(strategy, seed, examples)
            if any(isinstance(judge(law, self.bench, c), Counterexample) for c in drawn[law.cases]):
                found.append(f"{self.q.name}: {law.name} (seed {seed})")
        names = [law.name for law in self.laws]
        later = [f"{self.q.name}: {n} (seed {seed})" for n in afterwards(self.bench, names)]
        return found + later


def survivors(seed: int, examples: int) -> list[str]:
    """Mutants that break no law for this seed."""
    return [
        mutant.name for mutant in MUTANTS
        if broken_law(mutant.under_test, seed=seed, max_examples=examples) is None
    ]


def state_of_the_laws() -> str:
    """A digest of the sources of the laws: results of other laws are not continued."""
    held = hashlib.sha256()
    for path in sorted(Path(refnet.laws.__path__[0]).glob("*.py")):
        held.update(path.read_bytes())
    return held.hexdigest()[:16]


def write(result: dict[str, Any], path: Path) -> None:
    """The file as a whole."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result, indent=1) + "\n")
    new.replace(path)


def started(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The results so far, or none."""
    fresh = {
        "laws": state_of_the_laws(), "mutants": len(MUTANTS),
        "right_quantizers": len(RIGHT) + len(QUANTIZERS),
        "kill_examples": options.kill_examples, "alarm_examples": options.alarm_examples,
        "kill_seeds": [], "survivors": [], "alarm_seeds": [], "alarms": [], "cpu_seconds": 0,
    }
    if not path.is_file():
        return fresh
    held = json.loads(path.read_text())
    same = all(held.get(k) == fresh[k] for k in list(fresh)[:5])
    return held if same else fresh


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, metavar="SEEDS")
    parser.add_argument("--alarms", type=int, default=200, metavar="SEEDS")
    parser.add_argument("--kill-examples", type=int, default=200, help="(default: 200)")
    parser.add_argument("--alarm-examples", type=int, default=50, help="(default: 50)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args()
    result = started(options.out, options)
    for seed in range(options.kills):
        if seed not in result["kill_seeds"]:
            start = time.process_time()
            found = survivors(seed, options.kill_examples)
            result["survivors"] += [f"{name} (seed {seed})" for name in found]
            _done(result, "kill_seeds", seed, start, options.out)
    right: list[RightOne] = []
    for seed in range(options.alarms):
        if seed not in result["alarm_seeds"]:
            start = time.process_time()
            if not right:
                right = [RightOne(q) for q in (*RIGHT.values(), *map(record, QUANTIZERS))]
                result["alarms"] += [a for one in right for a in one.found]
            for one in right:
                result["alarms"] += one.alarms(seed, options.alarm_examples)
            result["alarms"] = sorted(set(result["alarms"]))
            _done(result, "alarm_seeds", seed, start, options.out)
    print(json.dumps(result))
    return 1 if result["survivors"] or result["alarms"] else 0


def _done(result: dict[str, Any], what: str, seed: int, start: float, path: Path) -> None:
    result[what].append(seed)
    result["cpu_seconds"] = round(result["cpu_seconds"] + time.process_time() - start, 1)
    write(result, path)
    wrong = len(result["survivors"]) + len(result["alarms"])
    print(f"{what} {seed}: {wrong} wrong, {result['cpu_seconds']} s of CPU", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
