"""Interface of `Inference` for the functions that compute tests, effects, profiles and summaries from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from softreg.models.inference.estimates import ChiSquared, Estimates
from softreg.models.inference.fitted_rows import FittedRows
from softreg.models.inference.marginal_effects import Change
from softreg.models.likelihood.likelihood import Likelihood
from softreg.rows import Array


class FittedInference(Protocol):
    """Attributes of `Inference` that the modules below it use."""

    @property
    def fitted(self) -> FittedRows:
        """Rows and labels of the fit."""

    @property
    def likelihood(self) -> Likelihood:
        """Likelihood of the rows."""

    @property
    def reference(self) -> int | None:
        """Code of the class that the others are compared with; None for the mean of all classes."""

    @property
    def errors(self) -> str:
        """Kind of standard errors."""

    @property
    def level(self) -> float:
        """Confidence level of the intervals."""

    @property
    def changes(self) -> Mapping[int, Change]:
        """Columns, by position, whose effects are those of a discrete change."""

    @property
    def read_value(self) -> Callable[[int, float], Mapping[int, float]] | None:
        """Function from a column and a value in the user's units to values of columns; None for values of X."""

    @property
    def df(self) -> float:
        """Degrees of freedom, effective ones with a penalty."""

    @property
    def n(self) -> float:
        """Number of rows, or the sum of their weights."""

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood in nats."""

    @property
    def null_log_likelihood(self) -> float:
        """Log-likelihood of the intercept-only model in nats."""

    @property
    def mcfadden(self) -> float:
        """McFadden's pseudo-R2."""

    @property
    def cox_snell(self) -> float:
        """Pseudo-R2 of Cox and Snell."""

    @property
    def nagelkerke(self) -> float:
        """Nagelkerke's pseudo-R2."""

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""

    @property
    def bic(self) -> float:
        """Bayesian information criterion."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the coefficients of a class."""

    @property
    def coefficients(self) -> Estimates:
        """Coefficients with standard errors."""

    @property
    def covariance(self) -> Array:
        """Covariance of the coefficients."""

    @property
    def _theta(self) -> Array:
        """Parameters (q, d + 1) of the solver."""

    @property
    def _C(self) -> Array:
        """Covariance (q, d + 1, q, d + 1) of the solver's parameters."""

    @property
    def _A(self) -> Array:
        """Map from the solver's parameters to the user's coefficients."""

    @property
    def _from(self) -> int:
        """Row of `_A` of the first coefficient: 1 without an intercept, else 0."""

    @property
    def _contrast(self) -> Array:
        """Contrasts of the classes against the reference."""

    def relative_to(self, label: Any) -> FittedInference:
        """Return the statistics with another reference class."""

    def overall(self) -> ChiSquared:
        """Return the test of all columns."""
