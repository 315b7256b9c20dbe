"""What a fitted model says about the population that its rows came from: errors, intervals, tests, odds, effects.

Agresti, Categorical Data Analysis (2013), chapter 8; Greene, Econometric Analysis (2012), sections 17.3 and 18.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from softreg.models.inference import marginal_effects as marginal
from softreg.models.inference.covariance import check_errors, covariance
from softreg.models.inference.estimates import ChiSquared, Estimates, normal, ratios
from softreg.models.inference.fit_measures import FitMeasures
from softreg.models.inference.fitted_rows import WEIGHTS, Fitted
from softreg.models.inference.profile_likelihood import profiled
from softreg.models.inference.summary import Summary
from softreg.models.inference.wald_test import wald_test
from softreg.models.likelihood.likelihood import Likelihood
from softreg.probability.label_arrays import spell
from softreg.rows import Array, one_blas_thread

INTERCEPT = "(intercept)"
"""The name of the intercept among the columns."""


def infer(
    model: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    reference: Any = None,
    errors: str | None = None,
    clusters: Any = None,
    categories: Sequence[Sequence[Any]] = (),
    level: float = 0.95,
    weights: str = "frequency",
) -> Inference:
    """Return errors, intervals and tests of a fitted `SoftmaxRegression`, from the rows that it was fitted to.

    X (n, d), y and `sample_weight` are those of `fit`. `weights`: "frequency", a sample weight w stands for w identical
    rows (as `freq_weights` of statsmodels and `fweight` of Stata), or "sampling", w is the inverse of the probability
    that the row was sampled (as `pweight` of Stata and `svyglm` of R): estimates are the same, errors are robust ones,
    and there is no likelihood; scale such weights to a mean of 1. The coefficients of each class are relative to the
    class `reference` (None: the first). `errors`: "model", model-based standard errors, which assume that the
    probabilities have the form of softmax regression; "robust", the sandwich: standard errors of the best-fitting
    weights (those of least expected cross-entropy) whether or not they have that form, for independent rows and large
    samples; "posterior" reads an L2 penalty as a prior; None takes "robust" where there are `clusters` (n,), labels of
    groups whose rows depend on each other and whose number must be large, class weights or sampling weights, else
    "model". `categories`: for each category that is coded as columns of zeros and ones, the names or places of its
    columns; `effects` then compares levels with each other.

    `model` may be a `TableClassifier` and X its table, which has the labels where y is None: see its method `infer`.

    The maximum is polished by Newton steps until it is exact to about nine digits of a standard error; where it is not
    near the model's weights, these are other rows, and `ValueError` says so. It is raised as well for a model with an
    l1 part (what it chose makes the usual errors wrong), separated classes, and columns that others determine, all by
    name.

    Returns
    -------
    Inference
        Errors, intervals and tests of a fitted `SoftmaxRegression`, from the rows that it was fitted to.

    Raises
    ------
    ValueError
        If the rows are not those of the fit, the fit has an l1 part, or columns are collinear without a penalty.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), np.array([0, 0, 1, 0, 1, 1])
    >>> found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    >>> found.coefficients.estimate.round(3), found.coefficients.std_error.round(3)
    (array([[-4.249,  1.214]]), array([[3.388, 0.913]]))
    """
    if not 0 < level < 1:
        raise ValueError(f"level={spell(level)} must lie between 0 and 1, as 0.95 does.")
    if hasattr(model, "encode"):  # a table classifier encodes the table itself
        if len(categories):
            raise ValueError("categories belong to a matrix X; a TableClassifier knows those of its table.")
        asked = {"reference": reference, "errors": errors, "clusters": clusters, "level": level}
        return cast(Inference, model.infer(X, y=y, sample_weight=sample_weight, **asked))
    model = getattr(model, "best_estimator_", model)  # of a search, such as SoftmaxRegressionCV, the chosen model
    if weights not in WEIGHTS:
        raise ValueError(f"weights={spell(weights)} is neither 'frequency' nor 'sampling'.")
    fitted = Fitted.of(model, X, y, sample_weight, clusters, weights=weights)
    kind = errors or ("robust" if clusters is not None or fitted.pseudo else "model")
    check_errors(model, fitted, kind, clusters)
    with one_blas_thread():
        likelihood, theta, reading = fitted.maximum()
        C, df = covariance(fitted, likelihood, theta, reading.H, kind)
    place = 0 if reference is None else fitted.place(reference)
    A = likelihood.to_user()
    return Inference(
        fitted=fitted,
        likelihood=likelihood,
        reference=place,
        errors=("clustered" if clusters is not None else kind),
        level=level,
        df=df,
        log_likelihood=-likelihood.loss(theta, reading) * likelihood.mass,
        changes=marginal.find_changes(fitted.X, [fitted.columns_among(columns) for columns in categories]),
        _theta=theta,
        _C=C,
        _A=A,
    )


@dataclass(frozen=True, eq=False)
class Inference(FitMeasures):
    """The statistics of a fitted model; see `infer`. `relative_to` changes the reference class, `summary` shows all."""

    fitted: Fitted = field(repr=False)
    likelihood: Likelihood = field(repr=False)
    reference: int | None
    """Code of the class that the others are compared with; None: the mean of all classes."""
    errors: str
    level: float
    df: float
    """Parameters that are free; under a penalty the effective number, `tr(I H^-1)`."""
    log_likelihood: float
    """`sum_i v_i log p(y_i | x_i)` in nats, without the penalty."""
    changes: Mapping[int, marginal.Change] = field(repr=False)
    """The columns, by place, whose effects are those of a discrete change, and which."""
    _theta: Array = field(repr=False)
    _C: Array = field(repr=False)
    _A: Array = field(repr=False)

    # --- the weights ----------------------------------------------------------------------------------------------

    def relative_to(self, label: Any) -> Inference:
        """Return the same with the class `label` as reference: weights are differences of log-odds against it."""
        return replace(self, reference=self.fitted.place(label))

    def relative_to_mean(self) -> Inference:
        """Return the same with each class compared with the mean of all: q rows, whose coefficients sum to zero."""
        return replace(self, reference=None)

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes that have a line of weights: all but the reference."""
        return tuple(label for k, label in enumerate(self.fitted.labels) if k != self.reference)

    @cached_property
    def _contrast(self) -> Array:
        """(c, q): what is taken of the weights of the classes."""
        q = self.likelihood.q
        if self.reference is None:
            return np.eye(q) - 1 / q
        return np.asarray(np.delete(np.eye(q) - np.eye(q)[self.reference], self.reference, axis=0))

    @cached_property
    def covariance(self) -> Array:
        """The covariance of the estimates, (c k, c k), class by class, the bias first in each."""
        first = np.einsum("cq,ji,qirs->cjrs", self._contrast, self._A, self._C, optimize=True)
        C = np.einsum("cjrs,er,fs->cjef", first, self._contrast, self._A, optimize=True)
        C = C[:, self._from :, :, self._from :]
        c, k = C.shape[:2]
        return np.asarray(C.reshape(c * k, c * k))

    @property
    def _from(self) -> int:
        return 0 if self.likelihood.bias else 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the parameters of a class: the bias, if there is one, then the columns."""
        return (INTERCEPT, *self.fitted.names)[self._from :]

    @cached_property
    def coefficients(self) -> Estimates:
        """Intercept and coefficients (c, k) with standard errors, Wald intervals and Wald tests."""
        estimate = (self._contrast @ self._theta @ self._A.T)[:, self._from :]
        error = np.sqrt(np.maximum(np.diag(self.covariance), 0.0)).reshape(estimate.shape)
        return normal("estimate", self.classes, self.columns, estimate, error, self.level, self.fitted.strength == 0)

    def profile(self, columns: Sequence[Any] | Any | None = None) -> Estimates:
        """Return the same with intervals and tests by the profile likelihood (for "firth", the penalised one).

        An interval holds the values that a likelihood-ratio test does not reject; z is the signed root of its statistic
        for zero. It takes some fits for each number; `columns` names those wanted, all where None. An end may be
        infinite.

        Returns
        -------
        Estimates
            The same with intervals and tests by the profile likelihood (for "firth", the penalised one).

        Raises
        ------
        ValueError
            As `likelihood_ratio` does. Whatever the errors chosen, it assumes that the model holds.
        """
        self.fitted.refuse_tests("a profile likelihood")
        self.fitted.refuse_pseudo_likelihood("profile likelihood")
        lines = list(range(len(self.columns)))
        if columns is not None:
            lines = [j + 1 - self._from for j in self.fitted.columns_among(columns)]
        return profiled(self, lines)

    @cached_property
    def odds_ratios(self) -> Estimates:
        """`exp(coefficient)`: the factor by which the odds against the reference class change per unit of a column.

        With two classes these are odds ratios; with more they are relative-risk ratios: the factor by which the ratio
        p(class) / p(reference) changes. Ends of the interval are those of the coefficients, exponentiated; the standard
        error is the delta method's; z tests a ratio of 1.

        Returns
        -------
        Estimates
            `exp(coefficient)`: the factor by which the odds of a class against the reference change per unit of a
            column.
        """
        return self.ratios_of(self.coefficients)

    def ratios_of(self, coefficients: Estimates) -> Estimates:
        """Return the same of these coefficients, as those of `profile()`."""
        return ratios(coefficients, INTERCEPT, "odds_ratio" if self.likelihood.q == 2 else "relative_risk_ratio")

    def effects(self) -> Estimates:
        """Return average marginal effects (q, d): by how much a class's mean probability changes with each column.

        Of a number, per unit of the column: the mean over the rows of the derivative `dp_k / dx_j = p_k (w_kj - sum_l
        p_l w_lj)`. Of a column of zeros and ones, the mean over the rows of the difference of the probabilities, 1
        rather than 0, the other columns as they are; of a level of one of the `categories`, this level rather than the
        one that they are compared with. Errors are those of the delta method. A class has an effect whatever the
        reference; the effects of all classes sum to zero. `frame()` says in the column `change` what an effect is the
        effect of.

        Returns
        -------
        Estimates
            Average marginal effects (q, d): by how much a class's mean probability changes with each column.
        """
        with one_blas_thread():
            estimate, J = marginal.effects(self.likelihood, self._theta, self.changes)
        error = np.sqrt(np.maximum(np.einsum("kjci,cids,kjds->kj", J, self._C, J, optimize=True), 0.0))
        tested = self.fitted.strength == 0
        names = tuple(self.fitted.names)
        words = [self.changes[j].words if j in self.changes else marginal.PER_UNIT for j in range(len(names))]
        found = normal("effect", tuple(self.fitted.labels), names, estimate, error, self.level, tested)
        return replace(found, changes=tuple(words))

    # --- the whole ------------------------------------------------------------------------------------------------

    @property
    def n(self) -> float:
        """Rows, counted by their weights."""
        return self.likelihood.mass

    # --- tests ----------------------------------------------------------------------------------------------------

    def likelihood_ratio(self, drop: Sequence[Any] | Any = None, *, nested: Inference | None = None) -> ChiSquared:
        """Twice the log-likelihood that is lost without the columns `drop`, names or places, as a chi-squared test.

        Without arguments all columns are dropped (only the class rates are left). `nested` is another fit to the same
        rows, of which this one is an extension.

        Returns
        -------
        ChiSquared
            Twice the log-likelihood that is lost without the columns `drop`, names or places, as a chi-squared test.

        Raises
        ------
        ValueError
            Under an L2 penalty and with class weights, whose likelihood has no such distribution. Whatever the errors
            chosen, this test assumes that the model holds. For penalty="firth" it is the ratio of penalised
            likelihoods: weights are held at zero, and the penalty takes the whole information.
        """
        self.fitted.refuse_tests("a likelihood ratio")
        self.fitted.refuse_pseudo_likelihood("likelihood ratio")
        if nested is not None:
            return self._against(nested)
        chosen = list(range(self.likelihood.d)) if drop is None else self.fitted.columns_among(drop)
        with one_blas_thread():
            lost = self.fitted.lost(chosen, self._theta, self.log_likelihood)
        kind = "penalised likelihood ratio" if self.fitted.firth else "likelihood ratio"
        return ChiSquared(kind, max(2 * lost, 0.0), (self.likelihood.q - 1) * len(chosen))

    def _against(self, nested: Inference) -> ChiSquared:
        if self.fitted.firth:
            raise ValueError("Firth's penalty differs between nested models; name the columns to drop instead.")
        if nested.n != self.n or nested.null_log_likelihood != self.null_log_likelihood or nested.df >= self.df:
            raise ValueError(
                f"a nested model has the same rows and fewer parameters: here are {self.n:g} rows and {self.df:g} "
                f"parameters, there {nested.n:g} and {nested.df:g}."
            )
        lost = 2 * (self.log_likelihood - nested.log_likelihood)
        return ChiSquared("likelihood ratio", max(lost, 0.0), round(self.df - nested.df))

    def wald(self, columns: Sequence[Any] | Any = None) -> ChiSquared:
        """Test with Wald's statistic that the columns (all if None) have zero weights in every class.

        Returns
        -------
        ChiSquared
            Wald's test that these columns (all, where None) matter for no class.

        Raises
        ------
        ValueError
            Under an L2 penalty, which pulls the weights to zero, and where the covariance is singular: where clusters
            are no more than the weights tested.
        """
        self.fitted.refuse_tests("a test of zero")
        every = range(self.likelihood.d)
        return wald_test(self, list(every) if columns is None else self.fitted.columns_among(columns))

    @property
    def test_kind(self) -> str:
        """The kind of test that belongs to the errors: "Wald" for robust ones, else "likelihood ratio"."""
        return "Wald" if self.errors in ("robust", "clustered") else "likelihood ratio"

    def overall(self) -> ChiSquared:
        """Return a test that no column matters for any class, of the kind that belongs to the errors (`test_kind`)."""
        return self.wald() if self.test_kind == "Wald" else self.likelihood_ratio()

    def column_tests(self, kind: str | None = None) -> dict[str, Any]:
        """Test each column for all classes at once; the results are columns of equal length.

        Returns
        -------
        dict[str, Any]
            A test of each column for all classes, of this kind (None.

        Raises
        ------
        ValueError
            If `kind` is not a kind of test that this fit has.
        """
        kind = self.test_kind if kind is None else kind
        if kind not in ("likelihood ratio", "Wald"):
            raise ValueError(f"kind={spell(kind)} is neither 'likelihood ratio' nor 'Wald'.")
        columns = range(self.likelihood.d)
        tests = [self.wald([j]) if kind == "Wald" else self.likelihood_ratio([j]) for j in columns]
        return {
            "column": list(self.fitted.names),
            "statistic": np.array([t.statistic for t in tests]),
            "df": np.array([t.df for t in tests]),
            "p_value": np.array([t.p_value for t in tests]),
        }

    @property
    def interval_kind(self) -> str:
        """The default kind of intervals: "profile" for Firth's penalty with model-based errors, else "Wald"."""
        return "profile" if self.fitted.firth and self.test_kind != "Wald" else "Wald"

    def summary(self, intervals: str | None = None) -> Summary:
        """Return a summary of the fit with `.text`, `.html()` and `.frame()`.

        Returns
        -------
        Summary
            All of it to read: `print(...)`, `.html()`, `.frame()`. `intervals`.

        Raises
        ------
        ValueError
            If `intervals` is neither "Wald" nor "profile".
        """
        intervals = self.interval_kind if intervals is None else intervals
        if intervals not in ("Wald", "profile"):
            raise ValueError(f"intervals={spell(intervals)} is neither 'Wald' nor 'profile'.")
        return Summary.of(self, self.profile() if intervals == "profile" else None)
