"""Cases of Conv [4.1]: windows, padding, dilation, groups, the accumulator bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refnet.program import Conv
from refnet.vectors.cases.build import Case, about, conv, operator_case
from refnet.vectors.stream import Stream

_NAME = "conv"
_MAP = [[[[0, 1, 2], [3, 0, 1], [2, 3, 0]]]]
_KERNEL = [[[[1, 0], [-1, 1]]]]


def counted(*shape: int, start: int = 1) -> Any:
    """start, start + 1, ... in C order: every place of a map differs from every other."""
    return np.arange(start, start + int(np.prod(shape))).reshape(shape)


def _basic() -> list[Case]:
    rows: tuple[tuple[str, Conv, dict[str, Any], str, str, str], ...] = (
        ("basic", conv(), {"x": ("uint2", _MAP), "w": ("ternary", _KERNEL)}, "BASIC",
         "2-bit codes and ternary weights; the kernel is not flipped", "smoke"),
        ("correlation", conv(), {"x": ("uint8", counted(1, 1, 3, 3)), "w": counted(1, 1, 2, 3)},
         "BASIC LAYOUT", "a kernel without any symmetry: flipped or transposed it gives else",
         "smoke"),
        ("channels", conv(), {"x": ("uint8", counted(1, 3, 2, 2)), "w": counted(2, 3, 1, 1)},
         "BASIC LAYOUT", "three channels into two filters, 1x1", "core"),
        ("linear", conv(), {"x": ("int8", counted(2, 4, 1, 1, start=-3)),
                            "w": ("int8", counted(3, 4, 1, 1, start=-6)), "b": [100, -100, 7]},
         "BASIC", "a linear layer is the 1x1 case: two images, a bias", "smoke"),
        ("bias", conv(padding=1), {"x": ("uint2", _MAP), "w": ("ternary", _KERNEL), "b": [-7]},
         "PADDING", "the bias is added once at every place, the padded ones included", "core"),
        ("filters", conv(), {"x": ("int8", counted(1, 2, 3, 3, start=-9)),
                             "w": counted(4, 2, 2, 2, start=-16), "b": [1, 2, 3, 4]},
         "BASIC SIGN", "four filters of two channels with negative numbers throughout", "core"),
    )
    return [
        operator_case(f"{_NAME}.{kind}.0001", "4.1.1 4.1.3", op, operands, flags, f"Conv: {why}.",
                      tier=tier)
        for kind, op, operands, flags, why, tier in rows
    ]


def _windows() -> list[Case]:
    x, w = ("uint8", counted(1, 1, 5, 6)), ("int8", [[[[1, 2, 4], [8, 16, 32]]]])
    rows: tuple[tuple[str, Conv, str, str], ...] = (
        ("stride", conv(stride=2), "WINDOW", "stride 2 leaves a remainder in both directions"),
        ("stride", conv(stride=(1, 3)), "WINDOW", "another stride down than across"),
        ("stride", conv(stride=(3, 1)), "WINDOW", "the same two strides the other way round"),
        ("stride", conv(stride=7), "WINDOW", "a stride beyond the map: one window"),
        ("dilation", conv(dilation=2), "WINDOW", "dilation 2: every other place"),
        ("dilation", conv(dilation=(4, 1)), "WINDOW", "dilation down only, up to the last row"),
        ("dilation", conv(dilation=(1, 2), stride=(2, 1)), "WINDOW",
         "dilation across, stride down"),
        ("padding", conv(padding=1), "PADDING", "one place of zeros all around"),
        ("padding", conv(padding=((1, 0), (0, 0))), "PADDING", "a pad on top only"),
        ("padding", conv(padding=((0, 1), (0, 0))), "PADDING", "a pad at the bottom only"),
        ("padding", conv(padding=((0, 0), (2, 0))), "PADDING", "a pad on the left only"),
        ("padding", conv(padding=((0, 0), (0, 2))), "PADDING", "a pad on the right only"),
        ("padding", conv(padding=((1, 2), (3, 0))), "PADDING",
         "four pads, three of them different"),
        ("padding", conv(padding=((0, 1), (0, 1)), stride=2), "PADDING WINDOW",
         "what some call SAME: the odd pad comes last"),
        ("padding", conv(padding=9, stride=5), "PADDING WINDOW", "windows wholly outside the map "
         "are sums of zeros: pads may exceed the kernel here"),
        ("mixed", conv(stride=2, padding=((2, 1), (0, 3)), dilation=(2, 3)), "PADDING WINDOW",
         "stride, pads and dilation together"),
    )
    seen: dict[str, int] = {}
    cases = []
    for kind, op, flags, why in rows:
        seen[kind] = seen.get(kind, 0) + 1
        cases.append(operator_case(f"{_NAME}.{kind}.{seen[kind]:04d}", "4.1.2 4.1.3", op,
                                   {"x": x, "w": w}, flags, f"Conv 2x3 on a 5x6 map: {why}.",
                                   tier="smoke" if seen[kind] == 1 else "core"))
    return [
        *cases,
        operator_case(f"{_NAME}.padding_zero.0001", "4.1.3", conv(padding=1),
                      {"x": ("int[5,9]", [[[[5, 9], [6, 7]]]]), "w": ("uint1", [[[[1] * 3] * 3]])},
                      "PADDING",
                      "Conv: the type of x does not hold 0, and padding is 0 all the same."),
    ]


def _groups() -> list[Case]:
    x = ("uint8", counted(1, 4, 2, 2))
    rows: tuple[tuple[Conv, dict[str, Any], str], ...] = (
        (conv(groups=2), {"x": x, "w": counted(4, 2, 1, 1)},
         "two groups of two channels and two filters: consecutive, not interleaved"),
        (conv(groups=4), {"x": x, "w": counted(4, 1, 1, 1), "b": [0, 100, 200, 300]},
         "as many groups as channels (depthwise)"),
        (conv(groups=4), {"x": x, "w": counted(8, 1, 2, 2)},
         "as many groups as channels, two filters for each: filters 0 and 1 read channel 0"),
        (conv(groups=2, padding=((0, 1), (1, 0)), stride=(1, 2)),
         {"x": x, "w": counted(2, 2, 2, 2, start=-8)}, "groups with pads and a stride"),
        (conv(groups=1), {"x": x, "w": counted(2, 4, 1, 1)}, "one group sees every channel"),
        (conv(groups=3), {"x": ("int8", counted(2, 6, 1, 2, start=-12)),
                          "w": ("ternary", counted(6, 2, 1, 2) % 3 - 1)},
         "three groups, two images, ternary weights"),
    )
    return [
        operator_case(f"{_NAME}.groups.{i:04d}", "4.1.1 4.1.3", op, operands, "GROUPS",
                      f"Conv: {why}.", tier="smoke" if i < 3 else "core")
        for i, (op, operands, why) in enumerate(rows, start=1)
    ]


def _bound() -> list[Case]:
    one = np.full((1, 1, 1, 1), 8421504)
    top = np.full((1, 1, 1, 1), 255)
    rows: tuple[tuple[Conv, dict[str, Any], str], ...] = (
        (conv(), {"x": ("uint8", top), "w": one, "b": [126]},
         "255 * 8421504 + 126 is 2**31 - 2, the largest accumulator"),
        (conv(), {"x": ("uint8", top), "w": -one, "b": [-126]}, "and its negative"),
        (conv(), {"x": ("uint8", [[[[255]], [[255]]]]), "w": [[[[8421504]], [[-8421504]]]],
                  "b": [126]}, "up to the bound and down again: partial sums reach it"),
        (conv(), {"x": ("int8", np.full((1, 4, 3, 3), -128)),
                  "w": ("int8", np.full((1, 4, 3, 3), -128))},
         "36 products of -128 * -128: more than 16 bits"),
        (conv(padding=1), {"x": ("uint8", np.full((1, 130, 1, 1), 255)),
                           "w": ("ternary", np.full((2, 130, 1, 1), 1) * [[[[1]]], [[[-1]]]])},
         "130 ternary products of 255 on both sides: beyond 16 bits with a sign"),
    )
    return [
        operator_case(f"{_NAME}.bound.{i:04d}", "1.3.1 4.1.3 4.1.4", op, operands,
                      "ACCUMULATOR BOUNDARY", f"Conv: {why}.")
        for i, (op, operands, why) in enumerate(rows, start=1)
    ]


def _degenerate() -> list[Case]:
    rows: tuple[tuple[Conv, dict[str, Any], str], ...] = (
        (conv(padding=1), {"x": ("uint2", np.zeros((0, 1, 3, 3), int)), "w": ("ternary", _KERNEL)},
         "no image at all"),
        (conv(), {"x": ("uint2", [[[[3]]]]), "w": ("ternary", [[[[-1]]]])}, "one of everything"),
        (conv(), {"x": ("uint2", _MAP), "w": ("ternary", np.zeros((2, 1, 2, 2), int)),
                  "b": [5, -5]},
         "weights of zero leave the bias"),
        (conv(), {"x": ("uint8", np.stack([counted(1, 2, 2), 9 * counted(1, 2, 2)])),
                  "w": [[[[1, 10], [20, 30]]]]}, "two images do not see each other"),
        (conv(), {"x": ("uint8", counted(1, 1, 2, 3)), "w": counted(2, 1, 2, 3)},
         "the kernel covers the whole map"),
    )
    return [
        operator_case(f"{_NAME}.degenerate.{i:04d}", "1.2.1 4.1.1 4.1.3", op, operands,
                      "DEGENERATE", f"Conv: {why}.")
        for i, (op, operands, why) in enumerate(rows, start=1)
    ]


def _refused() -> list[Case]:
    one = np.full((1, 1, 1, 1), 8421504)
    x, w = ("uint2", _MAP), ("ternary", _KERNEL)
    four = ("uint2", np.ones((1, 4, 2, 2), int))
    rows: tuple[tuple[str, Conv, dict[str, Any], str, str], ...] = (
        ("1.3.1 4.1.4", conv(), {"x": ("uint8", [[[[0]]]]), "w": one, "b": [127]}, "accumulator",
         "one more than the largest accumulator, although this image stays at 127"),
        ("1.3.1 4.1.4", conv(), {"x": ("uint8", [[[[0]], [[0]]]]),
                                 "w": [[[[8421504]], [[-8421504]]]], "b": [127]}, "accumulator",
         "the sum stays small, but a partial sum can be too large"),
        ("4.1.1", conv(groups=3), {"x": four, "w": np.ones((3, 2, 1, 1), int)}, "shape",
         "three groups of two channels are not four channels"),
        ("4.1.1", conv(groups=2), {"x": four, "w": np.ones((3, 2, 1, 1), int)}, "shape",
         "three filters in two groups"),
        ("4.1.1", conv(), {"x": four, "w": np.ones((1, 3, 1, 1), int)}, "shape",
         "weights of three channels on a map of four"),
        ("4.1.2", conv(), {"x": x, "w": np.ones((1, 1, 4, 1), int)}, "shape",
         "a kernel higher than the map"),
        ("4.1.2", conv(dilation=3), {"x": x, "w": w}, "shape",
         "dilation makes the kernel too large"),
        ("4.1.1", conv(), {"x": x, "w": w, "b": [1, 2]}, "shape", "two biases for one filter"),
        ("4.1.1", conv(), {"x": x, "w": ("ternary", [[1, 0], [-1, 1]])}, "shape",
         "weights of two axes"),
        ("4.1.1", conv(), {"x": ("uint2", [[1, 2, 3]]), "w": w}, "shape", "x is a vector, no map"),
        ("4.1.1", conv(), {"x": x}, "operand", "no weights"),
    )
    return [
        operator_case(f"{_NAME}.refused.{i:04d}", clauses, op, operands,
                      "ACCUMULATOR" if error == "accumulator" else "BOUNDARY",
                      f"Must be refused: {why}.", error=error)
        for i, (clauses, op, operands, error, why) in enumerate(rows, start=1)
    ]


def _attributes_refused() -> list[Case]:
    operands = {"x": ("uint2", _MAP), "w": ("ternary", _KERNEL)}
    base = operator_case(f"{_NAME}.attribute_refused.0000", "4.1.1", conv(), operands,
                         "BOUNDARY", "A template for attributes that are refused.")
    cases = []
    changes: tuple[dict[str, Any], ...] = (
        {"stride": [0, 1]}, {"dilation": [1, 0]}, {"padding": [[-1, 0], [0, 0]]}, {"groups": 0},
        {"kernel_flipped": 1}, {"stride": [2**31, 1]})
    for i, change in enumerate(changes, start=1):
        cases.append(replace(
            base, id=f"{_NAME}.attribute_refused.{i:04d}", error="attribute",
            attributes={**base.attributes, **change}, flags=("BOUNDARY", "NEGATIVE"),
            comment=f"Conv with {change} must be refused: an attribute outside its rule."))
    return cases


def _random() -> list[Case]:
    cases = []
    for i in range(1, 13):
        id = f"{_NAME}.random.{i:04d}"
        draw = Stream(id)
        groups, per_group = draw.integer(1, 3), draw.integer(1, 2)
        filters = groups * draw.integer(1, 2)
        kernel = (draw.integer(1, 3), draw.integer(1, 3))
        op = Conv(
            stride=(draw.integer(1, 2), draw.integer(1, 3)),
            padding=((draw.integer(0, 2), draw.integer(0, 2)),
                     (draw.integer(0, 2), draw.integer(0, 2))),
            dilation=(draw.integer(1, 2), draw.integer(1, 2)),
            groups=groups,
        )
        x = draw.integers(0, 3, (draw.integer(1, 2), groups * per_group, 6, 5))
        w = draw.integers(-1, 1, (filters, per_group, *kernel))
        b = draw.integers(-20, 20, (filters,))
        cases.append(operator_case(id, "4.1.3", op,
                                   {"x": ("uint2", x), "w": ("ternary", w), "b": ("int8", b)},
                                   "PADDING WINDOW GROUPS PSEUDO_RANDOM",
                                   "Conv with pseudo-random attributes, codes and trits."))
    return cases


def _types(cases: list[Case]) -> list[Case]:
    chosen = [c for c in cases if c.error is None and c.id.split(".")[1] in
              ("basic", "linear", "bias", "padding_zero", "bound", "groups", "degenerate")]
    return [
        about(c, f"{_NAME}.type.{i:04d}", "4.1.2 4.1.4", "result_type", "TYPE",
              f"Range of every partial sum and shape of the result of {c.id}, from its weights.")
        for i, c in enumerate(chosen, start=1)
    ]


_ANSWERED = [*_basic(), *_windows(), *_groups(), *_bound(), *_degenerate()]
CASES: tuple[Case, ...] = (
    *_ANSWERED, *_types(_ANSWERED), *_refused(), *_attributes_refused(), *_random())
