"""The thresholds that decide which method minimises an objective, and which one certifies it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Thresholds of the rules in `optimize.plan.rules` and of the exact Hessians of a fit.

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
    row_space_multiplications: float = 3e7
    """Multiplications n^2 d up to which it does for more rows: 145 x 639 counts with six classes (1.3e7) 37 and 19
    ms."""
    row_space_columns_per_row: float = 1.5
    """Columns per row from which on the reduction makes the problem much smaller."""
    row_space_numbers: int = 1 << 22
    """Numbers n d of the float64 copy that is factored (32 MB)."""

    row_space_uncorrelated_rows: int = 256
    """Rows up to which dense columns that are nearly uncorrelated are reduced whatever their number. Of more, L-BFGS
    with the diagonal needs few passes: 400 x 800 with 30 classes takes 16 to 21 ms, and 27 to 39 reduced."""
    row_space_uncorrelated_columns_per_row: int = 4
    """Columns per row above which these are reduced in any case: 100 x 2,000 with 30 classes 7 ms, and 9 to 109."""
    working_set_columns: int = 256
    """Columns from which on a fit with an l1 part uses working sets. Measured: 20,000 x 300 with 18 active columns
    takes 0.2 s either way, 20,000 x 1,000 takes 0.25 in place of 0.8 s."""
    working_set_uncorrelated: int = 2
    """Multiple of the rows up to which dense columns that are nearly uncorrelated are fitted all at once, in few
    iterations: 500 x 500 with two classes takes 23 to 95 ms in place of 47 to 300, 300 x 3,000 takes 48 to 137 ms, and
    15 to 37 with working sets."""

    newton_parameters: int = 125
    """Parameters up to which the exact Hessian costs less than the iterations that it saves, for folds along a path,
    rows larger than memory or on a device, and models without an l2 part. Measured: 2,000 x 60 with 3 classes (122
    parameters) 10 ms with Newton's method and 9 with L-BFGS; 20,000 x 20 with 8 (147) 133 and 27 ms."""
    newton_classes: int = 12
    """Classes above which the Hessian has too many blocks, one for each pair of contrasts."""
    newton_sampled_parameters: int = 500
    """Parameters up to which Newton's method is used where rows are many, with the Hessian of a sample. Measured:
    1,000,000 x 50 with five classes 0.30 in place of 0.42 s; at 1,000 parameters L-BFGS takes half the time."""
    newton_rows_per_parameter: int = 1000
    """Rows per parameter from which on the Hessian of a sample is exact enough for all rows."""
    newton_multiplications: float = 7e6
    """Multiplications of a Newton step, `n (d + 1)^2 q (q - 1) / 2` for the Hessian and `p^3 / 3` for its factor, up to
    which it costs less than the iterations of L-BFGS that it saves. Measured to a gap of 1e-4, Newton's method and
    L-BFGS: 122 x 26 with 6 classes (2.7e6) 3.7 and 10.9 ms, 224 x 21 with 8 (4.2e6) 9 and 29 ms, 220 x 150 with 2 (6e6)
    4.1 and 5.7 ms, 448 x 45 with 5 (1.2e7) 7.2 and 8.0 ms, 5,335 x 12 with 10 (4e7) 37 and 13 ms."""
    newton_pass_ratio: float = 25.0
    """What is added to that limit for each multiplication of a product with the rows, as L-BFGS has more passes:
    30,000 x 6 with 7 classes (3.1e7 and 1.3e6) 18 and 32 ms, 30,000 x 28 with 4 (1.5e8 and 3.4e6) 52 and 25 ms, 48,123
    x 18 with 7 (3.6e8 and 6e6) 172 and 72 ms."""
    nested_least_rows: int = 1000
    """Rows of the smallest of the nested samples from which Newton's method starts, at least."""
    nested_rows_per_parameter: int = 20
    """Rows per parameter of that sample, at least."""
    nested_least_ratio: int = 10
    """Nested samples are used from this multiple of the smallest sample on. Measured to a gap of 1e-4, with and
    without samples: 4,726 x 31 with two classes and heavy tails 18 and 5 ms, 6,154 x 5 with 6 classes 7.1 and 6.7 ms,
    19,602 x 7 with 3 5 and 5 ms, 30,282 x 54 with 2 16 and 33 ms, 30,000 x 6 with 7 19 and 58 ms."""

    truncated_newton_numbers: int = 1 << 22
    """Numbers n (d + 1) of dense rows up to which more than two classes have Newton's method by conjugate gradients,
    which copies the rows. Processor milliseconds to 1e-5 nats above the minimum, with L-BFGS and with it: 1,529 x 1,497
    counts with four classes 1,880 and 370, 932 x 652 of zeros and ones with 34 900 and 200, 325 x 326 columns in units
    of their own with 65 960 and 220."""
    truncated_newton_rows: int = 32
    """Rows per column up to which it is used; of more, a sample of the rows gives L-BFGS a curvature that is nearly
    exact: 3,611 x 169 counts with eleven classes 173 and 119 ms, 4,400 x 69 of zeros and ones with 66 63 and 149."""

    cluster_classes: int = 32
    """Classes above which a factor of the curvature for each class costs more than it saves: one factor is used for all
    classes, of the within-class scatter with clusters of the classes or of a sampled curvature."""
    cluster_columns: int = 2048
    """Columns up to which the within-class scatter is diagonalised: 0.03 s for 512 columns, 1.3 s for 2,048, as much as
    twenty passes where d^2 <= n q."""

    dual_margin: float = 1.5
    """Dual coordinate ascent is used where its expected sweeps times this factor cost less than L-BFGS."""
    dual_mean_curvature: float = 1400.0
    """Mean curvature ||x||^2 / (n strength) of a dual step above which L-BFGS with a factor of the curvature needs few
    iterations, so that only the time of the factor is compared."""
    dual_path_tolerance: float = 1e-6
    """Nats. Where held-out losses are required to be more exact than this, float32 dual steps are not enough."""

    wide_classes: int = 256
    """Classes from which on sparse rows have the dual steps for many classes, which read them in slabs of 128."""
    wide_curvature: float = 60.0
    """Mean curvature ||x||^2 / (n strength) of a dual step up to which they are used: about 25 visits of a row."""
    wide_dual_numbers: int = 1 << 31
    """Dual probabilities n q, of two bytes each, up to which they are used."""
    wide_tolerance: float = 5e-7
    """Nats: the smallest tolerance that the rounded dual probabilities, and sums in float32, can prove."""
    streamed_classes: int = 512
    """Classes from which on dense rows have the L-BFGS that keeps a few times the weights."""
    truncated_classes: int = 2048
    """Classes from which on dense rows have Newton's method with the largest probabilities: with 3,000 classes it took
    a quarter of the time of L-BFGS at weak penalties, with 600 it took up to four times as long."""

    diagonal_columns: int = 4096
    """Columns above which a factor of order d costs more than the passes that it saves: the diagonal is used."""
    diagonal_cheap_columns: int = 256
    """Columns up to which a factor is cheap even where rows are fewer; beyond, fewer rows than columns get the
    diagonal."""
    working_set_factor_ratio: float = 4.0
    """On a working set, factors, one a class, may hold this multiple of the stored numbers; otherwise the diagonal is
    used."""
    working_set_least_numbers: int = 1 << 20
    """Smallest number of stored numbers in that comparison."""

    sample_rows: int = 5000
    """Smallest number of rows of the sample for a warm start and for the curvature."""
    sample_share: int = 10
    """Rows of the data for each row of that sample, if that gives more rows."""
    warm_start_rows: int = 20_000
    """Rows up to which a fit starts at zero instead of at the optimum of a sample."""

    certify_parameters: int = 4000
    """Parameters up to which the exact Hessian certifies a fit that duality does not: it and its inverse take 128 MB
    each then, and a factorisation takes about a second."""
    certify_multiplications: float = 2e11
    """Multiplications for that Hessian, `n (d + 1)^2 q (q - 1) / 2`, up to which it is summed over all rows: about ten
    seconds on one core. Beyond, it is summed over as many rows as this allows."""
    certify_l1_weights: int = 1000
    """Weights q (d + 1) up to which proximal Newton steps certify a fit with an l1 part: a step factors matrices of
    that order many times."""
    certify_l1_iterations: int = 300
    """Iterations from which on these steps also continue a fit with an l1 part that has reached `max_iter`: descent
    converges slowly for columns of very different scale without a bias."""

    orthant_hessian_iterations: int = 20
    """Iterations of orthant-wise L-BFGS after which few free weights get their exact Hessian: the blocks of single
    classes leave out the coupling of the classes, which is what limits convergence then. Passes to a gap of 1e-6 with
    l1 alone, before and after: digits at 1e-4 197 and 62, at 1e-5 none (stalled at 2e-3) and 401; 8,000 images of MNIST
    at 3e-3 668 and 60; breast cancer (569 x 30, not scaled) at 1e-4 1,034 and 68; wine at 1e-4 116 and 148."""
    orthant_hessian_weights: int = 1000
    """Free weights of a model up to which they get their exact Hessian."""
    orthant_hessian_passes: int = 200
    """Passes over the rows that this Hessian may cost."""
    orthant_hessian_passes_uncorrelated: int = 100
    """The same for dense columns that are nearly uncorrelated: 1,500 x 1,000 with two classes and l1 alone at 1e-2
    takes 30 ms, and 220 with 200 passes."""
    orthant_hessian_columns: int = 8192
    """Columns up to which it is computed: rows are in the solver's coordinates then, 2,048 at a time."""

    proximal_matrix_weights: int = 1000
    """Weights of the working set of a proximal Newton step up to which their Hessian is a matrix; of more, products
    with the columns and conjugate gradients. Processor seconds of fits to a gap of 1e-6 with the matrix and with
    products: 5,000 x 100 with five classes and 379 weights 0.19 and 1.4 (its columns are correlated), digits at 1e-4
    (237) 0.11 and 0.15, 8,000 images of MNIST at 5e-4 (905) 1.4 and 1.1, 10,000 x 300 of zeros and ones (764) 1.1 and
    0.4."""
    proximal_matrix_multiplications: float = 2e9
    """Multiplications for that matrix, rows times the square of the weights, at most: about 0.03 s."""
    proximal_precise_multiplications: float = 2e6
    """The same up to which that matrix comes from products in float64; beyond, from products in float32, which take
    half the time."""

    kept_logits_bytes: int = 64 << 20
    """Bytes of logits up to which they are always kept in memory. Beyond, logits that are larger than the rows are
    recomputed in each pass."""


LIMITS = Limits()
"""The thresholds in use."""
