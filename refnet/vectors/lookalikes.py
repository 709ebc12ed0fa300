"""Named wrong behaviours: what an implementation that fails a vector probably does.

Every look-alike is a mistake that somebody made elsewhere or that the specification invites. Each
is killed by some vector, and every vector kills one (tests demand both).
"""

from __future__ import annotations

from refnet.program import Add, Conv, MaxPool, Reshape, SumPool, Threshold
from refnet.vectors import wrong_blockterms as blockterms
from refnet.vectors import wrong_checks as checks
from refnet.vectors import wrong_codes as codes
from refnet.vectors import wrong_numbers as numbers
from refnet.vectors import wrong_operators as operators
from refnet.vectors import wrong_records as records
from refnet.vectors import wrong_semidiscrete as semidiscrete
from refnet.vectors import wrong_solvers as solvers
from refnet.vectors.convolution_mistakes import CONVOLUTION
from refnet.vectors.layer_mistakes import LAYERS
from refnet.vectors.lenient import LENIENT
from refnet.vectors.naming import (
    Lookalike,
    accept,
    ask,
    conv,
    descent,
    instead,
    level,
    op,
    ratio,
    scale,
    shift,
)
from refnet.vectors.operator_mistakes import OPERATORS
from refnet.vectors.plain_mistakes import PLAIN

__all__ = ["LOOKALIKES", "Lookalike"]

_TYPED = ("Conv", "Threshold", "Requantize", "Add", "SumPool")
_WITH_ATTRIBUTES = ("Conv", "Requantize", "MaxPool", "SumPool")
_UNPACK = ("unpack_bits", "unpack_planes", "unpack_trits", "unpack_ternary_planes")

LOOKALIKES: tuple[Lookalike, ...] = (
    # Rounding and requantization
    instead("half_even", "half_up"),
    instead("half_even", "half_away"),
    instead("half_up", "half_even"),
    # The other two rules are symmetric, so this is what rounding a magnitude does as well.
    instead("half_up", "half_away", ", as when the magnitude is rounded"),
    instead("half_away", "half_even"),
    instead("half_away", "half_up"),
    shift("half_down", numbers.half_down),
    shift("floor", numbers.floored),
    shift("truncation", numbers.truncated),
    shift("double_rounding_high_mul", numbers.double_rounding),
    shift("double_rounding_last_bit", numbers.twice_half),
    scale("saturate_before_scaling", numbers.accumulator_clamped),
    scale("wrap_for_saturate", numbers.wrapped),
    scale("symmetric_saturation", numbers.symmetric),
    scale("lower_end_not_clamped", numbers.unclamped_below),
    scale("multiplier_sign_ignored", numbers.mult_unsigned),
    scale("multiplier_sign_after_rounding", numbers.sign_before_rounding),
    scale("one_multiplier_for_all_channels", numbers.one_pair),
    scale("float32_scale", numbers.float32_scaled),
    scale("product_of_32_bits", numbers.product_32),
    ask("saturate_wraps", ("saturate",), numbers.saturated_wrapped),
    ratio("ratio_ties_up", numbers.ratio_half_up),
    ratio("ratio_truncated", numbers.ratio_truncated),
    ratio("ratio_capped", numbers.ratio_capped),
    ratio("ratio_float32", numbers.ratio_float32),
    ratio("ratio_shift_unbounded", numbers.ratio_unbounded),
    ratio("ratio_of_14_bits", numbers.ratio_fewer_bits),
    # Thresholds
    level("threshold_ceil", numbers.threshold_ceil),
    level("threshold_floor", numbers.threshold_floor),
    level("threshold_rounded", numbers.threshold_rounded),
    level("threshold_in_floating_point", numbers.threshold_float),
    ask("threshold_not_clamped", ("integer_thresholds",), numbers.threshold_unclamped),
    ask("scale_sign_ignored", ("integer_thresholds",), numbers.scale_sign_ignored),
    op("greater_for_greater_equal", Threshold, operators.strict),
    op("sign_ignored", Threshold, operators.sign_ignored),
    op("sign_complements", Threshold, operators.sign_complements),
    op("sign_strict", Threshold, operators.sign_strict),
    op("sign_on_thresholds", Threshold, operators.sign_on_thresholds),
    op("thresholds_of_channel_0", Threshold, operators.one_row),
    op("equal_thresholds_once", Threshold, operators.equal_once),
    # Convolution
    conv("kernel_flipped", operators.flipped),
    conv("kernel_transposed", operators.kernel_transposed),
    conv("padding_edge", operators.edge_padded),
    conv("padding_one", operators.one_padded),
    conv("padding_before_after_exchanged", operators.pads_exchanged),
    conv("padding_axes_exchanged", operators.pad_axes_exchanged),
    conv("stride_axes_exchanged", operators.stride_axes_exchanged),
    conv("dilation_ignored", operators.dilation_ignored),
    conv("groups_interleaved", operators.groups_interleaved),
    conv("groups_read_first_channels", operators.first_channels),
    conv("weights_unsigned", operators.weights_unsigned),
    op("filters_interleaved", Conv, operators.filters_interleaved),
    op("conv_size_rounded_up", Conv, operators.ceil_size),
    op("bias_ignored", Conv, operators.bias_ignored),
    op("bias_subtracted", Conv, operators.bias_subtracted),
    op("accumulator_of_16_bits", Conv, operators.accumulator_16),
    op("accumulator_saturates_at_16_bits", Conv, operators.accumulator_16_saturated),
    op("accumulator_float32", Conv, operators.accumulator_float32),
    op("first_image_for_all", Conv, operators.first_image),
    # Pools, sums, shapes
    op("maxpool_zero_wins", MaxPool, operators.zero_wins),
    op("maxpool_of_magnitudes", MaxPool, operators.largest_magnitude),
    op("maxpool_size_rounded_up", MaxPool, operators.ceil_size),
    op("maxpool_stride_is_kernel", MaxPool, operators.pool_stride_is_kernel),
    op("maxpool_kernel_axes_exchanged", MaxPool, operators.pool_kernel_exchanged),
    op("sumpool_averages", SumPool, operators.averaged),
    op("sumpool_divisor_without_padding", SumPool, operators.padding_rescaled),
    op("sumpool_padding_edge", SumPool, operators.edge_summed),
    op("sumpool_takes_maximum", SumPool, operators.maximum_for_sum),
    op("sumpool_size_rounded_up", SumPool, operators.ceil_size),
    op("sumpool_stride_is_kernel", SumPool, operators.pool_stride_is_kernel),
    op("add_wraps_at_8_bits", Add, operators.added_in_8_bits),
    op("add_saturates_at_8_bits", Add, operators.added_saturated),
    op("reshape_f_order", Reshape, operators.last_axis_first),
    op("reshape_channels_last", Reshape, operators.channels_last),
    # Codes
    ask("msb_first", ("pack_bits",), codes.msb_first),
    ask("field_bits_reversed", ("pack_bits",), codes.bits_reversed),
    ask("minus_one_as_10", ("pack_bits",), codes.minus_one_10),
    ask("offset_codes", ("pack_bits",), codes.offset_codes),
    ask("fields_within_bytes", ("pack_bits",), codes.whole_fields),
    ask("rows_joined", ("pack_bits",), codes.rows_joined),
    ask("row_bytes_reversed", ("pack_bits", "pack_trits"), codes.bytes_reversed),
    ask("trits_reversed", ("pack_trits",), codes.trits_reversed),
    ask("trits_offset", ("pack_trits",), codes.trits_offset),
    ask("trits_four_to_a_byte", ("pack_trits",), codes.trits_four),
    ask("planes_reversed", ("pack_planes",), codes.planes_reversed),
    ask("planes_msb_first", ("pack_planes",), codes.planes_msb),
    ask("masks_positive_negative", ("pack_ternary_planes",), codes.positive_negative),
    ask("unpack_msb_first", ("unpack_bits",), codes.unpacked_msb_first),
    ask("unpack_unsigned", _UNPACK, codes.unpacked_unsigned),
    ask("unpack_trits_reversed", ("unpack_trits",), codes.unpacked_backwards),
    ask("unpack_planes_reversed", ("unpack_planes",), codes.unpacked_planes_reversed),
    ask("unpack_masks_subtracted", ("unpack_ternary_planes",), codes.masks_added),
    ask("class_of_largest_magnitude", ("classify",), codes.class_of_magnitude),
    ask("last_class_on_ties", ("classify",), codes.last_class),
    # Types, counts, files
    ask("file_big_endian", ("save",), records.file_big_endian),
    ask("file_read_unaligned", ("load",), checks.alignment_ignored),
    ask("file_unaligned", ("save",), records.file_unaligned),
    ask("weight_bits_of_all_constants", ("weight_bits",), records.all_constants_weigh),
    ask("weight_bits_of_storage", ("weight_bits",), records.stored_bits),
    ask("range_of_storage", ("integer_type",), records.storage_range),
    ask("int_is_symmetric", ("integer_type",), records.symmetric_names),
    ask("storage_always_signed", ("integer_type",), records.signed_storage),
    ask("range_of_result_storage", ("result_type",), records.range_of_result_storage),
    ask("range_of_the_data", ("result_type",), records.range_of_the_data),
    ask("range_of_final_sum", ("result_type",), records.range_without_zero),
    ask("zero_weights_skipped", ("work",), records.zero_weights_skipped),
    ask("work_of_the_batch", ("work",), records.work_of_the_batch),
    ask("bias_is_a_mac", ("work",), records.bias_is_a_mac),
    # Solvers of the methods
    ask("ternary_threshold_of_mean", ("optimal_ternary",), solvers.threshold_of_mean),
    ask("ternary_largest_support", ("optimal_ternary",), solvers.largest_support),
    ask("ternary_without_zeros", ("optimal_ternary",), solvers.no_zero_codes),
    ask("ternary_scale_of_all", ("optimal_ternary",), solvers.sum_of_all),
    ask("weight_codes_largest_on_top", ("weight_codes",), solvers.largest_on_top),
    ask("weight_codes_truncated", ("weight_codes",), solvers.truncated_on_top),
    descent("descent_candidates_descend", "The candidates descend.", descending=True),
    descent("descent_ties_move", "A candidate that is as good is taken.", ties_move=True),
    descent("descent_start_not_turned", "N < 0 at the start stays.", turned=False),
    descent("descent_all_at_once", "A sweep sees the codes of its begin.", stale=True),
    descent("descent_silent_zero", "Weights that meet no input become 0.", silent_zero=True),
    descent("descent_live_scale", "The fixed form takes alpha anew for each weight.",
             live_scale=True),
    descent("descent_one_sweep", "There is one sweep, whatever is asked.", one_sweep=True),
    descent("descent_not_stitched", "Whole codes are not moved after the digits.",
             stitched=False),
    descent("descent_lowest_place_first", "Digits of the lowest place come first.",
             low_first=True),
    descent("descent_squares", "The objective has no sign: N'**2 / D'.", unsigned=True),
    descent("descent_bound_doubled", "The fixed form asks |r| > alpha*G for 2*|r|.",
             half_forgotten=True),
    descent("descent_own_part_kept", "r holds the weight's own part of G w.",
             own_part_kept=True),
    ask("descent_dead_codes_kept", ("code_least_squares",), solvers.start_kept),
    ask("z_at_threshold", ("z_step",), solvers.at_threshold),
    ask("z_goes_to_the_level", ("z_step",), solvers.level_of_y),
    ask("z_middle_only", ("z_step",), solvers.middle_only),
    ask("z_penalty_inverted", ("z_step",), solvers.penalty_on_the_level),
    # The semidiscrete decomposition
    *(ask(f"sdd_{wrong.__name__}", ("semidiscrete",), wrong) for wrong in semidiscrete.WRONG),
    # Block terms
    ask("block_core_transposed", ("block_term",), blockterms.core_transposed),
    ask("block_terms_crossed", ("block_term",), blockterms.terms_crossed),
    ask("block_first_term_only", ("block_term",), blockterms.first_term_only),
    ask("block_channels_interleaved", ("block_term",), blockterms.channels_interleaved),
    ask("block_single_precision", ("block_term",), blockterms.single_precision),
    ask("block_core_in_every_form", ("block_term",), blockterms.core_kept),
    # Checks that are missing
    accept("fields_unchecked", ("unpack_bits", "unpack_planes"), checks.fields_unchecked),
    accept("trit_bytes_unchecked", ("unpack_trits",), checks.trit_bytes_unchecked),
    accept("negative_zero_accepted", ("unpack_ternary_planes",), checks.negative_zero),
    accept("types_unchecked", _TYPED, checks.types_unchecked),
    accept("attributes_unchecked", _WITH_ATTRIBUTES, checks.attributes_unchecked),
    accept("input_clamped", ("Program",), checks.input_clamped),
    accept("checksums_ignored", ("load",), checks.checksums_ignored),
    *PLAIN,
    *LENIENT,
    *LAYERS,
    *CONVOLUTION,
    *OPERATORS,
)
