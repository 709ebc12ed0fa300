"""Configuration files of SCALE-Sim: an array, three SRAMs, a dataflow [7b.1]."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path

from hwsim.scalesim.layer import AXES

#: Representations of sparse filters.
SPARSE = ("csr", "csc", "ellpack_block")
_ARRAY, _RUN = "architecture_presets", "run_presets"
_LARGEST = 10**9
_RULE = f"rule an integer from 1 to {_LARGEST}"
_SIZES = {
    "R": "ArrayHeight", "C": "ArrayWidth", "input_kb": "IfmapSramSzkB",
    "filter_kb": "FilterSramSzkB", "output_kb": "OfmapSramSzkB",
}
# Switches of the tool that this mode does not model: section, key, what is modelled.
_OFF = (
    ("layout", "IfmapCustomLayout"), ("layout", "FilterCustomLayout"), (_RUN, "UseRamulatorTrace"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the reports depend on: R x C PEs, SRAM sizes in kB (a word is a byte), the dataflow.

    ``sparse`` is how sparse filters are stored (:data:`SPARSE`), empty where sparsity is off and
    the N:M column of a topology has no effect. ``bandwidths`` are words a clock of IFMAP, filter
    and OFMAP with ``InterfaceBandwidth = USER``, None with ``CALC``.
    """

    run_name: str
    R: int
    C: int
    input_kb: int
    filter_kb: int
    output_kb: int
    dataflow: str
    sparse: str = ""
    bandwidths: tuple[int, int, int] | None = None


def read_config(path: str | os.PathLike[str]) -> Config:
    """The configuration in a file.

    Offsets, request buffers, layouts and, with ``CALC``, bandwidths do not change what is modelled
    and may be missing. Raises ``ValueError`` with the file, the line where there is one, the key,
    what was seen and the rule; ``OSError`` where the file cannot be read.
    """
    where = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{where}: not a text file, rule a configuration in UTF-8") from None
    try:
        return _Reader(where, text).config()
    except configparser.Error as error:
        raise ValueError(f"{where}: {' '.join(str(error).split())}") from None


class _Reader:
    """The keys of one file; knows the line of each, for messages."""

    def __init__(self, where: str, text: str) -> None:
        self.where, self.text = where, text
        self.parser = configparser.ConfigParser(interpolation=None)
        self.parser.read_string(text, source=where)

    def config(self) -> Config:
        for section, key in _OFF:
            if self.switch(section, key):
                raise ValueError(f"{self.at(section, key)} {key} = True: rule False, not modelled")
        given = self.choice(_RUN, "InterfaceBandwidth", ("CALC", "USER"), "") == "USER"
        sizes = {name: self.size(_ARRAY, key) for name, key in _SIZES.items()}
        dataflow = self.choice(_ARRAY, "Dataflow", tuple(AXES), "")
        return Config(
            run_name=self.parser.get("general", "run_name", fallback="scale_run"),
            dataflow=dataflow, sparse=self.sparse(),
            bandwidths=self.bandwidths() if given else None, **sizes,
        )

    def bandwidths(self) -> tuple[int, int, int]:
        """Words a clock of the three DRAM streams; those of reads are layout keys [7b.9.1]."""
        reads = []
        for name in ("Ifmap", "Filter"):
            words = self.size("layout", f"{name}SRAMBankBandwidth")
            banks = self.size("layout", f"{name}SRAMBankNum")
            if words % banks:
                at = self.at("layout", f"{name}SRAMBankNum")
                raise ValueError(
                    f"{at} {name}SRAMBankNum = {banks}: rule a divisor of {name}SRAMBankBandwidth, "
                    f"{words}"
                )
            reads.append(words)
        rule = "rule integers, commas between them"
        first = self.value(_ARRAY, "Bandwidth", rule).split(",")[0]
        return reads[0], reads[1], self.number(_ARRAY, "Bandwidth", first.strip())

    def sparse(self) -> str:
        """The representation of sparse filters, if sparsity is on."""
        section = "sparsity"
        if not self.switch(section, "SparsitySupport"):
            return ""
        if self.switch(section, "OptimizedMapping"):
            at = self.at(section, "OptimizedMapping")
            raise ValueError(f"{at} OptimizedMapping = True: rule False, not modelled")
        if self.value(_ARRAY, "FilterOffset", "rule an address above 0").lstrip("+0_") == "":
            at = self.at(_ARRAY, "FilterOffset")
            raise ValueError(
                f"{at} FilterOffset = 0: rule above 0, the tool takes the weight at address 0 for "
                "a dropped one"
            )
        return self.choice(section, "SparseRep", SPARSE, "")

    def at(self, section: str, key: str) -> str:
        """The file and the line of a key."""
        inside = False
        for number, line in enumerate(self.text.splitlines(), start=1):
            name = line.strip()
            if name.startswith("["):
                inside = name.startswith(f"[{section}]")
            elif inside and name.replace("=", ":").split(":")[0].strip().lower() == key.lower():
                return f"{self.where}:{number}: [{section}]"
        return f"{self.where}: [{section}]"

    def value(self, section: str, key: str, rule: str) -> str:
        """The text of a key that must be there."""
        if not self.parser.has_section(section):
            raise ValueError(f"{self.where}: no section [{section}], rule one with {key}")
        if not self.parser.has_option(section, key):
            raise ValueError(f"{self.where}: [{section}] has no {key}, {rule}")
        return self.parser.get(section, key).strip()

    def size(self, section: str, key: str) -> int:
        """A positive integer."""
        return self.number(section, key, self.value(section, key, _RULE))

    def number(self, section: str, key: str, seen: str) -> int:
        """What was ``seen`` as a positive integer."""
        short = seen.isascii() and seen.isdigit() and len(seen) <= len(str(_LARGEST))
        if not short or not 1 <= int(seen) <= _LARGEST:
            raise ValueError(f"{self.at(section, key)} {key} = {seen!r}, {_RULE}")
        return int(seen)

    def choice(self, section: str, key: str, known: tuple[str, ...], why: str) -> str:
        """One of the words that are known."""
        rule = f"rule {', '.join(known)}" + (f": {why}" if why else "")
        seen = self.value(section, key, rule)
        if seen not in known:
            raise ValueError(f"{self.at(section, key)} {key} = {seen!r}, {rule}")
        return seen

    def switch(self, section: str, key: str) -> bool:
        """True or False; False where the key is missing."""
        seen = self.parser.get(section, key, fallback="false").strip().lower()
        if seen not in ("true", "false"):
            raise ValueError(f"{self.at(section, key)} {key} = {seen!r}, rule True or False")
        return seen == "true"
