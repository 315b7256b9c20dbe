"""Faults found by trying it: what an array of features may hold, and what refuses it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from softreg import SoftmaxRegression, SoftmaxRegressionCV

Y = [0, 1, 0, 1]


def cells(*values: Any) -> np.ndarray:
    """An array of objects whose first column holds these."""
    return np.array([[value, float(i % 3)] for i, value in enumerate(values)], dtype=object)


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, np.ndarray.tolist])
def test_fault_e5_an_integer_beyond_float64_is_named_with_its_cell(form: Any) -> None:
    with pytest.raises(ValueError, match=r"row 1.*an integer of 1329 bits beyond 1\.8e308"):
        SoftmaxRegression().fit(form(cells(1, 10**400, 2, 3)), Y)
    with pytest.raises(ValueError, match=r"row 2.*a number beyond 1\.8e308"):
        SoftmaxRegression().fit(form(cells(1, 1, Fraction(10**400, 3), 3)), Y)
    model = SoftmaxRegression().fit(np.eye(4)[:, :2], Y)
    with pytest.raises(ValueError, match=r"row 0.*an integer of 1329 bits"):
        model.predict(form(cells(10**400)) if form is not pd.DataFrame else cells(10**400))


def test_fault_e5_decimals_fractions_and_booleans_are_numbers() -> None:
    mixed = cells(Decimal("1.5"), Fraction(1, 3), True, 10**20)
    plain = np.array(mixed.tolist(), dtype=float)
    assert SoftmaxRegression().fit(mixed, Y).coef_ == pytest.approx(SoftmaxRegression().fit(plain, Y).coef_)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, Decimal("NaN")])
def test_fault_e5_a_missing_object_is_named_as_missing(missing: Any) -> None:
    with pytest.raises(ValueError, match="column 0 has a missing value in row 2"):
        SoftmaxRegression().fit(cells(1, 2, missing, 3), Y)


STRANGE = [
    1j,
    np.complex128(1),
    datetime.date(2020, 1, 1),
    np.datetime64("2020"),
    np.timedelta64(2, "s"),
    [1],
    {"a": 1},
]


@pytest.mark.parametrize("value", STRANGE, ids=str)
def test_fault_e5_other_objects_are_refused_by_cell(value: Any) -> None:
    X = cells(1, 2, 3, 4)
    X[2, 0] = value
    with pytest.raises(TypeError, match=f"X holds {type(value).__name__} objects, not numbers .row 2, column 0"):
        SoftmaxRegression().fit(X, Y)


@pytest.mark.parametrize("dtype", [complex, "M8[ns]", "m8[s]"])
def test_fault_e5_arrays_of_no_numbers_are_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"Complex data not supported|X holds (datetime|timedelta)64"):
        SoftmaxRegression().fit(np.arange(8).reshape(4, 2).astype(dtype), Y)


HUGE: dict[str, Any] = {
    "weight": lambda X: SoftmaxRegression().fit(X, Y, [10**400, 1, 1, 1]),
    "fraction": lambda X: SoftmaxRegression().fit(X, Y, [Fraction(10**400, 3), 1, 1, 1]),
    "one weight": lambda X: SoftmaxRegression().fit(X, Y, 10**400),
    "class weight": lambda X: SoftmaxRegression(class_weight={0: 10**400}).fit(X, Y),
    "strength": lambda X: SoftmaxRegression(10**5000).fit(X, Y),
    "tol": lambda X: SoftmaxRegression(tol=10**400).fit(X, Y),
    "strengths": lambda X: SoftmaxRegressionCV([10**400], cv=2).fit(X, Y),
}


@pytest.mark.parametrize("name", HUGE)
def test_fault_e5_weights_and_parameters_beyond_float64_are_value_errors(name: str) -> None:
    with pytest.raises(ValueError, match=r"inf|an integer of \d+ bits"):
        HUGE[name](np.arange(8.0).reshape(4, 2))


def test_fractions_are_class_weights() -> None:
    X = np.arange(8.0).reshape(4, 2) % 3
    third = SoftmaxRegression(class_weight={0: Fraction(1, 3)}).fit(X, Y).coef_
    assert third == pytest.approx(SoftmaxRegression(class_weight={0: 1 / 3}).fit(X, Y).coef_)
