"""Types of labels: models have labels as text, and `predict` returns them in their original type."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.untyped_text import is_untyped
from softreg.typing import Array, IntArray, TextArray
from softreg.value_text import TextIndex, text_array, value_text

if TYPE_CHECKING:
    from softreg.models import SoftmaxRegression

TEXT = "text"
DATE = "datetime64[D]"
_TIMES = (DATE, *(f"datetime64[{unit}]" for unit in ("s", "ms", "us", "ns")))
_WRITTEN = (
    (re.compile(r"0|-?[1-9][0-9]{0,17}"), "integer"),
    (re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}"), "float64"),
    (re.compile(r"True|False|true|false|TRUE|FALSE"), "boolean"),
)
_DTYPE = re.compile(r"bool|object|u?int(8|16|32|64)|float(16|32|64)|datetime64\[(D|s|ms|us|ns)\]")
_NUMBERS = ("integer", "decimal", "float16", "float32", "float64")


def label_type(kind: pa.DataType) -> str:
    """Return the name of the Python type of labels of an Arrow type.

    Returns
    -------
    str
        "boolean", "integer", "float16", "float32", "float64", "decimal", "datetime64[D]" for dates, "datetime64[us]"
        and the like for timestamps (in UTC if they have a time zone), or "text" for any other type, whose labels stay
        text.

    Examples
    --------
    >>> label_type(pa.int8()), label_type(pa.dictionary(pa.int32(), pa.bool_())), label_type(pa.date32())
    ('integer', 'boolean', 'datetime64[D]')
    """
    if pa.types.is_dictionary(kind):
        return label_type(kind.value_type)
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return f"float{kind.bit_width}"
    if pa.types.is_date(kind):
        return DATE
    if pa.types.is_timestamp(kind):
        return f"datetime64[{kind.unit}]"
    return "decimal" if pa.types.is_decimal(kind) else TEXT


def field_label_type(field: pa.Field, labels: Sequence[str]) -> str:
    """Return the label type of a column with these distinct labels.

    That is `label_type` of the Arrow type; the text of a CSV file has no type, so labels that are all whole numbers,
    decimal numbers, or True and False, written as pandas writes them, are integers, floats or booleans.

    Returns
    -------
    str
        Name of the type, as of `label_type`.

    Examples
    --------
    >>> from softreg.tables.columns.untyped_text import mark_untyped
    >>> csv = mark_untyped(pa.field("y", pa.string()))
    >>> field_label_type(csv, ["0", "1"]), field_label_type(csv, ["007", "1"]), field_label_type(csv, ["no", "yes"])
    ('integer', 'text', 'text')
    >>> field_label_type(pa.field("y", pa.string()), ["0", "1"])
    'text'
    """
    kind = label_type(field.type)
    if kind != TEXT or not is_untyped(field):
        return kind
    for pattern, kind in _WRITTEN:
        if all(pattern.fullmatch(label) for label in labels):
            values = typed_labels(labels, kind)
            return kind if len(set(values.tolist())) == len(labels) else TEXT
    return TEXT


def cast_labels(labels: Array, dtype: np.dtype[Any] | None) -> Array:
    """Return the labels (q,) in a NumPy dtype if it holds the same values; otherwise unchanged.

    Returns
    -------
    array (q,)
        Labels.

    Examples
    --------
    >>> cast_labels(np.array([0, 1]), np.dtype("int8")).dtype, cast_labels(np.array(["a"]), np.dtype("int8")).dtype
    (dtype('int8'), dtype('<U1'))
    """
    if dtype is None or dtype == labels.dtype:
        return labels
    numbers = labels.dtype.kind in "biuf" and dtype.kind in "biuf" and (labels.dtype.kind == "b") == (dtype.kind == "b")
    if dtype.kind == "O" or numbers or (labels.dtype.kind == dtype.kind == "M"):
        cast = labels.astype(dtype)
        return cast if (cast == labels).all() else labels
    return labels


def dtype_name(labels: Array, kind: str) -> str | None:
    """Return the name of the dtype of labels (q,), or None where it is that of `typed_labels`.

    Returns
    -------
    str or None
        Name of the dtype.

    Examples
    --------
    >>> dtype_name(np.array([0, 1], dtype="int8"), "integer"), dtype_name(np.array([0, 1]), "integer")
    ('int8', None)
    """
    same = labels.dtype.kind == "U" or typed_labels([value_text(label) for label in labels], kind).dtype == labels.dtype
    return None if same else labels.dtype.name


def dtype_from_name(name: Any) -> np.dtype[Any] | None:
    """Return the dtype of labels that `dtype_name` named; raise `ValueError` for any other."""
    if name is None:
        return None
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise ValueError(f"labels of the dtype {name!r} are not known to this version of softreg")
    return np.dtype(name)


def typed_labels(labels: Sequence[str] | TextArray, kind: str) -> Array:
    """Return labels (q,) that are stored as text, in their type.

    Returns
    -------
    array (q,)
        bool, int64 (uint64 or object where larger), a float type, Decimal objects, or datetime64.

    Raises
    ------
    ValueError
        If a text is not of the type.

    Examples
    --------
    >>> typed_labels(["0", "1"], "integer"), typed_labels(["false", "true"], "boolean")
    (array([0, 1]), array([False,  True]))
    """
    text = [str(label) for label in labels]
    if kind == TEXT:
        return np.array(text, dtype=np.str_)
    if kind not in ("boolean", *_NUMBERS, *_TIMES):
        raise ValueError(f"labels of the type {kind!r} are not known to this version of softreg")
    try:
        if kind == "boolean":
            return np.array([("false", "true").index(label.lower()) == 1 for label in text])
        if kind == "integer":
            return _integers([int(label) for label in text])
        if kind in _TIMES:
            return np.array([label.removesuffix("Z") for label in text]).astype(kind)
        if kind == "decimal":
            return np.array([Decimal(label) for label in text], dtype=object)
        return np.array([float(label) for label in text]).astype(kind)
    except (ValueError, ArithmeticError):
        raise ValueError(f"the labels {', '.join(map(repr, text[:6]))} are not of the type {kind}") from None


def _integers(numbers: list[int]) -> Array:
    """Return exact integers in the first of int64, uint64 and object that holds them all."""
    for dtype in (np.int64, np.uint64):
        if all(np.iinfo(dtype).min <= number <= np.iinfo(dtype).max for number in numbers):
            return np.array(numbers, dtype=dtype)
    return np.array(numbers, dtype=object)


def classes_label_type(field: pa.Field, classes: Sequence[str], pooled: str = "") -> str:
    """Return the type of the classes of a target; text where rare classes are merged as `pooled`."""
    return TEXT if pooled in classes else field_label_type(field, list(classes))


def class_order(labels: Sequence[str] | TextArray, kind: str) -> IntArray:
    """Return the order (q,) of the classes: numbers and times by value, others as text.

    Returns
    -------
    array of int (q,)
        Permutation.

    Examples
    --------
    >>> class_order(["0", "1", "10", "2"], "integer").tolist(), class_order(["0", "10", "2"], "text").tolist()
    ([0, 1, 3, 2], [0, 1, 2])
    """
    values = typed_labels(labels, kind) if kind in (*_NUMBERS, *_TIMES) else np.array([str(label) for label in labels])
    return np.argsort(values, kind="stable")


def ordered_classes(field: pa.Field, classes: Sequence[str], pooled: str = "") -> list[str]:
    """Return the classes of a target in the order of a classifier's `classes_`.

    Returns
    -------
    list of str
        Classes.

    Examples
    --------
    >>> ordered_classes(pa.field("y", pa.int64()), ["10", "9"])
    ['9', '10']
    """
    return [classes[k] for k in class_order(list(classes), classes_label_type(field, classes, pooled))]


def class_name(label: Any, classes: Sequence[str]) -> str:
    """Return the class of a label of any type as text; the text of the label itself where it is no class.

    Returns
    -------
    str
        Class or text.

    Examples
    --------
    >>> class_name(True, ["False", "True"]), class_name(1.0, ["0", "1"]), class_name("x", ["0", "1"])
    ('True', '1', 'x')
    """
    text = value_text(label)
    texts = [text]
    if isinstance(label, np.datetime64):  # which has no time zone: the class may be a moment in UTC
        texts += [f"{text}Z", f"{text} 00:00:00Z"]
    indices = TextIndex(list(classes)).find(text_array(texts), typed=not isinstance(label, str))
    return next((str(classes[k]) for k in indices if k >= 0), text)


def class_weights_by_name(weights: Mapping[Any, float] | str | None, classes: Sequence[str]) -> Any:
    """Return class weights by the text of the classes; anything but a mapping unchanged.

    Returns
    -------
    dict, str or None
        Class weights.

    Examples
    --------
    >>> class_weights_by_name({0: 1.0, 1: 5.0}, ["0", "1"])
    {'0': 1.0, '1': 5.0}
    """
    if not isinstance(weights, Mapping):
        return weights
    return {class_name(label, classes): weight for label, weight in weights.items()}


def reorder_classes(model: SoftmaxRegression, order: IntArray) -> None:
    """Put the classes of a fitted model in another order (q,), given by their present indices."""
    if (order == np.arange(len(order))).all():
        return
    model.classes_, model.coef_, model.intercept_ = model.classes_[order], model.coef_[order], model.intercept_[order]
    if getattr(model, "_posterior", None) is not None:
        model._posterior = model.posterior().with_class_order(order)
    solution = model.solution_
    separation = solution.separation
    if separation is not None:
        first, second = (int(np.flatnonzero(order == code)[0]) for code in separation.classes)
        separation = replace(separation, classes=(first, second))
    model.solution_ = replace(solution, W=solution.W[:, order], b=solution.b[order], separation=separation)
