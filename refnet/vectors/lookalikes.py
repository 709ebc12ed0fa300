"""Named wrong behaviours: what an implementation that fails a vector probably does.

Every look-alike is a mistake that somebody made elsewhere or that the specification invites. Each
is killed by some vector (a test demands it), and each vector lists the ones that it kills.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from refnet.program import Add, Conv, MaxPool, Op, Reshape, SumPool, Threshold
from refnet.vectors import wrong_blockterms as blockterms
from refnet.vectors import wrong_checks as checks
from refnet.vectors import wrong_codes as codes
from refnet.vectors import wrong_numbers as numbers
from refnet.vectors import wrong_operators as operators
from refnet.vectors import wrong_records as records
from refnet.vectors import wrong_semidiscrete as semidiscrete
from refnet.vectors import wrong_solvers as solvers
from refnet.vectors.answering import (
    WrongOperator,
    WrongRequantize,
    WrongShift,
    function,
    operator,
    requantization,
    rounding,
)
from refnet.vectors.functions import Implementation

WrongRatio = Callable[[Fraction], tuple[int, int]]
WrongLevel = Callable[[float, float, float], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookalike:
    """A wrong behaviour: its name, the ops it concerns, what it does, and an implementation."""

    name: str
    ops: tuple[str, ...]
    meaning: str
    function: Implementation


def _said(what: object) -> str:
    """The first line of a docstring, which says what the mistake does."""
    return (what.__doc__ or "").strip().splitlines()[0]


def _shift(name: str, wrong: WrongShift, meaning: str = "") -> Lookalike:
    ops = ("rounding_shift", "requantize", "Requantize", "Program")
    meaning = meaning or _said(wrong)
    return Lookalike(name=name, ops=ops, meaning=meaning, function=rounding(wrong))


def _instead(rule: str, other: str, also: str = "") -> Lookalike:
    meaning = f"Ties by {other} where the rule is {rule}{also}."
    return _shift(f"{other}_for_{rule}", numbers.instead(rule, other), meaning)


def _scale(name: str, wrong: WrongRequantize) -> Lookalike:
    ops = ("requantize", "Requantize", "Program")
    return Lookalike(name=name, ops=ops, meaning=_said(wrong), function=requantization(wrong))


def _op(name: str, kind: type[Op], wrong: WrongOperator, meaning: str = "") -> Lookalike:
    return Lookalike(
        name=name,
        ops=(kind.__name__, "Program"),
        meaning=meaning or _said(wrong),
        function=operator(kind, wrong),
    )


def _conv(name: str, change: object) -> Lookalike:
    return _op(name, Conv, operators.conv_with(change), _said(change))  # type: ignore[arg-type]


def _ask(name: str, ops: Sequence[str], wrong: Implementation, meaning: str = "") -> Lookalike:
    """A mistake in a function of the specification; refusals stay right."""
    return Lookalike(
        name=name, ops=tuple(ops), meaning=meaning or _said(wrong), function=function(wrong)
    )


def _descent(name: str, meaning: str, **mistake: bool) -> Lookalike:
    return _ask(name, ("code_least_squares",), solvers.WrongDescent(**mistake), meaning)


def _accept(name: str, ops: Sequence[str], wrong: Implementation) -> Lookalike:
    """A check that is missing."""
    return Lookalike(name=name, ops=tuple(ops), meaning=_said(wrong), function=wrong)


_TYPED = ("Conv", "Threshold", "Requantize", "Add", "SumPool")
_WITH_ATTRIBUTES = ("Conv", "Requantize", "MaxPool", "SumPool")
_UNPACK = ("unpack_bits", "unpack_planes", "unpack_trits", "unpack_ternary_planes")


def _ratio(name: str, wrong: WrongRatio) -> Lookalike:
    return _ask(name, ("ratio_to_mult_shift",), numbers.ratios(wrong), _said(wrong))


def _level(name: str, wrong: WrongLevel) -> Lookalike:
    return _ask(name, ("integer_thresholds",), numbers.thresholds(wrong), _said(wrong))


LOOKALIKES: tuple[Lookalike, ...] = (
    # Rounding and requantization
    _instead("half_even", "half_up"),
    _instead("half_even", "half_away"),
    _instead("half_up", "half_even"),
    # The other two rules are symmetric, so this is what rounding a magnitude does as well.
    _instead("half_up", "half_away", ", as when the magnitude is rounded"),
    _instead("half_away", "half_even"),
    _instead("half_away", "half_up"),
    _shift("half_down", numbers.half_down),
    _shift("floor", numbers.floored),
    _shift("truncation", numbers.truncated),
    _shift("double_rounding_high_mul", numbers.double_rounding),
    _shift("double_rounding_last_bit", numbers.twice_half),
    _scale("saturate_before_scaling", numbers.accumulator_clamped),
    _scale("wrap_for_saturate", numbers.wrapped),
    _scale("symmetric_saturation", numbers.symmetric),
    _scale("lower_end_not_clamped", numbers.unclamped_below),
    _scale("multiplier_sign_ignored", numbers.mult_unsigned),
    _scale("multiplier_sign_after_rounding", numbers.sign_before_rounding),
    _scale("one_multiplier_for_all_channels", numbers.one_pair),
    _scale("float32_scale", numbers.float32_scaled),
    _scale("product_of_32_bits", numbers.product_32),
    _ask("saturate_wraps", ("saturate",), numbers.saturated_wrapped),
    _ratio("ratio_ties_up", numbers.ratio_half_up),
    _ratio("ratio_truncated", numbers.ratio_truncated),
    _ratio("ratio_capped", numbers.ratio_capped),
    _ratio("ratio_float32", numbers.ratio_float32),
    _ratio("ratio_shift_unbounded", numbers.ratio_unbounded),
    _ratio("ratio_of_14_bits", numbers.ratio_fewer_bits),
    # Thresholds
    _level("threshold_ceil", numbers.threshold_ceil),
    _level("threshold_floor", numbers.threshold_floor),
    _level("threshold_rounded", numbers.threshold_rounded),
    _level("threshold_in_floating_point", numbers.threshold_float),
    _ask("threshold_not_clamped", ("integer_thresholds",), numbers.threshold_unclamped),
    _ask("scale_sign_ignored", ("integer_thresholds",), numbers.scale_sign_ignored),
    _op("greater_for_greater_equal", Threshold, operators.strict),
    _op("sign_ignored", Threshold, operators.sign_ignored),
    _op("sign_complements", Threshold, operators.sign_complements),
    _op("sign_strict", Threshold, operators.sign_strict),
    _op("sign_on_thresholds", Threshold, operators.sign_on_thresholds),
    _op("thresholds_of_channel_0", Threshold, operators.one_row),
    _op("equal_thresholds_once", Threshold, operators.equal_once),
    # Convolution
    _conv("kernel_flipped", operators.flipped),
    _conv("kernel_transposed", operators.kernel_transposed),
    _conv("padding_edge", operators.edge_padded),
    _conv("padding_one", operators.one_padded),
    _conv("padding_before_after_exchanged", operators.pads_exchanged),
    _conv("padding_axes_exchanged", operators.pad_axes_exchanged),
    _conv("stride_axes_exchanged", operators.stride_axes_exchanged),
    _conv("dilation_ignored", operators.dilation_ignored),
    _conv("groups_interleaved", operators.groups_interleaved),
    _conv("groups_read_first_channels", operators.first_channels),
    _conv("weights_unsigned", operators.weights_unsigned),
    _op("filters_interleaved", Conv, operators.filters_interleaved),
    _op("conv_size_rounded_up", Conv, operators.ceil_size),
    _op("bias_ignored", Conv, operators.bias_ignored),
    _op("bias_subtracted", Conv, operators.bias_subtracted),
    _op("accumulator_of_16_bits", Conv, operators.accumulator_16),
    _op("accumulator_saturates_at_16_bits", Conv, operators.accumulator_16_saturated),
    _op("accumulator_float32", Conv, operators.accumulator_float32),
    _op("first_image_for_all", Conv, operators.first_image),
    # Pools, sums, shapes
    _op("maxpool_zero_wins", MaxPool, operators.zero_wins),
    _op("maxpool_of_magnitudes", MaxPool, operators.largest_magnitude),
    _op("maxpool_size_rounded_up", MaxPool, operators.ceil_size),
    _op("maxpool_stride_is_kernel", MaxPool, operators.pool_stride_is_kernel),
    _op("maxpool_kernel_axes_exchanged", MaxPool, operators.pool_kernel_exchanged),
    _op("sumpool_averages", SumPool, operators.averaged),
    _op("sumpool_divisor_without_padding", SumPool, operators.padding_rescaled),
    _op("sumpool_padding_edge", SumPool, operators.edge_summed),
    _op("sumpool_takes_maximum", SumPool, operators.maximum_for_sum),
    _op("sumpool_size_rounded_up", SumPool, operators.ceil_size),
    _op("sumpool_stride_is_kernel", SumPool, operators.pool_stride_is_kernel),
    _op("add_wraps_at_8_bits", Add, operators.added_in_8_bits),
    _op("add_saturates_at_8_bits", Add, operators.added_saturated),
    _op("reshape_f_order", Reshape, operators.last_axis_first),
    _op("reshape_channels_last", Reshape, operators.channels_last),
    # Codes
    _ask("msb_first", ("pack_bits",), codes.msb_first),
    _ask("field_bits_reversed", ("pack_bits",), codes.bits_reversed),
    _ask("minus_one_as_10", ("pack_bits",), codes.minus_one_10),
    _ask("offset_codes", ("pack_bits",), codes.offset_codes),
    _ask("fields_within_bytes", ("pack_bits",), codes.whole_fields),
    _ask("rows_joined", ("pack_bits",), codes.rows_joined),
    _ask("row_bytes_reversed", ("pack_bits", "pack_trits"), codes.bytes_reversed),
    _ask("trits_reversed", ("pack_trits",), codes.trits_reversed),
    _ask("trits_offset", ("pack_trits",), codes.trits_offset),
    _ask("trits_four_to_a_byte", ("pack_trits",), codes.trits_four),
    _ask("planes_reversed", ("pack_planes",), codes.planes_reversed),
    _ask("planes_msb_first", ("pack_planes",), codes.planes_msb),
    _ask("masks_positive_negative", ("pack_ternary_planes",), codes.positive_negative),
    _ask("unpack_msb_first", ("unpack_bits",), codes.unpacked_msb_first),
    _ask("unpack_unsigned", _UNPACK, codes.unpacked_unsigned),
    _ask("unpack_trits_reversed", ("unpack_trits",), codes.unpacked_backwards),
    _ask("unpack_planes_reversed", ("unpack_planes",), codes.unpacked_planes_reversed),
    _ask("unpack_masks_subtracted", ("unpack_ternary_planes",), codes.masks_added),
    _ask("class_of_largest_magnitude", ("classify",), codes.class_of_magnitude),
    _ask("last_class_on_ties", ("classify",), codes.last_class),
    # Types, counts, files
    _ask("file_big_endian", ("save",), records.file_big_endian),
    _ask("file_read_unaligned", ("load",), checks.alignment_ignored),
    _ask("file_unaligned", ("save",), records.file_unaligned),
    _ask("weight_bits_of_all_constants", ("weight_bits",), records.all_constants_weigh),
    _ask("weight_bits_of_storage", ("weight_bits",), records.stored_bits),
    _ask("range_of_storage", ("integer_type",), records.storage_range),
    _ask("int_is_symmetric", ("integer_type",), records.symmetric_names),
    _ask("storage_always_signed", ("integer_type",), records.signed_storage),
    _ask("range_of_result_storage", ("result_type",), records.range_of_result_storage),
    _ask("range_of_the_data", ("result_type",), records.range_of_the_data),
    _ask("range_of_final_sum", ("result_type",), records.range_without_zero),
    _ask("zero_weights_skipped", ("work",), records.zero_weights_skipped),
    _ask("work_of_the_batch", ("work",), records.work_of_the_batch),
    _ask("bias_is_a_mac", ("work",), records.bias_is_a_mac),
    # Solvers of the methods
    _ask("ternary_threshold_of_mean", ("optimal_ternary",), solvers.threshold_of_mean),
    _ask("ternary_largest_support", ("optimal_ternary",), solvers.largest_support),
    _ask("ternary_without_zeros", ("optimal_ternary",), solvers.no_zero_codes),
    _ask("ternary_scale_of_all", ("optimal_ternary",), solvers.sum_of_all),
    _ask("weight_codes_largest_on_top", ("weight_codes",), solvers.largest_on_top),
    _ask("weight_codes_truncated", ("weight_codes",), solvers.truncated_on_top),
    _descent("descent_candidates_descend", "The candidates descend.", descending=True),
    _descent("descent_ties_move", "A candidate that is as good is taken.", ties_move=True),
    _descent("descent_start_not_turned", "N < 0 at the start stays.", turned=False),
    _descent("descent_all_at_once", "A sweep sees the codes of its begin.", stale=True),
    _descent("descent_silent_zero", "Weights that meet no input become 0.", silent_zero=True),
    _descent("descent_live_scale", "The fixed form takes alpha anew for each weight.",
             live_scale=True),
    _descent("descent_one_sweep", "There is one sweep, whatever is asked.", one_sweep=True),
    _descent("descent_not_stitched", "Whole codes are not moved after the digits.",
             stitched=False),
    _descent("descent_lowest_place_first", "Digits of the lowest place come first.",
             low_first=True),
    _descent("descent_squares", "The objective has no sign: N'**2 / D'.", unsigned=True),
    _descent("descent_bound_doubled", "The fixed form asks |r| > alpha*G for 2*|r|.",
             half_forgotten=True),
    _descent("descent_own_part_kept", "r holds the weight's own part of G w.",
             own_part_kept=True),
    _ask("descent_dead_codes_kept", ("code_least_squares",), solvers.start_kept),
    _ask("z_at_threshold", ("z_step",), solvers.at_threshold),
    _ask("z_goes_to_the_level", ("z_step",), solvers.level_of_y),
    _ask("z_middle_only", ("z_step",), solvers.middle_only),
    _ask("z_penalty_inverted", ("z_step",), solvers.penalty_on_the_level),
    # The semidiscrete decomposition
    *(_ask(f"sdd_{wrong.__name__}", ("semidiscrete",), wrong) for wrong in semidiscrete.WRONG),
    # Block terms
    _ask("block_core_transposed", ("block_term",), blockterms.core_transposed),
    _ask("block_terms_crossed", ("block_term",), blockterms.terms_crossed),
    _ask("block_first_term_only", ("block_term",), blockterms.first_term_only),
    _ask("block_channels_interleaved", ("block_term",), blockterms.channels_interleaved),
    _ask("block_single_precision", ("block_term",), blockterms.single_precision),
    _ask("block_core_in_every_form", ("block_term",), blockterms.core_kept),
    # Checks that are missing
    _accept("fields_unchecked", ("unpack_bits", "unpack_planes"), checks.fields_unchecked),
    _accept("trit_bytes_unchecked", ("unpack_trits",), checks.trit_bytes_unchecked),
    _accept("negative_zero_accepted", ("unpack_ternary_planes",), checks.negative_zero),
    _accept("types_unchecked", _TYPED, checks.types_unchecked),
    _accept("attributes_unchecked", _WITH_ATTRIBUTES, checks.attributes_unchecked),
    _accept("input_clamped", ("Program",), checks.input_clamped),
    _accept("checksums_ignored", ("load",), checks.checksums_ignored),
)
