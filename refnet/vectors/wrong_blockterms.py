"""Mistakes in block terms [6.7]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.blockterms import factors
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector

Ints = NDArray[Any]


def tensor_and_layers(A: Ints, G: Ints, B: Ints) -> dict[str, Ints]:
    """What is right, from the indices alone."""
    R, S, s = A.shape
    _, T, t = B.shape
    middle, last = np.moveaxis(G, 2, 1), np.moveaxis(B, 0, 1).reshape(T, R * t)
    K = np.einsum("rai,rijp,rbj->abp", A, G, B)
    if G.shape[3] == 1:
        first = np.einsum("rai,rij->rja", A, G[..., 0]).reshape(R * t, S)
        return {"K": K, "first": first, "last": last, "weights": np.array([R * t * (S + T)])}
    return {
        "K": K, "first": np.moveaxis(A, 2, 1).reshape(R * s, S),
        "middle": middle.reshape(R * t, s, -1), "last": last,
        "weights": np.array([A.size + G.size + B.size]),
    }


def core_transposed(vector: Vector) -> Outputs:
    """The core is read as (R, t, s, P)."""
    A, G, B = factors(vector)
    R, s, t, P = G.shape
    return tensor_and_layers(A, G.reshape(R, t, s, P).transpose(0, 2, 1, 3), B)


def terms_crossed(vector: Vector) -> Outputs:
    """Every A_r meets every B_q, as if the core of the stacked factors were full."""
    A, G, B = factors(vector)
    right = tensor_and_layers(A, G, B)
    return {**right, "K": np.einsum("rai,rijp,qbj->abp", A, G, B)}


def first_term_only(vector: Vector) -> Outputs:
    """The sum over terms is left out."""
    A, G, B = factors(vector)
    right = tensor_and_layers(A, G, B)
    return {**right, "K": tensor_and_layers(A[:1], G[:1], B[:1])["K"]}


def single_precision(vector: Vector) -> Outputs:
    """Products and sums are binary32 numbers."""
    A, G, B = factors(vector)
    narrow = (F.astype(np.float32) for F in (A, G, B))
    K = np.einsum("rai,rijp,rbj->abp", *narrow).astype(np.int64)
    return {**tensor_and_layers(A, G, B), "K": K}


def channels_interleaved(vector: Vector) -> Outputs:
    """Channels between the layers are ordered by rank and then by term."""
    A, G, B = factors(vector)
    right = tensor_and_layers(A, G, B)
    R, _, t, _ = G.shape
    right["last"] = np.moveaxis(B, 0, 2).reshape(len(right["last"]), R * t)
    right["first"] = right["first"].reshape(R, -1, A.shape[1]).swapaxes(0, 1).reshape(
        right["first"].shape
    )
    return right


def core_kept(vector: Vector) -> Outputs:
    """Kernels of one position have three layers too."""
    A, G, B = factors(vector)
    right = tensor_and_layers(A, G, B)
    if G.shape[3] > 1:
        return right
    wide = tensor_and_layers(A, np.concatenate([G, G], axis=3), B)
    weights = np.array([A.size + G.size + B.size])
    return {"K": right["K"], "first": wide["first"], "last": wide["last"], "weights": weights}
