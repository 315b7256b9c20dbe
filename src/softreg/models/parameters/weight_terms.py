"""Penalty factors and bounds of single weights, as users name them, as arrays for the solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from softreg.optimize import WeightTerms
from softreg.probability import Classes
from softreg.probability.label_arrays import as_float, is_real, spell
from softreg.typing import Array, Float64Array

SIGNS = {"+": (0.0, math.inf), "-": (-math.inf, 0.0)}
"""Bounds by sign: weights that are not negative, and weights that are not positive."""
LISTED_NAMES = 10
"""Names that an error lists at most."""


@dataclass(frozen=True)
class WeightNames:
    """The names by which users refer to weights.

    Parameters
    ----------
    columns : sequence of str or None
        Names of the d columns; None if they have none.
    n_columns : int
        Number of columns d.
    classes : ndarray of shape (q,)
        The classes.
    """

    columns: Sequence[Any] | None
    n_columns: int
    classes: Array

    @classmethod
    def of(cls, columns: Any, n_columns: int, classes: Array) -> WeightNames:
        """Return the names for columns given as an array, or None."""
        return cls(None if columns is None else [str(name) for name in columns], n_columns, classes)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The position of each name, the first one of equal names; none without names."""
        names = [str(name) for name in self.columns or ()]
        return dict(zip(reversed(names), reversed(range(len(names))), strict=True))

    def column(self, key: Any, parameter: str) -> int:
        """Return the position of a column given by name or number.

        Parameters
        ----------
        key : str or int
            Name or number of a column.
        parameter : str
            Name of the parameter that holds it, for the message.

        Returns
        -------
        int
            Position of the column.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        if isinstance(key, str) and key in self._places:
            return self._places[key]
        if is_real(key) and int(key) == key and 0 <= key < self.n_columns:
            return int(key)
        if self.columns is None:
            known = f"columns have no names; they are numbered from 0 to {self.n_columns - 1}"
        else:
            known = f"columns are {', '.join(repr(str(name)) for name in self.columns[:LISTED_NAMES])}"
            known += " and others" if len(self.columns) > LISTED_NAMES else ""
        raise ValueError(f"{parameter} names the column {spell(key)}, which does not exist: {known}.")

    def class_(self, label: Any, parameter: str) -> int:
        """Return the code of a class.

        Parameters
        ----------
        label : object
            The label.
        parameter : str
            Name of the parameter that holds it, for the message.

        Returns
        -------
        int
            Code of the class.

        Raises
        ------
        ValueError
            If it is not among the classes.
        """
        known = Classes.of(self.classes)
        if label not in set(known):
            raise ValueError(f"{parameter} names the class {spell(label)}, which is not among {known.listing()}.")
        return list(known).index(label)

    def label(self, column: int) -> str:
        """Return a column as messages name it."""
        return repr(str(self.columns[column])) if self.columns is not None else f"column {column}"


def check_weight_parameters(model: Any) -> None:
    """Check that the parameters of single weights go with the other parameters of an estimator.

    Parameters
    ----------
    model : estimator
        Has the parameters `penalty`, `penalty_factors`, `bounds` and `bounds_reference`.

    Raises
    ------
    ValueError
        If a parameter has another form, or does not go with the penalty.
    """
    for name in ("penalty_factors", "bounds"):
        value = getattr(model, name)
        if value is None:
            continue
        if model.penalty not in (None, "l2", "l1", "elasticnet"):
            raise ValueError(
                f"{name} needs a penalty that is a sum over weights: penalty='l2', 'l1', 'elasticnet' or None, not "
                f"{model.penalty!r}."
            )
        if isinstance(value, (str, bytes)) or is_real(value):
            raise ValueError(f"{name}={spell(value)}: it is a dict by column, or an array.")
    prior = getattr(model, "prior", None)
    if prior is not None and (model.penalty != "l2" or model.penalty_factors is not None):
        raise ValueError("prior takes the place of the penalty; leave penalty at 'l2' and penalty_factors out.")
    if getattr(model, "keep_posterior", False) and (model.penalty not in (None, "l2") or model.bounds is not None):
        raise ValueError(
            "keep_posterior=True needs penalty='l2' or None, without bounds: the posterior of other fits is not "
            "approximately Gaussian."
        )
    if model.bounds_reference is not None and model.bounds is None:
        raise ValueError("bounds_reference has no effect without bounds; give bounds, or leave it out.")


def weight_terms(model: Any, names: WeightNames) -> WeightTerms | None:
    """Return factors and bounds of the weights, or None where the model has neither.

    Parameters
    ----------
    model : estimator
        Has the parameters `penalty_factors`, `bounds` and `bounds_reference`.
    names : WeightNames
        Names of columns and classes.

    Returns
    -------
    WeightTerms or None
        Factors (1 or q, d) and bounds (q, d).

    Raises
    ------
    ValueError
        If a column or class does not exist, or a factor or bound is out of its range.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(penalty_factors={"age": 0.0}, bounds={"income": "+"}, bounds_reference=None)
    >>> terms = weight_terms(model, WeightNames(["age", "income"], 2, np.array(["no", "yes"])))
    >>> terms.l2_factor.tolist(), terms.lower.tolist(), terms.upper.tolist()
    ([[0.0, 1.0]], [[-inf, -inf], [-inf, 0.0]], [[inf, 0.0], [inf, inf]])
    """
    if model.penalty_factors is None and model.bounds is None:
        return None
    q, d = len(names.classes), names.n_columns
    factors, (lower, upper) = np.ones((q, d)), (np.full((q, d), -np.inf), np.full((q, d), np.inf))
    if model.penalty_factors is not None:
        factors = _factors(model.penalty_factors, names)
    if model.bounds is not None:
        lower, upper = _bounds(model.bounds, model.bounds_reference, names)
    excluded = np.isinf(factors)
    conflict = np.argwhere(excluded & ((lower > 0) | (upper < 0)))
    if len(conflict):
        raise ValueError(
            f"penalty_factors leave out {names.label(conflict[0][1])}, whose bounds exclude a weight of 0; remove one."
        )
    lower, upper = np.where(excluded, 0.0, lower), np.where(excluded, 0.0, upper)
    factors = np.where(excluded, 1.0, factors)
    factors = factors[:1] if (factors == factors[0]).all() else factors
    return WeightTerms(factors, factors, lower, upper)


def prior_terms(prior: Any, names: WeightNames, bounds: WeightTerms | None) -> WeightTerms:
    """Return center and precision of each weight as terms of a penalty.

    Parameters
    ----------
    prior : pair (mean, precision)
        Numbers, arrays of shape (d,) or (d, q), or dicts by column, or by column and class; columns that are not named
        have mean 0 and precision 0.
    names : WeightNames
        Names of columns and classes.
    bounds : WeightTerms or None
        Bounds of the weights.

    Returns
    -------
    WeightTerms
        Terms of the penalty `sum precision / 2 * (w - mean)**2`.

    Raises
    ------
    ValueError
        If the prior has another form.

    Examples
    --------
    >>> terms = prior_terms(({"age": 1.0}, 4.0), WeightNames(["age"], 1, np.array([0, 1])), None)
    >>> terms.center.tolist(), terms.l2_factor.tolist()
    ([[1.0], [1.0]], [[4.0], [4.0]])
    """
    if not isinstance(prior, Sequence) or isinstance(prior, str) or len(prior) != 2:
        raise ValueError(
            "prior is a pair (mean, precision), the posterior of another fit (model.posterior()), or that model."
        )
    shape = len(names.classes), names.n_columns
    mean = _number_by_weight(prior[0], "the mean of prior", names, np.isfinite, "a finite number")
    precision = _number_by_weight(prior[1], "the precision of prior", names, _is_precision, "a finite number >= 0")
    free = np.full(shape, np.inf)
    lower, upper = (-free, free) if bounds is None else (bounds.lower, bounds.upper)
    return WeightTerms(np.ones((1, shape[1])), precision, lower, upper, mean)


def _is_precision(value: Any) -> Any:
    """Return where a number or array is a precision."""
    return np.isfinite(value) & (np.asarray(value) >= 0)


def _number_by_weight(
    value: Any, parameter: str, names: WeightNames, is_valid: Callable[[Any], Any], kind: str
) -> Float64Array:
    """Return a number for each weight, (q, d), from a number, an array or a dict; 0 for columns that it leaves out."""
    if not isinstance(value, Mapping):
        return _array(value, parameter, names, is_valid)
    numbers = np.zeros((len(names.classes), names.n_columns))
    for j, code, number in _entries(value, parameter, names):
        if not is_real(number) or not is_valid(as_float(number)):
            raise ValueError(f"{parameter} has {spell(number)} for {names.label(j)}; it is {kind}.")
        numbers[slice(None) if code is None else code, j] = as_float(number)
    return numbers


# --- penalty factors ------------------------------------------------------------------------------------------------


def _factors(value: Any, names: WeightNames) -> Float64Array:
    """Return penalty factors (q, d), >= 0 or infinite."""
    if not isinstance(value, Mapping):
        return _array(value, "penalty_factors", names, lambda factor: factor >= 0)
    factors = np.ones((len(names.classes), names.n_columns))
    for j, code, factor in _entries(value, "penalty_factors", names):
        if not is_real(factor) or not as_float(factor) >= 0:
            raise ValueError(
                f"penalty_factors has {spell(factor)} for {names.label(j)}; a factor is a number >= 0, 0 for no "
                "penalty, inf to leave the column out."
            )
        factors[slice(None) if code is None else code, j] = as_float(factor)
    return factors


# --- bounds ---------------------------------------------------------------------------------------------------------


def _bounds(value: Any, reference: Any, names: WeightNames) -> tuple[Float64Array, Float64Array]:
    """Return the least and largest value (q, d) of each weight."""
    q, d = len(names.classes), names.n_columns
    fixed = None if reference is None else names.class_(reference, "bounds_reference")
    lower, upper = np.full((q, d), -np.inf), np.full((q, d), np.inf)
    if isinstance(value, Mapping):
        for j, code, interval in _entries(value, "bounds", names):
            low, high = bound_interval(interval, names.label(j))
            lower[_classes_of(code, j, fixed, names), j] = low
            upper[_classes_of(code, j, fixed, names), j] = high
    else:
        if not isinstance(value, Sequence) or len(value) != 2:
            raise ValueError("bounds is a dict by column, or a pair of arrays (lower, upper) of shape (d,) or (d, q).")
        lower = _array(value[0], "bounds", names, lambda bound: bound < np.inf)
        upper = _array(value[1], "bounds", names, lambda bound: bound > -np.inf)
        if q == 2 and fixed is None and all(np.ndim(part) < 2 for part in value):
            lower[0], upper[0] = -np.inf, np.inf  # a bound without class is that of the second one
    if q == 2 and fixed is None:  # the weights of two classes are opposite numbers
        lower, upper = np.maximum(lower, 0.0 - upper[::-1]), np.minimum(upper, 0.0 - lower[::-1])
    if fixed is not None:
        bounded = (np.isfinite(lower) | np.isfinite(upper)).any(axis=0)
        lower[fixed, bounded] = upper[fixed, bounded] = 0.0
    wrong = np.argwhere(lower > upper)
    if len(wrong):
        code, j = wrong[0]
        raise ValueError(
            f"bounds: the least value {lower[code, j]:g} of {names.label(j)} for class {spell(names.classes[code])} "
            f"exceeds the largest, {upper[code, j]:g}."
        )
    return lower, upper


def _classes_of(code: int | None, column: int, fixed: int | None, names: WeightNames) -> list[int]:
    """Return the classes to which a bound applies; `code` is None where the user named no class."""
    q = len(names.classes)
    if code is not None:
        if code == fixed:
            raise ValueError(
                f"bounds names class {spell(names.classes[code])} for {names.label(column)}, which is the reference; "
                "its weight is 0. Name the other classes."
            )
        return [code]
    if fixed is not None:
        return [k for k in range(q) if k != fixed]
    if q == 2:
        return [1]
    raise ValueError(
        f"bounds of {names.label(column)}: with {q} classes, a bound on a column needs a class, as in "
        f"{{{names.label(column)}: {{{spell(names.classes[-1])}: '+'}}}}, or bounds_reference, a class against which "
        "all others are compared."
    )


def bound_interval(value: Any, name: str) -> tuple[float, float]:
    """Return the least and largest value that one entry of `bounds` stands for.

    Parameters
    ----------
    value : str or pair
        "+", "-", or (least, largest) with None for no limit.
    name : str
        Name of the column, for the message.

    Returns
    -------
    low, high : float
        The limits.

    Raises
    ------
    ValueError
        If the value is no bound.

    Examples
    --------
    >>> bound_interval("+", "'age'"), bound_interval((None, 2), "'age'")
    ((0.0, inf), (-inf, 2.0))
    """
    if isinstance(value, str) and value in SIGNS:
        return SIGNS[value]
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        low, high = value
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        if is_real(low) and is_real(high) and as_float(low) <= as_float(high) and low < math.inf and high > -math.inf:
            return as_float(low), as_float(high)
    raise ValueError(
        f"bounds has {spell(value)} for {name}; a bound is '+', '-' or (least, largest) with least <= largest, "
        "least < inf and largest > -inf, and None for no limit."
    )


# --- both -----------------------------------------------------------------------------------------------------------


def _entries(value: Mapping[Any, Any], parameter: str, names: WeightNames) -> Iterator[tuple[int, int | None, Any]]:
    """Yield column, class (None for all) and entry of a dict by column, or by column and class."""
    seen = dict[int, Any]()
    for key, entry in value.items():
        j = names.column(key, parameter)
        if j in seen:
            raise ValueError(f"{parameter} names {names.label(j)} twice, as {spell(seen[j])} and as {spell(key)}.")
        seen[j] = key
        if isinstance(entry, Mapping):
            for label, of_class in entry.items():
                yield j, names.class_(label, parameter), of_class
        else:
            yield j, None, entry


def _array(value: Any, parameter: str, names: WeightNames, is_valid: Callable[[Any], Any]) -> Float64Array:
    """Return an array of shape (d,) or (d, q) as (q, d)."""
    q, d = len(names.classes), names.n_columns
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{parameter} holds something that is not a number.") from None
    if array.shape not in ((), (d,), (d, q)):
        raise ValueError(
            f"{parameter} has shape {array.shape}; it is ({d},) for one number a column, or ({d}, {q}) for one a "
            "column and class (the transpose of coef_)."
        )
    array = np.broadcast_to(array if array.ndim == 2 else array[..., None], (d, q))
    wrong = np.argwhere(~is_valid(array))
    if len(wrong):
        j, code = wrong[0]
        raise ValueError(
            f"{parameter} has {array[j, code]:g} for {names.label(j)} and class {spell(names.classes[code])}, which is "
            "not allowed."
        )
    return np.array(array.T)
