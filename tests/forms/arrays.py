"""The forms that the same numbers, labels and weights may have as arrays, frames and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import scipy.sparse as sp
from hypothesis import strategies as st

from softreg import open_rows

from .writers import cuts

GRAINS = {"bits": 1.0, "small": 1.0, "eighths": 0.125, "any": 0.0}
"""What the numbers are: 0 and 1, whole ones of 0 to 100, eighths between -64 and 64, or any."""


@dataclass(frozen=True)
class Rows:
    """Numbers X (n, d), the code of each row's label, how often each row counts, and a seed for the form."""

    n: int
    d: int
    q: int
    grain: str
    seed: int

    @property
    def X(self) -> Any:
        rng = np.random.default_rng(self.seed)
        shape = (self.n, self.d)
        if self.grain == "bits":
            return rng.integers(0, 2, shape).astype(float)
        if self.grain == "small":
            return rng.integers(0, 101, shape) * (rng.random(shape) < 0.6)
        if self.grain == "eighths":
            return rng.integers(-512, 513, shape) / 8 * (rng.random(shape) < 0.8)
        return rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4, self.d)

    @property
    def codes(self) -> Any:
        rng = np.random.default_rng(self.seed + 1)
        return rng.permutation(np.append(np.arange(self.q), rng.integers(self.q, size=self.n - self.q)))

    @property
    def counts(self) -> Any:
        """How often each row counts, 0 to 3; each class counts."""
        rng = np.random.default_rng(self.seed + 2)
        counts = rng.integers(0, 4, self.n)
        counts[np.unique(self.codes, return_index=True)[1]] = 2
        return counts


def rows(*grains: str) -> st.SearchStrategy[Rows]:
    return st.builds(
        Rows, st.integers(6, 60), st.integers(1, 6), st.integers(2, 4), st.sampled_from(grains), st.integers(0, 2**20)
    )


@dataclass(frozen=True)
class ArrayForm:
    """A form of X: `make(X, folder, rng)`; `grains` are the numbers that it holds without loss."""

    make: Callable[[Any, Path, np.random.Generator], Any]
    grains: tuple[str, ...] = ("bits", "small", "eighths", "any")
    single: bool = False
    """Fitted in float32."""


def names(X: Any) -> list[str]:
    return [f"x{k}" for k in range(X.shape[1])]


def strided(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    wide = np.full((2 * X.shape[0] + 1, 3 * X.shape[1] + 2), np.nan)
    view = wide[1::2, 1:-1:3]
    view[:] = X
    return view


def backwards(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def mapped(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def mapped_f(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    np.save(folder / "X.npy", np.asfortranarray(X))
    return np.load(folder / "X.npy", mmap_mode="r")


def objects(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    makers = [float, Fraction, Decimal, np.float64, lambda v: int(v) if v == int(v) else float(v)]
    out = np.empty(X.shape, dtype=object)
    for place, value in np.ndenumerate(X):
        out[place] = makers[int(rng.integers(len(makers)))](float(value))
    return out


def read_only(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    X = X.copy()
    X.flags.writeable = False
    return X


def csr_untidy(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    """Entries out of order within rows, some in two halves, some stored zeros, long indices."""
    data, indices, indptr = [], [], [0]
    for row in X:
        entries = [(j, v) for j, v in enumerate(row) if v or rng.random() < 0.2]
        entries = [e for j, v in entries for e in ([(j, v / 2), (j, v / 2)] if rng.random() < 0.3 else [(j, v)])]
        for place in rng.permutation(len(entries)):
            indices.append(entries[place][0])
            data.append(entries[place][1])
        indptr.append(len(indices))
    return sp.csr_array((np.array(data, float), np.array(indices, np.int64), np.array(indptr, np.int64)), shape=X.shape)


def coo_twice(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    half = sp.coo_array(X / 2)
    row, column = (np.concatenate([c, c]) for c in half.coords)
    return sp.coo_array((np.concatenate([half.data, half.data]), (row, column)), shape=X.shape)


def frame(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    return pd.DataFrame(X, columns=names(X), index=rng.permutation(len(X)) + 3)


def frame_mixed(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    """Columns of different types, each of which holds its numbers."""
    out = pd.DataFrame(X, columns=names(X))
    for name in out.columns:
        able = ["float64", "Float64", "float64[pyarrow]"]
        if (out[name] == out[name].round()).all():
            able += ["int64", "Int64", "int64[pyarrow]", "int32", "float32", "object"]
        if set(out[name]) <= {0.0, 1.0}:
            able += ["bool", "boolean", "bool[pyarrow]"]
        out[name] = out[name].astype(able[int(rng.integers(len(able)))])
    return out


def arrow_table(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    table = pa.table(dict(zip(names(X), X.T, strict=True)))
    return pa.concat_tables([table.slice(a, b - a) for a, b in cuts(len(X), rng)])


def arrow_batch(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    return pa.RecordBatch.from_arrays([pa.array(column) for column in X.T], names=names(X))


def sparse_frame(X: Any, folder: Path, rng: np.random.Generator) -> Any:
    return pd.DataFrame.sparse.from_spmatrix(sp.csr_array(X), columns=names(X))


X_FORMS: dict[str, ArrayForm] = {
    "float32": ArrayForm(lambda X, f, r: X.astype(np.float32), ("bits", "small", "eighths"), single=True),
    "float16": ArrayForm(lambda X, f, r: X.astype(np.float16), ("bits", "small", "eighths")),
    "int8": ArrayForm(lambda X, f, r: X.astype(np.int8), ("bits", "small")),
    "uint8": ArrayForm(lambda X, f, r: X.astype(np.uint8), ("bits", "small")),
    "int32": ArrayForm(lambda X, f, r: X.astype(np.int32), ("bits", "small")),
    "uint64": ArrayForm(lambda X, f, r: X.astype(np.uint64), ("bits", "small")),
    "bool": ArrayForm(lambda X, f, r: X.astype(bool), ("bits",)),
    "big-endian": ArrayForm(lambda X, f, r: X.astype(">f8")),
    "objects": ArrayForm(objects),
    "objects of booleans": ArrayForm(lambda X, f, r: X.astype(bool).astype(object), ("bits",)),
    "lists": ArrayForm(lambda X, f, r: X.tolist()),
    "tuples of arrays": ArrayForm(lambda X, f, r: tuple(X)),
    "Fortran order": ArrayForm(lambda X, f, r: np.asfortranarray(X)),
    "a strided view": ArrayForm(strided),
    "negative strides": ArrayForm(backwards),
    "read-only": ArrayForm(read_only),
    "masked, nothing hidden": ArrayForm(lambda X, f, r: np.ma.masked_array(X, np.zeros(X.shape, bool))),
    "memory map": ArrayForm(mapped),
    "memory map in Fortran order": ArrayForm(mapped_f),
    "memory map of int8": ArrayForm(lambda X, f, r: mapped(X.astype(np.int8), f, r), ("bits", "small")),
    "csr": ArrayForm(lambda X, f, r: sp.csr_array(X)),
    "csr matrix": ArrayForm(lambda X, f, r: sp.csr_matrix(X)),
    "csr, untidy": ArrayForm(csr_untidy),
    "csr of int": ArrayForm(lambda X, f, r: sp.csr_array(X.astype(np.int64)), ("bits", "small")),
    "csr of bool": ArrayForm(lambda X, f, r: sp.csr_array(X.astype(bool)), ("bits",)),
    "csr of float32": ArrayForm(lambda X, f, r: sp.csr_array(X.astype(np.float32)), ("bits", "small"), single=True),
    "csc": ArrayForm(lambda X, f, r: sp.csc_array(X)),
    "coo": ArrayForm(lambda X, f, r: sp.coo_array(X)),
    "coo, entries twice": ArrayForm(coo_twice),
    "lil": ArrayForm(lambda X, f, r: sp.lil_array(X)),
    "dok": ArrayForm(lambda X, f, r: sp.dok_array(X)),
    "bsr": ArrayForm(lambda X, f, r: sp.bsr_array(X)),
    "dia": ArrayForm(lambda X, f, r: sp.dia_array(X)),
    "pandas": ArrayForm(frame),
    "pandas, mixed types": ArrayForm(frame_mixed),
    "pandas, sparse columns": ArrayForm(sparse_frame),
    "polars": ArrayForm(lambda X, f, r: pl.DataFrame(dict(zip(names(X), X.T, strict=True)))),
    "arrow": ArrayForm(arrow_table),
    "arrow batch": ArrayForm(arrow_batch),
    "arrow of decimals": ArrayForm(
        lambda X, f, r: pa.table(
            {k: pa.array(v).cast(pa.decimal128(12, 3)) for k, v in zip(names(X), X.T, strict=True)}
        ),
        ("bits", "small", "eighths"),
    ),
}


# --- batches and files, with their labels and weights ---


def parts(X: Any, y: Any, w: Any, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(X[a:b], y[a:b]) if w is None else (X[a:b], y[a:b], w[a:b]) for a, b in cuts(len(X), rng)]


def batch_list(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    return iter(parts(X, y, w, rng))


def batch_callable(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    some = parts(X, y, w, rng)
    return lambda: iter(some)


def sparse_batches(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    return iter([(sp.csr_array(part[0]), *part[1:]) for part in parts(X, y, w, rng)])


def frame_batches(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    return iter([(pd.DataFrame(part[0], columns=names(X)), *part[1:]) for part in parts(X, y, w, rng)])


def _table(X: Any, y: Any, w: Any) -> pa.Table:
    weight = {} if w is None else {"w": w}
    return pa.table({**dict(zip(names(X), X.T, strict=True)), "y": pa.array(y.tolist()), **weight})


def rows_parquet(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    pq.write_table(_table(X, y, w), folder / "t.parquet", row_group_size=int(rng.integers(1, len(X) + 1)))
    return open_rows(folder / "t.parquet", "y", weight=None if w is None else "w")


def rows_two(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    table, at = _table(X, y, w), int(rng.integers(1, len(X)))
    pq.write_table(table.slice(0, at), folder / "0.parquet")
    pq.write_table(table.slice(at), folder / "1.parquet")
    return open_rows([folder / "0.parquet", folder / "1.parquet"], "y", weight=None if w is None else "w")


def rows_arrow(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    table = _table(X, y, w)
    with pa.ipc.new_file(folder / "t.arrow", table.schema) as sink:
        for batch in table.to_batches(max_chunksize=int(rng.integers(1, len(X) + 1))):
            sink.write_batch(batch)
    return open_rows(folder / "t.arrow", "y", weight=None if w is None else "w")


def rows_csv(X: Any, y: Any, w: Any, folder: Path, rng: np.random.Generator) -> Any:
    pa_csv.write_csv(_table(X, y, w), folder / "t.csv")
    return open_rows(folder / "t.csv", "y", weight=None if w is None else "w")


SOURCES = {
    "batches": batch_list,
    "batches of a callable": batch_callable,
    "sparse batches": sparse_batches,
    "batches of frames": frame_batches,
    "open_rows of Parquet": rows_parquet,
    "open_rows of two files": rows_two,
    "open_rows of Arrow": rows_arrow,
    "open_rows of CSV": rows_csv,
}

# --- labels ---

LABELS: dict[str, list[Any]] = {
    "int": [-3, 0, 7, 120],
    "large": [2**62, 2**62 + 1, 2**62 + 2, -5],
    "text": ["b", "a", "NA", "é 1.0"],
    "bool": [False, True],
    "whole": [0.0, 1.0, 2.0, -7.0],
}
_text = ("text",)
_int = ("int",)
_bool = ("bool",)
_whole = ("whole",)
_integers = ("int", "large")
Y_FORMS: dict[str, tuple[Callable[[list[Any], np.random.Generator], Any], tuple[str, ...]]] = {
    "a list": (lambda y, r: y, tuple(LABELS)),
    "a tuple": (lambda y, r: tuple(y), tuple(LABELS)),
    "objects": (lambda y, r: np.array(y, dtype=object), tuple(LABELS)),
    "NumPy scalars in a list": (lambda y, r: list(np.array(y)), tuple(LABELS)),
    "pandas": (lambda y, r: pd.Series(y, index=r.permutation(len(y)) + 2), tuple(LABELS)),
    "pandas, category": (lambda y, r: pd.Series(y).astype("category"), tuple(LABELS)),
    "pandas, arrow": (lambda y, r: pd.Series(pa.array(y).to_pandas(types_mapper=pd.ArrowDtype)), tuple(LABELS)),
    "pandas, nullable": (lambda y, r: pd.Series(y).convert_dtypes(convert_integer=False), tuple(LABELS)),
    "pandas, frame of one column": (lambda y, r: pd.Series(y), tuple(LABELS)),
    "pandas index": (lambda y, r: pd.Index(y), tuple(LABELS)),
    "polars": (lambda y, r: pl.Series(y), tuple(LABELS)),
    "arrow": (lambda y, r: pa.array(y), tuple(LABELS)),
    "arrow in chunks": (
        lambda y, r: pa.chunked_array([y[a:b] for a, b in cuts(len(y), r)], pa.array(y).type), tuple(LABELS)
    ),
    "arrow dictionary": (lambda y, r: pa.array(y).dictionary_encode(), tuple(LABELS)),
    "a strided view": (lambda y, r: np.repeat(np.array(y), 2)[::2], tuple(LABELS)),
    "read backwards": (lambda y, r: np.array(y)[::-1].copy()[::-1], tuple(LABELS)),
    "int8": (lambda y, r: np.array(y, np.int8), _int),
    "big-endian": (lambda y, r: np.array(y, ">i8"), _integers),
    "float32": (lambda y, r: np.array(y, np.float32), _whole),
    "float16": (lambda y, r: np.array(y, np.float16), _whole),
    "text of NumPy": (lambda y, r: np.array(y, dtype=np.str_), _text),
    "StringDType": (lambda y, r: np.array(y, dtype=np.dtypes.StringDType()), _text),
    "pandas, text objects": (lambda y, r: pd.Series(y, dtype=object), _text),
    "polars, categorical": (lambda y, r: pl.Series(y).cast(pl.Categorical), _text),
    "polars, enum": (lambda y, r: pl.Series(y).cast(pl.Enum(LABELS["text"])), _text),
    "arrow, large text": (lambda y, r: pa.array(y, pa.large_string()), _text),
    "arrow, text views": (lambda y, r: pa.array(y, pa.string_view()), _text),
    "masked, nothing hidden": (lambda y, r: np.ma.masked_array(np.array(y), np.zeros(len(y), bool)), _integers),
}  # fmt: skip

# --- weights ---

W_FORMS: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "int64": lambda w, r: w,
    "uint8": lambda w, r: w.astype(np.uint8),
    "float32": lambda w, r: w.astype(np.float32),
    "a list": lambda w, r: w.tolist(),
    "objects": lambda w, r: w.astype(object),
    "pandas": lambda w, r: pd.Series(w, index=r.permutation(len(w)) + 2),
    "pandas, nullable": lambda w, r: pd.Series(w, dtype="Int64"),
    "pandas, arrow": lambda w, r: pd.Series(w, dtype="double[pyarrow]"),
    "polars": lambda w, r: pl.Series(w),
    "arrow": lambda w, r: pa.array(w),
    "arrow in chunks": lambda w, r: pa.chunked_array([w[a:b] for a, b in cuts(len(w), r)], pa.int64()),
    "times a half": lambda w, r: w / 2,
    "times 1e-150": lambda w, r: w * 1e-150,
    "a strided view": lambda w, r: np.repeat(w, 3)[::3],
}
