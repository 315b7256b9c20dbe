"""Sample weights and class weights, and the row weights that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inputs.labels import label_values
from softreg.probability.label_arrays import as_float, is_real, spell
from softreg.typing import Array, Float64Array

MAX_LISTED = 10
"""Classes that a message lists."""
LARGE = 1e100
"""Weights are rescaled if the largest is above this or below its inverse, so that sums and products stay finite."""


def row_weights(
    sample_weight: Any,
    n: int,
    classes: Array,
    labels: Array,
    class_weight: Mapping[Any, float] | str | None,
) -> Float64Array | None:
    """Return the weight of each row from sample weights and class weights.

    Parameters
    ----------
    sample_weight : array of shape (n,), float or None
        Weights of the rows.
    n : int
        Number of rows.
    classes : ndarray of shape (q,)
        The classes.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    class_weight : dict, "balanced" or None
        Weights of the classes.

    Returns
    -------
    ndarray of shape (n,) or None
        The weights; None if all are 1.

    Raises
    ------
    ValueError
        If weights are negative, not finite, all zero or of another length; the message names the row.
    """
    weight = None if sample_weight is None else sample_weights(sample_weight, n)
    if class_weight is None:
        return weight
    base = np.ones(n) if weight is None else rescale_extreme_weights(weight)
    per_class = rescale_extreme_weights(class_weights(class_weight, classes, labels, base))
    weight = np.asarray(base * (per_class[labels] if labels.ndim == 1 else labels @ per_class))
    if n and not weight.any():
        raise ValueError(
            "the class weights leave every row with a weight of zero, so there is nothing to fit; give the classes of "
            "y weights above zero."
        )
    return weight


def rescale_extreme_weights(weight: Array) -> Float64Array:
    """Return weights divided by a power of two if they are so large or small that sums or products would overflow.

    The objective is a weighted mean, so a common factor of all weights does not change it.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Weights, >= 0.

    Returns
    -------
    ndarray of shape (n,)
        The weights; the same array if it needs no scaling.

    Examples
    --------
    >>> rescale_extreme_weights(np.array([2.0**1000, 2.0**1001])).tolist()
    [0.25, 0.5]
    """
    largest = float(weight.max(initial=0.0))
    if largest == 0 or 1 / LARGE < largest < LARGE:
        return weight
    return np.asarray(np.ldexp(weight, -int(np.frexp(largest)[1])))


def sample_weights(sample_weight: Any, n: int, allow_all_zero: bool = False) -> Float64Array:
    """Return validated sample weights.

    Parameters
    ----------
    sample_weight : array of shape (n,) or float
        Weights; a single number is the weight of every row.
    n : int
        Number of rows.
    allow_all_zero : bool
        Whether all weights may be zero.

    Returns
    -------
    ndarray of shape (n,)
        The weights; 0 where the quotient of a weight and the largest one is no number above 0 in double precision.

    Raises
    ------
    ValueError
        If weights are negative, not finite, all zero or of another length; the message names the row.
    """
    weight = _weights_to_floats(sample_weight)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {weight.shape}.")
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(n,)}: one weight for each of the {n} rows."
        )
    invalid = ~np.isfinite(weight) | (weight < 0)
    if invalid.any():
        row = int(invalid.argmax())
        raise ValueError(
            f"the sample weight of row {row} is {weight[row]}: weights count rows, so they are finite and >= 0."
        )
    if n and not allow_all_zero and not weight.any():
        raise ValueError(
            "all sample weights are zero, so there is nothing to fit; leave sample_weight out to count each row once."
        )
    vanishing = (weight > 0) & (rescale_extreme_weights(weight) == 0)
    return np.where(vanishing, 0.0, weight) if vanishing.any() else weight


def _weights_to_floats(sample_weight: Any) -> Float64Array:
    """Return weights as float64, nan where one is missing; raise `ValueError` for one that is not a number."""
    values = label_values(sample_weight)
    if isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.nan, values.data)
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    out = np.empty(values.shape)
    for index, value in np.ndenumerate(np.asarray(sample_weight, dtype=object)):
        if type(value).__name__ in ("NAType", "NoneType"):
            value = np.nan
        elif not isinstance(value, (bool, np.bool_)) and not is_real(value):
            row = f"row {index[0]}" if index else "all rows"
            raise ValueError(f"the sample weight of {row} is {spell(value)}, which is not a number.")
        out[index] = as_float(value)
    return out


def class_weights(
    class_weight: Mapping[Any, float] | str, classes: Array, labels: Array, weight: Array
) -> Float64Array:
    """Return the weight of each class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        Weights by class, 1 for classes not named; or weights that give all classes the same total.
    classes : ndarray of shape (q,)
        The classes.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities; only "balanced" uses them.
    weight : ndarray of shape (n,)
        Weights of the rows; only "balanced" uses them.

    Returns
    -------
    ndarray of shape (q,)
        The class weights.

    Raises
    ------
    ValueError
        If a weight is not a finite number >= 0, or names an unknown class.
    """
    if isinstance(class_weight, str):  # "balanced"
        return np.asarray(balanced_class_weights(class_mass(weight[None], labels, len(classes)))[0])
    out = np.ones(len(classes))
    code_of = {label: k for k, label in enumerate(classes.tolist())}
    for label, value in class_weight.items():
        if label not in code_of:
            known = ", ".join(map(repr, list(code_of)[:MAX_LISTED]))
            raise ValueError(f"class_weight names the class {spell(label)}, which is not among the classes: {known}.")
        if not is_real(value) or not 0 <= as_float(value) < np.inf:
            raise ValueError(f"class_weight of {spell(label)} is {spell(value)}: weights are finite numbers and >= 0.")
        out[code_of[label]] = as_float(value)
    return out


def class_mass(V: Array, labels: Array, q: int) -> Float64Array:
    """Return the total weight (m, q) of each class for each set of row weights `V` (m, n)."""
    if labels.ndim == 2:
        return np.asarray(V @ labels)
    return np.stack([np.bincount(labels, weights=row, minlength=q) for row in V])


def balanced_class_weights(mass: Array) -> Float64Array:
    """Return class weights with which all classes of a training set have the same total weight.

    The weight of class k is `sum_j mass_j / (q mass_k)`, and 0 for a class without rows.

    Parameters
    ----------
    mass : ndarray of shape (m, q)
        Total row weight of each class in m training sets.

    Returns
    -------
    ndarray of shape (m, q)
        The class weights.

    Examples
    --------
    >>> balanced_class_weights(np.array([[3.0, 1.0], [2.0, 0.0]]))
    array([[0.66666667, 2.        ],
           [0.5       , 0.        ]])
    """
    total = np.broadcast_to(mass.sum(axis=1, keepdims=True), mass.shape)
    return np.asarray(np.divide(total, mass.shape[1] * mass, out=np.zeros(mass.shape), where=mass > 0))


@dataclass(frozen=True)
class ClassWeights:
    """Class weights that are computed from the rows of each training set: a fold, a resample, or all rows.

    Parameters
    ----------
    classes : ndarray of shape (q,)
        Labels in the order of the codes.
    value : "balanced", dict or None
        Weights of the classes.
    """

    classes: Array
    value: Mapping[Any, float] | str | None

    def apply(self, V: Array, labels: Array) -> Array:
        """Return the weight of each row in each fit.

        Parameters
        ----------
        V : ndarray of shape (m, n)
            Sample weight of each row in each of m training sets.
        labels : ndarray of shape (n,) or (n, q)
            Codes of the classes or label probabilities.

        Returns
        -------
        ndarray of shape (m, n)
            The products of sample and class weights. Each line may be scaled by a power of two, which does not change
            a weighted mean.

        Examples
        --------
        >>> folds = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0]])
        >>> ClassWeights(np.array(["a", "b"]), "balanced").apply(folds, np.array([0, 0, 1, 1]))
        array([[0.75, 0.75, 1.5 , 0.  ],
               [1.5 , 0.  , 0.75, 0.75]])
        """
        if self.value is None:
            return V
        V = np.stack([rescale_extreme_weights(row) for row in V])
        if isinstance(self.value, str):
            per_class = balanced_class_weights(class_mass(V, labels, len(self.classes)))
        else:
            per_class = class_weights(self.value, self.classes, labels, V[0])[None]
        per_class = np.stack([rescale_extreme_weights(weights) for weights in per_class])
        return np.asarray(V * (per_class[:, labels] if labels.ndim == 1 else per_class @ labels.T))


@dataclass(frozen=True)
class WeightedRows:
    """Rows with positive weights.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n, d)
        Features.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    weight : ndarray of shape (n,) or None
        Row weights; None if all are equal.
    offset : ndarray of shape (n, q) or None
        Fixed part of the logits.
    """

    X: Any
    labels: Array
    weight: Array | None
    offset: Array | None = None


def drop_zero_weight_rows(X: Any, labels: Array, weight: Array | None, offset: Array | None = None) -> WeightedRows:
    """Return the rows whose weight is not zero; the others take no part, not even in the scaling of features."""
    if weight is None:
        return WeightedRows(X, labels, None, offset)
    positive = weight > 0
    if not positive.all():
        kept = None if offset is None else offset[positive]
        return drop_zero_weight_rows(X[positive], labels[positive], weight[positive], kept)
    return WeightedRows(X, labels, None if (weight == weight[0]).all() else rescale_extreme_weights(weight), offset)
