"""Average marginal effects of the columns on the probabilities, and how they depend on the parameters.

Of a number, the effect is the mean derivative of the probability. Of a column of zeros and ones, and of a level of a
category, a derivative describes no change that a row could have: the effect is the mean difference of the probabilities
between two values of the column (a discrete change). Greene, Econometric Analysis (2012), section 17.3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models.likelihood.likelihood import Likelihood, RowsAt
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums

PER_UNIT = "per unit"
"""What a derivative is the effect of."""
REFERENCE = "the reference"
"""What the level of a category is called that its other levels are compared with."""
TOGETHER = 4_000_000
"""Derivatives of the effects that are summed in one pass over the rows."""
ROWS = 1 << 16
"""Rows of a dense array that are looked at together for columns of zeros and ones."""


@dataclass(frozen=True)
class Change:
    """What a discrete effect is the effect of: some columns have the values `after` rather than `before` in every row.

    Both are values of X by place of the column, of the same columns; `words` tells the change, as "1 rather than 0".
    """

    before: Mapping[int, float]
    after: Mapping[int, float]
    words: str = "1 rather than 0"


def zero_one_columns(X: Any) -> NDArray[np.intp]:
    """Return the places of the columns of X (n, d), dense or CSR, that hold zeros and ones, and both of them.

    Returns
    -------
    ndarray of intp
        The places of the columns of X (n, d), dense or CSR, that hold zeros and ones, and both of them.

    Examples
    --------
    >>> zero_one_columns(np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 2.0]]))
    array([0])
    """
    n, d = X.shape
    if sp.issparse(X):
        kept = X.data != 0
        count = np.bincount(X.indices[kept], minlength=d)
        other = np.bincount(X.indices[kept & (X.data != 1)], minlength=d) > 0
        return np.flatnonzero(~other & (count > 0) & (count < n))
    fits, ones = np.ones(d, dtype=bool), np.zeros(d, dtype=np.int64)
    for a in range(0, n, ROWS):
        part = X[a : a + ROWS]
        is_one = part == 1
        fits &= (is_one | (part == 0)).all(axis=0)
        ones += is_one.sum(axis=0)
    return np.flatnonzero(fits & (ones > 0) & (ones < n))


def find_changes(X: Any, categories: Sequence[Sequence[int]] = ()) -> dict[int, Change]:
    """Return the discrete change of each column of X that has one, by its place.

    Each of `categories` holds the places of columns of zeros and ones of which a row has at most a single one: the
    levels of a category. A level is compared with the state in which a row has none of them, or, where every row has
    one, with the most frequent level, whose own effect is then 0.

    Returns
    -------
    dict[int, Change]
        The discrete change of each column of X that has one, by its place.
    """
    found = {int(j): Change({int(j): 0.0}, {int(j): 1.0}) for j in zero_one_columns(X)}
    for places in categories:
        _check_category(X, places)
        count = np.asarray(X[:, list(places)].sum(axis=0)).ravel()
        full = round(float(count.sum())) == X.shape[0]
        base = places[int(count.argmax())] if full else None
        before = {k: float(k == base) for k in places}
        for j in places:
            words = REFERENCE if j == base else "1 rather than 0, other levels 0"
            found[j] = Change(before, {k: float(k == j) for k in places}, words)
    return found


def _check_category(X: Any, places: Sequence[int]) -> None:
    """Raise `ValueError` where these columns of X are not those of one category, naming a row."""
    part = X[:, list(places)]
    part = part.toarray() if sp.issparse(part) else np.asarray(part)
    odd = ~((part == 0) | (part == 1)).all(axis=1) | (part.sum(axis=1) > 1)
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(
            f"the columns of a category hold 1 for the level of a row and 0 for the others, but row {row} has "
            f"{', '.join(f'{value:g}' for value in part[row][:10])} in them; give each of `categories` its own columns."
        )


def effects(likelihood: Likelihood, theta: Array, changes: Mapping[int, Change]) -> tuple[Array, Array]:
    """Return the effect of each column (q, d), and its derivatives (q, d, q, d + 1) by the parameters.

    Of a column with a change, the mean difference of the probabilities; of the others, the mean derivative. Effects are
    by the user's columns, derivatives by the solver's parameters.

    Returns
    -------
    tuple[ndarray, ndarray]
        The effect of each column (q, d), and its derivatives (q, d, q, d + 1) by the parameters.
    """
    estimate, J = slopes(likelihood, theta)
    places, q, size = list(changes), likelihood.q, likelihood.d + 1
    step = max(1, TOGETHER // (q * q * size))
    for a in range(0, len(places), step):
        some = places[a : a + step]
        found = _differences(likelihood, theta, [changes[j] for j in some])
        estimate[:, some], J[:, some] = found[0].T, found[1].transpose(1, 0, 2, 3)
    return estimate, J


@dataclass(frozen=True, slots=True, eq=False)
class DifferenceSums:
    """The sum of `p_k(after) - p_k(before)`, (c, q), and its derivatives (c, q, q, d + 1).

    `ends` holds of each change the places of its columns, and their values before and after.
    """

    at: RowsAt
    ends: tuple[tuple[Array, Array, Array], ...]

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        theta, (q, size) = self.at.theta, self.at.theta.shape
        total, J = np.zeros((len(self.ends), q)), np.zeros((len(self.ends), q, q, size))
        for _, Z, _, V in self.at.runs(block):
            o = theta @ Z
            for i, (places, *values) in enumerate(self.ends):
                P0, P1 = (_moved(o, theta, Z, places, one) for one in values)
                w0, w1 = (P if V is None else P * V for P in (P0, P1))
                total[i] += (w1 - w0).sum(axis=1)
                for k in range(q):  # one class at a time: q^2 numbers a row would not fit for many
                    S0, S1 = -w0[k] * P0, -w1[k] * P1
                    S0[k] += w0[k]
                    S1[k] += w1[k]
                    own = (S1 - S0) @ Z.T
                    own[:, places] = np.multiply.outer(S1.sum(axis=1), values[1])
                    own[:, places] -= np.multiply.outer(S0.sum(axis=1), values[0])
                    J[i, k] += own
        return total, J


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityMoments:
    """Sums of `p_k z`, `p_k p_c z` and `p_k p_c p_l z`, stacked to (q + q^2 + q^3, d + 1)."""

    at: RowsAt

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        q, size = self.at.theta.shape
        sums = np.zeros((q + q * q + q**3, size))
        for _, Z, P, V in self.at.runs(block):
            weighted = P if V is None else P * V
            sums[:q] += weighted @ Z.T
            for k in range(q):  # one class at a time: q^3 numbers a row would not fit for many
                two = weighted[k] * P
                sums[q + q * k : q + q * k + q] += two @ Z.T
                at = q + q * q + q * q * k
                sums[at : at + q * q] += (two[:, None] * P).reshape(q * q, -1) @ Z.T
        return (sums,)


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityProducts:
    """Sums of `p_k` (q,) and `p_k p_c` (q, q)."""

    at: RowsAt

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        q = len(self.at.theta)
        p, pp = np.zeros(q), np.zeros((q, q))
        for _, _, P, V in self.at.runs(block):
            weighted = P if V is None else P * V
            p, pp = p + weighted.sum(axis=1), pp + weighted @ P.T
        return p, pp


def _differences(likelihood: Likelihood, theta: Array, changes: Sequence[Change]) -> tuple[Array, Array]:
    """Return the mean over the rows of `p_k(after) - p_k(before)`, (c, q), and its derivatives (c, q, q, d + 1).

    `dp_k / dtheta_cm = p_k (delta_kc - p_c) z_m`, at either value of the columns that change.

    Returns
    -------
    tuple[ndarray, ndarray]
        The mean over the rows of `p_k(after) - p_k(before)`, (c, q), and its derivatives (c, q, q, d + 1).
    """
    ends = [_ends(likelihood, change) for change in changes]

    total, J = likelihood.objective.rows.sum(DifferenceSums(likelihood.at(theta), tuple(ends)))
    return total / likelihood.mass, J / likelihood.mass


def _ends(likelihood: Likelihood, change: Change) -> tuple[Array, Array, Array]:
    """Return the places of the columns that change, and their values before and after in the solver's coordinates."""
    places = np.array(list(change.after))
    scale, shift = likelihood.coordinates.scale[places], likelihood.coordinates.shift[places]
    before, after = ((np.array([one[j] for j in places]) - shift) / scale for one in (change.before, change.after))
    return places, before, after


def _moved(o: Array, theta: Array, Z: Array, places: Array, values: Array) -> Array:
    """Return the probabilities (q, b) of rows Z (d + 1, b) with logits o, where some columns have these values."""
    moved = o + theta[:, places] @ (values[:, None] - Z[places])
    return np.asarray(loss.probabilities(moved[None])[0][0])


def slopes(likelihood: Likelihood, theta: Array) -> tuple[Array, Array]:
    """Return the mean of `dp_k / dx_j` over the rows, (q, d), and its derivatives (q, d, q, d + 1)."""
    q, d, W = likelihood.q, likelihood.d, theta[:, :-1]
    one, two, three = _moments(likelihood, theta)
    p, pp = one[:, -1], two[..., -1]  # without z: sums of p_k and of p_k p_c
    if not likelihood.bias:
        p, pp = _plain(likelihood, theta)
    estimate = p[:, None] * W - pp @ W
    # E_kjm = sum p_k D_kj z_m and F_kcjm = sum p_k p_c D_kj z_m
    E = W[:, :, None] * one[:, None] - np.einsum("klm,lj->kjm", two, W)
    F = W[:, None, :, None] * two[:, :, None] - np.einsum("kclm,lj->kcjm", three, W, optimize=True)
    J = -(F + F.transpose(1, 0, 2, 3)).transpose(0, 2, 1, 3)  # (k, j, c, m)
    k, j = np.arange(q), np.arange(d)
    J[k, :, k] += E
    J[:, j, :, j] += np.diag(p) - pp
    scale = likelihood.coordinates.scale
    return estimate / scale, J / scale[:, None, None]


def _moments(likelihood: Likelihood, theta: Array) -> tuple[Array, Array, Array]:
    """Means over the rows of `p_k z` (q, d + 1), `p_k p_c z` (q, q, d + 1) and `p_k p_c p_l z` (q, q, q, d + 1)."""
    q, size = likelihood.q, likelihood.d + 1

    sums = likelihood.objective.rows.sum(ProbabilityMoments(likelihood.at(theta)))[0] / likelihood.mass
    one, two, three = np.split(sums, [q, q + q * q])
    return one, two.reshape(q, q, size), three.reshape(q, q, q, size)


def _plain(likelihood: Likelihood, theta: Array) -> tuple[Array, Array]:
    """Means of `p_k` and `p_k p_c` where there is no bias whose column of ones would give them."""

    p, pp = likelihood.objective.rows.sum(ProbabilityProducts(likelihood.at(theta)))
    return p / likelihood.mass, pp / likelihood.mass
