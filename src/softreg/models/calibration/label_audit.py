"""Detection of label errors from out-of-fold probabilities."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from softreg.deprecated import DeprecatedAttributes
from softreg.models.calibration.calibrator import check_labelled, mean_loss_reduction
from softreg.models.calibration.temperature import Codes, Floats, log_probabilities
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.splits import stratified_fold_numbers
from softreg.typing import Array

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CLASSES = 30
"""Largest number of classes for the second-stage model, which has the products of all pairs of logits."""
ROWS_A_FEATURE = 10
"""Least number of rows for each feature of the second-stage model."""
FOLDS = 5
"""Number of folds of the second-stage model."""
CAUTION = 3.0
"""Standard errors by which the second-stage model must reduce the log loss."""
WEAKEST, TOL = 1e-4, 1e-4
"""Least strength of the second-stage model, and its tolerance in nats."""
LEAST_LOG = -700.0
"""Log-probabilities below this become this one, so that their exponentials are not 0."""
LEAST_EVIDENCE = math.log(0.01)
"""Log-odds of a wrong label below which the suspicion is 0."""
SURE = 0.999
"""Quantile of the Poisson count of labels that are improbable by chance."""
ROUNDING, LEAST_MEAN = 1e-9, 1e-300
"""Relative difference of equal log-odds, and a positive mean in place of 0."""
ENTRIES = 1 << 22
"""Numbers (rows times classes) of a block."""


@dataclass(frozen=True, eq=False)
class LabelAudit(DeprecatedAttributes):
    """Suspicion of each of n labels, as `label_audit` computes it.

    Attributes
    ----------
    classes : ndarray of shape (q,)
        Class labels.
    given : ndarray of shape (n,)
        Code of the label of each row.
    suggested : ndarray of shape (n,)
        Code of the most probable other class.
    suspicion : ndarray of shape (n,)
        Score from 0 to 1. It is 0 where no more labels contradict the probabilities than the probabilities predict. It
        is close to the probability of a wrong label only if the classes are nearly separable.
    surprisal : ndarray of shape (n,)
        Negative log-probability of the label in nats, from the probabilities as given.
    margin : ndarray of shape (n,)
        Largest other probability minus that of the label, from the probabilities as given.
    rank : ndarray of shape (n,)
        Rank among the rows with the same label; 1 is the most suspicious.
    order : ndarray of shape (n,)
        Rows by decreasing suspicion; ties by the odds behind it.
    noise : ndarray of shape (q, q)
        Estimated number of rows of class j (row) with label k (column), difficult and improbable-by-chance rows
        included.
    by_chance : float
        Suspicion that was subtracted because the probabilities predict it: so many labels look wrong but cannot be
        distinguished from the uncertainty that the probabilities state.
    second_opinion : bool
        Whether a second-stage model on top of the probabilities was used.
    """

    classes: Array
    given: Codes
    suggested: Codes
    suspicion: Floats
    surprisal: Floats
    margin: Floats
    rank: Codes
    order: Codes
    noise: Floats
    by_chance: float
    second_opinion: bool

    @property
    def expected_wrong(self) -> float:
        """Sum of `suspicion`: the estimated number of wrong labels beyond those explained by chance.

        It is close to 0 if labels are draws from the probabilities. Errors that a model has learned to predict
        cannot be counted from its probabilities.

        Returns
        -------
        float
            Number of labels.
        """
        return float(self.suspicion.sum())

    def __repr__(self) -> str:
        """Return the counts of rows, suspicious rows and expected chance findings, and the first rows to check."""
        suspicious = int((self.suspicion > 0).sum())
        first = ", ".join(str(row) for row in self.order[: min(suspicious, 5)])
        return (
            f"LabelAudit(rows={len(self.given)}, suspicious={suspicious}, expected_wrong={self.expected_wrong:.4g}, "
            f"by_chance={self.by_chance:.4g}, order=[{first}{', ' if first else ''}...])"
        )

    def frame(self, most: int | None = None) -> pa.Table:
        """Return the rows as a table, most suspicious first.

        Parameters
        ----------
        most : int, optional
            Number of rows; all by default.

        Returns
        -------
        pyarrow.Table
            Columns row (from 0), given, suggested, suspicion, surprisal, margin and rank_in_class.
        """
        import pyarrow as pa

        at = self.order[:most]
        columns = {
            "row": at,
            "given": self.classes[self.given[at]],
            "suggested": self.classes[self.suggested[at]],
            "suspicion": self.suspicion[at],
            "surprisal": self.surprisal[at],
            "margin": self.margin[at],
            "rank_in_class": self.rank[at],
        }
        return pa.table({name: pa.array(values.tolist()) for name, values in columns.items()})


def label_audit(P: ArrayLike, y: Any, classes: Any = None, *, second_opinion: bool = True, seed: int = 0) -> LabelAudit:
    """Find labels that may be wrong, from out-of-fold probabilities.

    1. **Second-stage model.** If it reduces the log loss, an out-of-fold softmax regression on the probabilities, their
       logarithms and the products of pairs of logarithms replaces P. It models which confusions of the first model
       are usual.
    2. **Noise between pairs.** Half of the rows of class j have log-odds of j against k above their median m_jk. Rows
       labelled k with log-odds above it are half of the wrong labels:
       `noise_jk = 2 #{i : y_i = k, argmax P_i = j, log P_ij / P_ik >= m_jk}`. The rates T_jk = noise_jk / n_j are
       shrunk towards their mean according to their sampling variance.
    3. **Odds.** For the label k, `odds = sum_{j != k} T_jk P_ij / P_ik` is the share of the probability of this label
       that comes from rows of other classes. Rows are ordered by it.
    4. **Chance.** Where classes overlap, some correct labels are improbable. With N labels of odds at least as high as
       those of a row, and C the expectation of N if labels were drawn from P, the suspicion is at most `1 - u / N`,
       with u the 99.9% quantile of a Poisson count of mean C; below that it equals the odds.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Out-of-fold probabilities: the label of a row was not used for its prediction.
    y : array_like of shape (n,)
        Hard labels.
    classes : array_like of shape (q,), optional
        Class of each column of P, as in `Calibrator.fit`.
    second_opinion : bool, default True
        Whether to try the second-stage model.
    seed : int, default 0
        Seed of the folds of the second-stage model.

    Returns
    -------
    LabelAudit
        Suspicion, suggested class and estimated noise.

    Raises
    ------
    ValueError
        If a row of P is not a distribution or a label is not a class.

    References
    ----------
    Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021), for the idea of
    pairwise noise from out-of-fold probabilities.
    Natarajan et al., "Learning with noisy labels" (2013).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(1000, 1)) + np.repeat([[-4.0], [4.0]], 500, axis=0)
    >>> y = np.repeat(["down", "up"], 500)
    >>> y[[3, 700]] = ["up", "down"]  # two wrong labels
    >>> P = np.column_stack([1 / (1 + np.exp(8 * x)), 1 / (1 + np.exp(-8 * x))])
    >>> result = label_audit(P, y)
    >>> sorted(result.order[:2].tolist()), result.suggested[[3, 700]].tolist(), bool(result.suspicion[3] > 0.4)
    ([3, 700], [0, 1], True)
    """
    P, named, given = check_labelled(P, y, classes)
    at = np.arange(len(given))
    L, _ = log_probabilities(P)
    better = _second_stage(L, given, seed) if second_opinion else None
    Q = np.log(better) if better is not None else L
    noise = _pair_noise(Q, given)
    T = _rates(noise, given)
    evidence = _log_odds(Q, given, T)
    order = np.argsort(-evidence, kind="stable")
    share = _share_beyond_chance(P, Q, evidence, T)
    if better is not None:  # the second-stage model may have learned label errors that the first one shows
        first_rates = _rates(_pair_noise(L, given), given)
        share = np.maximum(share, _share_beyond_chance(P, L, _log_odds(L, given, first_rates), first_rates))
    odds = np.exp(np.minimum(evidence, 0.0))
    suspicion = np.empty(len(given))
    suspicion[order] = np.maximum.accumulate(np.minimum(odds, share)[order][::-1])[::-1]
    others = P.copy()
    others[at, given] = -np.inf
    with np.errstate(divide="ignore"):
        surprisal = 0.0 - np.log(P[at, given])
    return LabelAudit(
        classes=named.labels,
        given=given,
        suggested=_suggested(Q, given),
        suspicion=suspicion,
        surprisal=surprisal,
        margin=others.max(axis=1) - P[at, given],
        rank=_rank_within(order, given),
        order=order,
        noise=noise,
        by_chance=float(odds.sum() - suspicion.sum()),
        second_opinion=better is not None,
    )


def _second_stage(L: Floats, y: Codes, seed: int) -> Floats | None:
    """Return out-of-fold probabilities of the second-stage model, or None if it does not reduce the log loss."""
    n, q = L.shape
    if q > MOST_CLASSES or n < ROWS_A_FEATURE * q * (q + 3) / 2 or len(np.unique(y)) < 2:
        return None
    fold, F = stratified_fold_numbers(y, FOLDS, seed), _products(L)
    after = np.empty_like(L)
    for k in range(FOLDS):
        rest, inside = fold != k, fold == k
        if len(np.unique(y[rest])) < q:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = SoftmaxRegression(max(WEAKEST, 1 / n), tol=TOL).fit(F[rest], y[rest])
        after[inside] = model.predict_log_proba(F[inside])
    at = np.arange(n)
    gain, error = mean_loss_reduction(-L[at, y], -after[at, y])
    return np.exp(np.maximum(after, LEAST_LOG)) if gain > CAUTION * error else None


def _products(L: Floats) -> Floats:
    """Return standardised log-probabilities, centred in each row, their pairwise products, and probabilities."""
    o = L - L.mean(axis=1, keepdims=True)
    a, b = np.triu_indices(o.shape[1])
    F = np.hstack([o, o[:, a] * o[:, b], np.exp(L)])
    F -= F.mean(axis=0)
    spread = F.std(axis=0)
    return np.asarray(np.divide(F, spread, out=F, where=spread > 0))


def _pair_noise(L: Floats, y: Codes) -> Floats:
    """Return the estimated number of rows of class j (row) with label k (column)."""
    q = L.shape[1]
    top = L.argmax(axis=1)
    noise = np.zeros((q, q))
    for j in range(q):
        labelled, like = np.flatnonzero(y == j), np.flatnonzero(top == j)
        if not len(labelled):
            continue
        odds = np.where((top[labelled] == j)[:, None], L[labelled, j : j + 1] - L[labelled], -np.inf)
        middle = np.median(odds, axis=0)
        finite = np.isfinite(middle)
        share = ((odds >= middle) & finite).mean(axis=0)  # one half without ties
        label = y[like]
        beyond = finite[label] & (L[like, j] - L[like, label] >= middle[label])
        counts = np.bincount(label[beyond], minlength=q)
        other = (share > 0) & (np.arange(q) != j)
        noise[j, other] = counts[other] / share[other]
    return noise


def _rates(noise: Floats, y: Codes) -> Floats:
    """Return the rates T (q, q) of label k among rows of class j, shrunk towards their mean."""
    q = len(noise)
    off = ~np.eye(q, dtype=bool)
    mean = max(float(noise[off].mean()), 1.0 / (q * (q - 1)))
    # The sampling variance of doubled counts of mean m is 2 m; the excess is the variance between pairs.
    between = max(float(noise[off].var()) - 2 * mean, 0.0)
    share = between / (between + 2 * mean)
    count = np.maximum(np.bincount(y, minlength=q), 1)
    return np.asarray(np.where(off, share * noise + (1 - share) * mean, 0.0) / count[:, None])


def _log_odds(L: Floats, y: Codes, T: Floats) -> Floats:
    """Return `log sum_{j != k} T_jk P_ij / P_ik` for the label k of each row (n,)."""
    weighted = np.einsum("nj,jn->n", np.exp(L), T[:, y])
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weighted) - L[np.arange(len(y)), y])


def _share_beyond_chance(P: Floats, L: Floats, evidence: Floats, T: Floats) -> Floats:
    """Return the share of labels with at least the evidence of each row that draws from P do not explain."""
    from scipy.special import pdtrik  # imported here: it is slow to import

    size, height, mass = max(1, ENTRIES // P.shape[1]), [], []
    for first in range(0, len(P), size):
        part = L[first : first + size]
        with np.errstate(divide="ignore"):
            every = np.log(np.exp(part) @ T) - part  # against each possible label
        high = every >= LEAST_EVIDENCE
        height.append(every[high])
        mass.append(P[first : first + size][high])
    level, weight = np.concatenate(height), np.concatenate(mass)
    descending = np.argsort(-level, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[descending])])
    order = np.argsort(-evidence, kind="stable")
    sorted_evidence = evidence[order]
    near = ROUNDING * np.maximum(1.0, np.abs(sorted_evidence))  # equal up to rounding
    chance = total[np.searchsorted(-level[descending], -(sorted_evidence - near), side="right")]
    count = np.searchsorted(-sorted_evidence, -(sorted_evidence - near), side="right")
    most = np.ceil(np.where(chance > 0, pdtrik(SURE, np.maximum(chance, LEAST_MEAN)), 0.0))
    beyond = np.where(sorted_evidence >= LEAST_EVIDENCE, np.maximum(0.0, 1 - np.maximum(most, 0.0) / count), 0.0)
    share = np.empty(len(sorted_evidence))
    share[order] = np.maximum.accumulate(beyond[::-1])[::-1]
    return share


def _suggested(L: Floats, y: Codes) -> Codes:
    """Return the most likely class other than the given one."""
    others = L.copy()
    others[np.arange(len(y)), y] = -np.inf
    return np.asarray(others.argmax(axis=1), dtype=np.int64)


def _rank_within(order: Codes, y: Codes) -> Codes:
    """Return the rank (n,) of each row among the rows of its label, from 1."""
    labels = y[order]
    by_label = np.argsort(labels, kind="stable")
    start = np.searchsorted(labels[by_label], labels[by_label], side="left")
    rank = np.empty(len(y), dtype=np.int64)
    rank[order[by_label]] = np.arange(len(y)) - start + 1
    return rank
