"""Checks before a fit, words about its end, and the model as arrays and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.optimize import SOLVERS, Progress, Solution, Status
from softreg.optimize.separation import Separation
from softreg.probability.label_arrays import spell
from softreg.rows import Array

PARAMETERS = (
    "strength", "penalty", "l1_ratio", "fit_intercept", "class_weight", "solver", "tol", "max_iter", "warm_start",
    "random_state",
)  # fmt: skip


def check_parameters(model: Any) -> float:
    """Raise `ValueError` for a parameter outside its range; returns the share of l1 in the penalty."""
    for name in ("strength", "tol"):
        value = getattr(model, name)
        if (
            not isinstance(value, (int, float, np.number))
            or not 0 <= value < math.inf
            or (name == "tol" and value == 0)
        ):
            raise ValueError(f"{name}={value!r} must be a finite number {'> 0' if name == 'tol' else '>= 0'}.")
    if not isinstance(model.max_iter, (int, np.integer)) or model.max_iter < 0:
        raise ValueError(f"max_iter={model.max_iter!r} must be an integer >= 0.")
    if model.solver not in SOLVERS:
        raise ValueError(f"solver={model.solver!r} is not one of {', '.join(SOLVERS)}.")
    shares = {"l2": 0.0, "l1": 1.0, "elasticnet": model.l1_ratio, None: 0.0}
    if model.penalty not in shares:
        raise ValueError(f"penalty={model.penalty!r} must be 'l2', 'l1', 'elasticnet' or None.")
    if not 0 <= model.l1_ratio <= 1:
        raise ValueError(f"l1_ratio={model.l1_ratio!r} must lie between 0 (all l2) and 1 (all l1).")
    if model.penalty in ("l2", None) and model.l1_ratio != 0:
        raise ValueError(f"l1_ratio={model.l1_ratio!r} has no effect with penalty={model.penalty!r}; use 'elasticnet'.")
    return float(shares[model.penalty])


def check_lengths(X: Any, labels: Array) -> None:
    """Raise `ValueError` where features and labels differ in number."""
    if X.shape[0] != len(labels):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[X.shape[0], len(labels)]}")


def rows_that_count(X: Any, labels: Array, weight: Array | None) -> tuple[Any, Array, Array | None]:
    """Without the rows of weight zero: they are left out of everything, the scaling of features among it."""
    if weight is None:
        return X, labels, None
    counts = weight > 0
    if counts.all():
        return X, labels, None if (weight == weight[0]).all() else weight
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
        "strength above 0, or leave those features out."
    )


# --- arrays and JSON --------------------------------------------------------------------------------------------


def to_state(model: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and strict JSON of a fitted model."""
    arrays = {"coef": model.coef_, "intercept": model.intercept_}
    labels = model.classes_
    if labels.dtype.kind in "biuf":
        arrays["classes"] = labels
    names = getattr(model, "feature_names_in_", None)
    solution = getattr(model, "solution_", None)
    metadata: dict[str, Any] = {
        "parameters": {name: _plain(getattr(model, name)) for name in PARAMETERS},
        "classes": None if "classes" in arrays else _texts(labels),
        "feature_names": None if names is None else [str(n) for n in names],
        "n_iter": int(model.n_iter_),
        "solution": None if solution is None else _describe(solution),
    }
    return arrays, metadata


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"items": [[_plain(k), float(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return None  # a random generator: its state is not part of the model


def _texts(labels: NDArray[Any]) -> dict[str, Any]:
    values = labels.tolist()
    if not all(isinstance(v, (str, int, bool)) for v in values):
        raise ValueError(f"labels of this kind ({labels.dtype}) cannot be stored; use text or integers.")
    return {"dtype": "str" if labels.dtype.kind == "U" else "object", "values": values}


def _describe(s: Solution) -> dict[str, Any]:
    return {
        "value": s.value, "gap": s.gap if math.isfinite(s.gap) else None, "bound": s.bound, "status": s.status.value,
        "passes": s.passes, "n_iter": s.n_iter,
        "history": [[h.passes, h.value, h.gap if math.isfinite(h.gap) else None, h.seconds] for h in s.history],
    }  # fmt: skip


def parameters(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments from `to_state`'s metadata; names that are not parameters are refused."""
    found = dict(metadata["parameters"])
    strange = set(found) - set(PARAMETERS)
    if strange:
        raise ValueError(f"unknown parameters {sorted(strange)}")
    weight = found.get("class_weight")
    if isinstance(weight, Mapping):
        found["class_weight"] = dict(weight["items"])
    return found


def restore(model: Any, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Set what `fit` sets, after checking that the parts belong together."""
    coef, intercept = np.array(arrays["coef"]), np.array(arrays["intercept"])
    if metadata["classes"] is None:
        classes = np.array(arrays["classes"])
    else:
        classes = np.array(
            metadata["classes"]["values"], dtype=None if metadata["classes"]["dtype"] == "str" else object
        )
    if coef.ndim != 2 or intercept.shape != (len(coef),) or classes.shape != (len(coef),):
        raise ValueError(
            f"weights {coef.shape}, bias {intercept.shape} and classes {classes.shape} do not fit together"
        )
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError("the weights are not finite")
    model.coef_, model.intercept_, model.classes_ = coef, intercept, classes
    model.n_features_in_, model.n_iter_ = coef.shape[1], int(metadata["n_iter"])
    model._mini_batch_state = None
    if metadata["feature_names"] is not None:
        model.feature_names_in_ = np.array(metadata["feature_names"], dtype=object)
    if metadata["solution"] is not None:
        model.solution_ = _solution(metadata["solution"], coef, intercept)


def _solution(told: Mapping[str, Any], coef: Array, intercept: Array) -> Solution:
    def number(value: float | None) -> float:
        return math.inf if value is None else float(value)

    return Solution(
        W=np.ascontiguousarray(coef.T), b=intercept, value=float(told["value"]), gap=number(told["gap"]),
        bound=str(told["bound"]), status=Status(told["status"]), passes=int(told["passes"]), n_iter=int(told["n_iter"]),
        history=tuple(Progress(int(p), float(v), number(g), float(s)) for p, v, g, s in told["history"]),
    )  # fmt: skip
