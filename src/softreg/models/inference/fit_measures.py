"""Measures of fit: pseudo-R² and information criteria."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from softreg.models.inference.fitted_rows import FittedRows

if TYPE_CHECKING:
    pass


class FitMeasures:
    """Measures of a fit with `log_likelihood`, `df` parameters and `n` rows."""

    if TYPE_CHECKING:
        fitted: FittedRows
        log_likelihood: float
        df: float

        @property
        def n(self) -> float:
            """Number of rows, counted by their weights."""

    @cached_property
    def null_log_likelihood(self) -> float:
        """Log-likelihood of the intercept-only model (of equal probabilities without an intercept)."""
        return self.fitted.null_log_likelihood

    @property
    def mcfadden(self) -> float:
        """McFadden's pseudo-R², `1 - log L / log L_0`: the explained share of the entropy of the labels."""
        return 1 - self.log_likelihood / self.null_log_likelihood

    @property
    def cox_snell(self) -> float:
        """Cox and Snell's pseudo-R², `1 - (L_0 / L)^(2 / n)`."""
        return float(-np.expm1(2 * (self.null_log_likelihood - self.log_likelihood) / self.n))

    @property
    def nagelkerke(self) -> float:
        """Nagelkerke's pseudo-R²: Cox and Snell's divided by its maximum, `1 - L_0^(2 / n)`."""
        return float(self.cox_snell / -np.expm1(2 * self.null_log_likelihood / self.n))

    @property
    def aic(self) -> float:
        """Akaike's criterion, `2 df - 2 log L`."""
        self.fitted.refuse_pseudo_likelihood("AIC")
        return 2 * self.df - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, `log(n) df - 2 log L`."""
        self.fitted.refuse_pseudo_likelihood("BIC")
        return float(np.log(self.n) * self.df - 2 * self.log_likelihood)
