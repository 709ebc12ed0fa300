"""C headers (C99) of vectors and traces, with a ``main`` that prints the first mismatch.

Every array is ``static const``. A program that defines ``REFNET_MAIN`` before it includes the
header also gets ``main``, which calls the function under test and compares what it wrote:

    int refnet_device(const int8_t *x, const int8_t *w, int32_t *y);    0: done, else: refused

The parameters are the inputs, the constants and the outputs in the order of the header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from refnet.vectors.record import REAL, WIDE, Array, VectorError, dtype_of
from refnet.vectors.words import Labelled, array_of_words, width_of


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def _kind(array: Array) -> str:
    return "uint64_t" if array.type == REAL else f"{dtype_of(array.type).name}_t"


def _symbol(number: int, array: Array) -> str:
    return f"a{number}_{_identifier(array.name)}"


def _array_lines(number: int, label: str, array: Array) -> list[str]:
    symbol = _symbol(number, array)
    if array.type == REAL:
        numbers = [f"0x{v}ULL" for v in array.data]
    else:
        numbers = [f"{v}LL" if array.type == WIDE else str(v) for v in array.data]
    rows = [", ".join(numbers[i : i + 16]) for i in range(0, len(numbers), 16)] or ["0"]
    return [
        f"/* {label}: {array.name} {array.type} sha256 {array.sha256} */",
        f"#define {symbol.upper()}_SIZE {len(array.data)}",
        f"#define {symbol.upper()}_RANK {len(array.shape)}",
        f"static const uint32_t {symbol}_shape[] = {{{', '.join(map(str, array.shape)) or '0'}}};",
        f"static const {_kind(array)} {symbol}[] = {{",
        *(f"    {row}," for row in rows),
        "};",
        "",
    ]


def header_text(name: str, arrays: Iterable[Labelled]) -> str:
    """The header of ``arrays``; those whose label ends in ``output`` are what ``main`` compares.

    An empty array holds one 0, because C has no arrays of no elements; its size says 0. Without
    an output the function under test must refuse.
    """
    held = list(arrays)
    guard = f"REFNET_{_identifier(name).upper()}_H"
    lines = [f"#ifndef {guard}", f"#define {guard}", "#include <stdint.h>", ""]
    for number, (label, array) in enumerate(held):
        lines += _array_lines(number, label, array)
    return "\n".join([*lines, *_main_lines(name, held), f"#endif /* {guard} */"]) + "\n"


_COMPARE = """\
static int refnet_differs(const char *what, const void *want, const void *got, uint32_t size,
                          uint32_t width, int is_signed, const uint32_t *shape, uint32_t rank) {
    for (uint32_t i = 0; i < size; i++) {
        const unsigned char *w = (const unsigned char *)want + (size_t)i * width;
        const unsigned char *g = (const unsigned char *)got + (size_t)i * width;
        if (memcmp(w, g, width) == 0) continue;
        int64_t numbers[2] = {0, 0};
        for (int k = 0; k < 2; k++) {
            const unsigned char *from = k ? g : w;
            int8_t n8; int16_t n16; int32_t n32; uint16_t u16;
            if (width == 1) { memcpy(&n8, from, 1); numbers[k] = is_signed ? n8 : *from; }
            else if (width == 2) {
                memcpy(&n16, from, 2); memcpy(&u16, from, 2);
                numbers[k] = is_signed ? n16 : u16;
            }
            else if (width == 4) { memcpy(&n32, from, 4); numbers[k] = n32; }
            else memcpy(&numbers[k], from, 8);
        }
        printf("%s[", what);
        for (uint32_t axis = 0; axis < rank; axis++) {
            uint32_t step = 1;
            for (uint32_t k = axis + 1; k < rank; k++) step *= shape[k];
            printf(axis ? ", %" PRIu32 : "%" PRIu32, i / step % shape[axis]);
        }
        printf(is_signed ? "]: expected %" PRId64 ", got %" PRId64 "\\n"
                         : "]: expected 0x%" PRIx64 ", got 0x%" PRIx64 "\\n",
               numbers[0], numbers[1]);
        return 1;
    }
    return 0;
}
"""


def _main_lines(name: str, held: list[Labelled]) -> list[str]:
    """``main`` and what it needs, for programs that define REFNET_MAIN."""
    roles = [label.rsplit(" ", 1)[-1] for label, _ in held]
    given, wanted, parameters, arguments = [], [], [], []
    for number, (role, (_, array)) in enumerate(zip(roles, held, strict=True)):
        symbol = _symbol(number, array)
        if role == "output":
            parameters.append(f"{_kind(array)} *{symbol}")
            arguments.append(f"got_{symbol}")
            wanted.append((symbol, array))
        elif role in ("input", "constant"):
            parameters.append(f"const {_kind(array)} *{symbol}")
            arguments.append(symbol)
            given.append(symbol)
    call = f"refnet_device({', '.join(arguments)})"
    body = [f"int refnet_device({', '.join(parameters) or 'void'});", ""]
    body += [_COMPARE] if wanted else []
    body += ["int main(void) {"]
    for symbol, array in wanted:
        body += [f"    static {_kind(array)} got_{symbol}[{max(len(array.data), 1)}];",
                 f"    memset(got_{symbol}, 0xA5, sizeof got_{symbol});"]
    body += [f"    int refused = {call};",
             f"    if (refused != {int(not wanted)}) {{"]
    said = "refused" if wanted else "accepted, and must be refused"
    body += [f'        printf("{name}: {said}\\n");', "        return 1;", "    }"]
    for symbol, array in wanted:
        signed = int(array.type != REAL and dtype_of(array.type).kind == "i")
        body += [
            f'    if (refnet_differs("{name} {array.name}", {symbol}, got_{symbol}, '
            f"{symbol.upper()}_SIZE,",
            f"                       sizeof {symbol}[0], {signed}, {symbol}_shape, "
            f"{symbol.upper()}_RANK))",
            "        return 1;",
        ]
    body += [f'    printf("{name}: pass\\n");', "    return 0;", "}"]
    includes = ["#include <inttypes.h>", "#include <stdio.h>", "#include <string.h>", ""]
    return ["#ifdef REFNET_MAIN", *includes, *body, "#endif /* REFNET_MAIN */", ""]


_C_ARRAY = re.compile(
    r"/\* (?P<label>.*): (?P<name>\S+) (?P<type>\S+) sha256 (?P<sha>[0-9a-f]{64}) \*/\n"
    r"#define \w+_SIZE (?P<size>\d+)\n#define \w+_RANK (?P<rank>\d+)\n"
    r"static const uint32_t \w+_shape\[\] = \{(?P<shape>[^}]*)\};\n"
    r"static const \w+ \w+\[\] = \{(?P<data>[^}]*)\};"
)


def read_header(text: str) -> list[Labelled]:
    """The arrays in :func:`header_text`, in order; checksums are verified."""
    found = []
    for match in _C_ARRAY.finditer(text):
        numbers = [int(n.strip(" \nUL"), 0) for n in match["data"].split(",") if n.strip()]
        size, rank = int(match["size"]), int(match["rank"])
        shape = tuple(int(n) for n in match["shape"].split(","))[:rank]
        words = [n % 2 ** width_of(match["type"]) for n in numbers[:size]]
        array = array_of_words(match["name"], match["type"], shape, words)
        if array.sha256 != match["sha"]:
            raise VectorError(f"header: {array.name!r} has sha256 {array.sha256}")
        found.append((match["label"], array))
    return found


