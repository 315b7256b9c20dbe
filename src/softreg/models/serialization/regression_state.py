"""A fitted `SoftmaxRegression` as arrays and strict JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from softreg.models.parameters.parameter_checks import check_parameters
from softreg.models.serialization.label_state import labels_from_json, labels_to_state
from softreg.models.serialization.not_stored import NotStored, description_of
from softreg.models.serialization.weight_parameters import (
    WEIGHT_PARAMETERS,
    weight_parameter_from_json,
    weight_parameter_to_json,
)
from softreg.optimize import Progress, Solution, Status
from softreg.optimize.problem.solver_plan import CurvatureModel, Logits, Method, Plan, Start, Transform
from softreg.probability import Classes
from softreg.probability.label_arrays import is_real
from softreg.typing import Array

PARAMETERS = (
    "strength", "penalty", "l1_ratio", "fit_intercept", "class_weight", "solver", "tol", "max_iter", "warm_start",
    "random_state", *WEIGHT_PARAMETERS, "prior", "keep_posterior",
)  # fmt: skip
"""Parameters of `SoftmaxRegression` that are stored."""
GROUPS = "column_groups"
"""A further parameter, which is stored where it is given."""


def regression_to_state(model: BaseEstimator) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a fitted model as arrays and strict JSON; raise `ValueError` for parameters that could not be read."""
    check_parameters(model)
    arrays = {"coef": model.coef_, "intercept": model.intercept_}
    classes = labels_to_state("classes", model.classes_, arrays)
    names = getattr(model, "feature_names_in_", None)
    solution = getattr(model, "solution_", None)
    posterior = getattr(model, "_posterior", None)
    if posterior is not None:
        arrays |= {"posterior_mean": posterior.mean, "posterior_precision": posterior.precision}
    metadata: dict[str, Any] = {
        "parameters": {name: _plain_parameter(name, getattr(model, name)) for name in PARAMETERS}
        | _plain_groups(model.column_groups),
        "classes": classes,
        "feature_names": None if names is None else [str(n) for n in names],
        "n_iter": int(model.n_iter_),
        **({"has_offset": True} if model.has_offset_ else {}),
        "solution": None if solution is None else _solution_to_json(solution),
    }
    return arrays, metadata


def _plain_groups(groups: Any) -> dict[str, Any]:
    """Return groups of columns as strict JSON, nothing where there are none; labels of other types are numbered."""
    if groups is None:
        return {}
    values = [member.tolist() if isinstance(member, (np.ndarray, np.generic)) else member for member in groups]
    if any(isinstance(member, Iterable) and not isinstance(member, str) for member in values):
        lists = [[_plain_parameter(GROUPS, column) for column in members] for members in values]
        return {GROUPS: lists}
    if not all(isinstance(member, (str, int)) for member in values):
        codes: dict[Any, int] = {}
        values = [codes.setdefault(member, len(codes)) for member in values]
    return {GROUPS: values}


def _plain_parameter(name: str, value: Any) -> Any:
    """Return a parameter as strict JSON; None for a random generator, whose state is not stored."""
    if name in WEIGHT_PARAMETERS:
        return weight_parameter_to_json(value)
    if name == "prior" and value is not None:
        text = value.description if isinstance(value, NotStored) else description_of(value)
        return {"not_stored": text}
    if isinstance(value, Mapping):
        return {"items": [[_plain_parameter(name, k), float(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return None


def _solution_to_json(s: Solution) -> dict[str, Any]:
    """Return a solution without its weights as strict JSON."""
    return {
        "value": s.value, "gap": s.gap if math.isfinite(s.gap) else None, "bound": s.bound, "status": s.status.value,
        "passes": s.passes, "n_iter": s.n_iter,
        "history": [[h.passes, h.value, h.gap if math.isfinite(h.gap) else None, h.seconds] for h in s.history],
        "plan": None if s.plan is None else asdict(s.plan),
    }  # fmt: skip


def read_parameters(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the constructor from metadata; raise `ValueError` for an unknown parameter."""
    parameters = dict(metadata["parameters"])
    unknown = set(parameters) - {*PARAMETERS, GROUPS}
    if unknown:
        raise ValueError(f"unknown parameters {sorted(unknown)}")
    weight = parameters.get("class_weight")
    if isinstance(weight, Mapping):
        parameters["class_weight"] = dict(weight["items"])
    prior = parameters.get("prior")
    if prior is not None:
        parameters["prior"] = NotStored(str(prior["not_stored"]))
    for name in WEIGHT_PARAMETERS:
        parameters[name] = weight_parameter_from_json(parameters.get(name))
    return parameters


def restore_checked(model: BaseEstimator, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Set the fitted attributes, after checking the parameters and that the parts of the state match."""
    check_parameters(model)
    set_fitted_attributes(model, arrays, metadata)


def set_fitted_attributes(model: BaseEstimator, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Set the fitted attributes; raise `ValueError` where the parts of the state do not match."""
    coef, intercept, classes = np.array(arrays["coef"]), np.array(arrays["intercept"]), _classes(arrays, metadata)
    match = coef.ndim == 2 and coef.size > 0 and intercept.shape == (len(coef),) == classes.shape
    if not match or len(classes) < 2:
        raise ValueError(
            f"weights {coef.shape}, bias {intercept.shape} and classes {classes.shape} do not fit together"
        )
    if not all(a.dtype.kind == "f" and np.isfinite(a).all() for a in (coef, intercept)):
        raise ValueError("the weights are not finite numbers")
    model.coef_, model.intercept_, model.classes_ = coef, intercept, classes
    model.n_features_in_, model.n_iter_ = coef.shape[1], _count(metadata["n_iter"], "n_iter")
    model._mini_batch_state, model.has_offset_ = None, bool(metadata.get("has_offset", False))
    names = metadata["feature_names"]
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise ValueError("the names of the features are not a list of text")
        if len(names) != coef.shape[1] or len(set(names)) < len(names):
            raise ValueError(f"{len(set(names))} names do not fit {coef.shape[1]} features")
        model.feature_names_in_ = np.array(names, dtype=object)
    if metadata["solution"] is not None:
        model.solution_ = _solution(metadata["solution"], coef, intercept, firth=model.penalty == "firth")


def _classes(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Array:
    """Return the classes in their dtype, after checking that they are distinct labels."""
    stored = metadata["classes"]
    if stored is not None:
        return labels_from_json(stored)
    classes = np.array(arrays["classes"])
    Classes.of(classes)
    return classes


def _solution(stored: Mapping[str, Any], coef: Array, intercept: Array, *, firth: bool) -> Solution:
    """Return the solution with these weights."""
    status = Status(stored["status"])
    if status is Status.CONVERGED and stored["bound"] == "estimate":  # so in earlier versions, without a certificate
        status = Status.STATIONARY if firth else Status.UNCERTIFIED
    return Solution(
        W=coef.T,  # a view: weights are held once
        b=intercept,
        value=_number(stored["value"]),
        gap=_gap(stored["gap"]),
        bound=str(stored["bound"]),
        status=status,
        passes=_count(stored["passes"], "passes"),
        n_iter=_count(stored["n_iter"], "n_iter"),
        history=tuple(
            Progress(_count(p, "passes"), _number(v), _gap(g), _number(t)) for p, v, g, t in stored["history"]
        ),
        plan=_plan(stored.get("plan")),
    )


def _plan(state: Mapping[str, str] | None) -> Plan | None:
    """Return the plan of a fit; None for a file of an earlier version, which does not hold it."""
    if state is None:
        return None
    if not all(isinstance(state[name], str) for name in ("name", "fallback", "why")):
        raise ValueError("the plan of the solver is not text")
    return Plan(
        name=state["name"],
        transform=Transform(state["transform"]),
        logits=Logits(state["logits"]),
        start=Start(state["start"]),
        method=Method(state["method"]),
        curvature=CurvatureModel(state["curvature"]),
        fallback=state["fallback"],
        why=state["why"],
    )


def _count(value: Any, name: str) -> int:
    """Return an integer >= 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is {value!r}, not a count")
    return value


def _number(value: Any) -> float:
    """Return a finite number."""
    if not is_real(value) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _gap(value: Any) -> float:
    """Return a gap, infinite for null."""
    return math.inf if value is None else _number(value)
