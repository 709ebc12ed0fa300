"""Published low-bit machines as presets, each with what is taken from its source.

Memories and DRAM are those that this project assumes unless the text says otherwise; prices are
those of the 45 nm table, so that machines can be compared. :mod:`hwsim.published` sets what the
model gives beside what was published.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.architecture import Architecture, Dram, Memory

_KB = 1024


def _memory(kilobytes: int, bits: int) -> Memory:
    return Memory(bytes=kilobytes * _KB, word_bits=bits, bandwidth_bits_per_cycle=bits)


DADIANNAO = Architecture(
    name="dadiannao-like", pe="int16-dot", rows=1, columns=256, depth=16, dataflow="lanes",
    input=_memory(256, 4096), weights=_memory(2048, 65536), output=_memory(256, 4096),
    maps=_memory(4096, 4096), dram=Dram(kind="DDR3", bandwidth_bits_per_cycle=512),
    vector_lanes=256, clock_hz=980_000_000, technology="45nm-0.9V",
    source="the bit-parallel base of Judd et al., Stripes, MICRO 2016: 16 tiles of 16 filters by "
    "16 lanes of 16 bits, one window at a time; clock as recalled; memories and DRAM: assumed",
)

STRIPES = replace(
    DADIANNAO, name="stripes", pe="stripes", rows=16, weights=_memory(2048, 65536),
    source="Judd et al., MICRO 2016: 16 tiles, 16 windows by 16 filters by 16 lanes each, one bit "
    "of every input a clock; the rest as dadiannao-like",
)

LOOM_BASE = replace(
    DADIANNAO, name="loom-base", columns=8, weights=_memory(512, 2048), input=_memory(128, 256),
    output=_memory(128, 512), maps=_memory(1024, 512),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=256), vector_lanes=16,
    clock_hz=1_000_000_000,
    source="the bit-parallel base of Sharify et al., Loom, DAC 2018: 128 products of 16 x 16 bits "
    "a clock, 8 filters by 16 lanes; memories and DRAM: assumed",
)

LOOM = replace(
    LOOM_BASE, name="loom-1bit", pe="loom1", rows=16, columns=128,
    weights=_memory(512, 4096), output=_memory(128, 8192),
    source="Sharify et al., DAC 2018: 16 windows by 128 filters by 16 lanes of 1 x 1 bit, as many "
    "products of 16 x 16 bits in 256 clocks as loom-base in 256; memories and DRAM: assumed",
)

BIT_FUSION = Architecture(
    name="bit-fusion", pe="bitfusion", rows=1, columns=32, depth=16, dataflow="lanes",
    input=_memory(32, 512), weights=_memory(64, 16384), output=_memory(16, 1024),
    dram=Dram(kind="DDR3", bandwidth_bits_per_cycle=192),
    vector_lanes=32, clock_hz=500_000_000, technology="45nm-0.9V", sums="memory",
    source="Sharma et al., ISCA 2018: 16 x 32 fusion units, 500 MHz, 45 nm; 64, 32 and 16 KiB, "
    "192 bits of DRAM a clock and k cut into tiles from its repository; ports and kind of DRAM: "
    "assumed",
)

BISMO_ULTRA96 = Architecture(
    name="bismo-10x256x10", pe="popcount", rows=10, columns=10, depth=256, dataflow="bitserial",
    input=_memory(320, 2560), weights=_memory(320, 2560), output=_memory(16, 320),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=128),
    vector_lanes=10, clock_hz=300_000_000, technology="45nm-0.9V",
    source="Umuroglu et al., BISMO on an Ultra96: 10 x 256 x 10 at 300 MHz, 15.4 binary TOPS under "
    "8 W; memory sizes, DRAM and prices of standard cells: assumed",
)

UNPU = Architecture(
    name="unpu", pe="unpu", rows=16, columns=12, depth=24, dataflow="lanes",
    input=_memory(64, 1152), weights=_memory(96, 1152), output=_memory(64, 1536),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=16, clock_hz=200_000_000, technology="65nm-1.0V",
    source="Lee et al., JSSC 2019: 13,824 bit products a clock at 200 MHz, weights of 1 to 16 "
    "bits, 65 nm, 0.63 to 1.1 V, 256 KiB as recalled; their shape and the split of the memory: "
    "assumed",
)

CUTIE = Architecture(
    name="tcn-cutie", pe="ternary2-dot", rows=1, columns=96, depth=864, dataflow="lanes",
    input=_memory(32, 1728), weights=_memory(192, 2048), output=_memory(16, 1536),
    maps=_memory(48, 1728),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=96, clock_hz=54_000_000, technology="45nm-0.9V",
    source="Scherer et al., TCN-CUTIE, 2022: 96 output channels, each a whole ternary window of 3 "
    "x 3 x 96 a clock; 22 nm, 0.5 V; clock as its peak rate asks for; memories: assumed",
)

BRAIN_TTA = Architecture(
    name="braintta", pe="ternary2-dot", rows=1, columns=32, depth=16, dataflow="lanes",
    input=_memory(32, 128), weights=_memory(128, 1024), output=_memory(16, 512),
    dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=32, clock_hz=300_000_000, technology="45nm-0.9V",
    source="Molendijk et al., BrainTTA, 2022: 307 ternary GOPS, 512 products a clock; 22 nm; shape "
    "and memories: assumed",
)

EDGE_MAPS = Architecture(
    name="edge-16x16-os-maps", pe="int8", rows=16, columns=16, dataflow="os",
    input=_memory(64, 128), weights=_memory(64, 128),
    output=Memory(bytes=32 * _KB, word_bits=128, bandwidth_bits_per_cycle=512),
    maps=_memory(128, 128), dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
    vector_lanes=16, clock_hz=500_000_000, technology="45nm-0.9V",
    source="edge-16x16-os of this project with 128 KiB for maps between layers",
)

LOW_BIT: tuple[Architecture, ...] = (
    DADIANNAO, STRIPES, LOOM_BASE, LOOM, BIT_FUSION, BISMO_ULTRA96, UNPU, CUTIE, BRAIN_TTA,
    EDGE_MAPS,
)
