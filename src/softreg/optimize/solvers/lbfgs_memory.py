"""Correction pairs of L-BFGS for a stack of models, and the two-loop recursion.

References
----------
Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.linalg import TINY
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray

MEMORY = 10
"""Correction pairs that are kept."""
MAX_UNSPLIT_NUMBERS = 20_000
"""Numbers of a stack up to which they are scaled and added in one expression."""
MAX_STACKED_NUMBERS = 4_000
"""Numbers of a single model up to which its pairs are copied into two matrices for the recursion: some dozen calls of
NumPy in place of a hundred, 0.04 in place of 0.3 ms; beyond, the copies take as long as they save."""
MAX_PATH_BYTES = 64 << 20
"""Bytes of pairs beyond which they are not passed to the next fit of a path."""


def dot(a: FloatArray, b: FloatArray) -> Float64Array:
    """Return the inner product of each model's parameters, (m,), for any memory order."""
    if len(a) == 1 and a[0].strides == b[0].strides:  # one long product: BLAS is faster than einsum
        return np.array([np.vdot(a[0].ravel(order="K"), b[0].ravel(order="K"))])
    return np.asarray(np.einsum("mqd,mqd->m", a, b))


def add_scaled(r: FloatArray, factors: Float64Array, s: FloatArray) -> None:
    """Compute `r += factors * s` for each model in place, without temporary arrays where they are large."""
    if r.size < MAX_UNSPLIT_NUMBERS:
        r += factors[:, None, None] * s
        return
    for j, factor in enumerate(factors):
        target, source = r[j].ravel(order="K"), s[j].ravel(order="K")
        if r[j].strides == s[j].strides and np.shares_memory(target, r):
            sl.blas.daxpy(source, target, a=factor)
        else:
            r[j] += factor * s[j]


@dataclass(frozen=True)
class CorrectionPair:
    """A step of all models and the change of the gradient along it."""

    step: FloatArray
    """s (m, q, d + 1)."""
    change: FloatArray
    """y (m, q, d + 1)."""
    product: Float64Array
    """`s^T y` (m,); 0 for a model whose pair is not used."""

    @classmethod
    def of(cls, step: FloatArray, change: FloatArray) -> CorrectionPair:
        """Return the pair with its product."""
        return cls(step, change, dot(step, change))

    def keep(self, members: BoolArray) -> CorrectionPair:
        """Return the pair of some models of the stack."""
        return CorrectionPair(self.step[members], self.change[members], self.product[members])


class PairMemory:
    """The last `MEMORY` correction pairs."""

    def __init__(self) -> None:
        self.pairs: list[CorrectionPair] = []

    def add(self, step: FloatArray, change: FloatArray, min_cosine: float) -> None:
        """Add a pair; models whose step and change are nearly orthogonal (rounding, not curvature) do not use it."""
        sy = dot(step, change)
        used = sy > min_cosine * np.sqrt(dot(step, step) * dot(change, change))
        self.pairs.append(CorrectionPair(step, change, np.where(used, sy, 0.0)))
        del self.pairs[:-MEMORY]

    def clear(self) -> None:
        """Remove all pairs."""
        self.pairs.clear()

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self.pairs = [pair.keep(keep) for pair in self.pairs]


def two_loop_recursion(
    G: FloatArray, pairs: Sequence[CorrectionPair], inverse: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Return the L-BFGS inverse Hessian times G (m, q, d + 1).

    Parameters
    ----------
    G
        Gradients (m, q, d + 1).
    pairs
        Correction pairs, oldest first.
    inverse
        The initial approximation of the inverse Hessian, applied to gradients.

    Returns
    -------
    FloatArray
        Array of the shape of G.
    """
    pairs = [pair for pair in pairs if pair.product.any()]
    if len(G) == 1 and G.size <= MAX_STACKED_NUMBERS and _share_order(G, pairs):
        return _of_one_model(G, pairs, inverse)
    r, shares = np.array(G, order="K"), []
    for pair in reversed(pairs):
        share = _divide(dot(pair.step, r), pair.product)
        add_scaled(r, -share, pair.change)
        shares.append(share)
    r = inverse(r)
    for pair, share in zip(pairs, reversed(shares), strict=True):
        back = _divide(dot(pair.change, r), pair.product)
        add_scaled(r, share - back, pair.step)
    return r


def _share_order(G: FloatArray, pairs: Sequence[CorrectionPair]) -> bool:
    """Return True if the parameters of one model have the same memory order, without gaps, in all arrays."""
    strides = G[0].strides
    same = all(pair.step[0].strides == strides == pair.change[0].strides for pair in pairs)
    return same and (G[0].flags.c_contiguous or G[0].flags.f_contiguous)


def _of_one_model(
    G: FloatArray, pairs: Sequence[CorrectionPair], inverse: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Return the same for one model, with the steps S and changes Y as matrices (k, p).

    With R the upper triangle of `S Y^T`, oldest pair first, the shares of the first loop solve `R a = S g`, and the
    factors of the steps in the second loop `R^T f = diag(R) a - Y r`.

    Returns
    -------
    FloatArray
        Array of the shape of G.
    """
    if not pairs:
        return inverse(np.array(G, order="K"))
    S = np.array([pair.step[0].ravel(order="K") for pair in pairs])
    Y = np.array([pair.change[0].ravel(order="K") for pair in pairs])
    R = S @ Y.T
    shares = sl.lapack.dtrtrs(R, S @ G[0].ravel(order="K"))[0]
    r = np.array(G, order="K")
    r[0] -= _like(G, shares @ Y)
    r = inverse(r)
    images = Y @ r[0].ravel(order="C" if G[0].flags.c_contiguous else "F")
    r[0] += _like(G, sl.lapack.dtrtrs(R, R.diagonal() * shares - images, trans=1)[0] @ S)
    return r


def _like(G: FloatArray, numbers: FloatArray) -> FloatArray:
    """Return numbers (p,) in the memory order of the parameters of the only model in G, as (q, d + 1)."""
    return numbers.reshape(G.shape[1:], order="C" if G[0].flags.c_contiguous else "F")


def _divide(a: Float64Array, product: Float64Array) -> Float64Array:
    """Return `a / product` (m,), 0 for models that do not use the pair."""
    return np.divide(a, product, out=np.zeros_like(product), where=product > TINY)


@dataclass(frozen=True)
class LossPair:
    """A step and the change of the gradient of the loss alone, (m, q, d + 1) each; both 0 where there is no pair."""

    step: FloatArray
    change: FloatArray


class PathMemory:
    """Correction pairs of all models of a stack, finished ones among them, for the next fit of a path.

    The change of the gradient is stored without the ridge's share, `y - ridge s`, and the next fit adds its ridge's
    share: near the last optimum the curvature of the loss has hardly changed. (MNIST, 10 strengths: folds take 125
    iterations instead of 134.)
    """

    def __init__(self, ridge: Float64Array) -> None:
        self.ridge = ridge
        self.positions = np.arange(len(ridge))
        self.finished: list[tuple[IntArray, list[CorrectionPair]]] = []

    def initial_pairs(self, pairs: Sequence[LossPair]) -> list[CorrectionPair]:
        """Return the pairs of an earlier fit with this ridge's share; pairs of m models serve copies of these."""
        m = len(self.ridge)
        if not pairs or m % len(pairs[0].step):
            return []
        times = (m // len(pairs[0].step), 1, 1)
        tiled = [(np.tile(pair.step, times), np.tile(pair.change, times)) for pair in pairs]
        return [CorrectionPair.of(s, y + self.ridge * s) for s, y in tiled]

    def store(self, pairs: Sequence[CorrectionPair], which: BoolArray) -> None:
        """Store the pairs of members that are about to be dropped, marked in `which` (m,)."""
        self.finished.append((self.positions[which], [pair.keep(which) for pair in pairs]))

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self.positions = self.positions[keep]

    def loss_pairs(self) -> list[LossPair]:
        """Return the stored pairs of all models, oldest first, without the ridge's share; none where they are large."""
        m = len(self.ridge)
        steps = [pair.step for _, pairs in self.finished for pair in pairs if len(pair.step)]
        if not steps or not steps[0].size or 2 * MEMORY * steps[0][0].nbytes * m > MAX_PATH_BYTES:
            return []
        out = []
        for back in range(max(len(pairs) for _, pairs in self.finished), 0, -1):
            S, Y = np.zeros((2, m, *steps[0].shape[1:]))
            for positions, pairs in self.finished:
                if len(pairs) >= back:
                    pair = pairs[-back]
                    used = np.where(pair.product > 0, 1.0, 0.0)[:, None, None]
                    S[positions] = pair.step * used
                    Y[positions] = (pair.change - self.ridge[positions] * pair.step) * used
            out.append(LossPair(S, Y))
        self.finished.clear()
        return out
