"""Costs on the command line: `--cost OBSERVED:DECIDED=COST`, and what decisions by them lead to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.progress_bars import align_columns, truncate_label
from softreg.probability import OperatingPoint


def cost_matrix(told: Sequence[str], classes: Sequence[str]) -> NDArray[np.float64] | None:
    """Costs (q, q), given class by decision: 0 for what is right and 1 for what is wrong, but for those told.

    A negative cost is a gain. Raises `CommandError` for a wrong decision with a gain above that of the right one.

    >>> cost_matrix(["yes:no=20"], ["no", "yes"])
    array([[ 0.,  1.],
           [20.,  0.]])
    """
    if not told:
        return None
    costs = 1.0 - np.eye(len(classes))
    place = {label: k for k, label in enumerate(classes)}
    for one in told:
        pair, _, amount = one.rpartition("=")
        cuts = [i for i, sign in enumerate(pair) if sign == ":"]  # labels may hold colons: any cut that fits is taken
        fits = [(pair[:i], pair[i + 1 :]) for i in cuts if pair[:i] in place and pair[i + 1 :] in place]
        try:
            cost = float(amount)
        except ValueError:
            cost = math.nan
        if not fits or not math.isfinite(cost):
            some = ", ".join(repr(truncate_label(label)) for label in classes[:6])
            raise CommandError(
                f"--cost {one!r} is not OBSERVED:DECIDED=COST with two of the classes ({some}) and a finite number, as "
                f"in --cost {truncate_label(classes[-1])}:{truncate_label(classes[0])}=20."
            )
        given, decided = fits[0]
        costs[place[given], place[decided]] = cost
    worse = np.argwhere((costs < 0) & (costs < np.diag(costs)[:, None]))
    if len(worse):
        given, decided = (truncate_label(classes[k]) for k in worse[0])
        raise CommandError(
            f"By --cost {given}:{decided}={costs[tuple(worse[0])]:g}, deciding {decided!r} where {given!r} is "
            f"observed is a gain, and above that of the right decision. Give wrong decisions a cost of at least 0, and "
            f"right ones their gain, as in --cost {given}:{given}=-5."
        )
    return costs


def format_costs(point: OperatingPoint, classes: Sequence[str]) -> str:
    """The operating point as lines: what deciding by the probabilities costs, and what it saves."""
    where = ""
    if point.threshold is not None:
        where = f"decide {truncate_label(classes[1])!r} above {point.threshold:.1%}: {point.decided[1]:,} rows"
    return align_columns(
        [
            ("cost a row", f"{point.paid.value:.4g}", where or "each row at its least expected cost"),
            ("expected cost", f"{point.expected:.4g}", "by the probabilities"),
            ("best constant", f"{point.constant_cost:.4g}", f"always {truncate_label(classes[point.constant])!r}"),
        ]
    )
