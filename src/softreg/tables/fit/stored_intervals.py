"""What a model file keeps for intervals of predicted probabilities: a factor of the covariance of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, ndtri

from softreg.models.inference.margins.row_logits import (
    ParameterDistribution,
    Scenario,
    each_block,
    log_odds_and_errors,
)
from softreg.models.serialization import fields
from softreg.rows import one_blas_thread
from softreg.typing import Array, Float64Array

PREFIX = "intervals."
"""Prefix of the names of the arrays in a model file."""


@dataclass(frozen=True, eq=False)
class StoredIntervals:
    """The distribution of the parameters of a fitted model, for intervals of the probabilities of new rows.

    Attributes
    ----------
    distribution : ParameterDistribution
        Weights and covariance.
    errors : str
        Kind of standard errors: "model", "robust", "clustered" or "posterior".
    """

    distribution: ParameterDistribution
    errors: str

    def limits(self, X: Any, level: float, offset: Array | None = None) -> tuple[Float64Array, Float64Array]:
        """Return the limits (n, q) of the intervals of the probabilities of encoded rows X (n, d), with an offset."""
        rows = Scenario(sp.csr_array(X) if sp.issparse(X) else np.asarray(X), offset=offset)
        c, q = float(ndtri(0.5 + level / 2)), self.distribution.q
        low, high = np.empty((rows.n, q)), np.empty((rows.n, q))

        def work(block: slice) -> None:
            eta, error = log_odds_and_errors(self.distribution, rows.block(block), rows.offset_block(block))
            low[block], high[block] = expit(eta - c * error).T, expit(eta + c * error).T

        with one_blas_thread():
            for _ in each_block(self.distribution, rows.n, work):
                pass
        return low, high

    def to_state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays, the lower triangle of the factor among them, and strict JSON."""
        L = self.distribution.L
        triangle = np.ascontiguousarray(L[np.tril_indices(len(L))])
        arrays = {"factor": triangle, "shift": self.distribution.shift, "scale": self.distribution.scale}
        return {PREFIX + name: np.asarray(array) for name, array in arrays.items()}, {"errors": self.errors}


def intervals_from_state(
    arrays: Mapping[str, Array], metadata: Mapping[str, Any], coef: Array, intercept: Array
) -> StoredIntervals | None:
    """Return the intervals of a model file with these weights, None if it has none.

    Parameters
    ----------
    arrays, metadata : mapping
        State of the classifier.
    coef : array (q, d)
        Weights.
    intercept : array (q,)
        Intercepts.

    Returns
    -------
    StoredIntervals or None
        The intervals.

    Raises
    ------
    ValueError
        If shapes do not fit the weights, or numbers are not finite.
    """
    if metadata.get("intervals") is None:
        return None
    errors = fields.text(fields.mapping(metadata, "intervals"), "errors")
    q, d = coef.shape
    size = (q - 1) * (d + 1)
    try:
        factor, shift, scale = (np.asarray(arrays[PREFIX + name], np.float64) for name in ("factor", "shift", "scale"))
    except KeyError as error:
        raise ValueError(f"the file has no array {error} of its intervals") from None
    if factor.shape != (size * (size + 1) // 2,) or shift.shape != (d,) or scale.shape != (d,):
        raise ValueError(f"the covariance {factor.shape} of the intervals does not fit weights {coef.shape}")
    if not all(np.isfinite(a).all() for a in (factor, shift, scale)) or not (scale > 0).all():
        raise ValueError("the covariance of the intervals is not one of finite numbers")
    L = np.zeros((size, size))
    L[np.tril_indices(size)] = factor
    return StoredIntervals(ParameterDistribution(coef, shift, scale, L).at(coef, intercept), errors)
