"""The rule that chooses a point of a regularization path: the best mean score, or one standard error from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.models.selection.regularization_path import PathPoint


def choose_point(points: Sequence[PathPoint], rule: str, more_is_better: bool) -> PathPoint:
    """Return the chosen point of a path.

    Parameters
    ----------
    points : sequence of PathPoint
        The points. One whose score is nan for a fold that other points have a score of is not a candidate.
    rule : {"min", "1se"}
        "min" is the best mean score, of equal ones the strongest penalty; "1se" the strongest penalty within one
        standard error of it, and of several relaxed shares there the one with the best mean.
    more_is_better : bool
        Whether a larger score is better.

    Returns
    -------
    PathPoint
        The chosen point.

    Raises
    ------
    ValueError
        If no mean score is finite, or "1se" has one fold only.
    """
    sign = -1.0 if more_is_better else 1.0
    scored = ~np.isnan([p.scores for p in points]).all(axis=0)
    candidates = [p for p in points if np.isfinite(p.mean) and not np.isnan(p.scores[scored]).any()]
    if not candidates:
        raise ValueError(
            f"no strength has a finite mean score (the first one's is {points[0].mean}), so none can be chosen; look "
            "at the scoring, and at folds whose test rows have labels that their training rows give probability 0."
        )
    best = min(candidates, key=lambda p: (sign * p.mean, -p.strength, -p.relaxed))
    if rule == "min":
        return best
    if not np.isfinite(best.error):
        raise ValueError("rule='1se' needs the standard error over at least two folds; use more folds, or rule='min'.")
    near = [p for p in candidates if p.l1_ratio == best.l1_ratio and sign * p.mean <= sign * best.mean + best.error]
    return max(near, key=lambda p: (p.strength, -sign * p.mean, p.relaxed))
