"""Validation of the parameters of estimators."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from softreg.models.parameters.weight_terms import check_weight_parameters
from softreg.optimize import PENALTIES, SOLVERS
from softreg.probability.label_arrays import as_float, is_real, spell

PENALTY_NAMES = (*PENALTIES, "firth", None)
"""Values of `penalty`: those of the table, Firth's penalized likelihood, and no penalty."""
GROUPS_FORM = "it has one label a column, or is a list of lists of column numbers or names."
"""The forms of `column_groups`, for messages."""
LOO_SCORES = ("log_loss", "neg_log_loss", "brier", "accuracy")
"""Scores of a single row, which leave-one-out cross-validation can use."""


@dataclass(frozen=True)
class SearchGrid:
    """Penalties among which cross-validation chooses.

    Parameters
    ----------
    strengths : list of float or None
        Strengths in decreasing order; None for a path that the data determine.
    l1_ratios : list of float
        Shares of the l1 part in the penalty, in increasing order.
    relaxed : list of float
        Shares of the l1 part that remain in the fit on the support, in decreasing order.
    """

    strengths: list[float] | None
    l1_ratios: list[float]
    relaxed: list[float]


def check_parameters(model: BaseEstimator) -> float:
    """Check the parameters of a `SoftmaxRegression`.

    Parameters
    ----------
    model : SoftmaxRegression
        The estimator.

    Returns
    -------
    float
        Share of the l1 part in the penalty.

    Raises
    ------
    ValueError
        If a parameter has another type or is out of its range.
    """
    _check_number("strength", model.strength, positive=False)
    _check_flag("warm_start", model.warm_start)
    _check_flag("keep_posterior", model.keep_posterior)
    _check_common_parameters(model)
    return _l1_share(model.penalty, model.l1_ratio)


def check_cv_parameters(model: BaseEstimator) -> SearchGrid:
    """Check the parameters of a `SoftmaxRegressionCV`.

    Parameters
    ----------
    model : SoftmaxRegressionCV
        The estimator.

    Returns
    -------
    SearchGrid
        The penalties to try, without repetitions.

    Raises
    ------
    ValueError
        If a parameter has another type or is out of its range.
    """
    _check_common_parameters(model)
    if model.rule not in ("min", "1se"):
        raise ValueError(f"rule={model.rule!r} is neither 'min' nor '1se'.")
    if isinstance(model.cv, str) and model.cv != "loo":
        raise ValueError(f"cv={model.cv!r}: it is a number of folds, a splitter, an iterable of splits, or 'loo'.")
    if isinstance(model.cv, str) and model.scoring not in LOO_SCORES:
        raise ValueError("cv='loo' scores each row by itself: use scoring 'log_loss', 'brier' or 'accuracy'.")
    if model.penalty is None or model.penalty == "firth":
        raise ValueError(
            f"penalty={model.penalty!r} has no strength to choose; use SoftmaxRegression, or another penalty."
        )
    if isinstance(model.cv, str) and model.penalty in PENALTIES and not PENALTIES[model.penalty].separable:
        raise ValueError(f"cv='loo' needs penalty='l2', 'l1' or 'elasticnet'; penalty={model.penalty!r} needs folds.")
    if isinstance(model.cv, str) and not (model.penalty_factors is None and model.bounds is None):
        raise ValueError("cv='loo' takes neither penalty_factors nor bounds; use a number of folds.")
    l1_ratios = sorted({_l1_share(model.penalty, ratio) for ratio in _as_list("l1_ratio", model.l1_ratio)})
    relaxed = _check_relaxed(model, l1_ratios)
    if isinstance(model.strengths, str) and model.strengths == "auto":
        return SearchGrid(None, l1_ratios, relaxed)
    strengths = _as_list("strengths", model.strengths)
    for value in strengths:
        if not is_real(value) or not 0 < as_float(value) < math.inf:
            raise ValueError(f"strengths holds {spell(value)}; strengths are finite numbers > 0, or 'auto'.")
    return SearchGrid(sorted({float(s) for s in strengths}, reverse=True), l1_ratios, relaxed)


def _check_common_parameters(model: BaseEstimator) -> None:
    """Raise `ValueError` for an invalid parameter among those that all estimators share."""
    _check_number("tol", model.tol, positive=True)
    if not (isinstance(model.max_iter, Integral) and not isinstance(model.max_iter, bool)) or model.max_iter < 0:
        raise ValueError(f"max_iter={spell(model.max_iter)} must be an integer >= 0.")
    if not isinstance(model.solver, str) or model.solver not in SOLVERS:
        raise ValueError(f"solver={model.solver!r} is not one of {', '.join(SOLVERS)}.")
    _check_flag("fit_intercept", model.fit_intercept)
    _check_groups(model.column_groups, model.penalty)
    if not callable(model.verbose) and not isinstance(model.verbose, (Integral, np.bool_)):
        raise ValueError(f"verbose={spell(model.verbose)} must be an integer, or a callable that receives Progress.")
    check_weight_parameters(model)
    weight = model.class_weight
    if not (weight is None or isinstance(weight, Mapping) or (isinstance(weight, str) and weight == "balanced")):
        raise ValueError(f"class_weight={weight!r}: it is 'balanced', a dict from class to weight, or None.")


def _check_number(name: str, value: Any, *, positive: bool) -> None:
    """Raise `ValueError` unless the value is a finite number >= 0, or > 0 where `positive`."""
    if not is_real(value) or not 0 <= as_float(value) < math.inf or (value == 0 and positive):
        raise ValueError(f"{name}={spell(value)} must be a finite number {'> 0' if positive else '>= 0'}.")


def _check_flag(name: str, value: Any) -> None:
    """Raise `ValueError` unless the value is a boolean."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={spell(value)} must be True or False.")


def _check_groups(groups: Any, penalty: Any) -> None:
    """Raise `ValueError` for groups that are no sequence, and for a penalty without groups."""
    if groups is None:
        return
    if isinstance(groups, (str, bytes, Mapping)) or not isinstance(groups, Iterable):
        raise ValueError(f"column_groups={spell(groups)}: {GROUPS_FORM}")
    if penalty != "group":
        raise ValueError(f"column_groups has no effect with penalty={penalty!r}; use penalty='group', or leave it out.")


def _check_relaxed(model: BaseEstimator, l1_ratios: list[float]) -> list[float]:
    """Return the shares of the l1 part that remain on the support, in decreasing order."""
    shares = _as_list("relaxed", model.relaxed)
    for share in shares:
        if not is_real(share) or not 0 <= share <= 1:
            raise ValueError(
                f"relaxed holds {spell(share)}; it is the share of the l1 penalty that remains on the support, between "
                "0 (none) and 1 (all of it: the elastic net itself)."
            )
    if any(share != 1 for share in shares) and not (any(l1_ratios) and PENALTIES[model.penalty].separable):
        raise ValueError(
            f"relaxed={model.relaxed!r} has no effect without an l1 part, which alone selects weights; use "
            "penalty='l1', or 'elasticnet' with an l1_ratio above 0."
        )
    if any(share != 1 for share in shares) and not (model.penalty_factors is None and model.bounds is None):
        raise ValueError("relaxed fits take neither penalty_factors nor bounds; leave relaxed out.")
    if max(l1_ratios) == 1 and min(shares) == 0:
        raise ValueError(
            "relaxed=0 with l1_ratio=1 (penalty='l1') would leave the selected weights without any penalty, and they "
            "would diverge where they separate the classes. Keep a small share: relaxed=0.01, or "
            "penalty='elasticnet' with l1_ratio=0.99, whose l2 part remains."
        )
    return sorted({float(share) for share in shares}, reverse=True)


def _as_list(name: str, value: Any) -> list[Any]:
    """Return a number as a list of one, and an iterable as a list; raise `ValueError` for an empty one."""
    if is_real(value):
        return [value]
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else []
    if not values:
        raise ValueError(
            f"{name}={value!r} must be a number or a list of numbers{', or auto' * (name == 'strengths')}."
        )
    return values


def _l1_share(penalty: Any, ratio: Any) -> float:
    """Return the share of the l1 part in the penalty; raise `ValueError` for an impossible pair."""
    if not (penalty is None or (isinstance(penalty, str) and penalty in PENALTY_NAMES)):
        raise ValueError(f"penalty={penalty!r} must be {', '.join(map(repr, PENALTY_NAMES[:-1]))} or None.")
    if not is_real(ratio) or not 0 <= ratio <= 1:
        raise ValueError(f"l1_ratio={spell(ratio)} must be a number between 0 (all l2) and 1 (all l1).")
    share = PENALTIES[penalty].share if penalty in PENALTIES else 0.0
    if share is None:
        return float(ratio)
    if ratio not in (0, share):
        raise ValueError(f"l1_ratio={spell(ratio)} has no effect with penalty={penalty!r}; use 'elasticnet'.")
    return share
