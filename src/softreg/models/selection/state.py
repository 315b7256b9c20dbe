"""A fitted `SoftmaxRegressionCV` as arrays and strict JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs.parameters import check_cv_parameters
from softreg.models.selection.regularization_path import PATH_COLUMNS, Path
from softreg.models.selection.stored_parameters import parameter_from_json, parameter_to_json
from softreg.models.serialization.regression_state import (
    PARAMETERS,
    read_parameters,
    regression_to_state,
    set_fitted_attributes,
)
from softreg.probability.label_arrays import is_real

_OWN = ("strengths", "rule", "relaxed")
_TOLD = ("cv", "scoring")
_SHARED = tuple(name for name in PARAMETERS if name not in ("strength", "warm_start"))
_ARRAYS = (*PATH_COLUMNS, "scores")


def path_to_json(path: Path) -> dict[str, Any]:
    """A path as strict JSON; what is infinite or missing is null."""
    columns = {name: _plain(getattr(path, name)) for name in _ARRAYS}
    seconds = path.seconds if math.isfinite(path.seconds) else None
    search = {"passes": path.passes, "seconds": seconds}
    return {"scoring": path.scoring, "more_is_better": path.more_is_better, "chosen": path.chosen, **columns, **search}


def path_from_json(told: Mapping[str, Any]) -> Path:
    """The path that `path_to_json` described; raises `ValueError` where its parts do not fit together."""
    told = {"relaxed": [1.0] * len(told["strength"]), **told}  # files of before there was such a thing
    arrays = {name: _array(told[name]) for name in _ARRAYS}
    size, chosen = len(arrays["strength"]), told["chosen"]
    if not all(len(a) == size and a.ndim == (2 if name == "scores" else 1) for name, a in arrays.items()):
        raise ValueError("the columns of the path differ in length")
    if not isinstance(chosen, int) or isinstance(chosen, bool) or not 0 <= chosen < size:
        raise ValueError(f"the chosen point {chosen!r} is none of the {size} of the path")
    arrays["nonzero"] = arrays["nonzero"].astype(np.int64)
    passes, seconds = told.get("passes", 0), told.get("seconds")  # older files have neither
    if not is_real(passes) or not (seconds is None or is_real(seconds)):
        raise ValueError(f"passes {passes!r} and seconds {seconds!r} of the path are not numbers")
    scoring, more = str(told["scoring"]), bool(told["more_is_better"])
    known = math.nan if seconds is None else float(seconds)
    return Path(scoring=scoring, more_is_better=more, chosen=chosen, passes=int(passes), seconds=known, **arrays)


def selection_to_state(model: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and strict JSON of a fitted model."""
    arrays, metadata = regression_to_state(model.best_estimator_)
    check_cv_parameters(model)
    own = {name: _parameter(getattr(model, name)) for name in _OWN}
    own |= {name: parameter_to_json(getattr(model, name)) for name in _TOLD}
    shared = {name: metadata["parameters"][name] for name in _SHARED}
    metadata["parameters"] = {**shared, **own, "l1_ratio": _parameter(model.l1_ratio)}
    return arrays, {**metadata, "path": path_to_json(model.path_)}


def selection_from_state(cls: Any, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Any:
    """A fitted model of class `cls`."""
    found = dict(metadata["parameters"])
    own = {name: found.pop(name) for name in _OWN if name != "relaxed" or name in found}
    own |= {name: parameter_from_json(found.pop(name)) for name in _TOLD}
    if own["scoring"] is None:  # of a file of before callables were told
        del own["scoring"]
    model = cls(**read_parameters({"parameters": found}), **own)
    set_fitted_attributes(model, arrays, metadata)
    model.path_ = path_from_json(metadata["path"])
    model.scores_ = model.path_.scores
    model.strength_ = float(model.path_.strength[model.path_.chosen])
    model.l1_ratio_ = float(model.path_.l1_ratio[model.path_.chosen])
    model.relaxed_ = float(model.path_.relaxed[model.path_.chosen])
    check_cv_parameters(model)
    return model


def _parameter(value: Any) -> Any:
    """A parameter as JSON: numbers, texts and lists."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)) and all(is_real(v) for v in value):
        return [float(v) for v in value]
    return value if value is None or isinstance(value, (int, float, str)) else None


def _plain(values: NDArray[Any]) -> Any:
    """Nested lists of numbers, None for what is not finite."""
    if values.ndim > 1:
        return [_plain(row) for row in values]
    return [v if math.isfinite(v) else None for v in values.tolist()]


def _array(values: Any) -> NDArray[Any]:
    """Numbers (S,) or (S, K) from nested lists, nan for None."""
    rows = [[np.nan if v is None else v for v in row] if isinstance(row, list) else row for row in values]
    array = np.array([np.nan if v is None else v for v in rows] if not any(isinstance(r, list) for r in rows) else rows)
    if array.dtype.kind not in "if":
        raise ValueError("the path does not hold numbers")
    return array.astype(np.float64)
