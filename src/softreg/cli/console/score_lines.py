"""Scores of an evaluation with their intervals, as text and as lines of the result table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from softreg.cli.console.progress_bars import truncate_label

if TYPE_CHECKING:
    from softreg.probability import Interval
    from softreg.report import Audit


def format_loss(loss: float) -> str:
    """A log loss with its unit; infinity in a word.

    >>> format_loss(0.25), format_loss(math.inf)
    ('0.2500 nats', 'infinite')
    """
    return f"{loss:.4f} nats" if math.isfinite(loss) else "infinite"


def format_interval(figure: Interval, decimals: int = 4) -> str:
    """A 95% interval in words.

    >>> from softreg.probability import Interval
    >>> format_interval(Interval(0.1, 0.05, 0.2)), format_interval(Interval(0.0, 0.0, math.inf))
    ('95% interval 0.0500 to 0.2000', '95% interval 0.0000 to infinity')
    """
    low, high = (_end(end, decimals) if math.isfinite(end) else "infinity" for end in (figure.low, figure.high))
    if math.isinf(figure.low):
        low = "infinity" if figure.low > 0 else "minus infinity"
    return f"95% interval {low} to {high}"


def _end(value: float, decimals: int) -> str:
    """An end of an interval; one that would be rounded to 0 has a digit, so that its sign is seen."""
    text = f"{value:.{decimals}f}"
    if not text.strip("-0."):
        return f"{value:.{decimals + 1}f}" if abs(value) >= 0.5 * 10.0 ** -(decimals + 1) else _tiny(value, decimals)
    return text


def _tiny(value: float, decimals: int) -> str:
    return f"{value:.0e}" if abs(value) > 1e-9 else f"{0:.{decimals}f}"


def ranking_lines(found: Audit, of: str) -> list[tuple[str, str, str]]:
    """AUC and Brier score as lines of the result table; no AUC where none of the classes has one."""
    what = (
        f"of {truncate_label(found.classes[1])!r}" if len(found.classes) == 2 else "mean of each class against the rest"
    )
    auc = [(f"{of}AUC", f"{found.auc.value:.4f}", f"{what}; {format_interval(found.auc)}")]
    brier = (
        f"{of}Brier score",
        f"{found.brier:.4f}",
        f"summed over the classes, 0 to 2; {format_interval(found.calibration.brier)}",
    )
    return [*(auc if math.isfinite(found.auc.value) else []), brier]


def weight_lines(found: Audit) -> list[tuple[str, str, str]]:
    """What the weights of the rows mean for the figures, as a line of the result table."""
    if found.weights is None:
        return []
    worth = f"{found.effective_rows:,.1f} rows of equal weight, by which intervals are computed"
    return [("weights", "used", f"the {found.rows:,} rows are worth {worth}; the test of calibration counts each once")]
