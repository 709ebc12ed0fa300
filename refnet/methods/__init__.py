"""The compression methods, each a frozen record, and the walk that applies one to a network."""

from refnet.methods.base import CompressionReport as CompressionReport
from refnet.methods.base import LayerData as LayerData
from refnet.methods.base import LayerReport as LayerReport
from refnet.methods.base import Method as Method
from refnet.methods.base import balance_of as balance_of
from refnet.methods.base import compress as compress
from refnet.methods.base import is_joint as is_joint
from refnet.methods.base import planned as planned
from refnet.methods.blockterm import BlockTerm as BlockTerm
from refnet.methods.composed import Composed as Composed
from refnet.methods.direct import Direct as Direct
from refnet.methods.factorized import Factorized as Factorized
from refnet.methods.rates import balanced_rates as balanced_rates
from refnet.methods.twostep import TwoStep as TwoStep
from refnet.quant import (
    BWN,
    TTQ,
    TWN,
    DoReFaActivations,
    DoReFaWeights,
    HalfWave,
    LQActivations,
    LQWeights,
    Ternary,
)

#: What the project's methods are measured against, by the names of the literature. The papers on
#: TWN, TTQ and BWN leave activations real; here they have two bits, TWN and TTQ those of HWGQ, and
#: BWN the half wave of least error, since BWN with HWGQ's activations is HWGQ.
PEERS: tuple[Method, ...] = (
    Direct(name="direct", weights=Ternary(), activations=HalfWave(2)),
    Direct(name="twn", weights=TWN(), activations=HalfWave(2, 0.5)),
    Direct(name="ttq", weights=TTQ(), activations=HalfWave(2, 0.5)),
    Direct(name="bwn", weights=BWN(), activations=HalfWave(2)),
    Direct(name="hwgq", weights=BWN(), activations=HalfWave(2, 0.5)),
    Direct(name="dorefa", weights=DoReFaWeights(bits=2), activations=DoReFaActivations(bits=2)),
    Direct(name="lqnets", weights=LQWeights(), activations=LQActivations()),
)

#: Every method, for the command line and for the tests that walk them all.
METHODS: tuple[type[Method], ...] = (TwoStep, Factorized, BlockTerm)
