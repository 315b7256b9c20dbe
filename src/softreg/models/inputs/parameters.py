"""Checks of parameters and labels before a fit, and words about a fit that has no end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs.sample_weights import in_bounds
from softreg.optimize import PENALTIES, SOLVERS
from softreg.optimize.problem.result import Separation
from softreg.probability.label_arrays import as_float, is_real, spell
from softreg.rows import Array

PENALTY_NAMES = (*PENALTIES, "firth", None)
"""Values of `penalty`: those of the table, Firth's penalised likelihood, and no penalty."""


def check_parameters(model: Any) -> float:
    """Raise `ValueError` for a parameter of another kind or out of its range; returns the share of l1."""
    _check_number("strength", model.strength, least=0.0)
    _check_flag("warm_start", model.warm_start)
    _check_common(model)
    return _l1_share(model.penalty, model.l1_ratio)


def _check_common(model: Any) -> None:
    """The parameters that all estimators share."""
    _check_number("tol", model.tol, least=None)
    if not _is_whole(model.max_iter) or model.max_iter < 0:
        raise ValueError(f"max_iter={spell(model.max_iter)} must be an integer >= 0.")
    if not isinstance(model.solver, str) or model.solver not in SOLVERS:
        raise ValueError(f"solver={model.solver!r} is not one of {', '.join(SOLVERS)}.")
    _check_flag("fit_intercept", model.fit_intercept)
    if not callable(model.verbose) and not isinstance(model.verbose, (Integral, np.bool_)):
        raise ValueError(f"verbose={spell(model.verbose)} must be an integer, or a callable that receives Progress.")
    weight = model.class_weight
    if (
        weight is not None
        and not isinstance(weight, Mapping)
        and not (isinstance(weight, str) and weight == "balanced")
    ):
        raise ValueError(f"class_weight={weight!r}: it is 'balanced', a dict from class to weight, or None.")


def _check_number(name: str, value: Any, least: float | None) -> None:
    """A finite number of at least `least`, or above 0 where that is None."""
    if not is_real(value) or not 0 <= as_float(value) < math.inf or (value == 0 and least is None):
        raise ValueError(f"{name}={spell(value)} must be a finite number {'> 0' if least is None else '>= 0'}.")


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={spell(value)} must be True or False.")


def check_selection(model: Any) -> tuple[list[float] | None, list[float], list[float]]:
    """Raise `ValueError` for a parameter out of its range; returns strengths, None for "auto", l1_ratios and shares.

    The latter are those of the l1 part to be left after the choice of weights. All come without repetitions, the
    strengths from the strongest down.
    """
    _check_common(model)
    if model.rule not in ("min", "1se"):
        raise ValueError(f"rule={model.rule!r} is neither 'min' nor '1se'.")
    if isinstance(model.cv, str) and model.cv != "loo":
        raise ValueError(f"cv={model.cv!r}: it is a number of folds, a splitter, an iterable of splits, or 'loo'.")
    if isinstance(model.cv, str) and model.scoring not in ("log_loss", "neg_log_loss", "brier", "accuracy"):
        raise ValueError("cv='loo' judges each row by itself: use scoring 'log_loss', 'brier' or 'accuracy'.")
    if model.penalty is None or model.penalty == "firth":
        raise ValueError(f"penalty={model.penalty!r} has no strength to choose; use SoftmaxRegression, or another one.")
    if isinstance(model.cv, str) and model.penalty in PENALTIES and not PENALTIES[model.penalty].separable:
        raise ValueError(f"cv='loo' needs penalty='l2', 'l1' or 'elasticnet'; penalty={model.penalty!r} needs folds.")
    ratios = _several("l1_ratio", model.l1_ratio)
    ratios = sorted({_l1_share(model.penalty, ratio) for ratio in ratios})
    shares = _check_relaxed(model, ratios)
    if isinstance(model.strengths, str) and model.strengths == "auto":
        return None, ratios, shares
    strengths = _several("strengths", model.strengths)
    for value in strengths:
        if not is_real(value) or not 0 < as_float(value) < math.inf:
            raise ValueError(f"strengths holds {spell(value)}; strengths are finite numbers > 0, or 'auto'.")
    return sorted({float(s) for s in strengths}, reverse=True), ratios, shares


def _check_relaxed(model: Any, ratios: list[float]) -> list[float]:
    """The shares of the l1 part, from the largest down."""
    shares = _several("relaxed", model.relaxed)
    for share in shares:
        if not is_real(share) or not 0 <= share <= 1:
            raise ValueError(
                f"relaxed holds {spell(share)}; it is the share of the l1 pull that is left once the weights are "
                "chosen, between 0 (none) and 1 (all of it: the elastic net itself)."
            )
    if any(share != 1 for share in shares) and not (any(ratios) and PENALTIES[model.penalty].separable):
        raise ValueError(
            f"relaxed={model.relaxed!r} has no effect without an l1 part, which alone chooses weights; use "
            "penalty='l1', or 'elasticnet' with an l1_ratio above 0."
        )
    if max(ratios) == 1 and min(shares) == 0:
        raise ValueError(
            "relaxed=0 with l1_ratio=1 (penalty='l1') would leave the chosen weights without any penalty, and where "
            "they separate the classes they would grow for ever. Leave a trace of it: relaxed=0.01, or "
            "penalty='elasticnet' with l1_ratio=0.99, whose l2 part stays."
        )
    return sorted({float(share) for share in shares}, reverse=True)


def _several(name: str, value: Any) -> list[Any]:
    """A number as a list of one, or a list of at least one."""
    if is_real(value):
        return [value]
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else []
    if not values:
        raise ValueError(
            f"{name}={value!r} must be a number or a list of numbers{', or auto' * (name == 'strengths')}."
        )
    return values


def _l1_share(penalty: Any, ratio: Any) -> float:
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


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_lengths(X: Any, labels: Array) -> None:
    """Raise `ValueError` where features and labels differ in number."""
    if X.shape[0] != len(labels):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[X.shape[0], len(labels)]}")


def take_columns(model: Any, seen: Any) -> None:
    """Give the model the number and the names of the columns that `seen`, its copy, was shown."""
    model.n_features_in_ = seen.n_features_in_
    if hasattr(seen, "feature_names_in_"):
        model.feature_names_in_ = seen.feature_names_in_
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_


def rows_that_count(X: Any, labels: Array, weight: Array | None) -> tuple[Any, Array, Array | None]:
    """Without the rows of weight zero: they are left out of everything, the scaling of features among it."""
    if weight is None:
        return X, labels, None
    counts = weight > 0
    if counts.all():
        return X, labels, None if (weight == weight[0]).all() else in_bounds(weight)
    return rows_that_count(X[counts], labels[counts], weight[counts])


def check_classes(classes: NDArray[Any], labels: Array, weight: Array | None) -> None:
    """Raise `ValueError` for a single class, or one without any weight: its bias would go to minus infinity."""
    if len(classes) < 2:
        raise ValueError(
            "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
            f"{spell(classes[0])}. There is nothing to tell apart."
        )
    ones = np.ones(len(labels)) if weight is None else weight
    mass = np.bincount(labels, weights=ones, minlength=len(classes)) if labels.ndim == 1 else ones @ labels
    if (mass == 0).any():
        lost = classes[int((mass == 0).argmax())]
        raise ValueError(
            f"the class {spell(lost)} has no row with a weight above zero, so nothing can be learned of it; leave it "
            "out, or give it rows."
        )


def separation_message(found: Separation, classes: NDArray[Any], names: NDArray[Any] | None) -> str:
    """Say which classes are separated by which features, and what to do about it."""
    a, b = (classes[k] for k in found.classes)
    columns = ", ".join(repr(str(names[j])) if names is not None else f"column {j}" for j in found.features)
    how = "completely" if found.complete else "in part (some rows are decided for certain)"
    return (
        "no finite optimum: without a penalty the weights grow for ever, because the features separate the classes "
        f"{how}. The classes {spell(a)} and {spell(b)} are told apart most by {columns}. Use penalty='l2' with a "
        "strength above 0 (--strength 1e-4 on the command line) or penalty='firth', or leave those features out."
    )
