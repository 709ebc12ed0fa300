"""Convolution of ternary weights and unsigned activations of 1 to 4 bits, by bit planes.

A weight is two bits, m (not zero) and s (negative); an activation a < 2**B is its bits a_0, a_1 ...
Turning every bit over negates, up to a constant: (2**B - 1) - a. Hence, with ^ on single bits,

    m * (sum over b of 2**b * (a_b ^ s)) = w*a                 where w is 0 or +1
                                         = w*a + (2**B - 1)    where w is -1

and for a whole window of 64-channel words, with one popcount a word and plane,

    sum w*a = sum over b of 2**b * pop(m & (a_b ^ s)) - (2**B - 1) * #(w = -1)

The last term is a constant of the filter and goes into its bias. Zeros around the map need no care:
there the sum of popcounts equals the constant.

    for n, i, j, g:                     images, outputs, groups
        for b from high to low:         planes, Horner: double, then add
            for r, s, k:                taps and words of 64 channels
                for f:                  filters of the group: the vector loop
                    acc[f] += pop(m[g, r, s, k, f] & (a[n, y, z, g, b, k] ^ s[g, r, s, k, f]))

Sums are 64-bit: the constant is added last, so a partial sum may leave the proved 32-bit range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.conv import bias_of
from refnet.kernels.ternary import is_ternary
from refnet.program import Constant, Conv, IntArray, TensorType
from refnet.program.window import output_size

Words = NDArray[np.uint64]
Int64Array = NDArray[np.int64]

#: Channels of a word.
WORD = 64
#: Bits of an activation this kernel takes at most.
MOST_BITS = 4
#: With fewer channels in a group the words are so empty that ``ternary`` is faster.
LEAST_CHANNELS = 32
#: Images packed at a time.
_BLOCK_IMAGES = 8

# All operands of bit arithmetic are uint64: with a signed one Numba would turn to floats.
_ONE, _TWO, _FOUR, _EIGHT = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(8)
_SIXTEEN, _THIRTY_TWO, _COUNT = np.uint64(16), np.uint64(32), np.uint64(0x7F)
_PAIRS = np.uint64(0x5555555555555555)
_NIBBLES = np.uint64(0x3333333333333333)
_BYTES = np.uint64(0x0F0F0F0F0F0F0F0F)


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return x.type.lo >= 0 and x.type.bits <= MOST_BITS and is_ternary(w)


def _pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return w.shape[1] >= LEAST_CHANNELS


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights into words, and the constant of each filter into its bias."""
    bits = x.type.bits
    height, width = output_size(x.shape[1:], w.shape[2:], op.stride, op.padding, op.dilation)
    nonzero, negative = _weight_words(w.array != 0, op), _weight_words(w.array < 0, op)
    minus = (w.array < 0).sum(axis=(1, 2, 3))
    bias = bias_of(w, b).astype(np.int64) - (2**bits - 1) * minus

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        for start in range(0, len(out), _BLOCK_IMAGES):
            block = slice(start, start + _BLOCK_IMAGES)
            a = _activation_words(activations[0][block], op, bits)
            acc = np.zeros((len(a), height, width, *nonzero.shape[:1], nonzero.shape[-1]), np.int64)
            _count(a, nonzero, negative, np.array(op.stride), np.array(op.dilation), acc)
            sums = acc.reshape(*acc.shape[:3], len(bias)) + bias
            np.copyto(out[block], sums.transpose(0, 3, 1, 2), casting="unsafe")

    return step


def _weight_words(mask: NDArray[np.bool_], op: Conv) -> Words:
    """mask (F, C/G, R, S) -> (G, R, S, words, F/G), bit c of a word is channel c."""
    grouped = mask.reshape(op.groups, -1, *mask.shape[1:]).transpose(0, 3, 4, 1, 2)
    return np.ascontiguousarray(np.swapaxes(_words(grouped), -1, -2))


def _words(bits: NDArray[Any]) -> Words:
    """bits (..., n) of 0 and 1 -> words (..., ceil(n / 64)), the rest of the last one zeros."""
    count = -(-bits.shape[-1] // WORD)
    octets = np.packbits(bits, axis=-1, bitorder="little")
    whole = np.zeros((*octets.shape[:-1], count * WORD // 8), dtype=np.uint8)
    whole[..., : octets.shape[-1]] = octets
    return whole.view(np.uint64)


def _activation_words(x: IntArray, op: Conv, bits: int) -> Words:
    """x (n, C, H, W) -> words (n, H + pads, W + pads, G, bits, words) of bit planes."""
    images, _, height, width = x.shape
    (top, bottom), (left, right) = op.padding
    last = x.astype(np.uint8).transpose(0, 2, 3, 1).reshape(images, height, width, op.groups, -1)
    planes = [_words((last >> b) & 1) for b in range(bits)]
    a = np.zeros(
        (images, top + height + bottom, left + width + right, op.groups, bits,
         planes[0].shape[-1]), dtype=np.uint64,
    )  # fmt: skip
    for b, plane in enumerate(planes):
        a[:, top : top + height, left : left + width, :, b] = plane
    return a


@compiled
def popcount(word: np.uint64) -> np.uint64:
    """Ones of a 64-bit word: sums of 1, 2, 4 ... neighbouring bits, side by side in the word."""
    word = word - ((word >> _ONE) & _PAIRS)
    word = (word & _NIBBLES) + ((word >> _TWO) & _NIBBLES)
    word = (word + (word >> _FOUR)) & _BYTES
    # Each byte now counts to 8 at most, and 64 still fits a byte: no carry crosses.
    word = word + (word >> _EIGHT)
    word = word + (word >> _SIXTEEN)
    word = word + (word >> _THIRTY_TWO)
    return word & _COUNT


@compiled
def _count(
    a: Words, nonzero: Words, negative: Words, stride: IntArray, dilation: IntArray, acc: Int64Array
) -> None:
    """The loop nest of the file header; acc (n, H', W', G, F/G) starts at zero."""
    images, height, width, groups, filters = acc.shape
    kernel_h, kernel_w, words = nonzero.shape[1:4]
    bits = a.shape[4]
    for n in range(images):
        for i in range(height):
            for j in range(width):
                for g in range(groups):
                    row = acc[n, i, j, g]
                    for b in range(bits):
                        for f in range(filters):
                            row[f] += row[f]
                        for r in range(kernel_h):
                            for s in range(kernel_w):
                                y = i * stride[0] + r * dilation[0]
                                z = j * stride[1] + s * dilation[1]
                                for k in range(words):
                                    word = a[n, y, z, g, bits - 1 - b, k]
                                    m, sign = nonzero[g, r, s, k], negative[g, r, s, k]
                                    for f in range(filters):
                                        ones = popcount(m[f] & (word ^ sign[f]))
                                        row[f] += np.int64(ones)


KERNEL = Kernel(name="bitserial", op=Conv, prepare=prepare, applies=_applies, pays=_pays)
