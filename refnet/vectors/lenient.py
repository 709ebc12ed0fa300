"""Look-alikes that accept what must be refused, each for want of one check."""

from __future__ import annotations

from refnet.vectors import wrong_files as files
from refnet.vectors import wrong_lenient as wrong
from refnet.vectors.naming import Lookalike, accept
from refnet.vectors.wrong_programs import LenientProgram, input_cut, input_of_reals


def _program(name: str, meaning: str, **missing: bool) -> Lookalike:
    function = LenientProgram(**missing)
    return Lookalike(name=name, ops=("Program",), meaning=meaning, function=function)


def _file(name: str, meaning: str, **missing: bool) -> Lookalike:
    function = files.LenientFile(**missing)
    return Lookalike(name=name, ops=("load",), meaning=meaning, function=function)


_ROUNDED = ("rounding_shift", "requantize", "Requantize")
_SOLVERS = ("semidiscrete", "code_least_squares")

LENIENT: tuple[Lookalike, ...] = (
    # Functions and operators
    accept("conv_sizes_unchecked", ("Conv",), wrong.sizes_of_conv),
    accept("threshold_sizes_unchecked", ("Threshold",), wrong.sizes_of_threshold),
    accept("pool_sizes_unchecked", ("MaxPool", "SumPool"), wrong.sizes_of_pool),
    accept("reshape_sizes_unchecked", ("Reshape",), wrong.sizes_of_reshape),
    accept("attributes_clamped", ("Conv", "MaxPool", "SumPool"), wrong.attributes_clamped),
    accept("rounding_has_a_default", _ROUNDED, wrong.default_rounding),
    accept("limits_unchecked", _ROUNDED, wrong.limits_unchecked),
    accept("bounds_exchanged", ("saturate", "integer_type"), wrong.bounds_exchanged),
    accept("type_widths_unchecked", ("integer_type",), wrong.widths_unchecked),
    accept("type_names_guessed", ("integer_type",), wrong.names_guessed),
    accept("pack_keeps_low_bits", ("pack_bits",), wrong.low_bits_packed),
    accept("unpack_short_rows", ("unpack_bits",), wrong.short_rows),
    accept("levels_unchecked", ("integer_thresholds",), wrong.any_levels),
    accept("ratio_saturates", ("ratio_to_mult_shift",), wrong.ratio_saturates),
    accept("missing_operand_accepted", ("Add", "Conv", "Threshold"), wrong.missing_operand),
    accept("solver_attributes_replaced", _SOLVERS, wrong.solver_attributes),
    accept("solver_sizes_unchecked", _SOLVERS, wrong.solver_sizes),
    accept("start_codes_unchecked", ("code_least_squares",), wrong.start_brought_to_codes),
    accept("z_thresholds_sorted", ("z_step",), wrong.levels_sorted),
    accept("block_sizes_unchecked", ("block_term",), wrong.block_sizes),
    accept("block_bound_unchecked", ("block_term",), wrong.block_bound),
    # Programs
    _program("program_unused_accepted", "Values and constants that nothing uses are accepted.",
             unused=True),
    _program("program_unset_is_zero", "A value that does not exist yet is zero.",
             unset=True, unused=True),
    _program("program_later_name_wins", "A name may be given twice: the later value counts.",
             twice=True, unset=True, unused=True),
    _program("program_names_unchecked", "Any text is a name.", names=True),
    _program("program_unknown_op_skipped", "An operator that does not exist passes x on.",
             operators=True),
    _program("program_constant_is_value", "Constants stand where activations and outputs must.",
             constants=True, unused=True),
    _program("program_shapes_unchecked", "Shapes may have any axes.", shapes=True, unused=True),
    _program("program_bound_unchecked", "Sums may leave the accumulator.", bound=True),
    accept("input_cut_to_fit", ("Program",), input_cut),
    accept("input_of_reals_accepted", ("Program",), input_of_reals),
    # Files
    _file("file_magic_unchecked", "The first eight bytes are not looked at.", magic=True),
    _file("file_end_unchecked", "What lies behind the arrays, or is cut off, does not count.",
          end=True),
    _file("file_padding_unchecked", "Padding may be anything.", padding=True),
    _file("file_format_unchecked", "Any format number is read.", version=True),
    _file("file_fields_unchecked", "Unknown fields are skipped, missing ones guessed.",
          fields=True),
    _file("file_names_guessed", "Unknown operators pass x on, unknown types are int8.",
          kinds=True),
    _file("file_offsets_ignored", "Arrays are taken in their order, wherever they should be.",
          offsets=True),
    _file("file_shapes_from_bytes", "Shapes are taken from the number of bytes.", shapes=True),
    _file("file_values_unchecked", "Constants may leave their types, and checksums do not count.",
          values=True),
    _file("file_fields_by_order", "Header fields are taken in their order, without checksum.",
          order=True),
    _file("file_rules_unchecked", "What is no program is carried out as far as it goes.",
          rules=True),
    _file("file_unreadable_passes_x", "A file that cannot be read leaves x as it is.",
          unreadable=True),
)
