"""Laws of the array that holds the reals: its length, its axes, its memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from refnet.laws.bound import Bound, Broken, Floats, Ints, integral
from refnet.laws.case import Case, Counterexample, real
from refnet.laws.elementary import Verdict

#: Every remainder of vector registers and unrolled loops, then sizes around blocks and buffers.
SIZES = (
    *range(1, 73), 127, 128, 129, 255, 256, 257, 511, 512, 513, 1000, 1023, 1024, 1025, 2048, 4096,
    4097, 16384, 65536, 70001,
)
#: Arrays of so many reals are large enough, whatever the number of channels.
MOST_REALS = 2**19


def differs(
    bound: Bound, case: Case, how: str, got: Ints, right: Ints, x: Floats
) -> Counterexample | None:
    """The first place where codes are not those of the reals one by one."""
    if got.shape != right.shape:
        return Counterexample(detail=f"{how}: shape {got.shape} of {right.shape}", case=case)
    places = np.argwhere(got != right)
    if not len(places):
        return None
    place = tuple(places[0])
    detail = (
        f"{how}: x = {real(x[place])} at {tuple(map(int, place))} has code {got[place]}, "
        f"elsewhere {right[place]}"
    )
    return Counterexample(
        detail=detail, case=case, value=float(x[place]), got=int(got[place]),
        right=(int(right[place]),),
    )


def size(bound: Bound, case: Case) -> Verdict:
    """The code of a real does not depend on the length of the array, from 1 to 70,001."""
    right = bound.ask(case.x)
    for count in (n for n in SIZES if n * len(right) <= MOST_REALS or n <= 1024):
        places = np.arange(count) % case.x.shape[1]
        got = bound.ask(case.x[:, places])
        how = f"in an array of {count}"
        found = differs(bound, case, how, got, right[:, places], case.x[:, places])
        if found is not None:
            return found
    return len(SIZES)


def _shapes(count: int) -> Iterator[tuple[int, ...]]:
    """Shapes of ``count`` elements with up to five axes, square ones and thin ones."""
    yield from ((count,), (1, count), (count, 1), (count, 1, 1, 1), (1, 1, count, 1, 1))
    for rows in range(2, count):
        if count % rows == 0:
            yield from ((rows, count // rows), (1, rows, 1, count // rows))
            yield from ((rows, 1, count // rows), (1, 1, rows, count // rows, 1))


def _ranks(bound: Bound) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of the axes beside that of the channels, for each number of axes that may be taken.

    The first has no axis of one element, nor one as long as that of the channels.
    """
    q = bound.q
    least = 2 if q.axis is None else max(2, q.axis + 1, -q.axis)
    lengths = [n for n in (3, 2, 5, 7) if n != q.channels]
    for axes in [q.ndim] if q.ndim is not None else range(least, 6):
        odd = tuple(lengths[i % 2] for i in range(axes - 1))
        square = (q.channels if axes < 5 else 2,) * (axes - 1)
        yield [odd, odd[::-1], (1,) * (axes - 1), square if q.channels <= 8 else odd]


def _with_channels(bound: Bound, case: Case, right: Ints) -> Verdict:
    """Arrays of other numbers of axes; one that is refused is not one that the quantizer takes."""
    axis, checked = bound.q.axis or 0, 1
    for shapes in _ranks(bound):
        for given in shapes:
            places = np.arange(int(np.prod(given))) % case.x.shape[1]
            whole = (len(right), *given)
            array = np.moveaxis(case.x[:, places].reshape(whole), 0, axis)
            wanted = np.moveaxis(right[:, places].reshape(whole), 0, axis)
            try:
                raw = bound.raw(np.array(array, order="C"))
            except Broken:
                if bound.q.ndim is not None:
                    raise
                break
            got = integral(raw, array.shape, "quantize")
            if (found := differs(bound, case, f"in the shape {array.shape}", got, wanted, array)):
                return found
            checked += 1
    return checked


def shape(bound: Bound, case: Case) -> Verdict:
    """Codes have the shape of x: no axis, empty, one to five axes; the shape changes no code."""
    q, x = bound.q, case.x
    right = bound.ask(x)
    bound.codes(bound.embed(x[:, :0]))
    if q.axis is not None or q.ndim is not None:
        return _with_channels(bound, case, right)
    for none in (np.zeros((0, 4), x.dtype), np.zeros((2, 0, 3), x.dtype)):
        bound.codes(none)
    for index in range(min(4, x.size)):
        scalar = np.array(x[0, index])
        got = bound.codes(scalar)
        found = differs(
            bound, case, "without an axis", got.reshape(1), right[0, index : index + 1],
            scalar.reshape(1),
        )
        if found is not None:
            return found
    count = min(x.size, 36)
    for given in _shapes(count):
        array, wanted = x[0, :count].reshape(given), right[0, :count].reshape(given)
        found = differs(bound, case, f"in the shape {given}", bound.codes(array), wanted, array)
        if found is not None:
            return found
    return count if q.dequantize is None else count + _shapes_of_reals(bound, right[0, :count])


def _shapes_of_reals(bound: Bound, codes: Ints) -> int:
    """The way back keeps shapes as well; :class:`Broken` where it does not."""
    flat = bound.values(codes)
    bound.values(codes[:0])
    bound.values(codes[0])
    for given in _shapes(len(codes)):
        got = bound.values(codes.reshape(given))
        if not np.array_equal(got.ravel(), flat):
            raise Broken(f"dequantize: other reals in the shape {given}")
    return len(codes)


def _read_only(x: Floats) -> Floats:
    x.flags.writeable = False
    return x


def _gaps(x: Floats) -> Floats:
    """The same numbers in every other place of a wider array of NaN."""
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, dtype=x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _backwards(x: Floats) -> Floats:
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


def _unaligned(x: Floats) -> Floats:
    store = np.zeros(x.nbytes + 1, dtype=np.uint8)
    found: Floats = store[1:].view(x.dtype).reshape(x.shape)
    found[...] = x
    return found


LAYOUTS: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
    ("read-only", _read_only),
    ("with gaps", _gaps),
    ("with a negative stride", _backwards),
    ("in Fortran order", np.asfortranarray),
    ("unaligned", _unaligned),
)


#: Layouts that may be refused with ``ValueError`` or ``TypeError``.
REFUSABLE = ("with a negative stride", "unaligned")


def _forms(bound: Bound, x: Floats) -> list[Floats]:
    """The array as the quantizer takes it, and with two and three axes where it takes any."""
    found = [x]
    if bound.q.axis is None and bound.q.ndim is None and x.size >= 4:
        flat = x.ravel()[: x.size // 4 * 4]
        found += [flat.reshape(2, -1), flat.reshape(2, -1, 2)]
    return found


def layout(bound: Bound, case: Case) -> Verdict:
    """Strides, order and flags of the memory change nothing, and the result is in place order.

    What no tensor of other packages can have, a negative stride or odd addresses, may be refused.
    """
    checked = 0
    for x in _forms(bound, bound.embed(case.x)):
        right = bound.codes(x)
        ways = [(how, make(np.array(x)), right) for how, make in LAYOUTS]
        if x.ndim > 1:
            ways.append(("transposed in memory", np.ascontiguousarray(x.T).T, right))
        if x.ndim > 1 and bound.q.axis is None and bound.q.ndim is None:
            ways.append(("transposed", np.array(x).T, right.T))
            three = (3, *x.shape[1:])
            ways.append(
                ("broadcast", np.broadcast_to(x[:1], three), np.broadcast_to(right[:1], three))
            )
        for how, array, wanted in ways:
            try:
                raw = bound.raw(array)
            except Broken as broken:
                if how in REFUSABLE and isinstance(broken.__cause__, ValueError | TypeError):
                    continue
                raise
            got = integral(raw, array.shape, "quantize")
            if (found := differs(bound, case, how, got, wanted, array)) is not None:
                return found
        checked += len(ways)
    return checked
