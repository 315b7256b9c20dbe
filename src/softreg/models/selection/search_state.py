"""A fitted `SoftmaxRegressionCV` as arrays and strict JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from softreg.models.estimators.base import LinearClassifier
from softreg.models.parameters.parameter_checks import check_cv_parameters
from softreg.models.selection.regularization_path import PATH_COLUMNS, Path
from softreg.models.serialization.cv_parameters import parameter_from_json, parameter_to_json
from softreg.models.serialization.regression_state import (
    GROUPS,
    PARAMETERS,
    read_parameters,
    regression_to_state,
    set_fitted_attributes,
)
from softreg.probability.label_arrays import is_real
from softreg.typing import Array, Float64Array

Model = TypeVar("Model", bound=LinearClassifier)

_PLAIN = ("strengths", "rule", "relaxed")
"""Parameters that `SoftmaxRegression` does not have, and JSON can hold."""
_DESCRIBED = ("cv", "scoring")
"""Parameters that JSON may not be able to hold."""
_SHARED = tuple(name for name in PARAMETERS if name not in ("strength", "warm_start", "prior", "keep_posterior"))
_ARRAYS = (*PATH_COLUMNS, "scores")


def path_to_json(path: Path) -> dict[str, Any]:
    """Return a path as strict JSON; infinite and missing numbers are null."""
    columns = {name: _nested_lists(getattr(path, name)) for name in _ARRAYS}
    seconds = path.seconds if math.isfinite(path.seconds) else None
    search = {"passes": path.passes, "seconds": seconds}
    return {"scoring": path.scoring, "more_is_better": path.more_is_better, "chosen": path.chosen, **columns, **search}


def path_from_json(stored: Mapping[str, Any]) -> Path:
    """Return the path that `path_to_json` described.

    Parameters
    ----------
    stored : mapping
        Strict JSON.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    ValueError
        If the parts of the path contradict each other.
    """
    stored = {"relaxed": [1.0] * len(stored["strength"]), **stored}  # older files have no relaxed fits
    arrays = {name: _array(stored[name]) for name in _ARRAYS}
    size, chosen = len(arrays["strength"]), stored["chosen"]
    if not all(len(a) == size and a.ndim == (2 if name == "scores" else 1) for name, a in arrays.items()):
        raise ValueError("the columns of the path differ in length")
    if not isinstance(chosen, int) or isinstance(chosen, bool) or not 0 <= chosen < size:
        raise ValueError(f"the chosen point {chosen!r} is none of the {size} of the path")
    arrays["nonzero"] = arrays["nonzero"].astype(np.int64)
    passes, seconds = stored.get("passes", 0), stored.get("seconds")  # older files have neither
    if not is_real(passes) or not (seconds is None or is_real(seconds)):
        raise ValueError(f"passes {passes!r} and seconds {seconds!r} of the path are not numbers")
    return Path(
        scoring=str(stored["scoring"]),
        more_is_better=bool(stored["more_is_better"]),
        chosen=chosen,
        passes=int(passes),
        seconds=math.nan if seconds is None else float(seconds),
        cost=None,
        **arrays,
    )


def selection_to_state(model: LinearClassifier) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a fitted model as arrays and strict JSON."""
    arrays, metadata = regression_to_state(model.best_estimator_)
    check_cv_parameters(model)
    stored = metadata["parameters"]
    parameters = {name: stored[name] for name in (*_SHARED, GROUPS) if name in stored}
    parameters |= {name: _plain_parameter(getattr(model, name)) for name in (*_PLAIN, "l1_ratio")}
    parameters |= {name: parameter_to_json(getattr(model, name)) for name in _DESCRIBED}
    return arrays, {**metadata, "parameters": parameters, "path": path_to_json(model.path_)}


def selection_from_state(cls: type[Model], arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Model:
    """Return the fitted model of class `cls` that `selection_to_state` described."""
    stored = dict(metadata["parameters"])
    own = {name: stored.pop(name) for name in _PLAIN if name != "relaxed" or name in stored}
    own |= {name: parameter_from_json(stored.pop(name)) for name in _DESCRIBED}
    if own["scoring"] is None:  # older files do not describe callables
        del own["scoring"]
    model = cls(**read_parameters({"parameters": stored}), **own)
    set_fitted_attributes(model, arrays, metadata)
    path = model.path_ = path_from_json(metadata["path"])
    model.scores_ = path.scores
    model.strength_ = float(path.strength[path.chosen])
    model.l1_ratio_ = float(path.l1_ratio[path.chosen])
    model.relaxed_ = float(path.relaxed[path.chosen])
    check_cv_parameters(model)
    return model


def _plain_parameter(value: Any) -> Any:
    """Return a parameter as JSON: numbers, texts and lists of numbers; None for anything else."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)) and all(is_real(v) for v in value):
        return [float(v) for v in value]
    return value if value is None or isinstance(value, (int, float, str)) else None


def _nested_lists(values: Array) -> list[Any]:
    """Return nested lists of numbers, None for numbers that are not finite."""
    if values.ndim > 1:
        return [_nested_lists(row) for row in values]
    return [v if math.isfinite(v) else None for v in values.tolist()]


def _array(values: list[Any]) -> Float64Array:
    """Return numbers (S,) or (S, K) from nested lists, nan for None."""
    rows = [[np.nan if v is None else v for v in row] if isinstance(row, list) else row for row in values]
    array = np.array([np.nan if v is None else v for v in rows] if not any(isinstance(r, list) for r in rows) else rows)
    if array.dtype.kind not in "if":
        raise ValueError("the path does not hold numbers")
    return array.astype(np.float64)
