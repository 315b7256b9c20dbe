"""Labels of every kind, their codes, and labels as probabilities."""

from __future__ import annotations

import dataclasses
import datetime
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import Classes, check_probabilities, label_probabilities, one_hot

JANUARY, FEBRUARY = datetime.date(2024, 1, 1), datetime.date(2024, 2, 1)

# Classes: the map


@pytest.mark.parametrize(
    ("y", "labels", "kind"),
    [
        (["dog", "cat", "dog"], ["cat", "dog"], "U"),
        (np.array(["dog", "cat"], dtype=object), ["cat", "dog"], "O"),
        (np.array(["dog", "cat"], dtype=np.dtypes.StringDType()), ["cat", "dog"], "O"),
        (np.array([b"b", b"a"]), [b"a", b"b"], "S"),
        ([7, 3, 7], [3, 7], "i"),
        (np.array([2, 250], np.uint8), [2, 250], "u"),
        ([True, False], [False, True], "b"),
        (np.array([True, False], dtype=object), [False, True], "b"),
        (np.array([5, 2], dtype=object), [2, 5], "i"),
        ([2.0, 1.0, 1], [1, 2], "f"),
        ([Decimal(2), Decimal(1)], [1, 2], "i"),
        ([2**64 - 1, 0], [0, 2**64 - 1], "u"),
        ([2**70, 1], [1, 2**70], "O"),
        (range(3), [0, 1, 2], "i"),
        (["007", "7"], ["007", "7"], "U"),
        (["NA", "None", ""], ["", "NA", "None"], "U"),
        ([FEBRUARY, JANUARY], [JANUARY, FEBRUARY], "O"),
        (np.array([FEBRUARY, JANUARY], "datetime64[D]"), [JANUARY, FEBRUARY], "M"),
        (pd.Series(["b", "a"]), ["a", "b"], "O"),
        (pd.Series(["b", "a"], dtype="string"), ["a", "b"], "O"),
        (pd.Series(["b", "a"], dtype="category"), ["a", "b"], "O"),
        (pd.Series([2, 1], dtype="Int64"), [1, 2], "i"),
        (pd.Series([True, False], dtype="boolean"), [False, True], "b"),
        (pl.Series([2, 1], dtype=pl.UInt8), [1, 2], "u"),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["a", "b"], None),
        (pa.chunked_array([["b"], ["a"]]), ["a", "b"], None),
        (np.ma.array([2, 1], mask=[False, False]), [1, 2], "i"),
    ],
)  # fmt: skip
def test_labels_of_every_kind(y: Any, labels: list[Any], kind: str | None) -> None:
    classes = Classes(y)
    assert classes.labels.tolist() == labels
    assert kind is None or classes.labels.dtype.kind == kind
    assert len(classes) == len(labels)
    codes = classes.encode(y)
    assert codes.dtype == np.intp
    assert classes.decode(codes).tolist() == (np.asarray(y).tolist() if hasattr(y, "__array__") else list(y))


@given(
    st.one_of(
        st.lists(st.text(), min_size=1),
        st.lists(st.integers(-(2**62), 2**62), min_size=1),
        st.lists(st.booleans(), min_size=1),
        st.lists(st.dates(), min_size=1),
    )
)
def test_codes_and_labels_are_one_to_one(y: list[Any]) -> None:
    y = [v.rstrip("\0") if isinstance(v, str) else v for v in y]  # NumPy's text has no trailing nulls
    classes = Classes(y)
    assert list(classes) == sorted(set(y))
    assert [sorted(set(y))[c] for c in classes.encode(y)] == y
    assert classes.decode(classes.encode(y)).tolist() == y


def test_the_order_is_that_of_numpy_unique() -> None:
    y = np.array(["b", "B", "a", "ä", "10", "9"])
    np.testing.assert_array_equal(Classes(y).labels, np.unique(y))
    np.testing.assert_array_equal(Classes(y).encode(y), np.unique(y, return_inverse=True)[1])


def test_known_classes_keep_their_order() -> None:
    classes = Classes.of(["small", "large", "huge"])
    assert classes.encode(["huge", "small"]).tolist() == [2, 0]
    assert classes.decode([1]).tolist() == ["large"]
    assert Classes.of([3, 1, 2]).encode(np.uint8([1, 3])).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"class 'a' is given twice \(positions 0 and 2\)"):
        Classes.of(["a", "b", "a"])
    with pytest.raises(ValueError, match=r"class 1\.0 is given twice"):
        Classes.of([1, 1.0])


@given(st.permutations(list(range(6))), st.sampled_from([int, str, float, object]))
def test_any_order_of_known_classes_is_kept(order: list[int], kind: type) -> None:
    classes = Classes.of(np.array(order).astype(kind))
    y = classes.labels[[4, 0, 5, 1, 3, 2]]
    assert classes.encode(y).tolist() == [4, 0, 5, 1, 3, 2]


def test_labels_match_by_value_at_any_width() -> None:
    assert Classes([1, 2]).encode([2.0, 1.0]).tolist() == [1, 0]
    assert Classes(np.uint8([1, 2])).encode(np.int64([2, 1])).tolist() == [1, 0]
    assert Classes(["a", "bcd"]).encode(np.array(["bcd", "a"], dtype=object)).tolist() == [1, 0]
    assert Classes([False, True]).encode([1, 0]).tolist() == [1, 0]
    day, ns = np.array(["2024-01-01"], "datetime64[D]"), np.array(["2024-01-01"], "datetime64[ns]")
    assert Classes(day).encode(ns).tolist() == [0]


def test_classes_are_frozen_and_can_be_compared_and_stored() -> None:
    classes = Classes(["a", "b"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        classes.labels = np.array(["c"])  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        classes.labels[0] = "c"
    assert classes == Classes.of(["a", "b"]) != Classes.of(["b", "a"])
    assert hash(classes) == hash(Classes.of(["a", "b"]))
    assert pickle.loads(pickle.dumps(classes)) == classes
    assert repr(classes) == "Classes('a', 'b')"
    given = np.array([3, 1])
    known = Classes.of(given)
    given[0] = 9
    assert known.labels.tolist() == [3, 1]


# Classes: what is refused


@pytest.mark.parametrize(
    "y",
    [
        ["a", None], ["a", float("nan")], ["a", pd.NA], ["a", pd.NaT], [1, None], [1, float("nan")],
        [True, None], np.array([1.0, np.nan]), np.array(["2024-01-01", "NaT"], "datetime64[D]"),
        [np.datetime64("2024-01-01"), np.datetime64("NaT")], [Decimal(1), Decimal("nan")],
        np.array(["a", np.nan], dtype=object), pd.Series(["a", None]), pd.Series(["a", None], dtype="string"),
        pd.Series(["a", None], dtype="category"), pd.Series([1, None], dtype="Int64"),
        pd.Series([True, None], dtype="boolean"), pl.Series(["a", None]), pl.Series([1, None]),
        pa.array(["a", None]), np.ma.array([1, 2], mask=[False, True]),
    ],
)  # fmt: skip
def test_a_missing_label_is_refused_with_its_row(y: Any) -> None:
    for call in (Classes, Classes.of, Classes([1, 2]).encode, Classes(["a"]).encode, one_hot):
        with pytest.raises(ValueError, match=r"no label in row 1 .*1 of 2 rows .*leave these rows out"):
            call(y)


@pytest.mark.parametrize(("y", "told"), [
    ([0.0, 1.7], r"Unknown label type: y holds 1\.7 in row 1, a number and not a class"),
    ([1, 2, 2.5], r"y holds 2\.5 in row 2"),
    ([Decimal("0.5")], r"y holds 0\.5 in row 0"),
    ([1.0, np.inf], "y holds inf in row 1"),
    ([1, "a"], r"mixes kinds of labels: row 0 holds 1 \(integer\) and row 1 holds 'a' \(text\)"),
    (["a", "b", 3], r"row 0 holds 'a' \(text\) and row 2 holds 3 \(integer\)"),
    (np.array(["a", 1.5], dtype=object), r"row 0 holds 'a' \(text\) and row 1 holds 1\.5 \(number\)"),
    ([True, 2], r"row 0 holds True \(boolean\) and row 1 holds 2 \(integer\)"),
    ([["a"], ["b"]], r"one-dimensional.*shape \(2, 1\); ravel it"),
    ([["a", "b"], ["c", "d"]], r"one-dimensional.*shape \(2, 2\)"),
    ([[1], [2, 3]], r"y holds \[1\] in row 0, a list"),
    ([{1}, {2}], "in row 0, a set; a label is a single value"),
    ("cat", r"one-dimensional.*shape \(\)"),
    (3, r"one-dimensional.*shape \(\)"),
    ([], "there is no label, so there are no classes"),
    (np.zeros(0), "there is no label"),
    (np.array([1j]), "dtype complex128, which cannot hold labels"),
    ([(1, 2), (1,), (0, "a", 3), object()], "mixes kinds"),
    ([object(), object()], "cannot be sorted .*Classes.of"),
])  # fmt: skip
def test_what_is_no_label_is_refused(y: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Classes(y)


@pytest.mark.parametrize(("known", "y", "told"), [
    (["cat", "dog"], ["dog", "cow"], r"the label 'cow' \(row 1\) is not among .*: 'cat', 'dog'\. Leave"),
    (["b", "d"], ["d", "z"], r"'z' \(row 1\)"),
    (["b", "d"], ["a"], r"'a' \(row 0\)"),
    (["b", "d"], ["c"], r"'c' \(row 0\)"),
    ([1, 2], ["1"], r"the label '1' \(row 0\) is not among the known classes: 1, 2"),
    (["1", "2"], [1], r"the label 1 \(row 0\) is not among the known classes: '1', '2'"),
    ([1, 2], np.uint64([1, 2**63 + 1]), rf"the label {2**63 + 1} \(row 1\)"),
    (["a"], ["ab"], r"'ab' \(row 0\)"),
    (["ab"], ["a"], r"'a' \(row 0\)"),
    (np.array(["ab"], dtype=object), ["a"], r"'a' \(row 0\)"),
    (list(range(50)), [50], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 40 more"),
])  # fmt: skip
def test_an_unseen_label_is_refused_by_name(known: Any, y: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Classes(known).encode(y)


def test_unsigned_labels_do_not_wrap() -> None:
    y = np.array([2**64 - 1, 0, 2**63], np.uint64)
    classes = Classes(y)
    assert classes.labels.dtype == np.uint64
    assert classes.encode(y).tolist() == [2, 0, 1]
    assert classes.decode([2]).tolist() == [2**64 - 1]
    small = Classes(np.uint8([0, 255]))
    with pytest.raises(ValueError, match=r"the label -1 \(row 0\)"):
        small.encode([-1])
    with pytest.raises(ValueError, match=r"the label 256 \(row 0\)"):
        small.encode([256])
    # float64 holds neither of these two; as floats they would be one class
    assert Classes.of(np.int64([2**53, 2**53 + 1])).encode(np.uint64([2**53 + 1])).tolist() == [1]


def test_codes_outside_the_classes_are_refused() -> None:
    classes = Classes(["a", "b"])
    with pytest.raises(ValueError, match=r"the code -1 \(row 1\), but with 2 classes codes run from 0 to 1"):
        classes.decode([0, -1])  # a rejected row must not become the last class
    with pytest.raises(ValueError, match=r"the code 2 \(row \(0, 1\)\)"):
        classes.decode([[0, 2]])
    with pytest.raises(ValueError, match=r"integer codes from 0 to 1, but its dtype is float64"):
        classes.decode([0.0])
    assert classes.decode([]).shape == (0,)
    assert classes.encode([]).shape == (0,)


# One-hot rows and label probabilities


def test_one_hot_by_hand() -> None:
    np.testing.assert_array_equal(one_hot(["cat", "chicken", "dog"]), np.eye(3))
    np.testing.assert_array_equal(one_hot([2, 0], n_classes=4), [[0, 0, 1, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(one_hot(["dog"], classes=["cat", "dog"]), [[0, 1]])
    np.testing.assert_array_equal(one_hot(["dog"], classes=["dog", "cat"]), [[1, 0]])
    np.testing.assert_array_equal(one_hot(["dog"], classes=Classes(["cat", "dog"])), [[0, 1]])
    np.testing.assert_array_equal(one_hot([5, 9]), [[1, 0], [0, 1]])  # labels, not codes: no ten columns
    assert one_hot([[0, 1], [1, 1]], n_classes=2).tolist() == [[[1, 0], [0, 1]], [[0, 1], [0, 1]]]
    assert one_hot(np.uint8([1]), n_classes=3, dtype=np.float32).dtype == np.float32
    assert one_hot([], n_classes=3).shape == (0, 3)


@given(st.integers(1, 6), st.lists(st.integers(0, 5), max_size=8))
def test_one_hot_rows_are_distributions_that_decode(q: int, codes: list[int]) -> None:
    codes = [c % q for c in codes]
    Y = one_hot(codes, n_classes=q)
    assert Y.shape == (len(codes), q)
    check_probabilities(Y)
    assert Y.argmax(axis=1).tolist() == codes


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: one_hot([0, 3], n_classes=3), r"y holds the code 3 \(row 1\), but with 3 classes"),
        (lambda: one_hot([-1], n_classes=3), r"the code -1 \(row 0\)"),
        (lambda: one_hot(np.uint8([200]), n_classes=3), "the code 200"),
        (lambda: one_hot([0.0], n_classes=3), r"dtype is float64.*Classes\(\.\.\.\)\.encode"),
        (lambda: one_hot(["a"], n_classes=3), "dtype is <U1"),
        (lambda: one_hot([0], n_classes=0), "number of classes is 0"),
        (lambda: one_hot(["a"], n_classes=1, classes=["a"]), "not both"),
        (lambda: one_hot(["c"], classes=["a", "b"]), "'c'"),
    ],
)
def test_one_hot_refuses(call: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call()


def test_label_probabilities_of_hard_labels() -> None:
    np.testing.assert_array_equal(label_probabilities(["b", "a"]), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(label_probabilities(["b"], ["a", "b", "c"]), [[0, 1, 0]])
    np.testing.assert_array_equal(label_probabilities([1], n_classes=3), [[0, 1, 0]])


def test_label_probabilities_of_a_matrix_are_the_matrix() -> None:
    Y = np.array([[0.1, 0.2, 0.7], [1, 0, 0]])
    assert label_probabilities(Y) is Y
    assert label_probabilities(Y, ["cat", "chicken", "dog"]) is Y
    assert label_probabilities(Y.astype(np.float32)).dtype == np.float32
    assert label_probabilities(pd.DataFrame(Y)).tolist() == Y.tolist()
    assert label_probabilities([[1], [1]]).tolist() == [[1], [1]]


def test_rows_that_do_not_sum_to_one_are_never_renormalised() -> None:
    with pytest.raises(ValueError, match=r"row 1 of y sums to 0\.6, not to 1"):
        label_probabilities([[0.5, 0.5], [0.3, 0.3]])
    with pytest.raises(ValueError, match=r"row 0 of y sums to 2"):
        label_probabilities([[1, 1]])


def test_smoothing_by_hand() -> None:
    # (1 - 0.1) (0, 1, 0) + 0.1 / 3
    np.testing.assert_allclose(
        label_probabilities(["b"], ["a", "b", "c"], smoothing=0.1), [[1 / 30, 28 / 30, 1 / 30]], rtol=1e-15
    )
    np.testing.assert_allclose(label_probabilities([[0.5, 0.5]], smoothing=0.3), [[0.5, 0.5]])
    np.testing.assert_allclose(label_probabilities([0], n_classes=4, smoothing=1), [[0.25] * 4])
    assert label_probabilities(np.float32([[1, 0]]), smoothing=0.5).dtype == np.float32


@given(st.floats(0, 1), st.integers(1, 5))
def test_smoothed_labels_are_distributions_with_the_label_on_top(s: float, q: int) -> None:
    Y = label_probabilities(np.arange(q), n_classes=q, smoothing=s)
    check_probabilities(Y, atol=1e-12)
    assert (np.diag(Y) >= Y.max(axis=1) - 1e-15).all()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: label_probabilities([0], n_classes=2, smoothing=1.5),
            "smoothing is 1.5, but it must be a share",
        ),
        (lambda: label_probabilities([0], n_classes=2, smoothing=float("nan")), "smoothing is nan"),
        (
            lambda: label_probabilities([[0.5, 0.5]], ["a", "b", "c"]),
            "y has 2 columns .* but there are 3 classes",
        ),
        (lambda: label_probabilities([[0.5, 0.5]], n_classes=3), "y has 2 columns"),
        (lambda: label_probabilities([["a"], ["b"]]), r"y has shape \(2, 1\): .* ravel it to shape \(2,\)"),
        (lambda: label_probabilities([[0], [2]]), r"y has shape \(2, 1\)"),
    ],
)
def test_label_probabilities_refuse(call: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize(
    "values",
    [
        np.array([-128, 127, 0, 127], np.int8),
        np.array([250, 3, 3], np.uint8),
        np.array([2**63 - 1, 2**63 - 3], np.int64),
        np.array([-(2**63), -(2**63) + 5], np.int64),
        np.array([2**64 - 1, 2**64 - 5], np.uint64),
        np.array([0, 10**6, 5]),
    ],
)
def test_integers_at_the_ends_of_their_range(values):
    classes = Classes(values)
    np.testing.assert_array_equal(classes.labels, np.unique(values))
    assert classes.labels.dtype == values.dtype
    np.testing.assert_array_equal(classes.encode(values), np.searchsorted(np.unique(values), values))
    lowest = values.min()
    assert classes.find([lowest + 1]).tolist() == [-1]
    assert Classes.of(values[:1]).find(values).tolist() == [0 if v == values[0] else -1 for v in values]


@pytest.mark.parametrize(
    "y",
    [
        [7, 3, 7],
        np.array([-128, 127, -128], np.int8),
        np.array([250, 2, 250, 9], np.uint8),
        np.array([2**63, 2**64 - 1], np.uint64),
        np.array([-(2**62), 2**62]),
        [True, False],
        ["dog", "cat", "dog"],
        [2.0, 1.0, 1],
    ],
)
def test_classes_with_their_codes_are_those_of_two_calls(y: Any) -> None:
    classes, codes = Classes.with_codes(y)
    np.testing.assert_array_equal(classes.labels, Classes(y).labels)
    assert classes.labels.dtype == Classes(y).labels.dtype
    np.testing.assert_array_equal(codes, Classes(y).encode(y))
    assert codes.dtype == Classes(y).encode(y).dtype
    assert not classes.labels.flags.writeable


@pytest.mark.parametrize("y", [[], [1.5, 2.0], [None, 1], ["a", 1], [float("nan"), 1.0]])
def test_classes_with_their_codes_refuse_what_classes_do(y: Any) -> None:
    with pytest.raises(ValueError) as expected:  # noqa: PT011  # the message is compared below
        Classes(y)
    with pytest.raises(ValueError) as found:  # noqa: PT011
        Classes.with_codes(y)
    assert str(found.value) == str(expected.value)
