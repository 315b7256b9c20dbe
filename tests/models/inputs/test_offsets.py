"""Offsets as users hand them in: shapes, names of classes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from softreg import SoftmaxRegression
from softreg.models.inputs.offsets import offset_array

Array = NDArray[Any]
CLASSES = np.array(["a", "b", "c"])
OFFSET = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])


@pytest.mark.parametrize(
    "offset",
    [OFFSET, OFFSET.tolist(), OFFSET.astype(np.float32), np.asfortranarray(OFFSET), OFFSET.astype(int)],
    ids=["float64", "list", "float32", "Fortran order", "int"],
)
def test_arrays_are_in_the_order_of_the_classes(offset: Any) -> None:
    found = offset_array(offset, 2, CLASSES)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, OFFSET)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_the_columns_of_a_frame_are_matched_by_name(frame: Any) -> None:
    columns = {"c": OFFSET[:, 2], "a": OFFSET[:, 0], "b": OFFSET[:, 1]}
    np.testing.assert_array_equal(offset_array(frame(columns), 2, CLASSES), OFFSET)


def test_columns_of_a_frame_may_be_numbers() -> None:
    frame = pd.DataFrame(OFFSET[:, [1, 0]], columns=[1, 0])
    np.testing.assert_array_equal(offset_array(frame, 2, np.array([0, 1])), OFFSET[:, :2])


def test_two_classes_may_have_log_odds() -> None:
    for odds in (np.array([0.5, -1.0]), [0.5, -1.0], pd.Series([0.5, -1.0], index=[7, 3])):
        np.testing.assert_array_equal(offset_array(odds, 2, np.array([0, 1])), [[0.0, 0.5], [0.0, -1.0]])


def test_tensors_are_read() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    np.testing.assert_array_equal(offset_array(torch.from_numpy(OFFSET), 2, CLASSES), OFFSET)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (
            np.zeros((2, 2)),
            r"offset.shape == \(2, 2\), expected \(2, 3\): a number for each of the 2 rows and 3 classes",
        ),
        (np.zeros(2), r"offset.shape == \(2,\), expected \(2, 3\)"),
        (np.array([[0, 1, 2], [0, np.nan, 0]]), "the offset of row 1 for class 'b' is nan"),
        (np.array([[0, 1, -np.inf], [0, 1, 0]]), "the offset of row 0 for class 'c' is -inf"),
        (np.ma.masked_equal(OFFSET, 4.0), "the offset of row 1 for class 'b' is nan"),
        (OFFSET.astype(str), "offset has dtype <U32: offsets are numbers"),
        (pd.DataFrame(OFFSET, columns=list("abd")), "the classes are .*'d' does not match"),
        (pd.DataFrame(OFFSET[:, :2], columns=list("ab")), "'c' does not match"),
        (pd.DataFrame({"a": [0.0, 1.0], "b": [0.0, None], "c": [1.0, 2.0]}), "column 'b' has a missing value in row 1"),
        (pd.DataFrame({"a": [0.0, 1.0], "b": ["x", "y"], "c": [1.0, 2.0]}), "column 'b' of offset holds"),
    ],
    ids=["columns", "one axis", "nan", "infinity", "masked", "text", "name", "no name", "missing", "text column"],
)
def test_what_cannot_be_an_offset_is_named(offset: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        offset_array(offset, 2, CLASSES)


def problem() -> tuple[Array, Array, Array]:
    random = np.random.default_rng(0)
    X, offset = random.normal(size=(60, 2)), random.normal(size=(60, 3))
    return X, (random.gumbel(size=(60, 3)) + offset).argmax(axis=1), offset


def test_a_model_with_an_offset_does_not_predict_without() -> None:
    X, y, offset = problem()
    model = SoftmaxRegression(0.1).fit(X, y, offset=offset)
    for predict in (model.predict, model.predict_proba, model.predict_log_proba, model.decision_function):
        with pytest.raises(ValueError, match=r"fitted with an offset .* pass offset=... of shape \(n, 3\), with zeros"):
            predict(X)
        assert len(predict(X, offset=np.zeros((60, 3)))) == 60
    with pytest.raises(ValueError, match="fitted with an offset"):
        model.score(X, y)
    assert model.score(X, y, offset=offset) == (model.predict(X, offset=offset) == y).mean()
    with pytest.raises(ValueError, match="partial_fit takes no offset"):
        model.partial_fit(X, y)
    assert model.fit(X, y).has_offset_ is False
    assert model.predict(X).shape == (60,)


def test_batches_have_an_offset_each_or_none() -> None:
    X, y, offset = problem()
    parts = [slice(0, 20), slice(20, 60)]
    whole = SoftmaxRegression(0.1).fit(X, y, offset=offset)
    for given in (offset, pd.DataFrame(offset[:, [2, 0, 1]], columns=["2", "0", "1"])):
        rows = [(X[p], y[p], None, given[p]) for p in parts]
        model = SoftmaxRegression(0.1).fit(iter(rows))
        assert model.has_offset_
        np.testing.assert_array_equal(model.coef_, whole.coef_)
        np.testing.assert_array_equal(model.predict_proba(iter(rows)), whole.predict_proba(X, offset))
        assert model.score(iter(rows)) == whole.score(X, y, offset=offset)
    with pytest.raises(ValueError, match="some batches have offsets and others have none"):
        SoftmaxRegression(0.1).fit(iter([(X[:20], y[:20], None, offset[:20]), (X[20:], y[20:])]))
    with pytest.raises(ValueError, match="leave y, sample_weight and offset out"):
        SoftmaxRegression(0.1).fit(iter([(X, y)]), offset=offset)
    with pytest.raises(ValueError, match="4 columns, and there are 3 classes"):
        SoftmaxRegression(0.1).fit(iter([(X, y, None, np.zeros((60, 4)))]))
    with pytest.raises(ValueError, match=r"in batch 1, .*the offset of row 0 for class 2 is nan"):
        SoftmaxRegression(0.1).fit(
            iter([(X[:20], y[:20], None, offset[:20]), (X[20:], y[20:], None, np.full((40, 3), [0.0, 0, np.nan]))])
        )
