"""Quantizers, layers of quantized networks, and freezing them into integers."""

from refnet.quant.base import Quantizer as Quantizer
from refnet.quant.base import fake_quantize as fake_quantize
from refnet.quant.freeze import freeze as freeze
from refnet.quant.frozen import run_frozen as run_frozen
from refnet.quant.frozen import trace_frozen as trace_frozen
from refnet.quant.halfwave import HalfWave as HalfWave
from refnet.quant.layers import QuantConv2d as QuantConv2d
from refnet.quant.layers import QuantInput as QuantInput
from refnet.quant.layers import Quantize as Quantize
from refnet.quant.layers import QuantLinear as QuantLinear
from refnet.quant.layers import QuantWeights as QuantWeights
from refnet.quant.layers import hold_codes as hold_codes
from refnet.quant.normalize import absorb_batch_norm as absorb_batch_norm
from refnet.quant.normalize import insert_batch_norm as insert_batch_norm
from refnet.quant.normalize import reestimate_batch_norm as reestimate_batch_norm
from refnet.quant.lloyd import LloydHalfWave as LloydHalfWave
from refnet.quant.staircase import Staircase as Staircase
from refnet.quant.ternary import Ternary as Ternary
from refnet.quant.ternary import optimal_ternary as optimal_ternary
from refnet.quant.ternary import ternary_rows as ternary_rows
from refnet.quant.uniform import Uniform as Uniform

#: Every quantizer, for whatever walks them all (tests, laws).
QUANTIZERS: tuple[type[Quantizer], ...] = (Uniform, Ternary, HalfWave, LloydHalfWave)
