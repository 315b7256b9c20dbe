"""Contrasts of columns of X: two values of a number, or the discrete change of a 0/1 column or level of a category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.inference.marginal_effects import REFERENCE
from softreg.models.inference.margins.comparisons import Contrast
from softreg.models.inference.margins.reference_grid import column_setting, finite_number
from softreg.models.inference.margins.row_logits import Scenario
from softreg.typing import Array, Matrix


def column_contrasts(
    inference: FittedInference,
    columns: Sequence[Any] | Any,
    low: Any,
    high: Any,
    rows: Matrix,
    offset: Array | None = None,
) -> list[Contrast]:
    """Return the contrast of each column between two values or, without values, by its discrete change.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit.
    columns : sequence or single name or position
        The columns.
    low, high : float or None
        Values of the columns; both or neither.
    rows : array or sparse matrix of shape (n, d)
        Rows whose other columns are unchanged.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits of these rows.

    Returns
    -------
    list of Contrast
        One contrast a column; the reference level of a category has none.

    Raises
    ------
    ValueError
        If a column does not exist, one of two values is missing, or a number has no values.
    """
    if (low is None) != (high is None):
        raise ValueError("give both low and high, or neither for a column of zeros and ones or a level of a category.")
    names, contrasts = inference.fitted.names, []
    for j in inference.fitted.columns_among(columns):
        if low is not None:
            ends = finite_number(low, names[j]), finite_number(high, names[j])
            before, after = (column_setting(inference, j, value) for value in ends)
            words = f"{ends[1]:g} rather than {ends[0]:g}"
        else:
            change = inference.changes.get(j)
            if change is None:
                raise ValueError(f"{names[j]!r} is a number; give the two values to compare, low= and high=.")
            if change.words == REFERENCE:
                continue
            before, after, words = dict(change.before), dict(change.after), change.words
        contrasts.append(Contrast(names[j], words, Scenario(rows, before, offset), Scenario(rows, after, offset)))
    if not contrasts:
        raise ValueError("the reference level of a category is compared with itself; name another level.")
    return contrasts
