"""The thresholds that decide which method minimises an objective."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Thresholds of the rules in `optimize.plan.rules`.

    A parameter is a number that the solver determines for one model, (q - 1) x (d + 1) for q classes and d columns.

    Examples
    --------
    >>> from dataclasses import replace
    >>> replace(Limits(), newton_parameters=20).newton_parameters
    20
    """

    row_space_rows: int = 128
    """Rows up to which the QR factorisation costs less than it saves, for any number of classes. Measured whole and
    reduced: 50 x 500 with two classes 7.6 and 2.7 ms, 100 x 1,000 with ten 18 and 10 ms, 60 x 20,000 with two 76 and
    31 ms; but 200 x 2,000 with three 24 and 29 ms, 400 x 4,000 with ten 87 and 134 ms."""
    row_space_rows_per_class: int = 20
    """Rows per class and model up to which it does, from the same measurements."""
    row_space_most_rows: int = 2000
    """Rows above which the triangular factor, and the curvature of its order, cost more than they save."""
    row_space_columns_per_row: float = 1.5
    """Columns per row from which on the reduction makes the problem much smaller."""
    row_space_numbers: int = 1 << 22
    """Numbers n d of the float64 copy that is factored (32 MB)."""

    working_set_columns: int = 256
    """Columns from which on a fit with an l1 part uses working sets. Measured: 20,000 x 300 with 18 active columns
    takes 0.2 s either way, 20,000 x 1,000 takes 0.25 in place of 0.8 s."""

    newton_parameters: int = 125
    """Parameters up to which the exact Hessian costs less than the iterations that it saves. Measured: 2,000 x 60 with
    3 classes (122 parameters) 10 ms with Newton's method and 9 with L-BFGS; 20,000 x 20 with 8 (147) 133 and 27 ms."""
    newton_classes: int = 12
    """Classes above which the Hessian has too many blocks, one for each pair of contrasts."""
    newton_sampled_parameters: int = 500
    """Parameters up to which Newton's method is used where rows are many, with the Hessian of a sample. Measured:
    1,000,000 x 50 with five classes 0.30 in place of 0.42 s; at 1,000 parameters L-BFGS takes half the time."""
    newton_rows_per_parameter: int = 1000
    """Rows per parameter from which on the Hessian of a sample is exact enough for all rows."""
    nested_least_rows: int = 1000
    """Rows of the smallest of the nested samples from which Newton's method starts, at least."""
    nested_rows_per_parameter: int = 20
    """Rows per parameter of that sample, at least."""
    nested_least_ratio: int = 4
    """Nested samples are used from this multiple of the smallest sample on."""

    cluster_classes: int = 32
    """Classes above which a factor of the curvature for each class costs more than it saves: one factor of the
    within-class scatter and clusters of the classes serve all."""
    cluster_columns: int = 2048
    """Columns up to which the within-class scatter is diagonalised: 0.03 s for 512 columns, 1.3 s for 2,048, as much as
    twenty passes where d^2 <= n q."""

    dual_margin: float = 1.5
    """Dual coordinate ascent is used where its expected sweeps times this factor cost less than L-BFGS."""
    dual_mean_curvature: float = 1400.0
    """Mean curvature ||x||^2 / (n strength) of a dual step above which L-BFGS with a factor of the curvature needs few
    iterations, so that only the time of the factor counts."""
    dual_path_tolerance: float = 1e-6
    """Nats. Where held-out losses are required to be more exact than this, float32 dual steps are not enough."""

    diagonal_columns: int = 4096
    """Columns above which a factor of order d costs more than the passes that it saves: the diagonal is used."""
    diagonal_cheap_columns: int = 256
    """Columns up to which a factor is cheap even where rows are fewer; beyond, fewer rows than columns get the
    diagonal."""
    working_set_factor_ratio: float = 4.0
    """On a working set, factors, one a class, may hold this multiple of the stored numbers; otherwise the diagonal is
    used."""
    working_set_least_numbers: int = 1 << 20
    """Stored numbers that count at least in that comparison."""

    sample_rows: int = 5000
    """Rows of the sample for a warm start and for the curvature, at least."""
    sample_share: int = 10
    """One row of so many is in that sample where that gives more rows."""
    warm_start_rows: int = 20_000
    """Rows up to which a fit starts at zero instead of at the optimum of a sample."""

    kept_logits_bytes: int = 64 << 20
    """Bytes of logits that are kept in memory in any case; beyond, logits that are larger than the rows are recomputed
    in each pass."""


LIMITS = Limits()
"""The thresholds in use."""
