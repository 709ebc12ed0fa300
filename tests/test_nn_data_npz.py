"""Data sets in .npz files: round trips, headers that lie, damage."""

import struct
import zipfile

import numpy as np
import pytest
from errors import one_line

from refnet.nn import data
from refnet.nn.datasets import npz


def npz_fields(**changes):
    fields = {
        "train_images": np.arange(48, dtype=np.uint8).reshape(4, 3, 4),
        "train_labels": np.array([0, 1, 2, 1]),
        "test_images": np.zeros((2, 3, 4), np.uint8), "test_labels": np.array([0, 1], np.uint8),
    }
    return fields | changes


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_round_trip(tmp_path, save):
    path = tmp_path / "mine.npz"
    fields = npz_fields(train_images=np.asfortranarray(npz_fields()["train_images"]))
    save(path, **fields)
    made = data.load(str(path))
    assert (made.name, made.classes) == ("mine", 3)
    assert np.array_equal(made.train_images[:, 0], fields["train_images"])
    assert made.test_labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train_images": np.zeros((4, 3, 4))}, "train_images is float64"),
        ({"train_images": np.zeros((4, 3), np.uint8)}, "N, C, H, W"),
        ({"test_labels": np.zeros(2)}, "test_labels is float64"),
        ({"test_labels": np.array([0, -1])}, "-1"),
        ({"test_labels": np.array([0])}, "test_labels"),
        ({"train_labels": np.array([0, 1, None, 2], object)}, "pickled objects"),
        ({"train_labels": np.zeros((0,), int)}, "not be empty"),
    ],
)
def test_npz_of_wrong_arrays(tmp_path, changes, said):
    path = tmp_path / "mine.npz"
    np.savez(path, **npz_fields(**changes))
    with pytest.raises(ValueError, match=said) as error:
        data.load(path)
    one_line(error)


def test_npz_missing_key_missing_file_and_no_zip(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(FileNotFoundError, match=r"mine\.npz: no such file"):
        data.load(path)
    np.savez(path, train_images=np.zeros(3))
    with pytest.raises(ValueError, match="no array 'train_labels'"):
        data.load(path)
    path.write_bytes(b"PK but not really")
    with pytest.raises(ValueError, match=r"damaged \.npz"):
        data.load(path)


def header(shape, descr="|u1"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header((2**40, 3)) + b"abc", "announces"),
        (header((4,)) + b"abc", r"announces \(4,\) of uint8 = 4 bytes, has 3"),
        (header((2,)) + b"abc", "has 3"),
        (b"abc", "no valid header"),
        (b"\x93NUMPY\x09\x00abc", "no valid header"),
        (b"\x93NUMPY\x01\x00\x05\x00abcde", "no valid header"),
    ],
)
def test_npz_lying_headers(tmp_path, content, said):
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(ValueError, match=said) as error:
        npz.read(path)
    assert "'x'" in one_line(error)


def test_npz_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "LIMIT_BYTES", 1000)
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.zeros(1000, np.uint8))
    with pytest.raises(ValueError, match="must be at most 1000"):
        npz.read(path)


def test_npz_damaged_data(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.arange(1000))
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged \.npz"):
        npz.read(path)
