"""Quantizers, layers of quantized networks, and freezing them into integers."""

from refnet.quant.base import Quantizer as Quantizer
from refnet.quant.base import fake_quantize as fake_quantize
from refnet.quant.bwn import BWN as BWN
from refnet.quant.dorefa import DoReFaActivations as DoReFaActivations
from refnet.quant.dorefa import DoReFaWeights as DoReFaWeights
from refnet.quant.fake import FakeQuantConv2d as FakeQuantConv2d
from refnet.quant.fake import FakeQuantLinear as FakeQuantLinear
from refnet.quant.fake import FakeQuantWeights as FakeQuantWeights
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
from refnet.quant.lloyd import LloydHalfWave as LloydHalfWave
from refnet.quant.lqnets import LQActivations as LQActivations
from refnet.quant.lqnets import LQWeights as LQWeights
from refnet.quant.normalize import absorb_batch_norm as absorb_batch_norm
from refnet.quant.normalize import insert_batch_norm as insert_batch_norm
from refnet.quant.normalize import reestimate_batch_norm as reestimate_batch_norm
from refnet.quant.staircase import Staircase as Staircase
from refnet.quant.ternary import Ternary as Ternary
from refnet.quant.ternary import optimal_ternary as optimal_ternary
from refnet.quant.ternary import ternary_rows as ternary_rows
from refnet.quant.ttq import TTQ as TTQ
from refnet.quant.twn import TWN as TWN
from refnet.quant.uniform import Uniform as Uniform
from refnet.quant.weights import WeightQuantizer as WeightQuantizer

#: The quantizers of weights, which also take the filters of a layer as rows.
WEIGHT_QUANTIZERS: tuple[type[WeightQuantizer], ...] = (
    Ternary, TWN, TTQ, BWN, DoReFaWeights, LQWeights
)

#: Every quantizer, for whatever walks them all (tests, laws).
QUANTIZERS: tuple[type[Quantizer], ...] = (
    Uniform, HalfWave, LloydHalfWave, DoReFaActivations, LQActivations, *WEIGHT_QUANTIZERS
)
