"""The compression methods, each a frozen record, and the walk that applies one to a network."""

from refnet.methods.base import CompressionReport as CompressionReport
from refnet.methods.base import LayerData as LayerData
from refnet.methods.base import LayerReport as LayerReport
from refnet.methods.base import Method as Method
from refnet.methods.base import compress as compress
from refnet.methods.twostep import TwoStep as TwoStep

#: Every method, for the command line and for the tests that walk them all.
METHODS: tuple[type[Method], ...] = (TwoStep,)
