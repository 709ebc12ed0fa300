"""The tier ``methods`` against its oracle, and what its vectors promise."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import oracle_layers as oracle
import pytest
from test_vectors_oracle import nested

from refnet.vectors.check import killed
from refnet.vectors.cli import vectors_in
from refnet.vectors.layers import LAYER_FUNCTIONS
from refnet.vectors.record import Vector
from refnet.vectors.reference import reference

FILE = Path(__file__).parents[1] / "specs" / "vectors" / "tiers" / "methods.json"


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([FILE]))


def answered(vector: Vector) -> dict[str, list]:
    held = {a.name: nested(a) for a in vector.inputs}
    given = dict(vector.attributes)
    match vector.op:
        case "weight_rule" | "activation_rule":
            return {"codes": getattr(oracle, vector.op)(*held.values(), **given)}
        case "linear_layer":
            found = oracle.linear_layer(**held, **given)
            return dict(zip(("codes", "alpha", "bias"), found, strict=True))
        case "kept_iterate":
            return {"kept": oracle.kept_iterate(**held)}
        case "dead_filters":
            return dict(zip(("codes", "scale"), oracle.dead_filters(**held, **given), strict=True))
        case "latents":
            return {"latent": oracle.latents(**held, **given)}
    second = [held[f"{n}2"] for n in "AGB"]
    found = oracle.term_distance([held[n] for n in "AGB"], second)
    return dict(zip(("distance", "norm"), found, strict=True))


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v.id)
def test_expected_outputs_are_those_of_the_oracle(vector: Vector) -> None:
    assert not killed(vector, reference)
    want = {a.name: nested(a) for a in vector.outputs}
    if vector.op == "canonical_terms":
        held = {a.name: nested(a) for a in vector.inputs}
        given, found = ([d[n] for n in "AGB"] for d in (held, want))
        assert oracle.is_canonical(*found)
        assert not oracle.is_canonical(*given)
        assert oracle.tensor(*found) == oracle.tensor(*given)
    else:
        assert answered(vector) == want


def test_every_op_of_the_tier_is_asked_and_every_vector_kills() -> None:
    assert {v.op for v in vectors()} == set(LAYER_FUNCTIONS)
    assert {v.tier for v in vectors()} == {"methods"}
    assert [v.id for v in vectors() if not v.kills] == []


@pytest.mark.parametrize(("key", "found"), oracle.HALF_WAVES.items())
def test_the_digits_of_half_waves(key: tuple[int, float | None], found: tuple[str, str]) -> None:
    """[6.8.6]: the error of each delta by a sum over a fine grid, least where the text says."""
    (bits, theta), (eps, delta) = key, map(float, found)
    x = (np.arange(400_000) + 0.5) / 50_000
    density = np.exp(-x * x / 2)
    assert eps == pytest.approx(NormalDist().inv_cdf(theta) if theta else delta / 2, abs=6e-7)

    def error(step: float) -> float:
        first = step / 2 if theta is None else eps
        thresholds = [first, *((k - 0.5) * step for k in range(2, 2**bits))]
        level = step * np.searchsorted(thresholds, x)
        return float(np.sum(density * (x - level) ** 2))

    assert min((0.9, 0.99, 1.0, 1.01, 1.1), key=lambda share: error(share * delta)) == 1.0


@pytest.mark.parametrize(
    ("op", "change"),
    [("weight_rule", {"rule": "median"}), ("activation_rule", {"rule": "median", "bits": 2}),
     ("linear_layer", {"bits": 9, "form": "profile", "sweeps": 3}), ("latents", {"bits": 0}),
     ("dead_filters", {}), ("term_distance", {"norm": 2})],
)  # fmt: skip
def test_what_does_not_fit_is_refused(op: str, change: dict) -> None:
    vector = next(v for v in vectors() if v.op == op)
    held = {name: getattr(vector, name) for name in Vector.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"rule|fields|must"):
        reference(Vector(**{**held, "attributes": change}))
