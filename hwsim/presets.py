"""Named architectures with their sources; ``PRESETS`` lists them all.

Unless a preset says otherwise, prices are those of one 45 nm table whatever a chip was made in, so
that architectures can be compared; the text of each preset says what is taken from its source and
what is assumed. Eyeriss itself is row-stationary: :mod:`hwsim.rowstationary` has its clocks,
:mod:`hwsim.rowtraffic` its words.
"""

from __future__ import annotations

import os
from dataclasses import replace

from hwsim.architecture import Architecture, Dram, Memory
from hwsim.lowbit import LOW_BIT

_KB = 1024


def _memory(kilobytes: int, word_bits: int, bandwidth_bits: int) -> Memory:
    return Memory(
        bytes=kilobytes * _KB, word_bits=word_bits, bandwidth_bits_per_cycle=bandwidth_bits
    )


TPU_V1 = Architecture(
    name="tpu-v1-like", pe="int8", rows=256, columns=256, dataflow="ws",
    input=_memory(24 * _KB, 2048, 2048), weights=_memory(256, 2048, 2048),
    output=_memory(4 * _KB, 8192, 8192),
    dram=Dram(kind="DDR3", bandwidth_bits_per_cycle=388),
    vector_lanes=256, clock_hz=700_000_000, technology="45nm-0.9V",
    source="Jouppi et al., ISCA 2017: 256 x 256, 700 MHz, 24 MiB buffer, 4 MiB accumulators, "
    "34 GB/s weight DRAM, 256 KiB weight FIFO; one DRAM for all, weight load not hidden: assumed",
)

EYERISS_SIZE_WS = Architecture(
    name="eyeriss-size-ws", pe="int8", rows=12, columns=14, dataflow="ws",
    input=_memory(48, 64, 96), weights=_memory(24, 64, 112), output=_memory(36, 64, 448),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=14, clock_hz=200_000_000, technology="45nm-0.9V",
    source="Chen et al., JSSC 2017: 12 x 14 PEs, 108 KiB, 200 MHz; weight-stationary int8 instead "
    "of its row-stationary int16, the split of the buffer and the DRAM: assumed",
)

EYERISS_SIZE_OS = Architecture(
    name="eyeriss-size-os", pe="int8", rows=12, columns=14, dataflow="os",
    input=_memory(48, 64, 96), weights=_memory(48, 64, 112), output=_memory(12, 64, 448),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=14, clock_hz=200_000_000, technology="45nm-0.9V",
    source="Chen et al., JSSC 2017: 12 x 14 PEs, 108 KiB, 200 MHz; output-stationary int8 instead "
    "of its row-stationary int16, the split of the buffer and the DRAM: assumed",
)

EDGE_16X16_OS = Architecture(
    name="edge-16x16-os", pe="int8", rows=16, columns=16, dataflow="os",
    input=_memory(64, 128, 128), weights=_memory(64, 128, 128), output=_memory(32, 128, 512),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=16, clock_hz=500_000_000, technology="45nm-0.9V",
    source="a small edge array defined by this project; drain through the columns",
)

GEMMINI_16X16_WS = Architecture(
    name="gemmini-16x16-ws", pe="int8", rows=16, columns=16, dataflow="ws",
    input=_memory(128, 128, 128), weights=_memory(128, 128, 128), output=_memory(64, 512, 512),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=128),
    vector_lanes=16, clock_hz=1_000_000_000, technology="45nm-0.9V",
    source="Genc et al., DAC 2021: 16 x 16 int8, 256 KiB scratchpad, 64 KiB accumulators, 128-bit "
    "bus, 1 GHz; scratchpad cut in equal halves, weight load not hidden, no front end: assumed",
)

BISMO_8X256X8 = Architecture(
    name="bismo-8x256x8", pe="popcount", rows=8, columns=8, depth=256, dataflow="bitserial",
    input=_memory(256, 2048, 2048), weights=_memory(256, 2048, 2048),
    output=_memory(16, 256, 256),
    dram=Dram(kind="DDR3", bandwidth_bits_per_cycle=64),
    vector_lanes=8, clock_hz=200_000_000, technology="45nm-0.9V",
    source="Umuroglu et al., FPL 2018: 8 x 256 x 8 at 200 MHz, 6.5 binary TOPS on an FPGA; "
    "memory sizes, DRAM and prices of standard cells: assumed",
)

TPU_V1_FULL = Architecture(
    name="tpu-v1", pe="int8", rows=256, columns=256, dataflow="ws", load="hidden",
    folds="overlapped", input=_memory(512, 2048, 2048), weights=_memory(256, 2048, 2048),
    output=_memory(4 * _KB, 8192, 8192), maps=_memory(24 * _KB, 2048, 2048),
    dram=Dram(kind="DDR3", bandwidth_bits_per_cycle=388),
    vector_lanes=256, clock_hz=700_000_000, technology="32nm-0.9V",
    source="Jouppi et al., ISCA 2017: 256 x 256, 700 MHz, 24 MiB buffer for maps, 4 MiB "
    "accumulators, 34 GB/s weight DRAM, FIFO of four weight tiles, load and skew hidden; 28 nm, "
    "priced at 32 nm; 512 KiB before the array, maps beyond the buffer in the same DRAM: assumed",
)

SCALE_SIM_32X32_OS = Architecture(
    name="scale-sim-32x32-os", pe="int8", rows=32, columns=32, dataflow="os",
    input=_memory(64, 256, 256), weights=_memory(64, 256, 256), output=_memory(64, 256, 1024),
    dram=Dram(kind="DDR4", bandwidth_bits_per_cycle=80),
    vector_lanes=32, clock_hz=1_000_000_000, technology="45nm-0.9V",
    source="defaults of SCALE-Sim 3.0.0: 32 x 32, 64 kB a memory, 10 words a clock; clock, DRAM, "
    "ports and a drain through the columns: assumed",
)

SCALE_SIM_32X32_WS = replace(SCALE_SIM_32X32_OS, name="scale-sim-32x32-ws", dataflow="ws")

SCALE_SIM_32X32_IS = replace(SCALE_SIM_32X32_OS, name="scale-sim-32x32-is", dataflow="is")

PRESETS: tuple[Architecture, ...] = (
    TPU_V1, EYERISS_SIZE_WS, EYERISS_SIZE_OS, EDGE_16X16_OS, GEMMINI_16X16_WS, BISMO_8X256X8,
    TPU_V1_FULL, SCALE_SIM_32X32_OS, SCALE_SIM_32X32_WS, SCALE_SIM_32X32_IS,
)

#: These, and the published low-bit machines, some of which take ternary codes alone.
EVERY: tuple[Architecture, ...] = (*PRESETS, *LOW_BIT)


def find(name: str) -> Architecture:
    """The preset of this name; raises ``ValueError`` listing those that exist."""
    for preset in EVERY:
        if preset.name == name:
            return preset
    raise ValueError(f"architecture {name!r}: exist {', '.join(p.name for p in EVERY)}")


def resolve(name: str) -> Architecture:
    """The preset of this name, or the architecture in this TOML file.

    Anything with a folder in it or with the ending ``.toml`` is a file.
    """
    if name.endswith(".toml") or os.sep in name or os.path.isfile(name):
        return Architecture.from_toml(name)
    return find(name)
