"""Look-alikes of the tier ``methods``."""

from __future__ import annotations

from refnet.vectors import wrong_layers as wrong
from refnet.vectors.naming import Lookalike, ask

_WEIGHT, _ACTIVATION, _LINEAR = ("weight_rule",), ("activation_rule",), ("linear_layer",)
_KEPT, _DEAD, _LATENTS = ("kept_iterate",), ("dead_filters",), ("latents",)
_TERMS, _DISTANCE = ("canonical_terms",), ("term_distance",)

LAYERS: tuple[Lookalike, ...] = (
    ask("weight_at_threshold_kept", _WEIGHT, wrong.weight_at_threshold),
    ask("threshold_of_the_maximum", _WEIGHT, wrong.threshold_of_maximum),
    ask("binary_zero_without_sign", _WEIGHT, wrong.zero_has_no_sign),
    ask("filter_of_zeros_kept", _WEIGHT, wrong.zero_filter_kept),
    ask("one_scale_for_both_signs", _WEIGHT, wrong.one_scale),
    ask("smaller_scale_truncated", _WEIGHT, wrong.scale_truncated),
    ask("level_tie_up", _WEIGHT, wrong.level_tie_up),
    ask("even_grid_tie_down", _WEIGHT, wrong.even_grid_tie_down),
    ask("tanh_forgotten", _WEIGHT, wrong.tanh_forgotten),
    ask("code_at_threshold_raised", _ACTIVATION, wrong.code_at_threshold),
    ask("first_threshold_half_a_step", _ACTIVATION, wrong.levels_rounded),
    ask("activation_wraps", _ACTIVATION, wrong.activation_wraps),
    ask("inputs_not_centred", _LINEAR, wrong.inputs_not_centred),
    ask("bias_of_responses", _LINEAR, wrong.bias_of_responses),
    ask("given_bias_solved", _LINEAR, wrong.bias_solved),
    ask("dead_filter_without_bias", _LINEAR, wrong.dead_without_bias),
    ask("last_iterate_kept", _KEPT, wrong.last_iterate),
    ask("latest_of_equals_kept", _KEPT, wrong.latest_of_equals),
    ask("cost_before_the_quantizer", _KEPT, wrong.linear_cost),
    ask("dead_in_binary64_only", _DEAD, wrong.wide_scale),
    ask("subnormal_scale_is_dead", _DEAD, wrong.subnormal_is_dead),
    ask("dead_scale_kept", _DEAD, wrong.dead_scale_kept),
    ask("dead_codes_kept", _DEAD, wrong.dead_codes_kept),
    ask("dead_binary_codes_lost", _DEAD, wrong.binary_buried),
    ask("latents_not_clipped", _LATENTS, wrong.latents_free),
    ask("latents_at_the_edge", _LATENTS, wrong.latents_at_the_edge),
    ask("latents_are_codes", _LATENTS, wrong.latents_are_codes),
    ask("terms_in_given_order", _TERMS, wrong.terms_in_given_order),
    ask("smallest_term_first", _TERMS, wrong.terms_ascending),
    ask("column_signs_left", _TERMS, wrong.signs_left),
    ask("distance_of_factors", _DISTANCE, wrong.distance_of_factors),
    ask("norm_of_the_second", _DISTANCE, wrong.norm_of_the_second),
)
