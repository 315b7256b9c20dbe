"""Checks of what `PredictionSets` receives: parameters, groups, weights, class rates and blocks of probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softreg.models.calibration.calibrator import probability_matrix
from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.conformal.conformity_scores import SCORES
from softreg.probability import Classes
from softreg.probability.label_arrays import label_array, spell
from softreg.typing import Array

BLOCK = 1 << 20
"""Probabilities of a block of rows."""
RARE = ("include", "pool")
CLUSTER = "cluster"


def check_parameters(sets: Any) -> None:
    """Raise `ValueError` for a parameter of `PredictionSets` outside its range."""
    if not 0 < sets.level < 1:
        raise ValueError(f"level={sets.level!r} is the coverage and must be between 0 and 1.")
    for name, allowed in (("conformity_score", SCORES), ("rare_classes", RARE)):
        if getattr(sets, name) not in allowed:
            raise ValueError(f"{name}={getattr(sets, name)!r} is not one of {', '.join(allowed)}.")
    if not 0 <= sets.interpolation <= 1:
        raise ValueError(f"interpolation={sets.interpolation!r} must be between 0 (one threshold) and 1 (own ones).")
    if isinstance(sets.min_rows, bool) or not isinstance(sets.min_rows, (int, np.integer)) or sets.min_rows < 0:
        raise ValueError(f"min_rows={sets.min_rows!r} must be an integer >= 0.")
    if sets.per_class and sets.class_groups is not None:
        raise ValueError("per_class=True gives every class its own threshold; leave out per_class or class_groups.")
    if isinstance(sets.class_groups, str) and sets.class_groups != CLUSTER:
        raise ValueError(f"class_groups={sets.class_groups!r} must be a group for each class, or 'cluster'.")


def class_group_codes(class_groups: Any, q: int) -> Codes:
    """Return the number (q,) of the group of each class."""
    values = label_array(class_groups, "class_groups")
    if values.shape != (q,):
        raise ValueError(f"class_groups has {len(values)} groups, but there are {q} classes; give one for each class.")
    return np.asarray(Classes(values).encode(values), dtype=np.int64)


def fit_groups(groups: Any, n: int) -> tuple[Array | None, Codes]:
    """Return the labels of the groups of rows, None without groups, and the number (n,) of the group of each row."""
    if groups is None:
        return None, np.zeros(n, dtype=np.int64)
    values = _group_values(groups, n)
    named = Classes(values)
    return named.labels, np.asarray(named.encode(values), dtype=np.int64)


def find_groups(groups: Any, n: int, labels: Array | None) -> Codes:
    """Return the number (n,) of the group of each new row; len(labels) for a group without calibration rows."""
    if (groups is None) != (labels is None):
        seen, now = ("without", "with") if labels is None else ("with", "without")
        raise ValueError(f"the sets were fitted {seen} groups and are predicted {now}; give groups= to both.")
    if labels is None:
        return np.zeros(n, dtype=np.int64)
    found = np.asarray(Classes.of(labels).find(_group_values(groups, n)), dtype=np.int64)
    return np.where(found < 0, len(labels), found)


def _group_values(groups: Any, n: int) -> Array:
    values = label_array(groups, "groups")
    if len(values) != n:
        raise ValueError(f"groups has {len(values)} values and P has {n} rows; each row needs one group.")
    return values


def check_weights(weights: Any, *shapes: tuple[int, ...]) -> Floats | None:
    """Return likelihood ratios of rows in float64; raise `ValueError` where one is negative or not finite."""
    if weights is None:
        return None
    try:
        w = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"weights must be numbers, one for each row ({error}).") from error
    if w.shape not in shapes:
        raise ValueError(f"weights has shape {w.shape}, expected {' or '.join(map(str, shapes))}.")
    bad = ~(np.isfinite(w) & (w >= 0))
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise ValueError(f"the weight of row {row} is {w[tuple(np.argwhere(bad)[0])]}; weights are finite and >= 0.")
    if len(shapes) == 1 and not w.any():
        raise ValueError("all weights are 0, so no row resembles the new rows and there is no threshold.")
    return w[:, None] if w.ndim == 1 and len(shapes) > 1 else w


def check_prevalence(prevalence: Any, name: str, classes: Classes) -> Floats | None:
    """Return the class rates (q,) of "prevalence"; raise `ValueError` where they are missing or not positive."""
    if (prevalence is None) != (name != "prevalence"):
        if prevalence is not None:
            raise ValueError(f"prevalence is used by conformity_score='prevalence', but conformity_score is {name!r}.")
        raise ValueError(
            "conformity_score='prevalence' needs prevalence=: the rates of the rows that the model was trained on, "
            "in the order of the columns of P. (Rates of the held-out rows would void the guarantee.)"
        )
    if prevalence is None:
        return None
    rates = np.asarray(prevalence, dtype=np.float64)
    if rates.shape != (len(classes),):
        raise ValueError(f"prevalence has shape {rates.shape}, but there are {len(classes)} classes.")
    bad = ~(np.isfinite(rates) & (rates > 0))
    if bad.any():
        k = int(bad.argmax())
        raise ValueError(
            f"the prevalence of the class {spell(classes.labels[k])} is {rates[k]}; rates must be positive. For counts "
            "of which some are 0, use (counts + 1) / (counts + 1).sum()."
        )
    return np.asarray(rates / rates.sum())


def row_blocks(P: Any) -> Iterator[tuple[Array, Floats]]:
    """Yield blocks of rows of P, as given and checked in float64; of an iterator of blocks, its own.

    Yields
    ------
    given : ndarray of shape (rows, q)
        The block in its own dtype.
    checked : ndarray of shape (rows, q)
        The block in float64.

    Raises
    ------
    ValueError
        If a row is not a distribution, by its number in P or its block.
    """
    if hasattr(P, "__next__"):
        for number, block in enumerate(P):
            given = np.asarray(block)
            try:
                checked = probability_matrix(given)
            except ValueError as error:
                raise ValueError(f"block {number} of P: {error}") from error
            yield given, checked
        return
    given = np.asarray(P)
    rows = max(1, BLOCK // max(1, given.shape[1])) if given.ndim > 1 else 1
    if given.ndim != 2 or len(given) <= rows:
        yield given, probability_matrix(given)
        return
    for start in range(0, len(given), rows):
        block = given[start : start + rows]
        try:
            checked = probability_matrix(block)
        except ValueError:
            probability_matrix(given)  # names the row by its number in P
            raise
        yield block, checked
