"""Signatures of the compiled kernels; `products.py` and its neighbours call them and describe each operation."""

from typing import Any

from numpy.typing import NDArray

INTERFACE: int

def levels() -> list[str]: ...
def level() -> str: ...
def choose(name: str) -> None: ...
def times(W: NDArray[Any], X: NDArray[Any], out: NDArray[Any]) -> None: ...
def transposed_times(R: NDArray[Any], X: NDArray[Any], out: NDArray[Any]) -> None: ...
def loss_and_gradient(
    W: NDArray[Any],
    bias: NDArray[Any],
    X: NDArray[Any],
    codes: NDArray[Any] | None,
    Y: NDArray[Any] | None,
    V: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    loss: NDArray[Any],
    residual: NDArray[Any],
    G: NDArray[Any],
) -> None: ...
def scores(W: NDArray[Any], bias: NDArray[Any], X: NDArray[Any], out: NDArray[Any], probabilities: bool) -> bool: ...
def extremes(X: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> None: ...
def moments(
    X: NDArray[Any], shift: NDArray[Any], scale: NDArray[Any], first: NDArray[Any], second: NDArray[Any]
) -> None: ...
def sweep_matrix(
    H: NDArray[Any],
    gradient: NDArray[Any],
    x: NDArray[Any],
    kink: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
) -> float: ...
def sweep_rows(
    Z: NDArray[Any],
    P: NDArray[Any] | None,
    C: NDArray[Any],
    O: NDArray[Any],
    s: NDArray[Any] | None,
    group: NDArray[Any],
    column: NDArray[Any],
    gradient: NDArray[Any],
    start: NDArray[Any],
    ridge: NDArray[Any],
    curvature: NDArray[Any],
    x: NDArray[Any],
    kink: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
) -> float: ...
def minimise_sparse(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    inverse: NDArray[Any],
    zero: NDArray[Any],
    P: NDArray[Any] | None,
    C: NDArray[Any],
    group: NDArray[Any],
    column: NDArray[Any],
    whole: NDArray[Any],
    gradient: NDArray[Any],
    ridge: NDArray[Any],
    x: NDArray[Any],
    kink: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    effort: tuple[int, int, int, float, float],
) -> float: ...
def sparse_fit(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    inverse: NDArray[Any],
    zero: NDArray[Any],
    codes: NDArray[Any],
    weights: NDArray[Any],
    ridge: NDArray[Any],
    kink: NDArray[Any],
    x: NDArray[Any],
    history: NDArray[Any],
    goal: float,
    tolerance: float,
    first_weights: int,
    effort: tuple[int, int, int, float, float],
) -> int: ...
def csr_times(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], W: NDArray[Any], out: NDArray[Any]
) -> None: ...
def csr_transposed_times(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], R: NDArray[Any], out: NDArray[Any]
) -> None: ...
def csr_loss_and_gradient(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    W: NDArray[Any],
    bias: NDArray[Any],
    codes: NDArray[Any] | None,
    shares: NDArray[Any] | None,
    weights: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    loss: NDArray[Any],
    sums: NDArray[Any],
    out: NDArray[Any],
) -> None: ...
def csr_dual_steps(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    order: NDArray[Any],
    W: NDArray[Any],
    bias: NDArray[Any],
    bias_weights: NDArray[Any],
    log_alpha: NDArray[Any],
    curvature: NDArray[Any],
    weights: NDArray[Any] | None,
    divergence: NDArray[Any],
    bias_scale: float,
    rate: float,
) -> None: ...
def csr_row_squares(data: NDArray[Any], indptr: NDArray[Any], out: NDArray[Any]) -> None: ...
def csr_extremes(data: NDArray[Any], indices: NDArray[Any], table: NDArray[Any]) -> None: ...
def csr_moments(data: NDArray[Any], indices: NDArray[Any], table: NDArray[Any]) -> None: ...
def csr_repeats(indices: NDArray[Any], indptr: NDArray[Any], seen: NDArray[Any]) -> bool: ...
def small_newton(
    Z: NDArray[Any],
    codes: NDArray[Any],
    weights: NDArray[Any],
    ridge: NDArray[Any],
    kink: NDArray[Any] | None,
    theta: NDArray[Any],
    history: NDArray[Any],
    goal: float,
    exact: bool,
    balanced: bool,
    gradient: NDArray[Any],
    loss: NDArray[Any],
    logits: NDArray[Any] | None,
) -> int: ...
def standard_columns(
    X: NDArray[Any], shift: NDArray[Any], scale: NDArray[Any], bias: float, first: int, out: NDArray[Any]
) -> None: ...
