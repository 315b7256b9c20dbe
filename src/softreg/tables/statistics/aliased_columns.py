"""Columns of a design matrix that are linear combinations of others (aliased columns)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from softreg.models.inference.marginal_effects import Change
from softreg.models.likelihood.likelihood import Likelihood
from softreg.rows import one_blas_thread
from softreg.tables.statistics.design_matrix import Design
from softreg.typing import Codes, Float64Array, IntArray

MIN_COEFFICIENT = 1e-6
"""Standardized coefficient above which a column is part of the linear combination that gives another."""


def without_aliased(
    design: Design, codes: Codes, weight: Float64Array | None, q: int
) -> tuple[Design, dict[int, tuple[str, ...]]]:
    """Return the design without aliased columns, and these by index with the columns that they combine."""
    if not design.X.shape[1]:
        return design, {}
    with one_blas_thread():
        lost = Likelihood(design.X, codes, weight, q, fit_intercept=design.intercept).dependent()
    if not lost:
        return design, {}
    keep = np.setdiff1d(np.arange(design.X.shape[1]), lost)
    explained = _combinations(design, keep, lost)
    new_index = {int(j): new for new, j in enumerate(keep)}
    changes = {
        new_index[j]: _reindexed_change(change, new_index) for j, change in design.changes.items() if j in new_index
    }
    column_indices = {
        name: tuple(new_index[j] for j in indices if j in new_index) for name, indices in design.column_indices.items()
    }
    names = [design.names[j] for j in keep]
    return replace(design, X=design.X[:, keep], names=names, column_indices=column_indices, changes=changes), explained


def _combinations(design: Design, keep: IntArray, lost: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return which kept columns give each aliased one, by least squares on standardized columns."""
    X = design.X - (design.X.mean(axis=0) if design.intercept else 0.0)
    size = np.sqrt((X**2).mean(axis=0))
    X = X / np.where(size > 0, size, 1.0)
    weights = np.linalg.lstsq(X[:, keep], X[:, list(lost)], rcond=None)[0]
    return {
        j: tuple(design.names[k] for k, w in zip(keep, weights[:, i], strict=True) if abs(w) > MIN_COEFFICIENT)
        for i, j in enumerate(lost)
    }


def _reindexed_change(change: Change, new_index: Mapping[int, int]) -> Change:
    """Return a change of the kept columns, by their new indices."""
    before, after = (
        {new_index[j]: v for j, v in ends.items() if j in new_index} for ends in (change.before, change.after)
    )
    return replace(change, before=before, after=after)
