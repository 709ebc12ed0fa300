"""Golden vectors: the record, the generator, the conformance checker, look-alikes, exports."""

from refnet.vectors.check import CheckReport as CheckReport
from refnet.vectors.check import check as check
from refnet.vectors.golden import check_golden as check_golden
from refnet.vectors.golden import write_golden as write_golden
from refnet.vectors.lookalikes import LOOKALIKES as LOOKALIKES
from refnet.vectors.process import ProcessImplementation as ProcessImplementation
from refnet.vectors.reading import read as read
from refnet.vectors.record import Array as Array
from refnet.vectors.record import Vector as Vector
from refnet.vectors.record import VectorError as VectorError
from refnet.vectors.record import VectorFile as VectorFile
from refnet.vectors.reference import Unsupported as Unsupported
from refnet.vectors.reference import executed_by as executed_by
from refnet.vectors.reference import reference as reference
