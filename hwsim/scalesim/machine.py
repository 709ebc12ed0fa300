"""The machine of a SCALE-Sim configuration, for hwsim's own numbers instead of the tool's."""

from __future__ import annotations

from hwsim.architecture import Architecture, Dram, Memory
from hwsim.scalesim.config import Config


def architecture_of(config: Config) -> Architecture:
    """An int8 array with the sizes of ``config``; its SRAMs keep up with the array.

    Raises ``ValueError`` where the record does, for a dataflow that hwsim does not have.
    """

    def memory(kilobytes: int, ports: int, bits: int) -> Memory:
        width = ports * bits
        return Memory(
            bytes=kilobytes * 1024, word_bits=bits, bandwidth_bits_per_cycle=width
        )

    return Architecture(
        name=config.run_name.strip() or "scalesim", pe="int8", rows=config.R, columns=config.C,
        dataflow=config.dataflow,
        input=memory(config.input_kb, max(config.R, config.C), 8),
        weights=memory(config.filter_kb, max(config.R, config.C), 8),
        output=memory(config.output_kb, config.C, 32),
        dram=Dram(kind="LPDDR4", bandwidth_bits_per_cycle=64),
        vector_lanes=config.C, clock_hz=1_000_000_000, technology="45nm-0.9V",
        source="a SCALE-Sim configuration: array, SRAM sizes and dataflow; all else assumed",
    )
