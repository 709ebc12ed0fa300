"""How well the laws tell wrong quantizers from right ones, over many seeds.

    python benchmarks/laws.py --kills 20 --alarms 200

Every mutant must break a law for every seed; no right quantizer may break one for any. Prints what
went wrong and writes benchmarks/results/laws.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from refnet.laws.bench import Bench
from refnet.laws.case import Counterexample
from refnet.laws.mutants import MUTANTS, RIGHT
from refnet.laws.protocol import of
from refnet.laws.suite import broken_law, draw_cases, judge, run_laws
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


def survivors(seeds: int, examples: int) -> list[str]:
    """Mutants that break no law, with the seed."""
    found = []
    for seed in range(seeds):
        found += [
            f"{mutant.name} (seed {seed})" for mutant in MUTANTS
            if broken_law(mutant.under_test, seed=seed, max_examples=examples) is None
        ]
        print(f"seed {seed}: {len(found)} survivors", file=sys.stderr)
    return found


def alarms(q: QuantizerUnderTest, seeds: int, examples: int) -> list[str]:
    """Laws that a right quantizer breaks. Enumerated cases have no seed and are tried once."""
    report = run_laws(q, max_examples=1)
    found = [f"{q.name}: {name}" for name in report.failed]
    bench = Bench(q)
    tried = [law for law in LAWS if law.name in report.passed]
    for seed in range(seeds):
        drawn = {}
        for law in tried:
            strategy = bench.cases(law.cases)[1]
            if strategy is None:
                continue
            if law.cases not in drawn:
                drawn[law.cases] = draw_cases(strategy, seed, examples)
            for case in drawn[law.cases]:
                if isinstance(judge(law, bench, case), Counterexample):
                    found.append(f"{q.name}: {law.name} (seed {seed})")
                    break
    print(f"{q.name}: {found or 'no alarm'}", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, metavar="SEEDS")
    parser.add_argument("--alarms", type=int, default=200, metavar="SEEDS")
    parser.add_argument("--kill-examples", type=int, default=200, help="(default: 200)")
    parser.add_argument("--alarm-examples", type=int, default=50, help="(default: 50)")
    options = parser.parse_args()
    start = time.process_time()
    right = [*RIGHT.values(), *map(record, QUANTIZERS)]
    result = {
        "mutants": len(MUTANTS), "right_quantizers": len(right), "kill_seeds": options.kills,
        "kill_examples": options.kill_examples,
        "survivors": survivors(options.kills, options.kill_examples),
        "alarm_seeds": options.alarms, "alarm_examples": options.alarm_examples,
        "alarms": [a for q in right for a in alarms(q, options.alarms, options.alarm_examples)],
    }
    print(f"{time.process_time() - start:.0f} s of CPU", file=sys.stderr)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 1 if result["survivors"] or result["alarms"] else 0


if __name__ == "__main__":
    sys.exit(main())
