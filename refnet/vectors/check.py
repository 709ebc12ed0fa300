"""The conformance checker: run an implementation on vectors and say what its mistakes look like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.findings import CheckReport as CheckReport
from refnet.vectors.findings import Difference as Difference
from refnet.vectors.findings import Failure as Failure
from refnet.vectors.findings import clean
from refnet.vectors.functions import Implementation, Outputs
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.record import REAL, Array, Vector, VectorError
from refnet.vectors.reference import Unsupported, Unusable

#: How many differing coordinates a failure lists.
LISTED = 4


def _element(array: NDArray[Any], place: tuple[int, ...], real: bool) -> int | str:
    value = array[place]
    return np.float64(value).astype(">f8").tobytes().hex() if real else int(value)


def compare(want: Array, got: Any) -> tuple[str, tuple[Difference, ...], int]:
    """(what is wrong or "", first differences, their number) between an array and an answer."""
    real = want.type == REAL
    expected = want.array()
    try:
        actual = np.asarray(got)
    except Exception as error:
        return f"{want.name} is no array: {type(error).__name__}", (), 0
    if actual.dtype.kind not in ("f" if real else "iu") and actual.size:
        return f"{want.name} holds {actual.dtype}, rule {expected.dtype} integers", (), 0
    if actual.shape != expected.shape:
        return f"{want.name} has shape {actual.shape}, expected {expected.shape}", (), 0
    if real:
        differs = expected.view(np.uint64) != actual.astype(np.float64).view(np.uint64)
    else:
        differs = expected != actual
    places = [tuple(map(int, p)) for p in np.argwhere(differs)]
    first = tuple(
        Difference(
            coordinates=p, expected=_element(expected, p, real), actual=_element(actual, p, real)
        )
        for p in places[:LISTED]
    )
    text = f"{want.name} differs at {len(places)} of {expected.size}" if places else ""
    return text, first, len(places)


def differs(vector: Vector, outputs: Outputs) -> bool:
    """Whether ``outputs`` are not what a ``must`` vector expects (intermediates left aside)."""
    return any(
        want.name not in outputs or compare(want, outputs[want.name])[0] for want in vector.outputs
    )


def answer(implementation: Implementation, vector: Vector) -> tuple[str, str, Outputs]:
    """(``answered``, ``refused``, ``unsupported`` or ``broken``; message; outputs).

    A :class:`VectorError` is about the vectors or the set-up and passes through.
    """
    try:
        outputs = implementation(vector)
    except Unsupported as error:
        return "unsupported", str(error), {}
    except VectorError:
        raise
    except ValueError as error:
        return "refused", str(error), {}
    except Unusable as error:
        return "broken", str(error), {}
    except (Exception, SystemExit) as error:
        return "broken", f"{type(error).__name__}: {error}", {}
    if not isinstance(outputs, Mapping):
        return "broken", f"answered {type(outputs).__name__}, rule arrays by name", {}
    return "answered", "", outputs


def killed(vector: Vector, implementation: Implementation) -> bool:
    """Whether the vector tells this implementation from the right one."""
    state, _, outputs = answer(implementation, vector)
    if state == "unsupported":
        return False
    if vector.result == "must_fail":
        return state != "refused"
    return state != "answered" or differs(vector, outputs)


def _alike(vector: Vector, state: str, outputs: Outputs) -> tuple[str, ...]:
    """Look-alikes that answer a failing vector in the same way."""
    found = []
    for lookalike in LOOKALIKES:
        if lookalike.name not in vector.kills:
            continue
        its_state, _, its = answer(lookalike.function, vector)
        same = its_state == state and all(
            a.name in its and a.name in outputs and np.array_equal(its[a.name], outputs[a.name])
            for a in vector.outputs
        )
        if same and (vector.result == "must" or state == "answered"):
            found.append(lookalike.name)
    return tuple(found)


def _failure(vector: Vector, state: str, message: str, outputs: Outputs) -> Failure | None:
    kind, array, detail = state, "", message
    differences: tuple[Difference, ...] = ()
    number = 0
    if vector.result == "must_fail":
        if state == "refused":
            return None
        if state == "answered":
            kind, detail = "accepted", f"must be refused for its {vector.error}"
    elif state == "answered":
        kind = "differs"
        missing = [a.name for a in vector.outputs if a.name not in outputs]
        given = [a for a in vector.intermediates + vector.outputs if a.name in outputs]
        detail = f"no output {', '.join(missing)}" if missing else ""
        for want in () if missing else given:
            detail, differences, number = compare(want, outputs[want.name])
            if detail:
                array = want.name
                break
        if not detail:
            return None
    return Failure(
        id=vector.id,
        op=vector.op,
        clauses=vector.clauses,
        kind=kind,
        array=array,
        detail=clean(detail),
        differences=differences,
        differing=number,
        lookalikes=() if kind == "broken" else _alike(vector, state, outputs),
        comment=vector.comment,
    )


def _known(names: Iterable[str], vectors: Iterable[Vector]) -> set[str]:
    """``names`` of capabilities; one that no vector needs is a mistake and refused."""
    named = set(names)
    unknown = named - {c for v in vectors for c in v.capabilities} if named else set()
    if unknown:
        raise VectorError(f"no vector needs the capability {', '.join(sorted(unknown))}")
    return named


def select(
    vectors: Iterable[Vector],
    *,
    tier: str | None = None,
    ops: Iterable[str] = (),
    without: Iterable[str] = (),
    having: Iterable[str] = (),
) -> list[Vector]:
    """Vectors of a tier (``core`` is all), of some ops, without some capabilities.

    ``having`` are all capabilities that there are: what needs any other is left out.
    """
    held = list(vectors)
    chosen, barred, owned = set(ops), _known(without, held), _known(having, held)
    return [
        v
        for v in held
        if (tier in (None, "core") or v.tier == tier)
        and (not chosen or v.op in chosen)
        and not barred & set(v.capabilities)
        and (not owned or owned >= set(v.capabilities))
    ]


def check(
    vectors: Iterable[Vector],
    implementation: Implementation,
    *,
    expected: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> CheckReport:
    """Ask ``implementation`` every vector.

    It gets a :class:`Vector` and returns its outputs by name (and intermediates, where it has
    them); it refuses by raising ``ValueError`` and passes by raising :class:`Unsupported`. Any
    other exception fails the vector. ``expected`` are ids that are known to fail, with reasons.
    Raises :class:`VectorError` where no vector was run: a check of nothing is not a success.
    """
    passed: list[str] = []
    failures: list[Failure] = []
    unsupported: list[tuple[str, str]] = []
    for done, vector in enumerate(vectors, start=1):
        state, message, outputs = answer(implementation, vector)
        if state == "unsupported":
            unsupported.append((vector.id, clean(message)))
        elif (failure := _failure(vector, state, message, outputs)) is not None:
            failures.append(failure)
        else:
            passed.append(vector.id)
        progress(done)
    if not passed and not failures:
        raise VectorError(f"no vector was run ({len(unsupported)} not supported)")
    reasons = dict(expected or {})
    return CheckReport(
        passed=tuple(id for id in passed if id not in reasons),
        failures=tuple(f for f in failures if f.id not in reasons),
        unsupported=tuple(unsupported),
        expected=tuple((f, reasons[f.id]) for f in failures if f.id in reasons),
        unexpected=tuple(id for id in passed if id in reasons),
    )
