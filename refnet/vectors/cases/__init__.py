"""The golden cases, a module a subject; written by hand, except where an id says ``random``."""

from refnet.vectors.cases import (
    add,
    blockterms,
    codes,
    conv,
    files,
    layers,
    networks,
    numbers,
    pooling,
    programs,
    requantize,
    reshape,
    semidiscrete,
    solvers,
    thresholds,
    tiers,
    work,
)
from refnet.vectors.cases.build import Case

#: Subject (the name of the file in specs/vectors) and its cases.
SUBJECTS: tuple[tuple[str, tuple[Case, ...]], ...] = (
    ("numbers", numbers.CASES),
    ("codes", codes.CASES),
    ("rounding", requantize.ROUNDING),
    ("thresholds", thresholds.INTEGER_THRESHOLDS),
    ("conv", conv.CASES),
    ("threshold", thresholds.THRESHOLD),
    ("requantize", requantize.REQUANTIZE),
    ("add", add.CASES),
    ("maxpool", pooling.MAXPOOL),
    ("sumpool", pooling.SUMPOOL),
    ("reshape", reshape.CASES),
    ("work", work.CASES),
    ("programs", programs.CASES),
    ("files", files.CASES),
    ("solvers", solvers.CASES),
    ("semidiscrete", semidiscrete.CASES),
    ("blockterms", blockterms.CASES),
)

#: The same for the tiers beyond core, whose files have a folder of their own.
TIER_SUBJECTS: tuple[tuple[str, tuple[Case, ...]], ...] = (
    ("exhaustive", tiers.EXHAUSTIVE),
    ("chain", tiers.CHAIN),
    ("stress", tiers.STRESS),
    ("machine", tiers.MACHINE),
    ("programs", networks.CASES),
    ("methods", layers.CASES),
)
