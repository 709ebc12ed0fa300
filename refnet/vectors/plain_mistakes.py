"""Look-alikes that show on ordinary data: what the plain vector of an operator is there for."""

from __future__ import annotations

from collections.abc import Sequence

from refnet.program import Add, Conv, MaxPool, Reshape, SumPool, Threshold
from refnet.vectors import wrong_plain as plain
from refnet.vectors import wrong_solutions as solutions
from refnet.vectors.answering import operator
from refnet.vectors.functions import Implementation
from refnet.vectors.naming import Lookalike, ask, conv, descent, level, op, scale, shift
from refnet.vectors.wrong_numbers import threshold_offset_added


def _filed(name: str, ops: Sequence[str], wrong: Implementation, meaning: str) -> Lookalike:
    return Lookalike(name=name, ops=tuple(ops), function=wrong, meaning=meaning)


PLAIN: tuple[Lookalike, ...] = (
    # Numbers
    shift("half_added_without_shift", plain.half_without_shift),
    scale("shift_modulo_32", plain.shift_mod_32),
    scale("result_of_32_bits", plain.result_32),
    ask("saturate_upper_exclusive", ("saturate",), plain.upper_exclusive),
    ask("ratio_zero_keeps_shift", ("ratio_to_mult_shift",), plain.zero_keeps_shift),
    ask("ratio_unsigned", ("ratio_to_mult_shift",), plain.ratio_unsigned),
    level("threshold_offset_added", threshold_offset_added),
    ask("scale_zero_never_passes", ("integer_thresholds",), plain.zero_scale_never),
    ask("scale_zero_equal_passes", ("integer_thresholds",), plain.zero_scale_equal),
    ask("scale_sign_bit", ("integer_thresholds",), plain.sign_bit),
    ask("threshold_clamped_to_hi", ("integer_thresholds",), plain.never_is_hi),
    # Operators
    conv("weights_channel_major", plain.channel_major),
    conv("weights_kernel_first", plain.kernel_first),
    conv("map_channels_last", plain.map_channels_last),
    conv("padding_minus_one", plain.padded_minus_one),
    conv("dilation_axes_exchanged", plain.dilation_exchanged),
    conv("windows_from_far_edge", plain.from_far_edge),
    op("bias_of_first_filter", Conv, plain.bias_of_first),
    op("accumulator_of_8_bits", Conv, plain.accumulator_8),
    op("pairs_saturate_at_16_bits", Conv, plain.pairs_saturate),
    op("negation_wraps", Threshold, plain.negation_8),
    op("threshold_codes_of_2_bits", Threshold, plain.codes_of_2_bits),
    op("maxpool_starts_at_zero", MaxPool, plain.starts_at_zero),
    op("maxpool_sums", MaxPool, plain.summed),
    op("maxpool_last_place_left_out", MaxPool, plain.last_place_left_out),
    op("maxpool_pads_exchanged", MaxPool, plain.pool_pads_exchanged),
    op("maxpool_first_image", MaxPool, plain.pool_first_image),
    op("sumpool_last_place_left_out", SumPool, plain.last_place_left_out),
    op("sumpool_pads_exchanged", SumPool, plain.pool_pads_exchanged),
    op("sumpool_wraps_at_8_bits", SumPool, plain.accumulator_8),
    op("sumpool_first_image", SumPool, plain.pool_first_image),
    op("reshape_drops_axes", Reshape, plain.axes_dropped),
    _filed("add_subtracts", ("Add", "Program", "load"), operator(Add, plain.subtracted),
           "The second operand is subtracted."),
    ask("empty_batch_is_one_image", plain.BATCHED, plain.one_image_of_zeros),
    ask("no_step_gives_zeros", ("Program", "load"), plain.nothing_written),
    # Types and counts
    ask("padding_macs_left_out", ("work",), plain.operands_from_pads),
    ask("pool_counts_all_places", ("work",), plain.place_for_place),
    ask("reshape_is_work", ("work",), plain.moves_counted),
    ask("range_of_weight_type", ("result_type",), plain.range_of_weight_type),
    ask("weight_bits_of_the_input", ("weight_bits",), solutions.input_weighs),
    # Codes
    ask("byte_pairs_exchanged", ("pack_bits", "pack_trits"), solutions.byte_pairs_exchanged),
    ask("masks_msb_first", ("pack_ternary_planes",), solutions.masks_msb_first),
    ask("mask_of_zeros", ("pack_ternary_planes",), solutions.mask_of_zeros),
    ask("unpack_masks_msb_first", ("unpack_ternary_planes",), solutions.unpacked_masks_msb_first),
    ask("unpack_mask_of_zeros", ("unpack_ternary_planes",), solutions.unpacked_mask_of_zeros),
    ask("unpack_trits_offset", ("unpack_trits",), solutions.unpacked_offset),
    ask("unpack_planes_msb_first", ("unpack_planes",), solutions.unpacked_planes_msb_first),
    ask("unpack_bytes_reversed", ("unpack_bits",), solutions.unpacked_bytes_reversed),
    ask("classes_from_one", ("classify",), solutions.classes_from_one),
    # Solvers
    ask("ternary_zero_keeps_one", ("optimal_ternary",), solutions.zero_keeps_one),
    ask("ternary_sign_lost", ("optimal_ternary",), solutions.sign_lost),
    ask("weight_codes_zero_positive", ("weight_codes",), solutions.zero_is_positive),
    ask("descent_start_given_back", ("code_least_squares",), solutions.start_given_back),
    descent("descent_binary_zero_positive", "In the fixed form r = 0 gives the binary code 1.",
            zero_positive=True),
    ask("sdd_dead_component_ends", ("semidiscrete",), solutions.dead_component_ends),
)  # fmt: skip
