"""Keys of groups and clusters: one check of missing ones, and codes of every kind."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from softreg import SoftmaxRegression, SoftmaxRegressionCV, infer
from softreg.models.inputs.row_keys import read_row_keys

KEYS = ["b", "a", "b", "c"]
FORMS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "objects": lambda keys: np.array(keys, dtype=object),
    "pandas": pd.Series,
    "category": lambda keys: pd.Series(keys, dtype="category"),
    "string": lambda keys: pd.Series(keys, dtype="string"),
    "polars": pl.Series,
    "arrow": pa.array,
    "chunked": lambda keys: pa.chunked_array([keys[:1], keys[1:]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_codes_are_in_sorted_order(form: str) -> None:
    result = read_row_keys(FORMS[form](KEYS), 4, "groups", "")
    assert result.codes.tolist() == [1, 0, 1, 2]
    assert (result.count, result.sortable) == (3, True)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"array"}))
@pytest.mark.parametrize("missing", [None, "", "  "])
def test_fault_a8_a_missing_key_of_text_is_refused_by_row(form: str, missing: Any) -> None:
    with pytest.raises(ValueError, match=r"groups has no value in row 2 .*; 1 of 4 rows is without one\). Name it\."):
        read_row_keys(FORMS[form](["b", "a", missing, "c"]), 4, "groups", "Name it.")


MISSING = [
    np.array([1.0, 2.0, np.nan, 2.0]),
    np.array(["2020", "2021", "NaT", "2021"], dtype="M8[D]"),
    np.array([1, 2, 3, "NaT"], dtype="m8[s]")[[0, 1, 3, 2]],
    np.array(["a", "b", "", "a"]),
    np.array([b"a", b"b", b"", b"a"]),
    [1, 2, None, 2],
    [1.0, 2.0, float("nan"), 2.0],
    [Decimal(1), Decimal(2), Decimal("NaN"), Decimal(1)],
    [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1), None, datetime.date(2020, 1, 1)],
    pd.Series([1, 2, pd.NA, 2], dtype="Int64"),
    pd.Series(pd.to_datetime(["2020", "2021", None, "2021"])),
    pd.Series(pd.PeriodIndex(["2020", "2021", "NaT", "2021"], freq="Y")),
    pl.Series([1, 2, None, 2]),
    pa.array([1, 2, None, 2]),
    np.ma.masked_array([1, 2, 3, 2], [0, 0, 1, 0]),
    np.ma.masked_array(["a", "b", "c", "a"], [0, 0, 1, 0]),
]


@pytest.mark.parametrize("keys", MISSING, ids=lambda keys: type(keys).__name__)
def test_fault_a8_a_missing_key_of_any_kind_is_refused_by_row(keys: Any) -> None:
    with pytest.raises(ValueError, match="groups has no value in row 2"):
        read_row_keys(keys, 4, "groups", "")


def test_kinds_that_cannot_be_sorted_together_are_kept_apart() -> None:
    result = read_row_keys([1, "1", 2, "1"], 4, "groups", "")
    assert result.codes.tolist() == [0, 1, 2, 1]
    assert not result.sortable
    assert read_row_keys([0.0, -0.0, 1.0], 3, "groups", "").codes.tolist() == [0, 0, 1]
    assert read_row_keys([2**60, 2**60 + 1, None][:2], 2, "groups", "").count == 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [([1, 2], r"the shape \(2,\)"), ([[1], [2], [3]], "the shape"), ([{}, 1, 2], "cannot be a key")],
)
def test_what_is_no_list_of_keys_is_refused(keys: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"groups h.*{message}"):
        read_row_keys(keys, 3, "groups", "")


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 2))
    return X, (X @ random.normal(size=(2, 3)) + random.gumbel(size=(120, 3))).argmax(axis=1), np.arange(120) // 4


@pytest.mark.parametrize("missing", [None, "", float("nan"), pd.NA, pd.NaT])
def test_fault_a8_clusters_and_groups_of_folds_need_a_key_of_each_row(rows: Any, missing: Any) -> None:
    X, y, keys = rows
    holes = np.array([f"group {key}" for key in keys], dtype=object)
    holes[[7, 90]] = missing
    model = SoftmaxRegression(penalty=None).fit(X, y)
    with pytest.raises(ValueError, match=r"clusters has no value in row 7 .*; 2 of 120 rows are without one"):
        infer(model, X, y, clusters=holes)
    for cv in (3, GroupKFold(3), LeaveOneGroupOut()):
        with pytest.raises(ValueError, match="groups has no value in row 7"):
            SoftmaxRegressionCV([1e-1], cv=cv).fit(X, y, groups=holes)


def test_fault_b4_groups_of_mixed_kinds_are_groups(rows: Any) -> None:
    X, y, keys = rows
    mixed = [int(key) if key % 2 else f"group {key}" for key in keys]
    for cv in (3, GroupKFold(3)):
        result = SoftmaxRegressionCV([1e-1], cv=cv).fit(X, y, groups=mixed)
        assert np.isfinite(result.scores_).all()
    errors = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, clusters=mixed).coefficients.std_error
    plain = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, clusters=keys).coefficients.std_error
    assert errors == pytest.approx(plain)


def test_rows_of_weight_zero_need_no_key(rows: Any) -> None:
    X, y, keys = rows
    holes, v = keys.astype(float), np.ones(120)
    holes[5], v[5] = np.nan, 0.0
    model = SoftmaxRegression(penalty=None).fit(X, y, v)
    rest = np.arange(120) != 5
    subset = infer(SoftmaxRegression(penalty=None).fit(X[rest], y[rest]), X[rest], y[rest], clusters=keys[rest])
    errors = infer(model, X, y, v, clusters=holes).coefficients.std_error
    assert errors == pytest.approx(subset.coefficients.std_error, rel=1e-6)
    SoftmaxRegressionCV([1e-1], cv=3).fit(X, y, v, groups=holes)
