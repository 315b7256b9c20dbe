"""Fitted `PredictionSets` as arrays and strict JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from softreg.models.conformal.conformal_inputs import check_parameters
from softreg.models.conformal.conformal_thresholds import Cells, Thresholds
from softreg.models.conformal.conformity_scores import ConformityScore
from softreg.models.serialization.fields import flag, number
from softreg.models.serialization.label_state import labels_from_json, labels_to_state
from softreg.probability import Classes
from softreg.typing import Array

PARAMETERS = ("level", "conformity_score", "per_class", "empty", "seed", "interpolation", "rare_classes", "min_rows")
"""Parameters that are stored as they are; `class_groups` is stored as the groups that were used."""
N_THRESHOLDS = 4
"""Own and common thresholds, each of scores as given and in float16."""


def sets_to_state(sets: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return fitted prediction sets as arrays of finite numbers and strict JSON."""
    arrays: dict[str, Array] = {"class_groups": sets.class_groups_}
    for name, cells in (("own", sets._cells), ("common", sets._common)):
        arrays |= {f"{name}_table": cells.table, f"{name}_n_rows": cells.n_rows}
    for j, t in enumerate(sets._thresholds):
        known = np.isfinite(t.values)
        arrays |= {f"values{j}": np.where(known, t.values, 0.0), f"known{j}": known}
        if sets.weighted_:
            arrays |= {f"scores{j}": t.scores, f"masses{j}": t.masses}
    labels: dict[str, Any] = {}
    for name in ("classes", "groups"):
        values = getattr(sets, f"{name}_")
        labels[name] = None if values is None else labels_to_state(name, values, arrays)
    if sets._score.prevalence is not None:
        arrays["prevalence"] = sets._score.prevalence
    plain = {name: getattr(sets, name) for name in PARAMETERS}
    parameters = {name: value.item() if isinstance(value, np.generic) else value for name, value in plain.items()}
    own_groups = not isinstance(sets.class_groups, str) and sets.class_groups is not None
    metadata = {
        "parameters": parameters,
        "class_groups": "given" if own_groups else sets.class_groups,
        "first_pools": [int(sets._cells.first_pool), int(sets._common.first_pool)],
        "precision": float(sets._precision),
        "weighted": bool(sets.weighted_),
        "labels": labels,
    }
    return arrays, metadata


def sets_from_state(sets: Any, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Set parameters and fitted attributes; raise `ValueError` where parts of the state do not match."""
    parameters = dict(metadata["parameters"])
    if set(parameters) != set(PARAMETERS):
        raise ValueError(f"the parameters {sorted(parameters)} are not those of prediction sets")
    group = _integers(arrays, "class_groups", 1)
    given = metadata["class_groups"]
    sets.set_params(**parameters, class_groups=group if given == "given" else given)
    check_parameters(sets)
    sets.weighted_, sets._precision = flag(metadata, "weighted"), number(metadata, "precision", positive=True)
    sets.classes_ = _labels("classes", arrays, metadata)
    sets.groups_ = _labels("groups", arrays, metadata)
    q = 0 if sets.classes_ is None else len(sets.classes_)
    if q < 2 or len(group) != q or group.min() < 0:
        raise ValueError(f"{q} classes and {len(group)} groups of classes do not fit together")
    sets.class_groups_ = group
    rows = 1 if sets.groups_ is None else len(sets.groups_)
    first, second = (int(k) for k in metadata["first_pools"])
    sets._cells = _cells("own", arrays, first, (rows + 1, int(group.max()) + 1))
    sets._common = _cells("common", arrays, second, (rows + 1, 1))
    owners = (sets._cells, sets._cells, sets._common, sets._common)
    sets._thresholds = tuple(_thresholds(arrays, j, cells, sets.weighted_) for j, cells in enumerate(owners))
    prevalence = arrays.get("prevalence")
    if (prevalence is None) != (sets.conformity_score != "prevalence"):
        raise ValueError("class rates are stored for conformity_score='prevalence' and for no other")
    if prevalence is not None and (prevalence.shape != (q,) or not (prevalence > 0).all()):
        raise ValueError("the class rates do not fit the classes")
    sets._score = ConformityScore(sets.conformity_score, sets.seed, prevalence)
    sets._set_public_thresholds()


def _integers(arrays: Mapping[str, Array], name: str, ndim: int) -> Array:
    a = np.array(arrays[name])
    if a.dtype.kind not in "iu" or a.ndim != ndim or not a.size:
        raise ValueError(f"{name!r} is no array of integers")
    return a.astype(np.int64)


def _labels(name: str, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Array | None:
    stored = metadata["labels"][name]
    if stored is not None:
        return labels_from_json(stored)
    if name not in arrays:
        return None
    labels = np.array(arrays[name])
    Classes.of(labels)
    return labels


def _cells(name: str, arrays: Mapping[str, Array], first_pool: int, shape: tuple[int, int]) -> Cells:
    table, n_rows = _integers(arrays, f"{name}_table", 2), _integers(arrays, f"{name}_n_rows", 1)
    if table.shape != shape or table.min() < 0 or table.max() >= len(n_rows) or n_rows.min() < 0:
        raise ValueError(f"the {name} thresholds {table.shape} do not fit the groups and classes {shape}")
    return Cells(table, np.empty(0, dtype=np.int64), n_rows, first_pool)


def _thresholds(arrays: Mapping[str, Array], j: int, cells: Cells, weighted: bool) -> Thresholds:
    values, known = np.array(arrays[f"values{j}"]), np.array(arrays[f"known{j}"])
    starts = np.concatenate([[0], np.cumsum(cells.n_rows)])
    if values.dtype.kind != "f" or values.shape != cells.n_rows.shape or known.shape != values.shape:
        raise ValueError("the thresholds do not fit the numbers of rows")
    scores = masses = np.empty(0)
    if weighted:
        scores, masses = np.array(arrays[f"scores{j}"]), np.array(arrays[f"masses{j}"])
        if scores.shape != (starts[-1],) or masses.shape != scores.shape or not (masses >= 0).all():
            raise ValueError("the weighted scores do not fit the numbers of rows")
    return Thresholds(np.where(known.astype(bool), values, np.inf), starts, scores, masses)
