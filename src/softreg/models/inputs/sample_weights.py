"""How much each row counts: sample weights and class weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs.labels import label_values
from softreg.probability.label_arrays import as_float, is_real, spell
from softreg.rows import Array

LARGE = 1e100
"""Weights beyond this, or whose largest is below its inverse, are scaled: their sums must not leave the floats."""


def row_weights(
    sample_weight: Any,
    n: int,
    classes: NDArray[Any],
    labels: Array,
    class_weight: Mapping[Any, float] | str | None,
) -> Array | None:
    """The weight of each row, (n,), from sample and class weights; None where all are 1.

    Raises `ValueError` for weights that are negative, not finite, all zero or of another length, naming the row.
    """
    weight = None if sample_weight is None else sample_weights(sample_weight, n)
    if class_weight is None:
        return weight
    ones = np.ones(n) if weight is None else rescale_extreme_weights(weight)
    per_class = rescale_extreme_weights(class_weights(class_weight, classes, labels, ones))
    weight = np.asarray(ones * (per_class[labels] if labels.ndim == 1 else labels @ per_class))
    if n and not weight.any():
        raise ValueError(
            "the class weights leave every row with a weight of zero, so there is nothing to fit; give the classes of "
            "y weights above zero."
        )
    return weight


def rescale_extreme_weights(weight: Array) -> Array:
    """The weights, divided by a power of two where they are so large or so small that their sums and products overflow.

    The objective is a weighted mean, so a common factor of all weights changes nothing.

    Example:
        >>> rescale_extreme_weights(np.array([2.0**1000, 2.0**1001])).tolist()
        [0.25, 0.5]
    """
    top = float(weight.max(initial=0.0))
    if top == 0 or 1 / LARGE < top < LARGE:
        return weight
    return np.asarray(np.ldexp(weight, -int(np.frexp(top)[1])))


def sample_weights(sample_weight: Any, n: int, some: bool = True) -> Array:
    """Checked weights (n,), one for each row; a single number stands for all rows. All may be zero unless `some`."""
    weight = _numbers(sample_weight)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {weight.shape}.")
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(n,)}: one weight for each of the {n} rows."
        )
    bad = ~np.isfinite(weight) | (weight < 0)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"the sample weight of row {row} is {weight[row]}: weights count rows, so they are finite and >= 0."
        )
    if some and n and not weight.any():
        raise ValueError(
            "all sample weights are zero, so there is nothing to fit; leave sample_weight out to count each row once."
        )
    return weight


def _numbers(sample_weight: Any) -> Array:
    values = label_values(sample_weight)
    if isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.nan, values.data)
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    out = np.empty(values.shape)
    for place, value in np.ndenumerate(np.asarray(sample_weight, dtype=object)):
        if type(value).__name__ in ("NAType", "NoneType"):
            value = np.nan
        elif not isinstance(value, (bool, np.bool_)) and not is_real(value):
            row = f"row {place[0]}" if place else "all rows"
            raise ValueError(f"the sample weight of {row} is {spell(value)}, which is no number.")
        out[place] = as_float(value)
    return out


def class_weights(
    class_weight: Mapping[Any, float] | str, classes: NDArray[Any], labels: Array, weight: Array
) -> Array:
    """The weight (q,) of each class, from a dict or "balanced", for which labels and row weights count."""
    if isinstance(class_weight, str):  # "balanced"
        return np.asarray(balanced_class_weights(class_mass(weight[None], labels, len(classes)))[0])
    out = np.ones(len(classes))
    places = {label: k for k, label in enumerate(classes.tolist())}
    for label, value in class_weight.items():
        if label not in places:
            known = ", ".join(map(repr, list(places)[:10]))
            raise ValueError(f"class_weight names the class {spell(label)}, which is not among the classes: {known}.")
        if not is_real(value) or not 0 <= as_float(value) < np.inf:
            raise ValueError(f"class_weight of {spell(label)} is {spell(value)}: weights are finite numbers and >= 0.")
        out[places[label]] = as_float(value)
    return out


def class_mass(V: Array, labels: Array, q: int) -> Array:
    """The weight of each class (q) among the rows of each model (m), (m, q); `V` are the row weights (m, n)."""
    if labels.ndim == 2:
        return np.asarray(V @ labels)
    return np.stack([np.bincount(labels, weights=row, minlength=q) for row in V])


def balanced_class_weights(mass: Array) -> Array:
    """The class weights (m, q) of "balanced" for training sets whose classes have the weights `mass` (m, q).

    `sum_k mass_k / (q mass_k)`: all classes of a training set then have the same total weight; 0 for a class without
    rows.

    Example:
        >>> balanced_class_weights(np.array([[3.0, 1.0], [2.0, 0.0]]))
        array([[0.66666667, 2.        ],
               [0.5       , 0.        ]])
    """
    total = np.broadcast_to(mass.sum(axis=1, keepdims=True), mass.shape)
    return np.asarray(np.divide(total, mass.shape[1] * mass, out=np.zeros(mass.shape), where=mass > 0))


@dataclass(frozen=True)
class ClassWeights:
    """Class weights that are computed on the rows of each training set: a fold, a resample, or all rows.

    `value` is "balanced", a dict from class to weight, or None; `classes` (q,) are the labels in the order of the
    codes.
    """

    classes: NDArray[Any]
    value: Mapping[Any, float] | str | None

    def applied(self, V: Array, labels: Array) -> Array:
        """The weights (m, n) of the rows in each fit, from how often each row counts in its training set, `V` (m, n).

        Each row of the answer may be scaled by a power of two, which does not change a weighted mean.

        Example:
            >>> folds = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0]])
            >>> ClassWeights(np.array(["a", "b"]), "balanced").applied(folds, np.array([0, 0, 1, 1]))
            array([[0.75, 0.75, 1.5 , 0.  ],
                   [1.5 , 0.  , 0.75, 0.75]])
        """
        if self.value is None:
            return V
        V = np.stack([rescale_extreme_weights(row) for row in V])
        if isinstance(self.value, str):
            each = balanced_class_weights(class_mass(V, labels, len(self.classes)))
        else:
            each = class_weights(self.value, self.classes, labels, V[0])[None]
        each = np.stack([rescale_extreme_weights(one) for one in each])
        return np.asarray(V * (each[:, labels] if labels.ndim == 1 else each @ labels.T))


def drop_zero_weight_rows(X: Any, labels: Array, weight: Array | None) -> tuple[Any, Array, Array | None]:
    """Without the rows of weight zero: they are left out of everything, the scaling of features among it."""
    if weight is None:
        return X, labels, None
    counts = weight > 0
    if counts.all():
        return X, labels, None if (weight == weight[0]).all() else rescale_extreme_weights(weight)
    return drop_zero_weight_rows(X[counts], labels[counts], weight[counts])
