"""The certificate of dual coordinate ascent for many classes: one or two passes over the dual probabilities.

For distributions Q_i with `sum_i v_i (Y_i - Q_i) = 0`, and weights W(Q) as in `optimize/dual/coordinate_ascent.py`,

    F(W, b) - minimum <= (1/N) sum_i v_i KL(Q_i || p_i) + strength / 2 ||W - W(Q)||^2,   p_i = softmax(x_i W + b).

The dual probabilities alpha_i do not quite meet the constraint. They are multiplied by a factor for each class, and
divided by their sum, until they nearly do; the rest is made up by mixing all rows with one distribution e,

    Q_i = (1 - s) alpha_i + s e,   e = (rates - (1 - s) mean alpha) / s,

with the least s at which e is a distribution. As KL is convex in Q_i, and with mean features c of the rows,

    mean KL(Q_i || p_i) <= (1 - s) mean KL(alpha_i || p_i) + s (mean log sum exp(o_i) - <e, c W + b> - H(e)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.dual.acceleration import inner_product
from softreg.optimize.many_classes.balancing import AndersonSteps, newton_step
from softreg.optimize.many_classes.class_rows import ClassRows
from softreg.optimize.many_classes.dual_codes import CodedIterate
from softreg.rows import in_order
from softreg.rows.kernels.class_slabs import SLAB, slab_times, slabs_of, wide_alpha
from softreg.typing import Float64Array, FloatArray

MAX_BALANCE_STEPS = 30
"""Largest number of multiplications by factors of the classes."""
PATIENCE = 2
"""Steps without progress after which rounding errors are taken to be all that is left."""
BALANCED_SHARE = 0.02
"""Part of the tolerance below which the share s is small enough."""


@dataclass(frozen=True)
class DualCertificate:
    """Objective and certified gap in nats, with the passes that they took."""

    value: float
    gap: float
    passes: int


@dataclass(frozen=True)
class BalancedAlpha:
    """The dual probabilities after the multiplications."""

    shift: FloatArray
    """Logarithm of the factor (width,) of each class."""
    total: Float64Array
    """Sum (n,) of each row after the multiplications."""
    means: Float64Array
    """Weighted mean (q,) of each class."""
    share: float
    """The share s of the mixture."""
    steps: int


def certify_codes(iterate: CodedIterate, tol: float, fit_intercept: bool) -> DualCertificate:
    """Certify the gap of one model at its dual probabilities.

    The factors that make the mean dual probabilities those of the labels are a step of the bias as well: where the dual
    probabilities are nearly the predictions, so are both after the step. The bias of the iterate takes it.

    Parameters
    ----------
    iterate : CodedIterate
    tol : float
        Nats.
    fit_intercept : bool

    Returns
    -------
    DualCertificate
    """
    rows, W = iterate.rows, iterate.dual.W
    balanced = _balance(iterate, tol) if fit_intercept else BalancedAlpha(
        np.zeros(rows.width, np.float32), np.empty(rows.n), np.zeros(rows.q), 0.0, 0
    )  # fmt: skip
    iterate.dual.bias[:] += balanced.shift
    b = iterate.bias
    divergence, mass = np.empty(rows.n), np.empty(rows.n)
    bias = b.astype(np.float32).reshape(-1, SLAB)

    def compare(run: slice) -> None:
        Z = np.empty((rows.width // SLAB, run.stop - run.start, SLAB), np.float32)
        slab_times(rows.csr.some(run.start, run.stop), slabs_of(W), Z, bias=bias)
        wide_alpha(
            iterate.dual.codes[run], balanced.shift, Z, balanced.total[run], divergence=divergence[run], mass=mass[run]
        )

    list(rows.for_runs(compare))
    v = rows.row_weights
    s, e = balanced.share, _mixture(rows, balanced)
    center = rows.column_sums / rows.mass
    label_logits, squares, distance = _weight_terms(iterate, balanced, e)
    cross_entropy = v @ mass / rows.mass - label_logits - b[: rows.q] @ (rows.class_mass / rows.mass)
    value = cross_entropy + iterate.strength / 2 * squares
    gap = (1 - s) * (v @ divergence) / rows.mass + iterate.strength / 2 * distance
    if s > 0:
        of_mixture = e @ (np.asarray(center.astype(W.dtype) @ W)[: rows.q] + b[: rows.q])
        entropy = -float(e @ np.log(np.where(e > 0, e, 1.0)))
        gap += s * (v @ mass / rows.mass - of_mixture - entropy)
    return DualCertificate(float(value), float(gap) if np.isfinite(gap) else np.inf, 2 + balanced.steps // 2)


def _balance(iterate: CodedIterate, tol: float) -> BalancedAlpha:
    """Return factors of the classes at which the mean dual probabilities are nearly the class rates."""
    rows, total, anderson = iterate.rows, np.empty(iterate.rows.n), AndersonSteps()
    shift, rates = np.zeros(rows.width), rows.class_mass / rows.mass

    def class_sums(run: slice) -> Float64Array:
        Z = np.empty((rows.width // SLAB, run.stop - run.start, SLAB), np.float32)
        wide_alpha(iterate.dual.codes[run], shift.astype(np.float32), Z, total[run])
        v = rows.weights_of(run)
        ones = np.ones(len(Z[0]), np.float32) if v is None else v.astype(np.float32)
        return np.array([np.concatenate([ones @ part for part in (Z, Z * Z)[power]]) for power in range(2)], float)

    best = BalancedAlpha(shift.astype(np.float32), total, rates, np.inf, 0)
    for step in range(1, MAX_BALANCE_STEPS + 1):
        sums, squares = np.sum(list(rows.for_runs(class_sums)), axis=0)[:, : rows.q] / rows.mass
        means = sums / sums.sum()
        share = float(np.max(1 - rates / np.maximum(means, TINY), initial=0.0))
        if share < best.share:
            best = BalancedAlpha(shift.astype(np.float32), total.copy(), means, share, step)
        if share <= BALANCED_SHARE * tol or step - best.steps >= PATIENCE:
            break
        shift[: rows.q] += anderson.next(newton_step(rates, means, sums - squares), shift[: rows.q].copy())
    return best


def _mixture(rows: ClassRows, balanced: BalancedAlpha) -> Float64Array:
    """Return the distribution e (q,) that the rows are mixed with; zeros where they need none."""
    if balanced.share == 0:
        return np.zeros(rows.q)
    e = np.maximum(rows.class_mass / rows.mass - (1 - balanced.share) * balanced.means, 0.0)
    return np.asarray(e / max(e.sum(), TINY))


def _weight_terms(iterate: CodedIterate, balanced: BalancedAlpha, e: Float64Array) -> tuple[float, float, float]:
    """Return `<W, mean of x Y^T>`, `||W||^2` and `||W - W(Q)||^2`, summed over groups of classes."""
    rows, s = iterate.rows, balanced.share
    whole_e = np.zeros(rows.width)
    whole_e[: rows.q] = e

    def of_group(group: slice) -> tuple[float, float, float]:
        W = iterate.dual.W[:, group]
        labelled = rows.class_sums(group.start, group.stop) / rows.mass
        predicted = np.zeros(W.shape, np.float32)
        for run in rows.runs():
            Z = np.empty((W.shape[1] // SLAB, run.stop - run.start, SLAB), np.float32)
            codes, shift = iterate.dual.codes[run, group], balanced.shift[group]
            wide_alpha(codes, shift, Z, balanced.total[run], known=True)
            v = rows.weights_of(run)
            if v is not None:
                Z *= v.astype(np.float32)[None, :, None]
            rows.add_products(run, Z, slabs_of(predicted))
        mean = (1 - s) * (predicted / rows.mass) + s * np.outer(rows.column_sums / rows.mass, whole_e[group])
        slack = W - (labelled - mean) / iterate.strength
        return float(np.vdot(W.astype(np.float64), labelled)), inner_product(W, W), inner_product(slack, slack)

    label_logits, squares, distance = np.sum(list(in_order(of_group, rows.groups())), axis=0)
    return float(label_logits), float(squares), float(distance)
