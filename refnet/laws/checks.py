"""Laws as tests of one's own suite: one decorator, a test for each law that is claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from refnet.laws.bench import Bench
from refnet.laws.suite import run_laws
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.table import LAWS, NAMES


class LawBroken(AssertionError):  # noqa: N818 - what happened
    """A law does not hold; the message is its counterexample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawCheck:
    """A law to be tried on a quantizer: ``check(q)`` raises :class:`LawBroken`."""

    law: str
    seed: int = 0
    max_examples: int = 200

    def __call__(self, q: QuantizerUnderTest) -> None:
        """Try the law on ``q``."""
        report = run_laws(q, seed=self.seed, max_examples=self.max_examples, laws=[self.law])
        for name, counterexample in report.counterexamples.items():
            raise LawBroken(f"{q.name}: {name}: {counterexample.detail}")


def claimed(q: QuantizerUnderTest) -> tuple[list[str], dict[str, str]]:
    """Names of the laws that are tried on ``q``, and why the others are not."""
    bench = Bench(q)
    reasons = {law.name: law.unknown(bench) for law in LAWS}
    return [n for n, why in reasons.items() if not why], {n: w for n, w in reasons.items() if w}


def parametrize_with_laws(
    quantizers: Iterable[QuantizerUnderTest], *,
    expected_failed: Mapping[str, str]
    | Callable[[QuantizerUnderTest], Mapping[str, str]] | None = None,
    xfail_strict: bool = True, seed: int = 0, max_examples: int = 200,
) -> Any:
    """A decorator for ``def test(quantizer, law): law(quantizer)``: one test a quantizer and law.

    ``expected_failed`` gives the reason of each law that is known to fail, or is a function of the
    quantizer that does; where such a law passes, the test fails (``xfail_strict``). Laws that are
    not claimed are no tests.
    """
    import pytest

    parameters = []
    for q in quantizers:
        expected = expected_failed(q) if callable(expected_failed) else expected_failed or {}
        if unknown := sorted(set(expected) - set(NAMES)):
            raise ValueError(f"expected_failed {', '.join(unknown)}: no such law")
        for name in claimed(q)[0]:
            marks = (
                [pytest.mark.xfail(reason=expected[name], strict=xfail_strict, raises=LawBroken)]
                if name in expected else []
            )
            check = LawCheck(law=name, seed=seed, max_examples=max_examples)
            parameters.append(pytest.param(q, check, id=f"{q.name}-{name}", marks=marks))
    return pytest.mark.parametrize(("quantizer", "law"), parameters)
