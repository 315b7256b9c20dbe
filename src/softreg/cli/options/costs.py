"""Costs of decisions: the option `--cost OBSERVED:DECIDED=COST`, and the result of decisions by it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from softreg.cli.console.aligned_text import align_columns, truncate_label
from softreg.cli.console.command_errors import CommandError
from softreg.probability import OperatingPoint
from softreg.typing import Float64Array


def cost_matrix(texts: Sequence[str], classes: Sequence[str]) -> Float64Array | None:
    """Parse the option --cost.

    Parameters
    ----------
    texts : sequence of str
        Values of the option.
    classes : sequence of str
        Names of the q classes.

    Returns
    -------
    array of shape (q, q) or None
        Costs by observed class (first axis) and decision: 0 for correct decisions and 1 for others, except where given;
        a negative cost is a gain. None without texts.

    Raises
    ------
    CommandError
        If a text is invalid, or a wrong decision has a larger gain than the correct one.

    Examples
    --------
    >>> cost_matrix(["yes:no=20"], ["no", "yes"])
    array([[ 0.,  1.],
           [20.,  0.]])
    """
    if not texts:
        return None
    costs = 1.0 - np.eye(len(classes))
    place = {label: k for k, label in enumerate(classes)}
    for text in texts:
        pair, _, amount = text.rpartition("=")
        cuts = [i for i, sign in enumerate(pair) if sign == ":"]  # labels may contain colons
        fits = [(pair[:i], pair[i + 1 :]) for i in cuts if pair[:i] in place and pair[i + 1 :] in place]
        try:
            cost = float(amount)
        except ValueError:
            cost = math.nan
        if not fits or not math.isfinite(cost):
            some = ", ".join(repr(truncate_label(label)) for label in classes[:6])
            raise CommandError(
                f"--cost {text!r} is not OBSERVED:DECIDED=COST with two of the classes ({some}) and a finite "
                f"number, as "
                f"in --cost {truncate_label(classes[-1])}:{truncate_label(classes[0])}=20."
            )
        observed, decided = fits[0]
        costs[place[observed], place[decided]] = cost
    worse = np.argwhere((costs < 0) & (costs < np.diag(costs)[:, None]))
    if len(worse):
        observed, decided = (truncate_label(classes[k]) for k in worse[0])
        raise CommandError(
            f"By --cost {observed}:{decided}={costs[tuple(worse[0])]:g}, deciding {decided!r} where {observed!r} is "
            f"observed is a gain, and larger than that of the correct decision. Give wrong decisions a cost of "
            f"at least 0, and "
            f"correct ones their gain, as in --cost {observed}:{observed}=-5."
        )
    return costs


def check_no_costs(costs: Sequence[str], rows: int, classes: int) -> None:
    """Raise `CommandError` for costs where the probabilities of all classes are too many to be held.

    Parameters
    ----------
    costs : sequence of str
        Values of --cost.
    rows, classes : int
        Numbers of rows and classes.

    Raises
    ------
    CommandError
        If there are costs.
    """
    if costs:
        raise CommandError(
            f"--cost needs the probabilities of all {classes:,} classes of {rows:,} rows at a time; leave it out, or "
            "evaluate fewer rows."
        )


def format_costs(point: OperatingPoint, classes: Sequence[str]) -> str:
    """Return the cost of decisions by the probabilities with its interval, and other costs, as lines."""
    remark = "each row at its least expected cost"
    if point.threshold is not None:
        remark = f"decide {truncate_label(classes[1])!r} above {point.threshold:.1%}: {point.decided[1]:,} rows"
    paid = point.paid
    return align_columns(
        [
            ("cost per row", f"{paid.value:.4g}", f"95% interval {paid.low:.4g} to {paid.high:.4g}; {remark}"),
            ("expected cost", f"{point.expected:.4g}", "by the probabilities"),
            ("best constant", f"{point.constant_cost:.4g}", f"always {truncate_label(classes[point.constant])!r}"),
        ]
    )
