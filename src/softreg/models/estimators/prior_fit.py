"""Fits with a Gaussian prior of the weights, and the posterior that a fit leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.inputs.training_rows import TrainingRows
from softreg.models.likelihood.posterior import FULL_POSTERIOR, Posterior
from softreg.models.parameters.weight_terms import WeightNames, prior_terms, weight_terms
from softreg.optimize import Solution, WeightTerms, make_penalty, minimise
from softreg.optimize.gaussian_prior import loss_precision, minimise_with_prior
from softreg.optimize.objective.loss_reductions import Mass
from softreg.optimize.problem.quadratic_form import QuadraticForm
from softreg.optimize.problem.weighted_elastic_net import WeightedElasticNet
from softreg.rows import as_rows
from softreg.typing import Array, Float64Array


def prior_posterior(prior: Any) -> Posterior | None:
    """Return the posterior of another fit that serves as prior, or None for `(mean, precision)`.

    Parameters
    ----------
    prior : Posterior, fitted model or pair
        The parameter `prior` of an estimator.

    Returns
    -------
    Posterior or None
        The posterior.

    Raises
    ------
    ValueError
        If the model is not fitted or did not keep its posterior.
    """
    if isinstance(prior, Posterior):
        return prior
    if not hasattr(prior, "posterior"):
        return None
    if not hasattr(prior, "coef_"):
        raise ValueError(
            "prior is an estimator that is not fitted, as scikit-learn's clone returns it; pass model.posterior(), or "
            "the model in a FrozenEstimator."
        )
    posterior: Posterior = prior.posterior()
    return posterior


def relabelled(data: TrainingRows, prior: Posterior) -> TrainingRows:
    """Return rows whose labels are codes of the classes of a prior, which may have further classes.

    Parameters
    ----------
    data : TrainingRows
        The rows.
    prior : Posterior
        The prior.

    Returns
    -------
    TrainingRows
        The rows with the classes of the prior.

    Raises
    ------
    ValueError
        If a class of the rows is none of the prior.
    """
    known = {label: code for code, label in enumerate(prior.classes.tolist())}
    unknown = [label for label in data.classes.tolist() if label not in known]
    if unknown:
        raise ValueError(
            f"the class {unknown[0]!r} is not among those of the prior: {', '.join(map(repr, list(known)[:10]))}."
        )
    if np.array_equal(data.classes, prior.classes):
        return data
    if data.rows.has_offset:
        raise ValueError("with an offset, the rows need all classes of the prior.")
    code = np.array([known[label] for label in data.classes.tolist()])
    source: Any = data.rows
    labels = source.labels
    if labels.ndim == 1:
        labels = code.astype(labels.dtype)[labels]
    else:
        full = np.zeros((len(labels), len(known)), labels.dtype)
        full[:, code] = labels
        labels = full
    rows = data.rows.labelled(labels, source.weights)
    return replace(data, rows=rows, classes=prior.classes, labels=None if data.labels is None else labels)


@dataclass(frozen=True)
class PriorFit:
    """A fit with a prior, for rows with the classes of the prior.

    Parameters
    ----------
    model : estimator
        Has the parameters of `SoftmaxRegression`.
    data : TrainingRows
        The rows.
    names : WeightNames
        Names of columns and classes.
    terms : WeightTerms or None
        Bounds of the weights.
    """

    model: Any
    data: TrainingRows
    names: WeightNames
    terms: WeightTerms | None

    def solve(self, options: Mapping[str, Any]) -> Solution:
        """Return the mode of the posterior.

        Parameters
        ----------
        options : mapping
            Further arguments of `softreg.optimize.minimise`.

        Returns
        -------
        Solution
            The fit.

        Raises
        ------
        ValueError
            If the prior does not fit the rows.
        """
        posterior = prior_posterior(self.model.prior)
        if posterior is None:
            terms = prior_terms(self.model.prior, self.names, self.terms)
            penalty = WeightedElasticNet(np.zeros(1), np.array([1 / row_mass(self.data)]), terms)
            (solution,) = minimise(self.data.rows, len(self.names.classes), penalty, **options)
            return solution
        self._check(posterior)
        if posterior.is_full:
            form = QuadraticForm(posterior.mean, posterior.precision).divided(_mass_ratio(self.data))
            bounds = None if self.terms is None else make_penalty(None, 0.0, 0.0, self.terms)
            return minimise_with_prior(
                self.data.rows,
                len(self.names.classes),
                form,
                penalty=bounds,
                fit_intercept=self.model.fit_intercept,
                tol=self.model.tol,
            )
        return self._with_diagonal(posterior, options)

    def _check(self, posterior: Posterior) -> None:
        """Raise `ValueError` unless the prior has the columns of the rows."""
        d = posterior.mean.shape[1] - 1
        if d != self.names.n_columns:
            raise ValueError(f"the prior is of {d} columns, but X has {self.names.n_columns}.")
        if posterior.has_intercept != self.model.fit_intercept:
            has = "has" if posterior.has_intercept else "has no"
            raise ValueError(f"the prior {has} intercept; fit with fit_intercept={posterior.has_intercept}.")
        present = None if self.names.columns is None else tuple(map(str, self.names.columns))
        if present is not None and posterior.feature_names is not None and present != posterior.feature_names:
            differing = next(j for j in range(d) if present[j] != posterior.feature_names[j])
            raise ValueError(
                f"the columns of the prior are others: column {differing} is {posterior.feature_names[differing]!r} "
                f"there and {present[differing]!r} here. Pass the same columns in the same order."
            )

    def _with_diagonal(self, posterior: Posterior, options: Mapping[str, Any]) -> Solution:
        """Return the mode with a diagonal precision; the bias is the weight of a column of ones."""
        X, labels = self.data.X, self.data.labels
        if labels is None or not (isinstance(X, np.ndarray) or sp.issparse(X)):
            raise ValueError(
                f"a prior of more than {FULL_POSTERIOR:,} parameters needs the rows in memory, as an array or a sparse "
                "matrix."
            )
        ones = np.ones((X.shape[0], 1), X.dtype)
        wide = sp.hstack([X, ones], format="csr") if sp.issparse(X) else np.hstack([X, ones])
        source: Any = self.data.rows
        rows = as_rows(wide, labels, source.weights, source.offset)
        q = len(self.names.classes)
        free = np.full((q, 1), np.inf)
        lower, upper = (-np.inf, np.inf) if self.terms is None else (self.terms.lower, self.terms.upper)
        lower, upper = (np.broadcast_to(bound, (q, X.shape[1])) for bound in (lower, upper))
        terms = WeightTerms(
            np.ones((1, X.shape[1] + 1)),
            posterior.precision,
            np.hstack([lower, -free]),
            np.hstack([upper, free]),
            posterior.mean,
        )
        penalty = WeightedElasticNet(np.zeros(1), np.array([1 / row_mass(self.data)]), terms)
        (solution,) = minimise(rows, q, penalty, **{**options, "fit_intercept": False})
        return replace(solution, W=np.ascontiguousarray(solution.W[:-1]), b=solution.W[-1].copy())


def row_mass(data: TrainingRows) -> float:
    """Return the sum of the row weights, before they were scaled."""
    if data.counts is not None:
        return float(data.counts.sum())
    return float(data.rows.sum(Mass(1))[0][0])


def _mass_ratio(data: TrainingRows) -> float:
    """Return the sum of the row weights as given, divided by that of the backend's weights."""
    return row_mass(data) / float(data.rows.sum(Mass(1))[0][0])


def posterior_of(model: Any, data: TrainingRows, solution: Solution, names: WeightNames) -> Posterior:
    """Return the Gaussian approximation to the posterior at a solution.

    Parameters
    ----------
    model : estimator
        Has the parameters of `SoftmaxRegression`.
    data : TrainingRows
        The rows.
    solution : Solution
        The fit.
    names : WeightNames
        Names of columns and classes.

    Returns
    -------
    Posterior
        Mean and precision.
    """
    q, d = len(names.classes), names.n_columns
    diagonal = q * (d + 1) > FULL_POSTERIOR
    precision = loss_precision(
        data.rows, solution.W, solution.b, diagonal=diagonal, fit_intercept=model.fit_intercept
    ) * _mass_ratio(data)
    prior = _prior_precision(model, data, names, diagonal)
    mean = np.concatenate([solution.W.T, solution.b[:, None]], axis=1)
    columns = None if names.columns is None else tuple(map(str, names.columns))
    return Posterior(mean, precision + prior, names.classes, columns)


def _prior_precision(model: Any, data: TrainingRows, names: WeightNames, diagonal: bool) -> Float64Array:
    """Return the precision of the prior of a fit, (q, d + 1) if `diagonal`, otherwise (p, p)."""
    q, d = len(names.classes), names.n_columns
    posterior = None if model.prior is None else prior_posterior(model.prior)
    if posterior is not None and posterior.is_full and not diagonal:
        return posterior.precision
    if posterior is not None:
        of_prior = np.diag(posterior.precision).reshape(q, d + 1) if posterior.is_full else posterior.precision
    else:
        weights: Array | float = row_mass(data) * model.strength * (model.penalty is not None)
        if model.prior is not None:
            weights = prior_terms(model.prior, names, None).l2_factor
        elif (terms := weight_terms(model, names)) is not None:
            weights = weights * terms.l2_factor
        of_prior = np.concatenate([np.broadcast_to(weights, (q, d)), np.zeros((q, 1))], axis=1)
    return np.asarray(of_prior if diagonal else np.diag(of_prior.ravel()))
