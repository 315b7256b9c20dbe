"""The verdict on calibration: one function for the page's summary, its details and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from softreg.probability import Interval
from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.calibration_audit import Trust
from softreg.report.evaluation.number_format import LONGEST_NAME, shortened
from softreg.report.evaluation.reliability import Reliability

INFINITE = "infinite log loss"
TOO_FEW = "too few rows to tell"
NONE_FOUND = "no miscalibration found"
SMALL = "slightly off"
OVERCONFIDENT = "overconfident"
UNDERCONFIDENT = "underconfident"
UNEVEN = "uneven"


@dataclass(frozen=True)
class Limits:
    """Where the words of a verdict begin; tests inject others."""

    level: float = 0.05
    """p-value at or below which the exact test rejects."""
    tell: float = 0.1
    """Root-mean-square error of a probability (10 percentage points) that a sample should be able to show; where only
    larger ones would have been found, its rows are too few to tell."""
    open_gap: float = 0.25
    """Share of the log loss that recalibration may gain, by the upper end of its interval, for a sample to tell."""
    open_nats: float = 0.01
    """Gains that are always small enough for that."""
    small: float = 0.05
    """Upper end of the interval of the error up to which a found miscalibration is called slight."""
    small_gap: float = 0.02
    """Share of the log loss that recalibration gains up to which it is called slight."""
    leak: float = 0.9
    """Share of the label entropy that a single column explains from which it may leak the label."""
    perfect_rows: int = 50
    """Rows, at least, for a model without mistakes to be worth a warning."""
    bias: float = 3.0
    """z-score of the number of rows of a class from which its probabilities are called too high or too low."""


@dataclass(frozen=True)
class Verdict:
    """What the labels say about the calibration of the probabilities.

    Attributes
    ----------
    word : str
        In a few words: "no miscalibration found", "too few rows to tell", "slightly off", "overconfident",
        "underconfident", "too high for NAME", "too low for NAME", "uneven" or "infinite log loss".
    good : bool or None
        True where nothing was found in enough rows, False where the error is more than slight, None in between.
    size : Interval
        Root-mean-square error of a probability: of either class, where there are two, otherwise of the most likely
        class.
    detectable : float
        Error of that kind that would be found in about 80% of samples of as many rows, if it is of one sign or changes
        slowly with the probability.

    Examples
    --------
    >>> from softreg.report.evaluation.audit import audit
    >>> verdict(audit([[0.5, 0.5]] * 40, [0, 1] * 20, ["ham", "spam"])).word
    'too few rows to tell'
    """

    word: str
    good: bool | None
    size: Interval
    detectable: float


def verdict(audit: Audit, limits: Limits = Limits()) -> Verdict:
    """Judge the calibration by the size of the error, its interval, the exact test and its power.

    Parameters
    ----------
    audit : Audit
        What probabilities were worth on labelled rows.
    limits : Limits
        Where the words begin.

    Returns
    -------
    Verdict
        The word, whether it is good, and the error with its interval.

    Examples
    --------
    >>> from softreg.report.evaluation.audit import audit
    >>> verdict(audit([[0.9, 0.1]] * 400, [0] * 200 + [1] * 200, ["ham", "spam"])).word
    'too low for “spam”'
    """
    trust, check = audit.trust, audit.trust.check
    size = error_size(trust, len(audit.classes))
    detectable = check.detectable if len(audit.classes) == 2 else check.top_detectable
    if math.isinf(audit.log_loss):
        return Verdict(INFINITE, False, size, detectable)
    if check.p_value > limits.level:
        open_to = max(limits.open_gap * audit.log_loss, limits.open_nats)
        told = detectable <= limits.tell and trust.gap.high <= open_to
        return Verdict(NONE_FOUND if told else TOO_FEW, True if told else None, size, detectable)
    if size.high <= limits.small and trust.gap.value <= limits.small_gap * audit.log_loss:
        return Verdict(SMALL, None, size, detectable)
    return Verdict(leaning(audit, limits), False, size, detectable)


def error_size(trust: Trust, classes: int) -> Interval:
    """Root-mean-square error of a probability with its 95% interval, from the debiased squared error.

    Of two classes, `sqrt(error / 2)`: both have the same errors. Of more, `sqrt(top_error)`, of the most likely class.
    The upper end is at least what the mean of that probability may exceed the accuracy by, which counts where mistakes
    are too rare to be seen.
    """
    check = trust.check
    if classes == 2:
        square, sd = check.error / 2, check.error_sd / 2
    else:
        square, sd = check.top_error, check.top_error_sd
    ends = (square, square - 1.96 * sd, square + 1.96 * sd)
    value, low, high = (math.sqrt(max(end, 0.0)) for end in ends)
    return Interval(value, low, max(high, trust.mean_top - trust.accuracy.low))


def leaning(audit: Audit, limits: Limits = Limits()) -> str:
    """In which direction probabilities are off, in a word or two.

    A class is named if its mean probability is off and either, of two classes, no bin deviates in the other direction,
    or the mean deviates by more standard deviations than the mean surprisal does. Otherwise, the surprisal says whether
    the probabilities are overconfident or underconfident, where the test rejects it; else the error has no single
    direction.
    """
    trust = audit.trust
    check, worst = trust.check, int(np.argmax(np.abs(trust.bias)))
    z = float(trust.bias[worst])
    if len(trust.bias) == 2:  # what is too high for one class is too low for the other: the second is named
        worst, z = 1, float(trust.bias[1])
    sure = abs(check.confidence) if check.p_confidence <= limits.level else 0.0
    if abs(z) >= limits.bias and (abs(z) >= sure or (len(trust.bias) == 2 and _one_sided(audit.reliability[-1]))):
        name = shortened(audit.classes[worst], LONGEST_NAME)
        return f"too {'high' if z < 0 else 'low'} for “{name}”"
    if sure:
        return OVERCONFIDENT if check.confidence > 0 else UNDERCONFIDENT
    return UNEVEN


def _one_sided(curve: Reliability) -> bool:
    """Whether bins lie outside their bands in one direction only."""
    above = (curve.outside & (np.nan_to_num(curve.observed) > np.nan_to_num(curve.predicted))).any()
    below = (curve.outside & (np.nan_to_num(curve.observed) < np.nan_to_num(curve.predicted))).any()
    return bool(above != below)
