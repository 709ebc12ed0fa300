"""The table of all laws, in the order of a report."""

from __future__ import annotations

from refnet.laws import arrangement, elementary, exact, fits, gradient, integers, invariance
from refnet.laws import bench as cases
from refnet.laws import integer_cases as numbers
from refnet.laws.law import (
    Law,
    ascending,
    by_name,
    clean_ties,
    exact_ties,
    has_zero,
    known_ends,
    one_division,
    own_cells,
    rounding_rule,
    symmetric,
)

_GRID = "scale, thresholds or dequantize"

#: Every law. The order is that of a report.
LAWS: tuple[Law, ...] = (
    Law(
        clause="8.1.1", check=elementary.codes, needs=("quantize", "levels"), cases=cases.points,
        reaches="no clip, wrapping, ranges off by one, codes that are no integers",
    ),
    Law(
        clause="8.1.2", check=elementary.code_dtype, needs=("quantize", "code_dtype"),
        cases=cases.one_large, reaches="storage that depends on the input, floats as codes",
    ),
    Law(
        clause="8.1.3", check=elementary.onto, needs=("quantize", "dequantize", "levels"),
        cases=cases.parameters_only, implied=own_cells,
        reaches="levels missing or too many, truncation, a zero point that slips",
    ),
    Law(
        clause="8.1.4", check=elementary.idempotent, needs=("quantize", "dequantize", "levels"),
        cases=cases.points, implied=own_cells,
        reaches="truncation, quantize and dequantize of different scales",
    ),
    Law(
        clause="8.1.5", check=elementary.monotone, needs=("quantize",), cases=cases.points,
        implied=ascending, reaches="wrapping, signs, look-up tables out of order",
    ),
    Law(
        clause="8.1.6", check=elementary.reached, needs=("quantize", "levels"),
        cases=cases.first_parameters_only, implied=ascending,
        reaches="published formulas with one level too few",
    ),
    Law(
        clause="8.1.7", check=elementary.saturates, needs=("quantize", "levels"),
        cases=cases.first_parameters_only, implied=ascending,
        reaches="conversion to integers before the clip",
    ),
    Law(
        clause="8.2.1", check=exact.nearest, needs=("quantize", "levels", _GRID),
        cases=cases.points,
        reaches="binary32 division, reciprocals, eps in the scale, dead zones, wrong bounds",
    ),
    Law(
        clause="8.2.2", check=exact.tie, needs=("quantize", "levels", _GRID, "tie"),
        cases=cases.points, implied=exact_ties,
        reaches="every wrong rounding rule, > for >=",
    ),
    Law(
        clause="8.2.3", check=exact.values, needs=("dequantize", "levels", "scale"),
        cases=cases.parameters_only,
        reaches="a range divided by one level too many, a zero point left out",
    ),
    Law(
        clause="8.2.4", check=exact.error_bound,
        needs=("quantize", "dequantize", "levels", _GRID), cases=cases.points,
        reaches="a clip at the wrong end, quantize and dequantize of different scales",
    ),
    Law(
        clause="8.2.5", check=exact.odd, needs=("quantize", "levels", _GRID), cases=cases.points,
        implied=symmetric, reaches="half-up for half-even, ranges that are not symmetric",
    ),
    Law(
        clause="8.2.6", check=exact.zero, needs=("quantize", "levels"),
        cases=cases.parameters_only, implied=has_zero,
        reaches="zero that has no code, the sign of -0.0",
    ),
    Law(
        clause="8.2.7", check=exact.infinity, needs=("quantize", "levels", "infinity"),
        cases=cases.first_parameters_only, implied=known_ends,
        reaches="undefined conversions of infinity",
    ),
    Law(
        clause="8.2.8", check=exact.nan, needs=("quantize", "levels", "nan"),
        cases=cases.first_parameters_only, reaches="undefined conversions of NaN",
    ),
    Law(
        clause="8.3.1", check=invariance.elementwise, needs=("quantize",), cases=cases.few_points,
        reaches="scales taken from the batch, codes that depend on neighbours",
    ),
    Law(
        clause="8.3.2", check=arrangement.size, needs=("quantize",), cases=cases.one_large,
        reaches="remainders of vector loops, buffers of fixed size",
    ),
    Law(
        clause="8.3.3", check=arrangement.shape, needs=("quantize",), cases=cases.few_points,
        reaches="arrays without an axis, empty arrays, scales broadcast along an axis",
    ),
    Law(
        clause="8.3.4", check=arrangement.layout, needs=("quantize",), cases=cases.few_points,
        reaches="raw memory read in place order, writing to read-only arrays",
    ),
    Law(
        clause="8.3.5", check=invariance.pure, needs=("quantize",), cases=cases.few_points,
        reaches="work in place, results that share a buffer",
    ),
    Law(
        clause="8.3.6", check=invariance.repeatable, needs=("quantize",), cases=cases.few_points,
        reaches="running statistics, caches, random rounding",
    ),
    Law(
        clause="8.3.7", check=invariance.float_dtype, needs=("quantize",), cases=cases.few_points,
        implied=one_division, reaches="work in the dtype of the input, one path that truncates",
    ),
    Law(
        clause="8.3.8", check=invariance.channels, needs=("quantize", "axis"),
        cases=cases.few_points, reaches="a scale of the wrong channel, statistics over all",
    ),
    Law(
        clause="8.3.9", check=invariance.scale_equivariant,
        needs=("quantize", "levels", "scale as a parameter"), cases=cases.points,
        reaches="eps added to the scale, scales that are rounded or bounded",
    ),
    Law(
        clause="8.3.10", check=invariance.zero_point_shift,
        needs=("quantize", "levels", "zero_point as a parameter"), cases=cases.points,
        implied=clean_ties, reaches="rounding after adding the zero point",
    ),
    Law(
        clause="8.4.1", check=gradient.gradient, needs=("grad", "passes"), cases=cases.bound_cases,
        reaches="open for closed bounds, masks from codes, bounds at levels or half a step beyond",
    ),
    Law(
        clause="8.4.2", check=gradient.gradient_saturated, needs=("grad", "passes"),
        cases=cases.few_points, reaches="a gradient that leaks where nothing is inside",
    ),
    Law(
        clause="8.4.3", check=gradient.gradient_linear, needs=("grad",), cases=cases.few_points,
        reaches="a mask without the gradient, its sign, a constant",
    ),
    Law(
        clause="8.4.4", check=gradient.gradient_elementwise, needs=("grad",),
        cases=cases.few_points, reaches="gradients divided by the size, work in place",
    ),
    Law(
        clause="8.5.1", check=integers.pack_roundtrip, needs=("pack", "unpack", "levels"),
        cases=numbers.code_rows, reaches="signs lost, remainders of a byte, orders that differ",
    ),
    Law(
        clause="8.5.2", check=integers.pack_injective, needs=("pack", "levels"),
        cases=numbers.code_rows, reaches="codes dropped, fields that overlap",
    ),
    Law(
        clause="8.5.3", check=integers.pack_order, needs=("pack", "packing", "levels"),
        cases=numbers.code_rows, reaches="order of bits and bytes, padding that is not zero",
    ),
    Law(
        clause="8.5.4", check=integers.dot_exact, needs=("dot", "dot_types"),
        cases=numbers.code_matrices, reaches="accumulators of too few bits, signs of ternary codes",
    ),
    Law(
        clause="8.5.5", check=integers.requantize_exact, needs=("requantize", "levels", "tie"),
        cases=numbers.accumulators, implied=rounding_rule,
        reaches="double rounding, binary32 multipliers, shifts that truncate",
    ),
    Law(
        clause="8.6.1", check=fits.fit_ternary, needs=("fit",), cases=numbers.weight_vectors,
        reaches="supports that are not the largest, groups of equal magnitude that are cut",
    ),
    Law(
        clause="8.6.2", check=fits.fit_scale, needs=("fit",), cases=numbers.weight_vectors,
        reaches="eps in thresholds and scales",
    ),
    Law(
        clause="8.6.3", check=fits.fit_order, needs=("fit",), cases=numbers.weight_vectors,
        reaches="unstable sorts, thresholds that look at signs",
    ),
    Law(
        clause="8.6.4", check=fits.fit_mean, needs=("fit",), cases=numbers.weight_vectors,
        reaches="scales over all weights instead of the kept ones",
    ),
    Law(
        clause="8.6.5", check=fits.fit_optimal, needs=("fit",), cases=numbers.weight_vectors,
        implied=by_name, reaches="thresholds of a rule of thumb where the optimum is promised",
    ),
    Law(
        clause="8.6.6", check=fits.factor_ternary, needs=("factorize",),
        cases=numbers.weight_matrices, reaches="factors that are not ternary, negative scales",
    ),
    Law(
        clause="8.6.7", check=fits.factor_residual, needs=("factorize",),
        cases=numbers.weight_matrices, reaches="terms that make things worse",
    ),
    Law(
        clause="8.6.8", check=fits.factor_gain, needs=("factorize",), cases=numbers.weight_matrices,
        implied=by_name, reaches="scales that are not the least-squares ones",
    ),
    Law(
        clause="8.6.9", check=fits.reconstruct_exact, needs=("reconstruct",),
        cases=numbers.integer_factors, reaches="floating-point sums where integers are meant",
    ),
    Law(
        clause="8.6.10", check=fits.fit_smallest, needs=("fit",), cases=numbers.weight_vectors,
        implied=by_name, reaches="the last of equal maxima where the first is promised",
    ),
)
NAMES = tuple(law.name for law in LAWS)
