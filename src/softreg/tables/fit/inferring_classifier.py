"""Inference with a fitted `TableClassifier`: standard errors, tests of terms, and intervals of probabilities."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softreg.models import Inference, infer
from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.tables.columns.table_errors import TableError
from softreg.tables.encode.discrete_changes import discrete_changes, feature_setting, no_effects
from softreg.tables.fit.base_classifier import BaseTableClassifier
from softreg.tables.fit.stored_intervals import StoredIntervals
from softreg.tables.fit.terms.term_options import requested_terms
from softreg.tables.fit.terms.term_tests import TermTests, refitted_model, term_tests_of
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.schema import label_types
from softreg.typing import Array, Float64Array, TextArray


@dataclass(frozen=True, eq=False)
class _LabelledRows:
    """Rows of a table with the label of a class: their places, features, labels as text, weights and offsets."""

    selected: Any
    X: Any
    y: TextArray
    weight: Array | None
    offset: Array | None


class InferringClassifier(BaseTableClassifier):
    """The part of `TableClassifier` that needs the covariance of the weights.

    Examples
    --------
    >>> from softreg import TableClassifier
    >>> issubclass(TableClassifier, InferringClassifier)
    True
    """

    def infer(
        self,
        data: Any,
        rows: ArrayLike | None = None,
        *,
        y: Any = None,
        sample_weight: Any = None,
        reference: Any = None,
        errors: str | None = None,
        clusters: Any = None,
        level: float = 0.95,
    ) -> Inference:
        """Return standard errors and intervals of the model's weights, from the rows that it was fitted to.

        Features are those of `feature_names_out_`: numbers in standard deviations, and the levels of a category one by
        one. Only the penalty determines the weights of single levels, so that the useful statistics are `effects()`;
        for tests of columns in their own units use `table_statistics`.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Table of the fit.
        rows : array-like, optional
            Training rows, as numbers from 0 or a mask; all by default.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.
        sample_weight, clusters : array-like (n,), optional
            Weight and cluster of each row of the table.
        reference, errors, level
            As in `softreg.infer`.

        Returns
        -------
        Inference
            Statistics of the weights.

        Raises
        ------
        ValueError
            If the rows are not those of the fit, or the model has no penalty.
        """
        given = self._labelled_rows(data, rows, y, sample_weight)
        cluster = None if clusters is None else np.asarray(clusters)[given.selected]
        reference_class = (
            None if reference is None else label_types.class_name(reference, self.model_.classes_.tolist())
        )
        X = given.X
        options: dict[str, Any] = {"reference": reference_class, "errors": errors, "clusters": cluster, "level": level}
        inference = infer(self.model_, X, given.y, given.weight, offset=given.offset, **options)
        changes = {**inference.changes, **discrete_changes(self.encoder_, X)}
        return replace(
            inference,
            changes=changes,
            read_rows=lambda new: self.encoder_.encode(self._table(new)),
            read_value=lambda j, value: feature_setting(self.encoder_, j, value),
            read_offset=self.offsets,
            no_effects=no_effects(self.encoder_),
        )

    def _labelled_rows(self, data: Any, rows: ArrayLike | None, y: Any, sample_weight: Any) -> _LabelledRows:
        """Return the chosen rows of a table that have the label of a class, encoded."""
        table = self._table(data)
        chosen = row_numbers(rows, table.num_rows)
        texts = self.label_texts(table, y)
        labelled = texts != ""
        if not labelled.all():  # rows that the fit left out
            chosen = np.flatnonzero(labelled) if chosen is None else chosen[labelled[chosen]]
        selected: Any = slice(None) if chosen is None else chosen
        weight = None if sample_weight is None else sample_weights(sample_weight, table.num_rows)[selected]
        offsets = self.offsets(table)
        offset = None if offsets is None else offsets[selected]
        return _LabelledRows(selected, self.encoder_.encode(table, chosen), texts[selected], weight, offset)

    def term_tests(
        self,
        data: Any,
        rows: ArrayLike | None = None,
        *,
        y: Any = None,
        sample_weight: Any = None,
        refit: bool = False,
    ) -> TermTests:
        """Test that a column, the curvature of a curve or an interaction has no effect, for each of them.

        The statistic is `w^T A^-1 w`, where w are the weights of a term and A is their block of the inverse of
        information plus penalty. It is twice the logarithm of the ratio of the marginal likelihoods with and without
        the term, up to a constant. Under the null hypothesis it is a sum of chi-squared variables whose weights add up
        to the effective degrees of freedom [1]_. Without a penalty it is Wald's test.

        The p-values are for strengths that are given. Where the same rows chose them, those of columns, curves and
        requested interactions are a little too small: at the 5% level, true null hypotheses were rejected in up to 8%
        of drawn tables (`make bench PROBLEM=term_intervals`). Terms without evidence are not in the model and have no
        test. Interactions that a search found are the strongest of many, and their p-values are too small; these are
        marked as `searched`. With `refit=True` and rows that the fit did not have, the terms and strengths are
        independent of the tested rows.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Table of the fit, or other rows with `refit=True`.
        rows : array-like, optional
            Numbers of rows from 0, or a mask; all by default.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.
        sample_weight : array-like (n,), optional
            Number of copies of each row, as in the fit.
        refit : bool, default False
            Whether to fit the weights to these rows first, with the terms and strengths of the model.

        Returns
        -------
        TermTests
            The tests.

        Raises
        ------
        TableError
            If the model was fitted with class weights, or the rows lack a class.
        ValueError
            If the rows are not those of the fit, or the model has an L1 part, bounds (monotone terms have them) or a
            prior.

        References
        ----------
        .. [1] Wood, "A simple test for random effects in regression models" (2013).

        Examples
        --------
        >>> import pyarrow as pa
        >>> from softreg import TableClassifier
        >>> x = np.linspace(-2, 2, 400)
        >>> table = pa.table({"x": x, "y": np.where(np.sin(3 * x) + np.sin(40 * x) > 0, "yes", "no")})
        >>> tests = TableClassifier("y", terms="auto").fit(table).term_tests(table)
        >>> tests["x"].p_value < 1e-6, tests["x=curve"].p_value < 1e-6
        (True, True)
        """
        self._check_fitted()
        if self.model_.class_weight is not None:
            raise TableError(
                "The model was fitted with class weights, whose objective is no likelihood, so that its terms have no "
                "test; fit it without class weights."
            )
        requested = requested_terms(getattr(self, "terms", "linear")).interactions
        tested = self
        if refit:
            given = self._labelled_rows(data, rows, y, sample_weight)
            per_row = self.terms_ is None or not self.terms_.strengths
            tested = copy.copy(self)
            tested.model_ = refitted_model(self.model_, given.X, given.y, given.weight, given.offset, per_row=per_row)
        errors = "posterior" if self.model_.penalty == "l2" and self.model_.strength > 0 else "model"
        inference = tested.infer(data, rows, y=y, sample_weight=sample_weight, errors=errors)
        return term_tests_of(inference, self.encoder_, requested, refit)

    def keep_intervals(
        self,
        data: Any,
        rows: ArrayLike | None = None,
        *,
        y: Any = None,
        sample_weight: Any = None,
        errors: str | None = None,
    ) -> Any:
        """Keep the covariance of the weights, so that `predict_intervals` and model files have intervals.

        A model with terms has a strength for each of them; its "posterior" is the Bayesian covariance of smoothing,
        the inverse of information plus penalty, whose intervals of a curve cover the true curve at about their level
        on average over the rows [1]_. It takes the strengths as given.

        A file grows by `4 p (p + 1)` bytes for p = (q - 1) (d + 1) parameters: 16 kB for q = 3 and 30 features, 8 MB
        for 1,400 parameters.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Table of the fit.
        rows : array-like, optional
            Training rows, as numbers from 0 or a mask; all by default.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.
        sample_weight : array-like (n,), optional
            Weights of the rows of the table, as in the fit.
        errors : {"posterior", "model", "robust"}, optional
            Kind of standard errors. By default "posterior" with an L2 penalty, which is interpreted as a Gaussian
            prior, and "model" without.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows are not those of the fit, the model has an L1 part or bounds (monotone terms have them), has
            more than 4,000 parameters, or has a prior and did not keep its posterior.

        References
        ----------
        .. [1] Nychka, "Bayesian confidence intervals for smoothing splines" (1988); Marra and Wood, "Coverage
           properties of confidence intervals for generalized additive model components" (2012).
        """
        from softreg.models.inference.margins.row_logits import ParameterDistribution

        if self.model_.prior is not None:
            self.intervals_ = self._posterior_intervals(errors)
            return self
        penalised = self.model_.penalty == "l2" and self.model_.strength > 0
        kind = errors or ("posterior" if penalised else "model")
        inference = self.infer(data, rows, y=y, sample_weight=sample_weight, errors=kind)
        distribution = ParameterDistribution.of(inference).at(self.model_.coef_, self.model_.intercept_)
        self.intervals_ = StoredIntervals(distribution, inference.errors)
        return self

    def _posterior_intervals(self, errors: str | None) -> StoredIntervals:
        """Return the intervals of the posterior that the fit kept; raise `ValueError` without one."""
        from softreg.models.inference.margins.row_logits import ParameterDistribution

        if errors not in (None, "posterior") or self.model_._posterior is None:
            raise ValueError(
                "a model with a prior has the intervals of its posterior alone; train it with --keep-posterior "
                "(keep_posterior=True in Python)."
            )
        return StoredIntervals(ParameterDistribution.of_posterior(self.model_.posterior()), "posterior")

    def predict_intervals(self, data: Any, level: float = 0.95) -> tuple[Float64Array, Float64Array]:
        """Return the limits of intervals of the probabilities of `predict_proba`.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.
        level : float, default 0.95
            Confidence level, or posterior probability with `errors="posterior"`.

        Returns
        -------
        low, high : array of float64 (n, q)
            Limits, by the delta method on the log-odds, between 0 and 1.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1, or `keep_intervals` was not called before.
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} must be between 0 and 1, such as 0.95.")
        if self.intervals_ is None:
            raise ValueError(
                "the model keeps no covariance; call keep_intervals(data) with the table of the fit first."
            )
        X, offset = self._encoded_with_offset(data)
        return self.intervals_.limits(X, level, offset)
