"""The parameters of scikit-learn's `LogisticRegression`: penalties, combinations that it refuses, deprecated values.

The messages hold the words that filters of warnings for scikit-learn look for.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

L1_SOLVERS = ("liblinear", "saga")
"""Solvers of scikit-learn for an l1 penalty."""
UNSET = "deprecated"
"""Default of `penalty` since scikit-learn 1.8."""
DEPRECATES_PENALTY = LogisticRegression().get_params().get("penalty", UNSET) == UNSET
"""Whether the installed scikit-learn states penalties by C and l1_ratio."""


@dataclass(frozen=True)
class PenaltyChoice:
    """The penalty that the parameters of an estimator state.

    Parameters
    ----------
    C : float
        Inverse strength; inf without a penalty.
    l1_ratio : float
        Share of the l1 part, between 0 and 1.
    """

    C: float
    l1_ratio: float


def penalty_choice(model: Any) -> PenaltyChoice:
    """Return the penalty of an estimator; warn of deprecated and inconsistent values.

    Parameters
    ----------
    model : LogisticRegression
        The estimator, whose single parameters are valid.

    Returns
    -------
    PenaltyChoice
        The penalty.

    Raises
    ------
    ValueError
        If the solver of that name has no such penalty in scikit-learn, or `l1_ratio` is missing.
    """
    penalty, deprecating = getattr(model, "penalty", UNSET), DEPRECATES_PENALTY
    name = _penalty_name(penalty, model.C, model.l1_ratio)
    _check_solver(model.solver, name, dual=model.dual)
    if deprecating:
        _warn_of_deprecated_values(penalty, model.l1_ratio, getattr(model, "n_jobs", None))
    ratio = model.l1_ratio
    if name != "elasticnet" and ratio is not None and 0 < ratio < 1:
        _warn(f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={name}).")
    if deprecating and ((penalty == "l2" and ratio != 0) or (penalty == "l1" and ratio != 1)):
        _warn(f"Inconsistent values: penalty={penalty} with l1_ratio={ratio}; penalty is used.")
    if name == "elasticnet" and ratio is None:
        raise ValueError("l1_ratio must be specified when penalty is 'elasticnet'; it is a number between 0 and 1.")
    if penalty is None and model.C != 1:
        _warn("Setting penalty=None will ignore the C and l1_ratio parameters.")
    C = np.inf if name is None else float(model.C)
    if name != "elasticnet":
        ratio = 1.0 if name == "l1" else 0.0
    return PenaltyChoice(C, float(ratio))


def check_classes_of_solver(solver: str, n_classes: int) -> None:
    """Raise `ValueError` for more than two classes with the solver "liblinear"."""
    if solver == "liblinear" and n_classes > 2:
        raise ValueError(
            "The 'liblinear' solver does not support multiclass classification. Only binary classification is "
            f"supported, and y has {n_classes} classes; choose another solver, such as the default."
        )


def _penalty_name(penalty: str | None, C: float, l1_ratio: float | None) -> str | None:
    """Return "l1", "l2", "elasticnet" or None."""
    if penalty != UNSET:
        return penalty
    if np.inf == C:
        return None
    if l1_ratio is None or l1_ratio == 0:
        return "l2"
    return "l1" if l1_ratio == 1 else "elasticnet"


def _check_solver(solver: str, penalty: str | None, *, dual: bool) -> None:
    """Raise `ValueError` for a penalty that the solver of this name does not have in scikit-learn."""
    if solver not in L1_SOLVERS and penalty not in ("l2", None):
        raise ValueError(
            f"Solver {solver} supports only 'l2' or None penalties, got {penalty}; choose solver='saga', as in "
            "scikit-learn."
        )
    if solver != "liblinear" and dual:
        raise ValueError(f"Solver {solver} supports only dual=False, got dual={dual}.")
    if penalty == "elasticnet" and solver != "saga":
        raise ValueError(f"Only 'saga' solver supports elasticnet penalty, got solver={solver}.")
    if solver == "liblinear" and penalty is None:
        raise ValueError("C=np.inf as well as penalty=None is not supported for the liblinear solver; choose another.")


def _warn_of_deprecated_values(penalty: str | None, l1_ratio: float | None, n_jobs: int | None) -> None:
    """Give scikit-learn's warnings of parameters that it will remove."""
    if penalty != UNSET:
        _warn(
            "'penalty' was deprecated in scikit-learn 1.8: use l1_ratio, 0 for 'l2', 1 for 'l1', a number between for "
            "'elasticnet', and C=np.inf for None.",
            FutureWarning,
        )
    elif l1_ratio is None:
        _warn("'l1_ratio=None' was deprecated in scikit-learn 1.8; use l1_ratio=0.", FutureWarning)
    if n_jobs is not None:
        _warn(f"'n_jobs' has no effect; leave n_jobs={n_jobs} out.", FutureWarning)


def _warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn the caller of `fit`."""
    warnings.warn(message, category, stacklevel=5)
