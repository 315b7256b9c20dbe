"""Dual coordinate ascent for many classes: its start and its sweeps.

The method is that of `optimize/dual`. The logarithms of the dual probabilities are rounded to multiples of 1 / 2048,
which changes the dual objective by about 1e-8 nats and takes half the memory of float32.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from softreg.optimize.cost.meter import current_meter
from softreg.optimize.dual.acceleration import Momentum, inner_product, row_runs
from softreg.optimize.dual.dual_iterate import (
    BIAS_COLUMN_SHARE,
    LOG10_SHARES_OF_RATES,
    MAX_PLAIN_CURVATURE,
    SMALL_SHARE,
    SMALL_SHARE_PERIOD,
    SWEEPS_PER_MOVE,
    best_share_of_prediction,
    mixed_log_alpha,
)
from softreg.optimize.many_classes.class_rows import ClassRows, dual_order
from softreg.rows.kernels.class_slabs import (
    NO_CLASS,
    SLAB,
    WideDual,
    decoded,
    encoded,
    slab_softmax,
    slab_times,
    slabs_of,
    wide_alpha,
    wide_dual_steps,
)
from softreg.typing import Array, Float64Array, FloatArray

NEVER = -1e30
"""Bias of the classes behind the last one."""
ROWS_PER_RUN = 8
"""Neighbouring rows that are visited one after another."""
START_ROWS = 500
"""Rows from which the best share of a start is computed."""


@dataclass
class CodedIterate:
    """The dual variables of one model, and the estimated gap after each sweep."""

    rows: ClassRows
    strength: float
    dual: WideDual
    momentum: Momentum | None
    random: np.random.Generator
    gaps: list[float] = field(default_factory=list)
    visits: int = 0
    """Steps of single rows so far."""

    @property
    def bias(self) -> Float64Array:
        """The bias (width,); `NEVER` behind the last class."""
        return np.asarray(self.dual.bias + self.dual.bias_scale * self.dual.bias_weights, dtype=np.float64)

    def sweep(self) -> float:
        """Take a step for each row with a large part of the gap and for some of the others; return the gap."""
        rows, dual, sweeps = self.rows, self.dual, len(self.gaps)
        visited = np.arange(rows.n) if rows.weights is None else np.flatnonzero(rows.weights)
        moves = self.momentum is not None and sweeps > 0 and sweeps % SWEEPS_PER_MOVE == 0
        if self.momentum is not None and moves:
            self.momentum.move_anchor(dual.W)
        if sweeps > 1:
            parts = dual.divergence[visited] * (1 if rows.weights is None else rows.weights[visited])
            due = visited % SMALL_SHARE_PERIOD == sweeps % SMALL_SHARE_PERIOD
            visited = visited[(parts >= SMALL_SHARE * parts.mean()) | due]
        self.visits += len(visited)
        order = dual_order(visited, ROWS_PER_RUN, self.random)
        share = len(visited) / max(1, rows.n)
        with current_meter().passes(
            share * rows.stored_bytes, share * rows.product_operations * 2, np.dtype(np.float32)
        ):
            wide_dual_steps(rows.csr, order, dual)
        dual.bias[: rows.q] += dual.bias_scale * dual.bias_weights[: rows.q]
        anchor_gap = 0.0
        if self.momentum is not None:
            if not moves:  # just after a move, it is about what it was before
                self.momentum.measure(dual.W)
            anchor_gap = self.momentum.gap
        total = dual.divergence @ rows.row_weights
        self.gaps.append(float(total) / rows.mass + anchor_gap)
        return self.gaps[-1]

    def take_weights(self) -> tuple[FloatArray, Float64Array]:
        """Return weights (d, q) and bias (q,), and free the dual probabilities, which are larger."""
        bias = self.bias[: self.rows.q]
        self.dual = replace(self.dual, codes=self.dual.codes[:0].copy())
        return self.dual.W[:, : self.rows.q], bias


def initial_codes(
    rows: ClassRows,
    strength: float,
    squares: FloatArray,
    fit_intercept: bool,
    seed: int,
    start: tuple[FloatArray, FloatArray] | None = None,
) -> CodedIterate:
    """Return the iterate before its first sweep.

    Parameters
    ----------
    rows : ClassRows
        Each class has a positive weight.
    strength : float
    squares : ndarray of shape (n,)
        `||x||^2` of each row.
    fit_intercept : bool
    seed : int
    start : tuple of ndarray, optional
        Weights (d, q) and bias (q,); without them the start is on the segment from the labels to the class rates.

    Returns
    -------
    CodedIterate
    """
    v = rows.row_weights
    mean_square, mean_weight = float(squares @ v) / rows.mass, rows.mass / np.count_nonzero(v)
    kappa = max(0.0, mean_weight * mean_square / (rows.mass * MAX_PLAIN_CURVATURE) - strength)
    rate = 1 / (rows.mass * (strength + kappa))
    scale = float(np.sqrt(BIAS_COLUMN_SHARE * mean_square)) if fit_intercept else 0.0
    W, codes = np.zeros((rows.d, rows.width), np.float32), np.full((rows.n, rows.width), NO_CLASS, np.uint16)
    bias, mismatch = np.full(rows.width, NEVER), np.zeros(rows.width)
    if start is None:
        mismatch[: rows.q] = _start_from_rates(rows, strength, 1 / (rows.mass * strength), W, codes)  # W is the anchor
        bias[: rows.q] = np.log(rows.class_mass / rows.mass) if fit_intercept else 0.0
    else:
        mismatch[: rows.q] = _start_from_weights(rows, strength, kappa, start, W, codes)
        bias[: rows.q] = start[1]
        bias[: rows.q] -= scale * scale * rate * mismatch[: rows.q]
    dual = WideDual(
        W=W,
        bias=bias.astype(np.float32),
        bias_weights=(scale * rate * mismatch).astype(np.float32),
        codes=codes,
        curvature=(rate * (squares + scale**2)).astype(np.float32),
        weights=None if rows.weights is None else rows.weights.astype(np.float32),
        divergence=np.zeros(rows.n, np.float32),
        bias_scale=scale,
        rate=rate,
    )
    momentum = None
    if kappa > 0:
        anchor = W.copy()
        if start is not None:
            anchor[:, : rows.q] = start[0]
        momentum = Momentum(strength, kappa, W, anchor, np.empty_like(W))
    return CodedIterate(rows, strength, dual, momentum, np.random.default_rng(seed))


def _start_from_rates(rows: ClassRows, strength: float, rate: float, W: FloatArray, codes: Array) -> Float64Array:
    """Write codes and weights of probabilities between labels and class rates, at the largest dual objective.

    Returns
    -------
    ndarray of shape (q,)
        `sum_i v_i (Y_i - alpha_i)`.
    """
    q, prior = rows.q, rows.class_mass / rows.mass
    _write_residual_sums(rows, prior, np.zeros(q), W)
    share = _best_share(prior, inner_product(W, W) / (rows.mass**2 * strength))
    others, label = encoded(np.log(share * prior)), encoded(np.log(share * prior + 1 - share))
    if rows.labels.ndim == 2:
        for run in rows.runs():
            codes[run, :q] = encoded(np.log(share * prior + (1 - share) * rows.labels[run]))
        return _weights_of_codes(rows, rate, codes, W)
    codes[:, :q] = others
    codes[np.arange(rows.n), rows.labels] = label[rows.labels]
    rounded = np.exp(decoded(others).astype(np.float64))
    of_label = np.exp(decoded(label).astype(np.float64)) - rounded
    _write_residual_sums(rows, rounded, of_label, W)
    W *= np.float32(rate)
    return np.asarray(rows.class_mass * (1 - of_label) - rows.mass * rounded)


def _write_residual_sums(rows: ClassRows, alpha: Float64Array, of_label: Float64Array, W: FloatArray) -> None:
    """Write `sum_i v_i x_i (Y_i - alpha_i)^T` to W, where alpha_i is `alpha`, and `of_label` more for the label."""
    for group in rows.groups():
        stop = min(group.stop, rows.q)
        sums = rows.class_sums(group.start, group.stop)
        few = slice(group.start, stop)
        sums[:, : stop - group.start] *= 1 - of_label[few]
        sums[:, : stop - group.start] -= np.outer(rows.column_sums, alpha[few])
        W[:, group] = sums


def _weights_of_codes(rows: ClassRows, rate: float, codes: Array, W: FloatArray) -> Float64Array:
    """Write `rate sum_i v_i x_i (Y_i - alpha_i)^T` to W for the dual probabilities of the codes.

    Returns
    -------
    ndarray of shape (q,)
        `sum_i v_i (Y_i - alpha_i)`.
    """
    W[:] = 0
    sums, class_sums = np.zeros(rows.width), slabs_of(W)
    for run in rows.runs():
        size = run.stop - run.start
        Z = np.empty((rows.width // SLAB, size, SLAB), np.float32)
        wide_alpha(codes[run], None, Z, np.ones(size), known=True)
        v = rows.weights_of(run)
        if v is not None:
            Z *= v.astype(np.float32)[None, :, None]
        sums += np.concatenate([of_slab.sum(axis=0, dtype=np.float64) for of_slab in Z])
        rows.add_products(run, Z, class_sums)
    for group in rows.groups():
        W[:, group] = (rows.class_sums(group.start, group.stop) - W[:, group]) * rate
    return np.asarray(rows.class_mass - sums[: rows.q])


def _best_share(prior: Float64Array, square: float) -> float:
    """Return the share s that maximizes the mean of `H((1 - s) Y + s prior) - s^2 square / 2`, for class labels.

    The entropy of a row of class k is that of `s prior`, with `s prior_k + 1 - s` in place of its k-th term.

    Returns
    -------
    float
    """
    best = (-np.inf, 1.0)
    for s in 10.0**LOG10_SHARES_OF_RATES:
        terms = -s * prior * np.log(s * prior)
        label = s * prior + 1 - s
        entropy = terms.sum() + prior @ (-label * np.log(label) - terms)
        best = max(best, (float(entropy) - s * s * square / 2, float(s)))
    return best[1]


def _start_from_weights(
    rows: ClassRows, strength: float, kappa: float, start: tuple[FloatArray, FloatArray], W: FloatArray, codes: Array
) -> Float64Array:
    """Write codes and weights of predicted probabilities mixed with the labels, at the largest dual objective.

    Returns
    -------
    ndarray of shape (q,)
        `sum_i v_i (Y_i - alpha_i)`.
    """
    q, V, b = rows.q, np.zeros_like(W), np.full(rows.width, NEVER, np.float32)
    V[:, :q], b[:q] = start[0], start[1]
    list(rows.for_runs(lambda run: _predict_codes(rows, run, V, b, codes)))
    rate = 1 / (rows.mass * (strength + kappa))
    _weights_of_codes(rows, rate, codes, W)
    linear = kappa / ((strength + kappa) * rows.mass) * inner_product(W, V) / rate if kappa > 0 else 0.0
    some = np.arange(0, rows.n, max(1, rows.n // START_ROWS))
    v = None if rows.weights is None else rows.weights[some]
    square = inner_product(W, W) * (strength + kappa)
    share = best_share_of_prediction(decoded(codes[some, :q]), rows.labels[some], v, linear, square)
    for run in rows.runs():
        mixed = mixed_log_alpha(decoded(codes[run, :q]), rows.labels[run], share)
        codes[run, :q] = encoded(np.minimum(mixed, 0))
    mismatch = _weights_of_codes(rows, rate, codes, W)
    for part in row_runs(W) if kappa > 0 else ():
        W[part] += np.float32(kappa / (strength + kappa)) * V[part]
    return mismatch


def _predict_codes(rows: ClassRows, run: slice, V: FloatArray, b: FloatArray, codes: Array) -> None:
    """Write the codes of the probabilities that weights predict for a run of rows."""
    size = run.stop - run.start
    Z = np.empty((rows.width // SLAB, size, SLAB), np.float32)
    slab_times(rows.csr.some(run.start, run.stop), slabs_of(V), Z, bias=b.reshape(-1, SLAB))
    slab_softmax(Z, 0, rows.q, None, None, np.empty(size), np.empty(size))
    P = np.moveaxis(Z, 1, 0).reshape(size, -1)[:, : rows.q]
    codes[run, : rows.q] = encoded(np.log(np.maximum(P, np.finfo(np.float32).tiny)))
