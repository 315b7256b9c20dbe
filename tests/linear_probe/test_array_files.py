"""Embeddings and labels in files: every format gives the same numbers, and unsuitable files give a clear error."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg
from softreg.linear_probe.embedding_arrays import check_embeddings
from softreg.linear_probe.files.array_files import array_source, read_embeddings, read_labels
from softreg.linear_probe.files.named_arrays import NamedArray, choose_array


def embeddings(path: Path | str, label: str | None = None) -> np.ndarray:
    return check_embeddings(read_embeddings(array_source(path), label)).X


@pytest.fixture
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 3)).astype(np.float16).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_of_every_kind_and_order_hold_the_same_numbers(X: np.ndarray, kind: str, order: str) -> None:
    np.save("X.npy", np.asarray(X, dtype=kind, order=order))
    seen = embeddings("X.npy")
    assert np.array_equal(seen, X)


@pytest.mark.usefixtures("folder")
def test_npy_files_are_mapped_and_not_copied(X: np.ndarray) -> None:
    np.save("X.npy", X)
    assert isinstance(embeddings("X.npy"), np.memmap)


@pytest.mark.usefixtures("folder")
def test_large_float16_is_used_in_place(X: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("X.npy", X.astype(np.float16))
    monkeypatch.setattr("softreg.linear_probe.embedding_arrays.CONVERTED_BYTES", 0)
    seen = embeddings("X.npy")
    assert seen.dtype == np.float16
    assert isinstance(seen, np.memmap)


@pytest.mark.usefixtures("folder")
def test_bfloat16_in_npy_files_is_read(X: np.ndarray) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    narrow = X.astype(ml_dtypes.bfloat16)
    np.save("X.npy", narrow)
    assert np.array_equal(embeddings("X.npy"), narrow.astype(np.float32))
    assert np.array_equal(check_embeddings(narrow).X, narrow.astype(np.float32))
    with pytest.raises(ValueError, match="float8_e4m3fn, which softreg does not read"):
        check_embeddings(X.astype(ml_dtypes.float8_e4m3fn))


@pytest.mark.usefixtures("folder")
def test_npz_files_hold_embeddings_and_labels(X: np.ndarray) -> None:
    y = np.arange(40) % 4
    np.savez("data.npz", train=X, label=y)
    assert np.array_equal(embeddings("data.npz"), X)
    assert np.array_equal(read_labels(array_source("data.npz")), y)
    np.savez("two.npz", train=X, test=X[:5], label=y)
    with pytest.raises(ValueError, match=r"two.npz' holds several arrays .* 'train' \(40, 3\), 'test' \(5, 3\)"):
        embeddings("two.npz")
    assert len(embeddings("two.npz::test")) == 5
    with pytest.raises(ValueError, match=r"has no array 'tset'; it holds 'train'"):
        embeddings("two.npz::tset")


@pytest.mark.usefixtures("folder")
def test_objects_and_damaged_numpy_files_are_refused(X: np.ndarray) -> None:
    np.save("objects.npy", np.array([X[0], None], dtype=object), allow_pickle=True)
    np.savez("objects.npz", X=np.array([X[0], None], dtype=object))
    for path in ("objects.npy", "objects.npz"):
        with pytest.raises(ValueError, match="stored as pickles: reading them could run code"):
            embeddings(path)
    whole = io.BytesIO()
    np.save(whole, X)
    Path("cut.npy").write_bytes(whole.getvalue()[:-50])
    Path("text.npy").write_text("not an array")
    Path("bad.npz").write_bytes(b"PK no archive")
    with zipfile.ZipFile("inner.npz", "w") as archive:
        archive.writestr("X.npy", b"nothing")
    for path in ("cut.npy", "text.npy", "bad.npz", "inner.npz"):
        with pytest.raises(ValueError, match=path):
            embeddings(path)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", ["fixed", "list", "half", "columns"])
def test_parquet_columns_hold_embeddings_and_labels(X: np.ndarray, kind: str) -> None:
    y = pa.array([f"c{k % 3}" for k in range(40)])
    flat = pa.array(X.ravel())
    table = {
        "fixed": lambda: {"e": pa.FixedSizeListArray.from_arrays(flat, 3), "y": y},
        "list": lambda: {"e": pa.array(X.tolist(), pa.list_(pa.float32())), "y": y.dictionary_encode()},
        "half": lambda: {"e": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel().astype(np.float16)), 3), "y": y},
        "columns": lambda: {**{f"x{k}": X[:, k] for k in range(3)}, "y": y},
    }[kind]()
    pq.write_table(pa.table(table), "data.parquet", row_group_size=15)
    assert np.array_equal(embeddings("data.parquet", "y"), X)
    assert read_labels(array_source("data.parquet::y")).tolist() == y.to_pylist()


@pytest.mark.usefixtures("folder")
def test_parquet_lists_need_one_length_and_no_gaps() -> None:
    for rows, message in (
        ([[1.0, 2.0], [1.0]], r"different lengths: 2 in row 0 and 1 in row 1"),
        ([[1.0], None], "row 1 of the column 'e' of 'bad.parquet' has no list"),
    ):
        pq.write_table(pa.table({"e": rows}), "bad.parquet")
        with pytest.raises(ValueError, match=message):
            embeddings("bad.parquet")
    pq.write_table(pa.table({"y": ["a", None]}), "y.parquet")
    with pytest.raises(ValueError, match=r"row 1 of the column 'y' of 'y.parquet' has no value"):
        read_labels(array_source("y.parquet"))
    Path("cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"cut.parquet"):
        embeddings("cut.parquet")


@pytest.mark.usefixtures("folder")
def test_tensors_of_every_kind_are_read_and_nothing_else(X: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(X)
    for kind in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        torch.save(tensor.to(kind), "X.pt")
        assert np.array_equal(embeddings("X.pt"), tensor.to(kind).float().numpy())
    torch.save({"features": tensor.requires_grad_(), "labels": torch.arange(40) % 4, "names": ["a"] * 40}, "data.pt")
    assert np.array_equal(embeddings("data.pt"), X)
    assert np.array_equal(np.asarray(read_labels(array_source("data.pt::labels"))), np.arange(40) % 4)
    assert read_labels(array_source("data.pt::names")) == ["a"] * 40
    torch.save((tensor.detach(), torch.arange(40)), "pair.pt")
    assert np.array_equal(embeddings("pair.pt"), X)
    torch.save({"model": softreg.SoftmaxRegression()}, "object.pt")
    with pytest.raises(ValueError, match=r"'object.pt' cannot be read as a file of tensors .*Save tensors only"):
        embeddings("object.pt")
    torch.save({"epoch": 3}, "none.pt")
    with pytest.raises(ValueError, match=r"'none.pt' holds no tensor but dict"):
        embeddings("none.pt")


@pytest.mark.usefixtures("folder")
def test_a_missing_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("X.pt").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"'X.pt', a file of tensors, needs PyTorch, .* pip install 'softreg\[torch\]'"
    ):
        read_embeddings(array_source("X.pt"))


@pytest.mark.usefixtures("folder")
def test_labels_in_text_are_integers_or_text() -> None:
    def labels(name: str, text: str, key: str = "") -> list[object]:
        Path(name).write_text(text, encoding="utf-8")
        return list(read_labels(array_source(name + key)).tolist())

    assert labels("y.txt", "2\n10\n-1\n") == [2, 10, -1]
    assert labels("y.txt", "007\n1\n") == ["007", "1"]
    assert labels("y.csv", "file,label\na,cat\nb,狗\n", "::label") == ["cat", "狗"]
    assert labels("y.tsv", "file\tlabel\na\t1\n", "::label") == [1]
    assert labels("one.csv", "label\n3\n") == [3]
    with pytest.raises(ValueError, match=r"line 2 of 'y.txt' is blank"):
        labels("y.txt", "2\n\n1\n")
    with pytest.raises(ValueError, match=r"several arrays .* 'file'"):
        labels("y.csv", "file,label\na,cat\n")
    with pytest.raises(ValueError, match=r"the first line of 'y.csv', '3', would be the name"):
        labels("y.csv", "3\n4\n")
    with pytest.raises(ValueError, match=r"row 1 of the column 'label' of 'y.csv' has no label"):
        labels("y.csv", "file,label\na,cat\nb,\n", "::label")
    Path("latin.txt").write_bytes("café\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"'latin.txt' is not text in UTF-8"):
        read_labels(array_source("latin.txt"))


@pytest.mark.usefixtures("folder")
def test_missing_files_and_other_endings_are_named(X: np.ndarray) -> None:
    np.save("train.npy", X)
    with pytest.raises(FileNotFoundError, match=r"no file 'trian.npy'. Nearest by name: 'train.npy'"):
        array_source("trian.npy")
    Path("X.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"'X.mat' ends in none of .npy, .npz, .parquet"):
        embeddings("X.mat")


def test_an_array_is_chosen_by_its_axes() -> None:
    arrays = [NamedArray(name, shape, list) for name, shape in (("X", (5, 2)), ("y", (5,)), ("z", (5,)))]
    assert choose_array(arrays, None, 2, "f").name == "X"
    with pytest.raises(ValueError, match="holds several arrays with the shape of labels"):
        choose_array(arrays, None, 1, "f")
    with pytest.raises(ValueError, match="holds no array with the shape of embeddings"):
        choose_array(arrays[1:], None, 2, "f")
