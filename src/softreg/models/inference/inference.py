"""Statistical inference for fitted models: standard errors, intervals, tests, odds ratios and marginal effects.

References: Agresti, Categorical Data Analysis (2013), chapter 8; Greene, Econometric Analysis (2012), sections 17.3 and
18.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from softreg.models.inference import marginal_effects
from softreg.models.inference.covariance import check_errors, covariance
from softreg.models.inference.estimates import ChiSquared, Estimates, normal, ratios
from softreg.models.inference.fit_measures import FitMeasures
from softreg.models.inference.fitted_rows import WEIGHTS, FittedRows
from softreg.models.inference.margins.column_contrasts import column_contrasts
from softreg.models.inference.margins.comparisons import Comparisons, compare
from softreg.models.inference.margins.prediction_plot import plot_predictions
from softreg.models.inference.margins.predictions import Predictions, checked_level, predict, predict_averages
from softreg.models.inference.margins.reference_grid import (
    check_others,
    grid_offset,
    grid_points,
    grid_rows,
    typical_row,
)
from softreg.models.inference.margins.row_logits import Scenario
from softreg.models.inference.profile_likelihood import profiled
from softreg.models.inference.summary import Summary
from softreg.models.inference.wald_test import wald_test
from softreg.models.inputs.offsets import new_offset
from softreg.models.likelihood.likelihood import Likelihood
from softreg.probability.label_arrays import spell
from softreg.rows import Array, one_blas_thread
from softreg.typing import Matrix

INTERCEPT = "(intercept)"
"""Name of the intercept among the columns."""


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
    offset: Any = None,
) -> Inference:
    """Compute standard errors, intervals and tests of a fitted model.

    The maximum of the likelihood is refined by Newton steps to about nine digits of a standard error.

    Parameters
    ----------
    model : SoftmaxRegression, SoftmaxRegressionCV or TableClassifier
        The fitted model. For a `TableClassifier`, X is its table, which contains the labels if `y` is None; see its
        method `infer`.
    X : array, sparse matrix or data frame of shape (n, d)
        The rows of the fit.
    y : array_like, optional
        The labels of the fit.
    sample_weight : array_like of shape (n,), optional
        The sample weights of the fit.
    reference : label, optional
        The class that the others are compared with; the first one by default.
    errors : {"model", "robust", "posterior"}, optional
        Kind of standard errors. "model" assumes that the probabilities have the form of softmax regression. "robust" is
        the sandwich estimator: standard errors of the weights of least expected cross-entropy, whether or not the
        probabilities have that form, for independent rows and large samples. "posterior" interprets an L2 penalty as a
        Gaussian prior. The default is "robust" with clusters, class weights or sampling weights, and "model" otherwise.
    clusters : array_like of shape (n,), optional
        Group of each row. Rows of a group may depend on each other; the number of groups must be large.
    categories : sequence of sequences, default ()
        For each category that is encoded as 0/1 columns, the names or positions of its columns; `effects` then compares
        levels with each other.
    level : float, default 0.95
        Confidence level of the intervals.
    weights : {"frequency", "sampling"}, default "frequency"
        Meaning of `sample_weight`: the number of identical rows (`freq_weights` of statsmodels, `fweight` of Stata), or
        the inverse of the sampling probability (`pweight` of Stata, `svyglm` of R). With sampling weights the estimates
        are the same, standard errors are robust, and there is no likelihood; scale them to a mean of 1.
    offset : array or frame of shape (n, q) or (n,), optional
        The offset of the fit. The null model of likelihood-ratio tests and pseudo-R2 has the offset as well.

    Returns
    -------
    Inference
        Estimates, standard errors, intervals and tests.

    Raises
    ------
    ValueError
        If the rows are not those of the fit, the model has an l1 part (standard errors that ignore the selection of
        columns are too small), the classes are separated, or columns are collinear.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), np.array([0, 0, 1, 0, 1, 1])
    >>> result = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    >>> result.coefficients.estimate.round(3), result.coefficients.std_error.round(3)
    (array([[-4.249,  1.214]]), array([[3.388, 0.913]]))
    """
    checked_level(level, level)
    if hasattr(model, "encode"):  # a TableClassifier
        if len(categories):
            raise ValueError("`categories` applies to a matrix X; a TableClassifier has the categories of its table.")
        options = {"reference": reference, "errors": errors, "clusters": clusters, "level": level}
        return cast(Inference, model.infer(X, y=y, sample_weight=sample_weight, **options))
    model = getattr(model, "best_estimator_", model)  # the refitted model of SoftmaxRegressionCV
    if weights not in WEIGHTS:
        raise ValueError(f"weights={spell(weights)} is neither 'frequency' nor 'sampling'.")
    fitted = FittedRows.of(model, X, y, sample_weight, clusters, weights=weights, offset=offset)
    kind = errors or ("robust" if clusters is not None or fitted.pseudo else "model")
    check_errors(model, fitted, kind, clusters)
    with one_blas_thread():
        likelihood, theta, evaluation = fitted.maximum()
        C, df = covariance(fitted, likelihood, theta, evaluation.H, kind)
    code = 0 if reference is None else fitted.class_code(reference)
    A = likelihood.to_user()
    return Inference(
        fitted=fitted,
        likelihood=likelihood,
        reference=code,
        errors=("clustered" if clusters is not None else kind),
        level=level,
        df=df,
        log_likelihood=-likelihood.loss(theta, evaluation) * likelihood.mass,
        read_rows=fitted.read_rows,
        changes=marginal_effects.find_changes(fitted.X, [fitted.columns_among(columns) for columns in categories]),
        _theta=theta,
        _C=C,
        _A=A,
    )


@dataclass(frozen=True, eq=False)
class Inference(FitMeasures):
    """Statistics of a fitted model, as `infer` computes them.

    Attributes
    ----------
    reference : int or None
        Code of the class that the others are compared with; None for the mean of all classes.
    errors : str
        Kind of standard errors: "model", "robust", "clustered" or "posterior".
    level : float
        Confidence level of the intervals.
    df : float
        Number of free parameters; with a penalty the effective number, ``tr(I H^-1)``.
    log_likelihood : float
        ``sum_i v_i log p(y_i | x_i)`` in nats, without the penalty.
    changes : mapping of int to Change
        Columns, by position, whose effects are those of a discrete change.
    read_rows : callable
        Function that returns what users hand in as rows as the matrix (n, d) of the fit's columns.
    read_value : callable or None
        Function that returns the values of columns, by position, that set a column to a value in the user's units; None
        where X has the user's units.
    read_offset : callable or None
        Function that returns the offset (n, q) of such rows from their columns; None where it is an argument.
    no_effects : str
        Why columns have no average marginal effects; "" where they have.
    """

    fitted: FittedRows = field(repr=False)
    likelihood: Likelihood = field(repr=False)
    reference: int | None
    errors: str
    level: float
    df: float
    log_likelihood: float
    changes: Mapping[int, marginal_effects.Change] = field(repr=False)
    read_rows: Callable[[Any], Matrix] = field(repr=False)
    _theta: Array = field(repr=False)
    _C: Array = field(repr=False)
    _A: Array = field(repr=False)
    read_value: Callable[[int, float], Mapping[int, float]] | None = field(repr=False, default=None)
    read_offset: Callable[[Any], Array | None] | None = field(default=None, repr=False)
    no_effects: str = field(default="", repr=False)

    # --- the weights ----------------------------------------------------------------------------------------------

    def relative_to(self, label: Any) -> Inference:
        """Return the statistics with the class `label` as reference."""
        return replace(self, reference=self.fitted.class_code(label))

    def relative_to_mean(self) -> Inference:
        """Return the statistics of each class relative to the mean of all classes; coefficients sum to zero."""
        return replace(self, reference=None)

    @property
    def classes(self) -> tuple[Any, ...]:
        """Classes with coefficients: all but the reference."""
        return tuple(label for k, label in enumerate(self.fitted.labels) if k != self.reference)

    @cached_property
    def _contrast(self) -> Array:
        """Contrasts of the classes (c, q)."""
        q = self.likelihood.q
        if self.reference is None:
            return np.eye(q) - 1 / q
        return np.asarray(np.delete(np.eye(q) - np.eye(q)[self.reference], self.reference, axis=0))

    @cached_property
    def covariance(self) -> Array:
        """Covariance of the estimates (c k, c k), class by class, the intercept first in each."""
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
        """Names of the parameters of a class: the intercept, if there is one, then the columns."""
        return (INTERCEPT, *self.fitted.names)[self._from :]

    @cached_property
    def coefficients(self) -> Estimates:
        """Intercept and coefficients (c, k) with standard errors, Wald intervals and Wald tests."""
        estimate = (self._contrast @ self._theta @ self._A.T)[:, self._from :]
        error = np.sqrt(np.maximum(np.diag(self.covariance), 0.0)).reshape(estimate.shape)
        return normal("estimate", self.classes, self.columns, estimate, error, self.level, self.fitted.strength == 0)

    def profile(self, columns: Sequence[Any] | Any | None = None) -> Estimates:
        """Return coefficients with intervals and tests by the profile likelihood.

        With Firth's penalty it is the penalised likelihood.

        An interval contains the values that a likelihood-ratio test does not reject; z is the signed root of the
        statistic of the test of zero. Each limit takes several fits. The model is assumed to hold, whatever the kind of
        standard errors.

        Parameters
        ----------
        columns : sequence or single name or position, optional
            The columns; all by default.

        Returns
        -------
        Estimates
            Estimates (c, k); a limit may be infinite.

        Raises
        ------
        ValueError
            As `likelihood_ratio` raises.
        """
        self.fitted.refuse_tests("a profile likelihood")
        self.fitted.refuse_pseudo_likelihood("profile likelihood")
        lines = list(range(len(self.columns)))
        if columns is not None:
            lines = [j + 1 - self._from for j in self.fitted.columns_among(columns)]
        return profiled(self, lines)

    @cached_property
    def odds_ratios(self) -> Estimates:
        """Exponentials of the coefficients: odds ratios for two classes, relative-risk ratios for more.

        An entry is the factor by which p(class) / p(reference) changes per unit of the column. Intervals are the
        exponentiated intervals of the coefficients, standard errors are those of the delta method, and z tests a ratio
        of 1.

        Returns
        -------
        Estimates
            Ratios (c, d), without the intercept.
        """
        return self.ratios_of(self.coefficients)

    def ratios_of(self, coefficients: Estimates) -> Estimates:
        """Return the ratios of given coefficients, such as those of `profile()`."""
        return ratios(coefficients, INTERCEPT, "odds_ratio" if self.likelihood.q == 2 else "relative_risk_ratio")

    def effects(self) -> Estimates:
        """Return average marginal effects: the change of the mean probability of each class with each column.

        For a number, the mean over the rows of the derivative `dp_k / dx_j = p_k (w_kj - sum_l p_l w_lj)`, per unit of
        the column. For a 0/1 column, the mean over the rows of the difference between the probabilities at 1 and at 0,
        other columns unchanged; for a level of one of the `categories`, the difference between this level and the
        reference level. Standard errors are those of the delta method. Effects do not depend on the reference class and
        sum to zero over the classes.

        Returns
        -------
        Estimates
            Effects (q, d); `frame()` describes the change in the column `change`.

        Raises
        ------
        ValueError
            For a table model with interactions, whose columns have no effect that is independent of the others.
        """
        if self.no_effects:
            raise ValueError(self.no_effects)
        with one_blas_thread():
            estimate, J = marginal_effects.effects(self.likelihood, self._theta, self.changes)
        error = np.sqrt(np.maximum(np.einsum("kjci,cids,kjds->kj", J, self._C, J, optimize=True), 0.0))
        tested = self.fitted.strength == 0
        names = tuple(self.fitted.names)
        descriptions = [
            self.changes[j].words if j in self.changes else marginal_effects.PER_UNIT for j in range(len(names))
        ]
        effects = normal("effect", tuple(self.fitted.labels), names, estimate, error, self.level, tested)
        return replace(effects, changes=tuple(descriptions))

    # --- probabilities --------------------------------------------------------------------------------------------

    def predictions(
        self,
        X_new: Any = None,
        *,
        offset: Any = None,
        grid: Mapping[Any, Any] | None = None,
        others: str = "mean_or_mode",
        level: float | None = None,
        simultaneous: bool = False,
    ) -> Predictions:
        """Return probabilities with standard errors and intervals, of rows or of the points of a grid.

        The delta method gives the standard error of the log-odds `log(p / (1 - p))` of each probability from the
        covariance of the parameters, of the kind `errors`. The interval of the log-odds is transformed to the
        probability, so it stays between 0 and 1. It is an interval for the probability of a class at the columns of a
        row, not for a future label. Probabilities are those of the refined maximum, which differ from
        `model.predict_proba` by the tolerance of the fit. Under an L2 penalty the intervals are around the shrunken
        probabilities ("model", "robust") or those of the normal approximation to the posterior ("posterior").

        Parameters
        ----------
        X_new : array, sparse matrix or data frame of shape (n, d), optional
            The rows; those of the fit, with their weights, by default.
        offset : array or frame of shape (n, q) or (n,), optional
            Offset of the logits of `X_new`, which a model that was fitted with an offset needs; the rows of the fit
            have theirs, and those of a table have it in their columns. Grids with `others="observed"` average over rows
            with their offset. For other grids it is the offset (q,) of all points, or (m, q) of each, 0 by default: the
            probabilities are then those of a row without offset.
        grid : mapping, optional
            Value or values of columns, by name or position, all of whose combinations are predicted (adjusted
            predictions). The value 1 of a level of a category sets the other levels to 0.
        others : {"mean_or_mode", "mean", "observed"}, default "mean_or_mode"
            Columns that the grid does not name. "mean" is their mean over the rows; "mean_or_mode" the same, but the
            most frequent value of 0/1 columns and level of categories. "observed" predicts each row with the columns of
            the grid at the given values, and averages the probabilities over the rows, which are taken as fixed.
        level : float, optional
            Confidence level; that of the inference by default.
        simultaneous : bool, default False
            Whether the intervals of a row contain the probabilities of all its classes jointly with at least this
            level, by the smaller one of Scheffe's and Sidak's bounds: exact for two classes, conservative for more.

        Returns
        -------
        Predictions
            Probabilities (n, q), their standard errors and limits of intervals.

        Raises
        ------
        ValueError
            If the columns are not those of the fit, a value is not finite, or the offset of new rows is missing.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), np.array([0, 0, 1, 0, 1, 1])
        >>> result = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
        >>> found = result.predictions([[4.0], [6.0]])
        >>> found.probabilities[:, 1].round(3), found.low[:, 1].round(3), found.high[:, 1].round(3)
        (array([0.647, 0.954]), array([0.144, 0.124]), array([0.952, 1.   ]))
        """
        X, weight = (self.fitted.X, self.fitted.weight) if X_new is None else (self.read_rows(X_new), None)
        level = checked_level(level, self.level)
        if grid is None:
            return predict(self, Scenario(X, offset=self._offset(X_new, offset, X)), level, simultaneous)
        check_others(others)
        points = grid_points(self, grid)
        if others == "observed":
            fixed = self._offset(X_new, offset, X)
            scenarios = [Scenario(X, setting, fixed) for setting in points.settings]
            found = predict_averages(self, scenarios, weight, level, simultaneous)
        else:
            fixed = grid_offset(self, offset, len(points.settings))
            rows = Scenario(grid_rows(typical_row(self, X, weight, others), points), offset=fixed)
            found = predict(self, rows, level, simultaneous)
        return replace(found, grid=points.values)

    def _offset(self, X_new: Any, offset: Any, X: Matrix) -> Array | None:
        """Return the offset (n, q) of new rows X (n, d), or of those of the fit for None; None without offset."""
        if X_new is None:
            if offset is not None:
                raise ValueError("offset is that of new rows; the rows of the fit have theirs. Pass the rows as well.")
            return self.fitted.offset
        if offset is None and self.read_offset is not None:
            return self.read_offset(X_new)
        return new_offset(self.fitted.model, offset, X.shape[0])

    def plot_predictions(
        self, grid: Mapping[Any, Any], X: Any = None, *, others: str = "mean_or_mode", axes: Any = None, **options: Any
    ) -> Any:
        """Draw the predictions of a grid of one or two columns, with bands.

        Parameters
        ----------
        grid, X, others
            As `grid`, `X_new` and `others` of `predictions`.
        axes : matplotlib.axes.Axes, optional
            Axes to draw on; by default new ones.
        **options
            `level`, `simultaneous` and `offset` of `predictions`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_predictions(self.predictions(X, grid=grid, others=others, **options), axes)

    def comparisons(
        self, columns: Sequence[Any] | Any, low: Any = None, high: Any = None, *, X: Any = None,
        offset: Any = None, level: float | None = None,
    ) -> Comparisons:  # fmt: skip
        """Compare probabilities between two values of a column, the other columns as observed.

        Differences, ratios and odds ratios of the average probabilities, and those of each row, with standard errors
        by the delta method. The rows are taken as fixed. Intervals of ratios are those of their logarithms.

        Parameters
        ----------
        columns : sequence or single name or position
            The columns, each of which is compared.
        low, high : float, optional
            The two values, in the units of the column. Without them, a 0/1 column is compared at 1 with 0, and a level
            of one of the `categories` with the reference level.
        X : array, sparse matrix or data frame of shape (n, d), optional
            The rows; those of the fit, with their weights, by default.
        offset : array or frame of shape (n, q) or (n,), optional
            Offset of the logits of X, as in `predictions`.
        level : float, optional
            Confidence level; that of the inference by default.

        Returns
        -------
        Comparisons
            `difference`, `ratio` and `odds_ratio` of the averages, (q, c), and `rows()`.

        Raises
        ------
        ValueError
            If a column does not exist, a number has no two values, or the offset of new rows is missing.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), np.array([0, 0, 1, 0, 1, 1])
        >>> found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y).comparisons(0, low=3, high=4)
        >>> found.difference.estimate.ravel().round(3), found.odds_ratio.estimate.ravel().round(3)
        (array([-0.295,  0.295]), array([0.297, 3.367]))
        """
        rows, weight = (self.fitted.X, self.fitted.weight) if X is None else (self.read_rows(X), None)
        contrasts = column_contrasts(self, columns, low, high, rows, self._offset(X, offset, rows))
        return compare(self, contrasts, weight, checked_level(level, self.level))

    # --- the whole ------------------------------------------------------------------------------------------------

    @property
    def n(self) -> float:
        """Number of rows, counted by their weights."""
        return self.likelihood.mass

    # --- tests ----------------------------------------------------------------------------------------------------

    def likelihood_ratio(self, drop: Sequence[Any] | Any = None, *, nested: Inference | None = None) -> ChiSquared:
        """Test columns by the likelihood ratio: twice the difference of the log-likelihoods.

        The model is assumed to hold, whatever the kind of standard errors. With Firth's penalty it is the ratio of
        penalised likelihoods: weights are fixed at zero, and the penalty uses the whole information matrix.

        Parameters
        ----------
        drop : sequence or single name or position, optional
            Columns of the null hypothesis; all by default.
        nested : Inference, optional
            A fit of a nested model to the same rows, instead of `drop`.

        Returns
        -------
        ChiSquared
            Statistic, degrees of freedom and p-value.

        Raises
        ------
        ValueError
            With an L2 penalty, class weights or sampling weights, whose statistic has no known distribution, and if
            `nested` is not nested.
        """
        self.fitted.refuse_tests("a likelihood ratio")
        self.fitted.refuse_pseudo_likelihood("likelihood ratio")
        if nested is not None:
            return self._against(nested)
        chosen = list(range(self.likelihood.d)) if drop is None else self.fitted.columns_among(drop)
        with one_blas_thread():
            decrease = self.fitted.log_likelihood_decrease(chosen, self._theta, self.log_likelihood)
        kind = "penalised likelihood ratio" if self.fitted.firth else "likelihood ratio"
        return ChiSquared(kind, max(2 * decrease, 0.0), (self.likelihood.q - 1) * len(chosen))

    def _against(self, nested: Inference) -> ChiSquared:
        if self.fitted.firth:
            raise ValueError("Firth's penalty differs between nested models; name the columns to drop instead.")
        if nested.n != self.n or nested.null_log_likelihood != self.null_log_likelihood or nested.df >= self.df:
            raise ValueError(
                f"a nested model has the same rows and fewer parameters: here are {self.n:g} rows and {self.df:g} "
                f"parameters, there {nested.n:g} and {nested.df:g}."
            )
        statistic = 2 * (self.log_likelihood - nested.log_likelihood)
        return ChiSquared("likelihood ratio", max(statistic, 0.0), round(self.df - nested.df))

    def wald(self, columns: Sequence[Any] | Any = None) -> ChiSquared:
        """Test by Wald's statistic that the columns (all if None) have zero weights in every class.

        Parameters
        ----------
        columns : sequence or single name or position, optional
            The columns; all by default.

        Returns
        -------
        ChiSquared
            Statistic, degrees of freedom and p-value.

        Raises
        ------
        ValueError
            With an L2 penalty, whose estimates are biased towards zero, and if the covariance is singular (no more
            clusters than weights).
        """
        self.fitted.refuse_tests("a test of zero")
        every = range(self.likelihood.d)
        return wald_test(self, list(every) if columns is None else self.fitted.columns_among(columns))

    @property
    def test_kind(self) -> str:
        """Default kind of test: "Wald" with robust standard errors, otherwise "likelihood ratio"."""
        return "Wald" if self.errors in ("robust", "clustered") else "likelihood ratio"

    def overall(self) -> ChiSquared:
        """Test that all columns have zero weights in every class, by the kind `test_kind`."""
        return self.wald() if self.test_kind == "Wald" else self.likelihood_ratio()

    def column_tests(self, kind: str | None = None) -> dict[str, Any]:
        """Test each column for all classes at once; the results are columns of equal length.

        Parameters
        ----------
        kind : {"likelihood ratio", "Wald"}, optional
            Kind of test; `test_kind` by default.

        Returns
        -------
        dict of str to list or ndarray
            Column, statistic, df and p_value.

        Raises
        ------
        ValueError
            If `kind` is neither of the two, or the test is not available.
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
        """Default kind of intervals: "profile" for Firth's penalty with model-based errors, otherwise "Wald"."""
        return "profile" if self.fitted.firth and self.test_kind != "Wald" else "Wald"

    def summary(self, intervals: str | None = None) -> Summary:
        """Return a summary of the fit with `.text`, `.html()` and `.frame()`.

        Parameters
        ----------
        intervals : {"Wald", "profile"}, optional
            Kind of intervals; `interval_kind` by default.

        Returns
        -------
        Summary
            The summary.

        Raises
        ------
        ValueError
            If `intervals` is neither "Wald" nor "profile".
        """
        intervals = self.interval_kind if intervals is None else intervals
        if intervals not in ("Wald", "profile"):
            raise ValueError(f"intervals={spell(intervals)} is neither 'Wald' nor 'profile'.")
        return Summary.of(self, self.profile() if intervals == "profile" else None)
