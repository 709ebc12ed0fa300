"""Adapters to other projects, where these are installed; their committed table."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refnet.vectors import check
from refnet.vectors.check import select
from refnet.vectors.cli import vectors_in
from refnet.vectors.lookalikes import LOOKALIKES

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("peers", ROOT / "benchmarks" / "peers.py")
peers = importlib.util.module_from_spec(spec)
sys.modules["peers"] = peers
spec.loader.exec_module(peers)
TABLE = (ROOT / "benchmarks" / "results" / "peers.md").read_text()


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda p: p.name)
def test_adapters_answer_what_they_say(peer):
    if absent := peers.missing(peer):
        pytest.skip(f"{', '.join(absent)} not installed")
    smoke = select(vectors_in([ROOT / "specs" / "vectors"]), tier="smoke")
    report = peers.asked(peer, smoke)
    assert report.passed
    assert {f.kind for f in report.failures} <= {"differs"}


def test_the_committed_table_names_every_peer_and_only_lookalikes():
    assert all(f"## {peer.name}\n" in TABLE for peer in peers.PEERS)
    rows = [line.strip("| ").split(" | ") for line in TABLE.splitlines() if " of " in line]
    names = {part.split(" on ")[0] for row in rows if len(row) > 2 for part in row[2].split(", ")}
    assert names - {"no look-alike"} <= {k.name for k in LOOKALIKES}
    assert len(rows) > 20


def test_requantization_by_a_quantizer_is_asked_scale_by_scale():
    """With a quantizer that rounds as the vectors say, the adapter itself adds no mistake."""
    vectors = select(vectors_in([ROOT / "specs" / "vectors"]), ops=["requantize", "Requantize"])

    def exact(x, scale, type):
        # float32 holds these accumulators, and the quotient by a power of two is exact.
        return np.clip(np.rint(x.astype(np.float64) / scale), type.lo, type.hi)

    simple = [v for v in vectors if v.result != "must_fail"
              and v.attributes["rounding"] == "half_even"
              and all(m & (m - 1) == 0 for m in v.arrays["mult"].ravel().tolist())
              and v.operands[0].data
              and max(abs(int(a)) for a in v.operands[0].data) < 2**24]  # fmt: skip
    report = check(simple, peers.requantized(exact))
    assert report.ok, report.lines()
    assert len(report.passed) > 3


def test_one_that_is_not_installed_is_named():
    absent = replace(peers.PEERS[0], packages=("no-such-package", "numpy"))
    assert peers.missing(absent) == ["no-such-package"]
