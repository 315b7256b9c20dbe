"""A fitted model together with the rows of its fit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from softreg.models.inputs.features import validate_features
from softreg.models.inputs.labels import check_lengths, encode_known_labels
from softreg.models.inputs.offsets import fitted_offset
from softreg.models.inputs.row_keys import read_row_keys
from softreg.models.inputs.sample_and_class_weights import row_weights, sample_weights
from softreg.models.likelihood.likelihood import Likelihood
from softreg.models.likelihood.null_model import null_model
from softreg.models.likelihood.separation_lp import separation
from softreg.models.likelihood.separation_message import separation_message
from softreg.models.parameters.parameter_checks import check_parameters
from softreg.models.parameters.weight_terms import WeightNames, weight_terms
from softreg.optimize import Status, l2, minimise
from softreg.optimize.firth_scoring import Firth
from softreg.optimize.objective.evaluation import Evaluation
from softreg.probability import Classes
from softreg.probability.label_arrays import spell
from softreg.rows import Array, as_rows
from softreg.typing import Matrix

NEAR = 1e-6
"""Nats a row. Rows at which the gap of a model is larger than this and than its tolerance are not those of its fit."""
FIRTH_STEPS = 1_000
"""Largest number of Fisher scoring steps."""
WEIGHTS = ("frequency", "sampling")
"""Kinds of sample weights: counts of identical rows, or inverse probabilities of being sampled."""


class SeparationError(ValueError):
    """The classes are separated, so the likelihood has no maximum at finite coefficients.

    Attributes
    ----------
    by : str
        A phrase that names the classes and the columns that separate them; empty if unknown.
    """

    def __init__(self, message: str, by: str = "") -> None:
        super().__init__(message)
        self.by = by


@dataclass(frozen=True, eq=False)
class FittedRows:
    """Rows of positive weight in the solver's form, with the names of classes and columns."""

    model: Any
    X: Any
    y: Array
    """Codes (n,) or label probabilities (n, q)."""
    weight: Array | None
    counts: Array | None
    """Number of copies of each row: its weight without class weights."""
    clusters: Array | None
    strength: float
    firth: bool
    sampling: bool = False
    """Whether the weights are sampling weights."""
    offset: Array | None = None
    """Fixed part of the logits (n, q)."""
    factors: Array | None = None
    """Penalty factor (d,) of each column, inf for a column without effect; None for equal ones."""

    @classmethod
    def of(
        cls,
        model: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        clusters: Any = None,
        *,
        weights: str = "frequency",
        offset: Any = None,
    ) -> FittedRows:
        """Check that model, rows, labels, weights and offset belong together; raise `ValueError` otherwise."""
        check_is_fitted(model, "coef_")
        share = check_parameters(model)
        strength = float(model.strength) if model.penalty in ("l2", "elasticnet") else 0.0
        if share > 0 and model.strength > 0:
            raise ValueError(
                "an l1 penalty selects columns, and standard errors that ignore the selection are too small; select "
                "with it, then fit the selected columns of other rows with penalty=None."
            )
        _refuse_bounds_and_prior(model)
        status = getattr(getattr(model, "solution_", None), "status", None)
        if status is Status.SEPARATED:
            raise SeparationError(
                "the model has no finite optimum, because the features separate the classes, so there are no standard "
                "errors: `softreg.separation(X, y)` names them, and penalty='firth' gives finite weights."
            )
        X = validate_features(copy.copy(model), X, reset=False)
        labels = encode_known_labels(y, Classes.of(model.classes_))
        check_lengths(X, labels)
        sampling = weights == "sampling" and sample_weight is not None
        counts = None if sample_weight is None or sampling else sample_weights(sample_weight, len(labels))
        weight = row_weights(sample_weight, len(labels), model.classes_, labels, model.class_weight)
        groups = None if clusters is None else _codes(clusters, weight, len(labels))
        fixed, factors = fitted_offset(model, offset, len(labels)), _column_factors(model, X.shape[1])
        if weight is not None and not (weight > 0).all():
            keep = weight > 0
            X, labels, weight = X[keep], labels[keep], weight[keep]
            counts = None if counts is None else counts[keep]
            groups = None if groups is None else np.unique(groups[keep], return_inverse=True)[1]
            fixed = None if fixed is None else fixed[keep]
        firth = model.penalty == "firth"
        return cls(model, X, labels, weight, counts, groups, strength, firth, sampling, fixed, factors)

    # --- names ----------------------------------------------------------------------------------------------------

    @property
    def labels(self) -> list[Any]:
        """Classes as Python values."""
        return list(self.model.classes_.tolist())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of X, or their positions."""
        names = getattr(self.model, "feature_names_in_", self.model._column_names)
        return tuple(f"column {j}" if names is None else str(names[j]) for j in range(self.X.shape[1]))

    def class_code(self, label: Any) -> int:
        """Return the code of a class; raise `ValueError` for a label that is not a class."""
        code = int(Classes.of(self.model.classes_).find([label])[0])
        if code < 0:
            raise ValueError(
                f"{spell(label)} is not a class; the classes are {', '.join(map(repr, self.labels[:10]))}."
            )
        return code

    def columns_among(self, chosen: Sequence[Any] | Any) -> list[int]:
        """Return the positions of columns given by name or position; raise `ValueError` for an unknown one."""
        names, d = list(self.names), self.X.shape[1]
        given = [chosen] if isinstance(chosen, (str, int, np.integer)) else list(chosen)
        positions = []
        for name in given:
            if isinstance(name, (int, np.integer)) and 0 <= name < d:
                positions.append(int(name))
            elif isinstance(name, str) and name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{names.count(name)} columns are called {name!r}; use its position, from 0.")
                positions.append(names.index(name))
            else:
                raise ValueError(f"{spell(name)} is not a column; the columns are {', '.join(map(repr, names[:10]))}.")
        if not positions or len(set(positions)) < len(positions):
            raise ValueError("name at least one column to test, and each only once.")
        return positions

    def read_rows(self, X: Any) -> Matrix:
        """Return new rows as a matrix (n, d); raise `ValueError` if their columns are not those of the fit."""
        return cast(Matrix, validate_features(copy.copy(self.model), X, reset=False))

    # --- the maximum ----------------------------------------------------------------------------------------------

    def likelihood(self) -> Likelihood:
        """Return the likelihood of these rows."""
        return Likelihood(
            self.X,
            self.y,
            self.weight,
            len(self.labels),
            strength=self.strength,
            factors=self.factors,
            fit_intercept=bool(self.model.fit_intercept),
            offset=self.offset,
        )

    def maximum(self) -> tuple[Likelihood, Array, Evaluation]:
        """Return the likelihood, its maximum near the weights of the model, and the evaluation there."""
        likelihood = self.likelihood()
        if self.strength == 0:
            likelihood.refuse_dependent(self.names)
        start = likelihood.from_user(self.model.coef_, self.model.intercept_)
        near = max(NEAR, 2 * float(self.model.tol))
        try:
            theta, evaluation, gap = (self._firth if self.firth else likelihood.refine)(start, near)
        except np.linalg.LinAlgError:
            separated = separation(self.X, self.y, self.weight, fit_intercept=likelihood.bias)
            if separated is None:
                raise ValueError("the information matrix of these rows is singular to working precision.") from None
            message = separation_message(separated, self.model.classes_, np.array(self.names))
            how = "completely" if separated.complete else "quasi-completely"
            columns = ", ".join(map(repr, separated.columns))
            by = f"{separated.labels[0]!r} and {separated.labels[1]!r} {how}, by {columns}"
            raise SeparationError(message, by) from None
        if gap is not None:
            raise ValueError(
                f"the weights of the model are about {gap:.1e} nats a row from the optimum of these rows: pass the "
                "rows, labels, weights and offset of its fit, or fit it to convergence (max_iter) first."
            )
        return likelihood, theta, evaluation

    def _firth(self, start: Array, near: float) -> tuple[Array, Evaluation, float | None]:
        """Refine the maximum of Firth's penalised likelihood, as `Likelihood.refine` does."""
        likelihood = self.likelihood()
        firth = Firth(likelihood.objective)
        gap = firth.step(firth.at(start)).decrement / 2 / likelihood.mass
        if not gap <= near:
            return start, likelihood.evaluate(start), gap
        theta = firth.run(start, FIRTH_STEPS).point.theta
        return theta, likelihood.evaluate(theta), None

    def log_likelihood_decrease(self, columns: list[int], theta: Array, log_likelihood: float) -> float:
        """Return the decrease of the maximal (penalised) log-likelihood without columns."""
        if not self.firth:
            return log_likelihood - self.without(columns)
        objective = self.likelihood().objective
        full = Firth(objective).at(theta).log_likelihood
        start = theta.copy()
        start[:, columns] = 0.0
        return full - Firth(objective, tuple(columns)).run(start, FIRTH_STEPS).point.log_likelihood

    def without(self, columns: list[int]) -> float:
        """Return the maximal log-likelihood without these columns."""
        keep = np.setdiff1d(np.arange(self.X.shape[1]), columns)
        if not len(keep):
            return self.null_log_likelihood
        q, V = len(self.labels), None if self.weight is None else self.weight[None, :]
        bias = bool(self.model.fit_intercept)
        reduced = Likelihood(self.X[:, keep], self.y, self.weight, q, fit_intercept=bias, offset=self.offset)
        rows = as_rows(self.X[:, keep], self.y, V, self.offset)
        (solution,) = minimise(rows, q, l2(np.zeros(1)), fit_intercept=bias, tol=1e-9)
        _, evaluation, _ = reduced.refine(reduced.from_user(solution.W.T, solution.b), np.inf)
        return -float(evaluation.value[0]) * reduced.mass

    @property
    def null_log_likelihood(self) -> float:
        """Log-likelihood of the model of intercept and offset alone (without either, of equal probabilities)."""
        q = len(self.labels)
        if self.offset is not None:
            V = None if self.weight is None else self.weight[None, :]
            rows = as_rows(np.zeros((len(self.y), 1)), self.y, V, self.offset)
            count = float(len(self.y) if self.weight is None else self.weight.sum())
            return -count * null_model(rows, q, bool(self.model.fit_intercept)).loss
        ones = np.ones(len(self.y)) if self.weight is None else self.weight
        mass = np.bincount(self.y, weights=ones, minlength=q) if self.y.ndim == 1 else ones @ self.y
        total = float(mass.sum())
        if not self.model.fit_intercept:
            return -total * float(np.log(q))
        return float((mass * np.log(mass / total)).sum())

    # --- refusals --------------------------------------------------------------------------------------

    def refuse_tests(self, what: str) -> None:
        """Raise `ValueError` under an L2 penalty."""
        if self.strength > 0:
            raise ValueError(
                f"the L2 penalty (strength={self.strength:g}) shrinks the weights, so {what} has no known "
                "distribution; fit with penalty=None, or penalty='firth' where classes are separated."
            )

    @property
    def pseudo(self) -> bool:
        """Whether the objective is a pseudo-likelihood because of class weights or sampling weights."""
        return self.sampling or self.model.class_weight is not None

    def refuse_pseudo_likelihood(self, what: str) -> None:
        """Raise `ValueError` with class weights or sampling weights, whose objective is not a likelihood."""
        if self.model.class_weight is not None:
            raise ValueError(
                f"the model was fitted with class weights, whose objective is not a likelihood: there is no {what}."
            )
        if self.sampling:
            raise ValueError(
                f"with sampling weights the objective is a pseudo-likelihood: there is no {what}; use Wald's tests."
            )


def _refuse_bounds_and_prior(model: Any) -> None:
    """Raise `ValueError` for a model whose weights have bounds or a prior."""
    if model.bounds is not None:
        raise ValueError(
            "standard errors of a model with bounds (monotone terms have them) are not defined: an estimate at its "
            "bound has no normal distribution, and those of the other weights depend on which bounds are met. Fit "
            "without bounds, or compute intervals from bootstrap samples of the rows."
        )
    if getattr(model, "prior", None) is not None:
        raise ValueError(
            "standard errors of a model with a prior are not defined here: they ignore the rows of the prior. Fit with "
            "keep_posterior=True, whose `posterior()` has the covariance."
        )


def _column_factors(model: Any, n_columns: int) -> Array | None:
    """Return the penalty factor of each column (d,), inf where its weights are 0; None without factors.

    Returns
    -------
    ndarray of shape (d,) or None
        Factors.

    Raises
    ------
    ValueError
        If the classes have different factors in a column.
    """
    names = WeightNames.of(getattr(model, "feature_names_in_", model._column_names), n_columns, model.classes_)
    terms = None if model.penalty_factors is None else weight_terms(model, names)
    if terms is None:
        return None
    factors = np.where((terms.lower == 0) & (terms.upper == 0), np.inf, terms.l2_factor)
    differing = np.flatnonzero((factors != factors[0]).any(axis=0))
    if len(differing):
        raise ValueError(
            f"the penalty factors of {names.label(int(differing[0]))} differ between the classes, and standard errors "
            "are for one factor a column; fit with keep_posterior=True, whose `posterior()` has the covariance."
        )
    return np.asarray(factors[0])


def _codes(clusters: Any, weight: Array | None, n: int) -> Array:
    """Return the codes 0 .. G - 1 of the clusters (n,).

    Returns
    -------
    ndarray of shape (n,)
        Codes.

    Raises
    ------
    ValueError
        If the length differs, a row of positive weight has no cluster, or there is a single cluster.
    """
    advice = "Give this row a cluster of its own, or leave it out."
    keys = read_row_keys(clusters, n, "clusters", advice, None if weight is None else weight > 0)
    if len(np.unique(keys.codes if weight is None else keys.codes[weight > 0])) < 2:
        raise ValueError("there is only one cluster; clustered standard errors need many.")
    return np.asarray(keys.codes)
