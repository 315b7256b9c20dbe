"""Intervals of the gain by a recalibration of the same rows, and of the explained share of the label entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.probability import proportion_interval
from softreg.probability.bootstrap_intervals import Interval
from softreg.probability.intervals import design_effect, mean_interval
from softreg.probability.scores import weighted_mean
from softreg.typing import Array, Codes, Float64Array

FEW_MISTAKES = 10
"""Mistakes up to which the gain by a recalibration has no lower end."""
FOLDS = 5
"""Folds in which the recalibrations of the calibration gap are fitted."""
NEEDLESS_GAIN_SD = 1.06
"""Standard deviation of the gain in log loss by one parameter that is not needed and is fitted to four of five folds,
times the number of rows: that of `(chi2_1 / 2 - 9 chi2_4 / 32)`, to which its second order leads."""
SAME_RATES = 1e-9
"""Largest difference of class rates that are those of the rows."""


@dataclass(frozen=True, eq=False)
class RecalibrationGain:
    """Gains of the rows by a recalibration that is fitted to other folds of the same rows.

    Attributes
    ----------
    losses, squares : ndarray of shape (n,)
        Decrease of the log loss and of the Brier score of each row.
    parameters : int
        Parameters of the recalibration.
    mistakes : int
        Rows whose most likely class is not the label.
    groups, weights : ndarray of shape (n,) or None
        Groups of dependent rows, and weights.

    Examples
    --------
    >>> gain = RecalibrationGain(np.tile([0.2, -0.1], 50), np.zeros(100), 1, 30)
    >>> print(gain.log_loss_interval(Interval(0.05, 0.02, 0.08), Interval(0.5, 0.4, 0.6)))
    0.05 (0.01482 to 0.08518)
    """

    losses: Float64Array
    squares: Float64Array
    parameters: int
    mistakes: int
    groups: Array | None = None
    weights: Float64Array | None = None

    def log_loss_interval(self, gain: Interval, loss: Interval) -> Interval:
        """Return the interval of the gain in log loss.

        It contains the skewed interval of the mean as well as `gain`. The distances of both are multiplied by the root
        of `1 + 1 / (FOLDS - 1)`, for the error of the fit to the other folds, and the spread of the gain by a needless
        recalibration is added in quadrature. With at most `FEW_MISTAKES` mistakes, a fit depends on each of them, and
        no interval keeps its level: only the upper end is known, that of the loss itself.

        Parameters
        ----------
        gain : Interval
            The gain, with an interval of `score_interval` for a fixed recalibration.
        loss : Interval
            The loss, which bounds the gain.

        Returns
        -------
        Interval
            The gain; from -inf where the mistakes are too few.

        References
        ----------
        Nadeau and Bengio, "Inference for the generalization error" (2003).
        """
        return self._interval(gain, loss, self._of(self.losses), self._noise)

    def brier_interval(self, gain: Interval, loss: Interval) -> Interval:
        """Return the interval of the gain in Brier score, likewise."""
        ours, nats = self._of(self.squares), self._of(self.losses)
        widths = ours.high - ours.low, nats.high - nats.low
        share = min(widths[0] / widths[1], 1.0) if 0 < widths[1] < np.inf else 1.0
        return self._interval(gain, loss, ours, share * self._noise)

    @property
    def _noise(self) -> float:
        """Standard deviation of the gain if no recalibration is needed."""
        effect, _ = design_effect(self.losses, self.groups, self.weights)
        return NEEDLESS_GAIN_SD * float(np.sqrt(self.parameters)) * effect / len(self.losses)

    def _of(self, values: Float64Array) -> Interval:
        return mean_interval(values, groups=self.groups, sample_weight=self.weights)

    def _interval(self, gain: Interval, loss: Interval, skewed: Interval, noise: float) -> Interval:
        if not np.isfinite(gain.value):
            return gain
        if self.mistakes <= FEW_MISTAKES:
            return Interval(gain.value, -np.inf, max(gain.high, loss.high))
        below, above = gain.value - min(gain.low, skewed.low), max(gain.high, skewed.high) - gain.value
        spread = float(np.sqrt(1 + 1 / (FOLDS - 1)))
        return Interval(
            gain.value,
            gain.value - float(np.hypot(spread * below, noise)),
            min(gain.value + float(np.hypot(spread * above, noise)), max(loss.high, gain.high)),
        )


@dataclass(frozen=True, eq=False)
class SkillOfRows:
    """Losses and baseline of the rows, for the interval of `1 - log loss / label entropy`.

    Attributes
    ----------
    losses, baseline : ndarray of shape (n,)
        Surprisal of the label by the probabilities, and by the class rates.
    codes : ndarray of shape (n,)
        Labels.
    rates : ndarray of shape (q,)
        Class rates of the baseline.
    groups, weights : ndarray of shape (n,) or None
        Groups of dependent rows, and weights.

    Examples
    --------
    >>> losses, baseline, y = np.tile([0.1, 0.2], 40), np.full(80, np.log(2)), np.tile([0, 1], 40)
    >>> rows = SkillOfRows(losses, baseline, y, np.array([0.5, 0.5]))
    >>> print(rows.interval(Interval(0.0, -0.01, 0.01)))
    0.7836 (0.7674 to 0.7997)
    """

    losses: Float64Array
    baseline: Float64Array
    codes: Codes
    rates: Float64Array
    groups: Array | None = None
    weights: Float64Array | None = None

    @property
    def loss(self) -> float:
        """Mean log loss."""
        return float(weighted_mean(self.losses, self.weights))

    @property
    def entropy(self) -> float:
        """Mean surprisal of the class rates."""
        return float(weighted_mean(self.baseline, self.weights))

    @property
    def is_defined(self) -> bool:
        """Whether the loss is finite, and the entropy positive and finite."""
        return bool(self.entropy > 0 and np.isfinite(self.loss) and np.isfinite(self.entropy))

    def interval(self, residual: Interval) -> Interval:
        """Return the skill with the interval of a ratio of means.

        The interval is that of the linearized ratio. With few rows that are not of the most frequent class, it contains
        the skill at both ends of the interval of their rate as well.

        Parameters
        ----------
        residual : Interval
            Interval of `score_interval` for the mean of `losses - loss / entropy * baseline`.

        Returns
        -------
        Interval
            The skill.
        """
        value = 1 - self.loss / self.entropy
        scores = self.losses - self.loss / self.entropy * self.baseline
        skewed = mean_interval(scores, groups=self.groups, sample_weight=self.weights)
        low, high = min(residual.low, skewed.low), max(residual.high, skewed.high)
        ends = (value - high / self.entropy, value - low / self.entropy, *self._at_other_rates())
        return Interval(value, min(ends), min(max(ends), 1.0))

    def _at_other_rates(self) -> tuple[float, ...]:
        """Return the skill at both ends of the interval of the rate of all classes but the most frequent one.

        The baseline of the skill is estimated from the same rows. With at most `FEW_MISTAKES` rows of other classes,
        its entropy is not a linear function of their rate within the error of the rate.

        Returns
        -------
        tuple of float
            Two values; none with more such rows, or where the rates are not those of the rows.
        """
        codes, rates, weights = self.codes, self.rates, self.weights
        n = len(codes)
        w = np.ones(n) if weights is None else weights / weights.mean()
        shares = np.bincount(codes, weights=w, minlength=len(rates)) / n
        top = int(shares.argmax())
        others = codes != top
        if others.sum() > FEW_MISTAKES or not np.allclose(shares, rates, atol=SAME_RATES):
            return ()
        rows = n / design_effect(others.astype(np.float64), self.groups, None if weights is None else w)[0]
        rate = float(w @ others) / n
        found, skills = proportion_interval(rate * rows, rows), []
        of_top, of_others = (float(np.average(self.losses[part], weights=w[part])) for part in (~others, others))
        for other_rate in (found.low, found.high):
            changed = np.where(np.arange(len(rates)) == top, 1 - other_rate, shares * other_rate / rate)
            changed = changed[changed > 0]
            loss = (1 - other_rate) * of_top + other_rate * of_others
            skills.append(1 - loss / float(-(changed @ np.log(changed))))
        return tuple(skills)


def undefined_skill(loss: float, entropy: float) -> Interval:
    """Return the skill where the loss is infinite, or the entropy of the labels 0 or infinite.

    Parameters
    ----------
    loss, entropy : float
        Observed log loss, and mean surprisal of the class rates.

    Returns
    -------
    Interval
        The skill. Rows of one class alone have an entropy of 0, and the skill of other rows is not known.

    Examples
    --------
    >>> print(undefined_skill(0.1, 0.0), undefined_skill(0.1, np.inf))
    -inf (-inf to 1) 1 (1 to 1)
    """
    value = 0.0 if loss == 0 else 1.0 if np.isinf(entropy) and np.isfinite(loss) else -np.inf
    return Interval(value, -np.inf, 1.0) if entropy == 0 and np.isfinite(loss) else Interval(value, value, value)
