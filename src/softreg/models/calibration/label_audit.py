"""Which labels may be wrong: rows whose label is improbable to models that did not learn from it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from softreg.deprecated import DeprecatedAttributes
from softreg.models.calibration.calibrator import labelled, paired_gain
from softreg.models.calibration.temperature import Codes, Floats, folds, log_probabilities
from softreg.models.estimators.regression import SoftmaxRegression

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CLASSES = 30
"""Above this many classes the second opinion would have too many products of logits."""
ROWS_A_FEATURE = 10
"""Rows for each feature of the second opinion, at least."""
FOLDS = 5
CAUTION = 3.0
"""Standard errors by which the second opinion must have the lower log loss."""


LEAST_EVIDENCE = math.log(0.01)
"""Log-odds below which a label has the suspicion 0."""
SURE = 0.999
"""The quantile of what chance alone leads to; only labels beyond it raise suspicion."""
ENTRIES = 1 << 22
"""Numbers of a block of rows by classes."""


@dataclass(frozen=True, eq=False)
class LabelAudit(DeprecatedAttributes):
    """What speaks against each of n labels; made by `label_audit`.

    `suspicion` (n,) is a score from 0 to 1 and falls along `order`, the rows with the most suspicious first (ties, and
    rows beyond 1, by the odds behind it). It is 0 where no more labels contradict the probabilities than the
    probabilities themselves expect. It is near the probability of a wrong label only where the classes are nearly
    separable. `suggested` (n,) is the code of the class that would fit best. `surprisal` (n,) in nats and `margin`
    (n,), the largest other probability minus the given one's, are those of the probabilities as they came; `rank` (n,)
    is the place among the rows of the same label, 1 for the most suspicious. `noise` (q, q) estimates how many rows of
    class j (row) carry the label k (column), hard cases among them, and those that chance explains. `by_chance` is the
    sum of the suspicion that was taken away because chance explains it: so many labels look wrong, but cannot be told
    apart from the uncertainty that the probabilities state. `second_opinion` says whether a model on top of the
    probabilities was used.
    """

    classes: NDArray[Any]
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
        """The sum of `suspicion`: about how many labels are wrong beyond what chance explains.

        It is 0, up to a few rows, where labels are draws from the probabilities. Wrong labels that a model has learned
        to expect (its probabilities give them their share) cannot be counted from probabilities alone.

        Returns
        -------
        float
            The sum of `suspicion`: about how many labels are wrong beyond what chance explains.
        """
        return float(self.suspicion.sum())

    def __repr__(self) -> str:
        """Return the counts of rows, suspicious rows and expected chance findings, and the first rows to check."""
        some = int((self.suspicion > 0).sum())
        first = ", ".join(str(row) for row in self.order[: min(some, 5)])
        return (
            f"LabelAudit(rows={len(self.given)}, suspicious={some}, expected_wrong={self.expected_wrong:.4g}, "
            f"by_chance={self.by_chance:.4g}, order=[{first}{', ' if first else ''}...])"
        )

    def frame(self, most: int | None = None) -> pa.Table:
        """Return the rows as a table, most suspicious first.

        `most` rows, all unless given. `row` counts from 0. `frame().to_pandas()` gives a pandas frame.

        Returns
        -------
        pa.Table
            The rows as a table, the most suspicious first.
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
    """Find labels that may be wrong, from probabilities that the row's own label has not shaped (out of fold).

    1. **A second opinion.** Where it lowers the log loss, a softmax regression on the probabilities, their logarithms
       and the products of these, itself out of fold, takes the place of P: it knows which doubts of the first model are
       usual ("4 or 9, hard to say") and which are not.
    2. **Noise between pairs.** Half of the rows that are j have log-odds of j against k above their median m_jk. Rows
       labelled k that look as much like j are half of the wrong labels:
       `noise_jk = 2 #{i : y_i = k, argmax P_i = j, log P_ij / P_ik >= m_jk}`. The rates T_jk = noise_jk / n_j are drawn
       towards their mean as far as they scatter no more than counts do.
    3. **The odds.** For the label k, `odds = sum_{j != k} T_jk P_ij / P_ik`: the share of this label's probability that
       comes from rows of other classes. They order the rows.
    4. **Chance.** Where classes overlap, some labels are improbable though none is wrong. With N labels of odds as high
       as a row's or higher, and C the mean of N if labels were drawn from P (the sum of P_ik over all such i, k), the
       suspicion is at most `1 - u / N`, u the 99.9% quantile of a Poisson count of mean C; below that it is the odds.

    Parameters
    ----------
    P : array_like
        (n, q), out of fold.
    y : Any
        (n,), hard labels.
    classes : Any, optional
        Names of the columns of P, as in `Calibrator.fit`.
    seed : int, default 0
        The folds of the second opinion.

    Returns
    -------
    LabelAudit
        Labels that may be wrong, from probabilities that the row's own label has not shaped (out of fold).

    Raises
    ------
    ValueError
        For rows that are no distributions and labels that are no classes.

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
    >>> y[[3, 700]] = ["up", "down"]  # two labels go wrong
    >>> P = np.column_stack([1 / (1 + np.exp(8 * x)), 1 / (1 + np.exp(-8 * x))])
    >>> found = label_audit(P, y)
    >>> sorted(found.order[:2].tolist()), found.suggested[[3, 700]].tolist(), bool(found.suspicion[3] > 0.4)
    ([3, 700], [0, 1], True)
    """
    P, known, given = labelled(P, y, classes)
    at = np.arange(len(given))
    L, _ = log_probabilities(P)
    better = _second_opinion(L, given, seed) if second_opinion else None
    Q = np.log(better) if better is not None else L
    noise = _pair_noise(Q, given)
    T = _rates(noise, given)
    evidence = _log_odds(Q, given, T)
    order = np.argsort(-evidence, kind="stable")
    share = _beyond_chance(P, Q, evidence, T)
    if better is not None:  # the probabilities as they came may show labels that the better ones have learned
        own = _rates(_pair_noise(L, given), given)
        share = np.maximum(share, _beyond_chance(P, L, _log_odds(L, given, own), own))
    odds = np.exp(np.minimum(evidence, 0.0))
    suspicion = np.empty(len(given))
    suspicion[order] = np.maximum.accumulate(np.minimum(odds, share)[order][::-1])[::-1]
    others = P.copy()
    others[at, given] = -np.inf
    with np.errstate(divide="ignore"):
        surprisal = 0.0 - np.log(P[at, given])
    return LabelAudit(
        classes=known.labels,
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


def _second_opinion(L: Floats, y: Codes, seed: int) -> Floats | None:
    """Probabilities by a model of log-probabilities and their products, out of fold; None where it is no better."""
    n, q = L.shape
    if q > MOST_CLASSES or n < ROWS_A_FEATURE * q * (q + 3) / 2 or len(np.unique(y)) < 2:
        return None
    fold, F = folds(y, FOLDS, seed), _products(L)
    after = np.empty_like(L)
    for k in range(FOLDS):
        rest, inside = fold != k, fold == k
        if len(np.unique(y[rest])) < q:  # a class so rare that a fold lacks it
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = SoftmaxRegression(max(1e-4, 1 / n), tol=1e-4).fit(F[rest], y[rest])
        after[inside] = model.predict_log_proba(F[inside])
    at = np.arange(n)
    gain, error = paired_gain(-L[at, y], -after[at, y])
    return np.exp(np.maximum(after, -700.0)) if gain > CAUTION * error else None


def _products(L: Floats) -> Floats:
    """Standardised log-probabilities, centred in each row, and the products of every two of them."""
    o = L - L.mean(axis=1, keepdims=True)
    a, b = np.triu_indices(o.shape[1])
    F = np.hstack([o, o[:, a] * o[:, b], np.exp(L)])
    F -= F.mean(axis=0)
    spread = F.std(axis=0)
    return np.asarray(np.divide(F, spread, out=F, where=spread > 0))


def _pair_noise(L: Floats, y: Codes) -> Floats:
    """Return how many rows of class j (row) carry the label k (column): twice those beyond the median of j's."""
    q = L.shape[1]
    top = L.argmax(axis=1)
    noise = np.zeros((q, q))
    for j in range(q):
        own, like = y == j, top == j
        if not own.any():
            continue
        odds = np.where(like[:, None], L[:, j : j + 1] - L, -np.inf)
        middle = np.median(odds[own], axis=0)
        beyond = (odds >= middle) & np.isfinite(middle)
        share = beyond[own].mean(axis=0)  # a half, or more where many are equal
        for k in np.unique(y[like]):
            if k != j and share[k] > 0:
                noise[j, k] = beyond[y == k, k].sum() / share[k]
    return noise


def _rates(noise: Floats, y: Codes) -> Floats:
    """T (q, q): the rate at which rows of class j carry the label k, drawn towards the mean where counts are few."""
    q = len(noise)
    off = ~np.eye(q, dtype=bool)
    mean = max(float(noise[off].mean()), 1.0 / (q * (q - 1)))  # not nothing: some label is wrong somewhere
    # Counts of mean m, doubled, vary by 2 m; what the entries vary beyond that is their own.
    own = max(float(noise[off].var()) - 2 * mean, 0.0)
    share = own / (own + 2 * mean)
    count = np.maximum(np.bincount(y, minlength=q), 1)
    return np.asarray(np.where(off, share * noise + (1 - share) * mean, 0.0) / count[:, None])


def _log_odds(L: Floats, y: Codes, T: Floats) -> Floats:
    """log of `sum_{j != k} T_jk P_ij / P_ik` for the given label k of each row (n,)."""
    weighted = np.einsum("nj,jn->n", np.exp(L), T[:, y])
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weighted) - L[np.arange(len(y)), y])


def _beyond_chance(P: Floats, L: Floats, evidence: Floats, T: Floats) -> Floats:
    """Of the labels with evidence (n,) as high as a row's, the share that draws of labels from P do not explain."""
    from scipy.special import pdtrik  # here, so that `from softreg import SoftmaxRegression` stays light

    size, height, mass = max(1, ENTRIES // P.shape[1]), [], []
    for first in range(0, len(P), size):
        part = L[first : first + size]
        with np.errstate(divide="ignore"):
            every = np.log(np.exp(part) @ T) - part  # the evidence against each label that the row might have had
        high = every >= LEAST_EVIDENCE
        height.append(every[high])
        mass.append(P[first : first + size][high])
    level, weight = np.concatenate(height), np.concatenate(mass)
    down = np.argsort(-level, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[down])])
    order = np.argsort(-evidence, kind="stable")
    seen = evidence[order]
    near = 1e-9 * np.maximum(1.0, np.abs(seen))  # equal up to rounding
    chance = total[np.searchsorted(-level[down], -(seen - near), side="right")]
    count = np.searchsorted(-seen, -(seen - near), side="right")
    most = np.ceil(np.where(chance > 0, pdtrik(SURE, np.maximum(chance, 1e-300)), 0.0))
    beyond = np.where(seen >= LEAST_EVIDENCE, np.maximum(0.0, 1 - np.maximum(most, 0.0) / count), 0.0)
    share = np.empty(len(seen))
    share[order] = np.maximum.accumulate(beyond[::-1])[::-1]
    return share


def _suggested(L: Floats, y: Codes) -> Codes:
    """Return the most likely class other than the given one."""
    others = L.copy()
    others[np.arange(len(y)), y] = -np.inf
    return np.asarray(others.argmax(axis=1), dtype=np.int64)


def _rank_within(order: Codes, y: Codes) -> Codes:
    """Return the place (n,) of each row among the rows of its label, from 1."""
    labels = y[order]
    by_label = np.argsort(labels, kind="stable")
    start = np.searchsorted(labels[by_label], labels[by_label], side="left")
    rank = np.empty(len(y), dtype=np.int64)
    rank[order[by_label]] = np.arange(len(y)) - start + 1
    return rank
