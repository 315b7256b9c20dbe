"""Images and labels in .npy, .npz and IDX files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from tests.tables.images.pictures import write_folder, write_idx

from softreg.tables import TableClassifier, TableError, TableNote, open_table, read_table
from softreg.tables.images.image_form import image_column

RNG = np.random.default_rng(0)
LABELS = np.tile([0, 1, 2], 10).astype(np.uint8)
IMAGES = (RNG.integers(0, 100, (30, 6, 5)) + 70 * LABELS[:, None, None]).astype(np.uint8)


def pixels(table) -> np.ndarray:
    _, form = image_column(table.schema)
    return np.array(table["image"].to_pylist()).reshape(-1, *form.shape)


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("X", "y"), ("images", "labels"), ("arr_0", "arr_1")])
def test_arrays_of_the_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    np.savez(tmp_path / "a.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    table = read_table(tmp_path / "a.npz")
    assert np.array_equal(pixels(table), IMAGES)
    assert table["label"].to_pylist() == LABELS.tolist()
    model = TableClassifier(strength=0.01).fit(tmp_path / "a.npz")
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.predict(tmp_path / "a.npz") == LABELS).mean() > 0.9


def test_parts_of_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:6], y_test=LABELS[:6])
    with pytest.warns(TableNote, match=r"it also holds 'x_test', 'y_test'\. Others are named as '.*a\.npz::x_test'"):
        assert read_table(tmp_path / "a.npz").num_rows == 30
    for name in ("test", "x_test"):
        table = read_table(f"{tmp_path / 'a.npz'}::{name}")
        assert table["label"].to_pylist() == LABELS[:6].tolist()
    with pytest.raises(TableError, match=r"has no arrays 'valid'; it has 'x_train'"):
        read_table(f"{tmp_path / 'a.npz'}::valid")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (IMAGES / 255.0, IMAGES),
        (IMAGES.astype(np.float32), IMAGES),
        (IMAGES.astype(np.int64), IMAGES),
        (IMAGES.astype(np.uint16) * 257, IMAGES),
        (IMAGES > 100, 255 * (IMAGES > 100)),
        ((IMAGES > 100).astype(np.uint8), 255 * (IMAGES > 100)),
        (IMAGES[..., None], IMAGES),
        (np.repeat(IMAGES[:, None], 3, axis=1), np.repeat(IMAGES[..., None], 3, axis=3)),
        (np.asfortranarray(IMAGES), IMAGES),
        (IMAGES.astype(">i4"), IMAGES),
    ],
    ids=["unit", "float", "int", "16 bits", "bool", "binary", "one channel", "channels first", "Fortran", "big endian"],
)
def test_types_and_axes(tmp_path: Path, images: np.ndarray, expected: np.ndarray) -> None:
    np.save(tmp_path / "images.npy", images)
    assert np.abs(pixels(read_table(tmp_path / "images.npy")) - expected.astype(float)).max() < 1e-4


def test_alpha_lies_over_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 6, 5, 4), np.uint8))
    assert (pixels(read_table(tmp_path / "a.npy")) == 255).all()


def test_another_size_is_that_of_a_picture(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.repeat(np.repeat(IMAGES, 2, axis=1), 2, axis=2), y=LABELS)
    smaller = pixels(read_table(tmp_path / "a.npz", image_size="5x6"))
    assert smaller.shape == IMAGES.shape
    assert np.corrcoef(smaller.ravel(), IMAGES.ravel())[0, 1] > 0.9


def test_rows_of_numbers_are_columns_or_images_of_a_given_size(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=IMAGES.reshape(30, -1), y=LABELS)
    assert read_table(tmp_path / "a.npz").column_names == [*map(str, range(30)), "label"]
    assert np.array_equal(pixels(read_table(tmp_path / "a.npz", image_size="5x6")), IMAGES)
    with pytest.raises(TableError, match="rows of 30 numbers, which are not 7 x 7 pixels"):
        read_table(tmp_path / "a.npz", image_size="7")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": IMAGES, "y": LABELS[:7]}, "holds 30 images, and its labels are 7"),
        ({"X": IMAGES, "y": np.eye(3)[LABELS]}, r"labels\.argmax\(axis=1\)"),
        ({"X": IMAGES - 300.0, "y": LABELS}, "range from -300 to"),
        ({"X": np.full((30, 2, 2), np.nan), "y": LABELS}, "Image 1 of .* NaN or infinite"),
        ({"X": np.array([["a"]] * 30), "y": LABELS}, "expected numbers in the shape"),
        ({"X": np.array([None] * 30), "y": LABELS}, "array of Python objects"),
        ({"X": np.zeros((0, 2, 2)), "y": LABELS[:0]}, "has no pixels"),
        ({"X": np.zeros((30, 7, 7, 7), np.uint8), "y": LABELS}, "channels in the last or the second dimension"),
        ({"a": IMAGES, "b": LABELS}, "has no arrays of the usual names"),
    ],
)
def test_invalid_arrays(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / "a.npz")


def test_damaged_files_of_numpy(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=IMAGES, y=LABELS)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(TableError, match=r"a\.npz' is a damaged or truncated file of NumPy"):
        read_table(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", IMAGES)
    content = (tmp_path / "b.npy").read_bytes()
    for kept in (3, 20, len(content) - 5):
        (tmp_path / "b.npy").write_bytes(content[:kept])
        with pytest.raises(TableError, match=r"b\.npy' is a damaged or truncated file of NumPy"):
            read_table(tmp_path / "b.npy")
    (tmp_path / "c.npz").write_bytes(b"")
    with pytest.raises(TableError, match=r"c\.npz' is a damaged"):
        read_table(tmp_path / "c.npz")


def test_idx_files_find_their_labels(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    with pytest.warns(TableNote, match=r"The labels of .* are those of '.*train-labels-idx1-ubyte'"):
        table = read_table(path)
    assert np.array_equal(pixels(table), IMAGES)
    assert table["label"].to_pylist() == LABELS.tolist()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        with gzip.open(tmp_path / f"{name}.gz", "wb") as file:
            file.write((tmp_path / name).read_bytes())
        (tmp_path / name).unlink()
    assert read_table(tmp_path / "train-images-idx3-ubyte.gz")["label"].to_pylist() == LABELS.tolist()


def test_idx_files_with_named_labels_or_none(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a.idx3", IMAGES)
    assert open_table(path).names == ["image"]
    labels = write_idx(tmp_path / "classes", LABELS)
    assert read_table(path, labels=labels)["label"].to_pylist() == LABELS.tolist()
    write_idx(labels, LABELS[:5])
    with pytest.raises(TableError, match=r"holds 30 images, but '.*classes' holds 5 labels"):
        read_table(path, labels=labels)
    with pytest.raises(TableError, match="There is no file 'nowhere'"):
        read_table(path, labels="nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-3], "declares 30 x 6 x 5 values, 900 bytes, and 897 follow"),
        (lambda b: b + b"12", "declares 30 x 6 x 5 values, 900 bytes, and more follow"),
        (lambda b: b[:9], "declares 3 dimensions and ends before them"),
        (lambda b: b[:2], "is no IDX file: it begins with the bytes 00 00"),
        (lambda b: b"\x08" + b[1:], "is no IDX file"),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "values, .* bytes, and 900 follow"),
        (lambda b: b"\x1f\x8b\x08" + b[3:], "is damaged or cannot be read"),
        (lambda b: gzip.compress(b)[:-10], "is damaged or cannot be read"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, change, message: str) -> None:
    path = write_idx(tmp_path / "t-images-idx3-ubyte", IMAGES)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(TableError, match=message):
        read_table(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_either_byte_order(tmp_path: Path, order: str) -> None:
    np.savez(tmp_path / "a.npz", X=(IMAGES.astype(np.uint16) * 257).astype(f"{order}u2"), y=LABELS)
    assert np.array_equal(pixels(read_table(tmp_path / "a.npz")), IMAGES)


def test_labels_of_bytes_are_text(tmp_path: Path) -> None:
    names = np.array(["thé", "eau", "lait"])[LABELS % 3]
    np.savez(tmp_path / "a.npz", X=IMAGES, y=np.char.encode(names, "utf-8"))
    assert read_table(tmp_path / "a.npz")["label"].to_pylist() == names.tolist()
    np.savez(tmp_path / "a.npz", X=IMAGES, y=np.char.encode(names, "latin-1"))
    with pytest.raises(TableError, match=r"labels of '.*a\.npz' are bytes that are not UTF-8, such as b'th"):
        read_table(tmp_path / "a.npz")


def test_numbers_from_0_to_1_may_be_rounded(tmp_path: Path) -> None:
    exact = IMAGES / IMAGES.max()
    np.savez(tmp_path / "a.npz", X=exact * (1 + 1e-6), y=LABELS)
    np.savez(tmp_path / "b.npz", X=exact, y=LABELS)
    assert np.allclose(pixels(read_table(tmp_path / "a.npz")), pixels(read_table(tmp_path / "b.npz")), rtol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_image_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    images = np.zeros((9000, 1, 2), np.float32)  # more than are checked at a time
    images[8999, 0, 1] = value
    np.savez(tmp_path / "a.npz", X=images)
    with pytest.raises(
        TableError, match=r"Image 9,000 of '.*a\.npz' \(counted from 1\) has pixels that are NaN or inf"
    ):
        read_table(tmp_path / "a.npz")


def test_arrays_of_objects_and_empty_archives(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES.astype(object), allow_pickle=True)
    with pytest.raises(TableError, match="array of Python objects, which only pickle can read"):
        read_table(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz")
    with pytest.raises(TableError, match=r"b\.npz' is an archive without arrays"):
        read_table(tmp_path / "b.npz")


def test_a_named_file_of_labels_needs_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", LABELS)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    folder = write_folder(tmp_path / "pictures")
    for source in (folder, folder / "cat" / "00.png", tmp_path / "t.csv"):
        with pytest.raises(TableError, match=r"y\.npy' \(--labels.* are those of images in a \.npy, \.npz or IDX file"):
            read_table(source, labels=tmp_path / "y.npy")


def test_images_are_no_matrix() -> None:
    with pytest.raises(TableError, match=r"got 3D array.*X\.reshape\(len\(X\), -1\)"):
        TableClassifier().fit(IMAGES, LABELS)
