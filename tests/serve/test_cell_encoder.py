"""Cells of JSON are encoded as the encoder of the model encodes tables, to the last bit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from softreg.serve.requests.request_errors import RequestError
from softreg.serve.served_models.cell_encoder import MAX_KEPT, CellEncoder

from .small_models import fitted, mixed_table


def dense(X: Any) -> np.ndarray:
    return X.toarray() if sp.issparse(X) else X


def by_table(encoder: Any, columns: dict[str, list[Any]]) -> np.ndarray:
    names = [column.name for column in encoder.column_encoders]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dense(encoder.encode(pa.table({name: pa.array(columns[name]) for name in names})))


@pytest.mark.parametrize("rows", [1, 240])
def test_every_kind_of_column_is_encoded_as_in_a_table(mixed: Any, rows: int) -> None:
    model, table = mixed
    columns = table.slice(7 if rows == 1 else 0, rows).to_pydict()
    cells = CellEncoder(model.encoder_)
    kinds = {type(column).__name__.removesuffix("Encoder") for column in model.encoder_.column_encoders}
    assert kinds == {"Number", "Boolean", "Category", "Date", "Text", "Tags", "Vector"}
    expected = by_table(model.encoder_, columns)
    for _ in range(2):  # the second time from kept values
        found = cells.encode(columns, rows)
        assert sp.issparse(found) == model.encoder_.sparse
        assert (dense(found) == expected).all()


@pytest.mark.parametrize("value", [45, 45.5, -1e308, 1e308, 0, -0.0, 2**53 + 1, 2**70, 5e-324, None])
@pytest.mark.parametrize("form", ["linear", "scores", "both"])
def test_numbers_are_those_of_arrow(value: Any, form: str) -> None:
    model = fitted(mixed_table().select(["age", "in come", "loan", "buys"]), numeric_form={"in come": form})
    columns = {"age": [value, 1.0], "in come": [value, 3.0], "loan": ["no", "yes"]}
    as_floats = {name: [v if v is None or isinstance(v, str) else float(v) for v in c] for name, c in columns.items()}
    assert (CellEncoder(model.encoder_).encode(columns, 2) == by_table(model.encoder_, as_floats)).all()


def test_unseen_levels_and_wide_categories_are_those_of_arrow() -> None:
    draw = np.random.default_rng(0)
    levels = [f"town {k}" for k in range(600)]
    town = [levels[k] for k in draw.integers(0, 600, 6000)]
    table = pa.table({"town": town, "x": draw.normal(size=6000), "buys": draw.choice(["a", "b"], 6000)})
    model = fitted(table, category="town")
    assert model.encoder_.sparse
    columns = {"town": [*town[:50], "nowhere", None, ""], "x": [0.5] * 53}
    found = CellEncoder(model.encoder_).encode(columns, 53)
    expected = model.encoder_.encode(pa.table(columns))
    assert (found != expected).nnz == 0
    assert (found.indptr == expected.indptr).all()
    assert (found.indices == expected.indices).all()


def test_numbers_in_a_format_and_spellings_of_missing_values(tmp_path: Any) -> None:
    lines = [f"${k},{100 + k}.50;{k % 7};{'ab'[k % 2]}" for k in range(1, 90)] + ["-999;-999;a"] * 5
    path = tmp_path / "prices.csv"
    path.write_text("price;size;buys\n" + "\n".join(lines) + "\n", "utf-8")
    from softreg import read_table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = read_table(path, na=["-999"])
    model = fitted(table, number="price")
    cells = CellEncoder(model.encoder_)
    for price, size in [("$1,200.50", 3), ("-999", -999), (1200.5, -999.0), (None, None)]:
        columns = {"price": [price], "size": [size]}
        assert (cells.encode(columns, 1) == by_table(model.encoder_, columns)).all(), columns
    with pytest.raises(RequestError, match=r"'price'.* row 2 .*'cheap'"):
        cells.encode({"price": ["$1,200.50", "cheap"], "size": [1, 1]}, 2)


def test_an_invalid_cell_is_named_with_its_row(mixed: Any) -> None:
    model, table = mixed
    columns = {**table.slice(0, 100).to_pydict()}
    columns["since"] = [*columns["since"][:76], "no date", *columns["since"][77:99], "nor this"]
    with pytest.raises(RequestError, match=r"'since' held dates in training, but row 77 has 'no date'.*write null"):
        CellEncoder(model.encoder_).encode(columns, 100)


def test_a_date_is_not_blank(mixed: Any) -> None:
    columns = {**mixed[1].slice(0, 2).to_pydict(), "since": ["2020-01-31", " "]}
    with pytest.raises(RequestError, match=r"'since' has ' ' in row 2; expected a date .*null"):
        CellEncoder(mixed[0].encoder_).encode(columns, 2)


def test_kept_values_are_bounded(small: Any) -> None:
    model, _ = small
    cells = CellEncoder(model.encoder_)
    for start in range(0, 3 * MAX_KEPT, 1000):
        jobs = [f"job {k}" for k in range(start, start + 1000)]
        cells.encode({"age": [1.0] * 1000, "loan": ["no"] * 1000, 'job "x"': jobs}, 1000)
    assert len(cells.readers['job "x"'].kept) <= MAX_KEPT
    cells.encode({"age": [1.0], "loan": ["no"], 'job "x"': ["x" * 10**6]}, 1)
    assert max(map(len, (k for k in cells.readers['job "x"'].kept if isinstance(k, str)))) < 1000
