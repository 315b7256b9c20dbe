"""A fitted model and the rows that it was fitted to, checked to belong together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from softreg.models.inputs import labels as targets
from softreg.models.inputs import parameters as checks
from softreg.models.inputs.features import features
from softreg.models.inputs.row_keys import read_keys
from softreg.models.inputs.sample_weights import row_weights, sample_weights
from softreg.models.likelihood.likelihood import Likelihood
from softreg.models.likelihood.separation_lp import separation
from softreg.optimize import Status, l2, minimise
from softreg.optimize.firth import Firth
from softreg.optimize.objective.evaluation import Evaluation
from softreg.probability import Classes
from softreg.probability.label_arrays import spell
from softreg.rows import Array, as_rows

NEAR = 1e-6
"""Nats a row by which a model may miss the optimum of the rows given, beside its own tolerance."""
FIRTH_STEPS = 1_000
WEIGHTS = ("frequency", "sampling")
"""Kinds of sample weights: counts of identical rows, or inverse probabilities of being sampled."""


class SeparationError(ValueError):
    """The classes are separated, so the likelihood has no maximum at finite coefficients.

    `by`: which classes are separated by which columns, a phrase; "" where it is not known.
    """

    def __init__(self, message: str, by: str = "") -> None:
        super().__init__(message)
        self.by = by


@dataclass(frozen=True, eq=False)
class Fitted:
    """Rows that count, as the solver takes them, and the model's own words for classes and columns."""

    model: Any
    X: Any
    y: Array
    """Codes (n,) or label probabilities (n, q)."""
    weight: Array | None
    counts: Array | None
    """How often each row is there: its weight without the class weights."""
    clusters: Array | None
    strength: float
    firth: bool
    sampling: bool = False
    """Whether the weights are sampling weights."""

    @classmethod
    def of(
        cls, model: Any, X: Any, y: Any, sample_weight: Any, clusters: Any = None, *, weights: str = "frequency"
    ) -> Fitted:
        """Return the checked parts; raises `ValueError` for what does not belong together."""
        check_is_fitted(model, "coef_")
        share = checks.check_parameters(model)
        strength = float(model.strength) if model.penalty in ("l2", "elasticnet") else 0.0
        if share > 0 and model.strength > 0:
            raise ValueError(
                "an l1 part chooses columns, and errors that forget the choice are too small; choose with it, then fit "
                "the chosen columns of other rows with penalty=None and ask there."
            )
        status = getattr(getattr(model, "solution_", None), "status", None)
        if status is Status.SEPARATED:
            raise SeparationError(
                "the model has no finite optimum, because the features separate the classes, so there are no errors: "
                "`softreg.separation(X, y)` names them, and penalty='firth' gives finite weights."
            )
        X = features(copy.copy(model), X, reset=False)
        labels = targets.labels_among(y, Classes.of(model.classes_))
        checks.check_lengths(X, labels)
        sampling = weights == "sampling" and sample_weight is not None
        counts = None if sample_weight is None or sampling else sample_weights(sample_weight, len(labels))
        weight = row_weights(sample_weight, len(labels), model.classes_, labels, model.class_weight)
        groups = None if clusters is None else _codes(clusters, weight, len(labels))
        if weight is not None and not (weight > 0).all():
            keep = weight > 0
            X, labels, weight = X[keep], labels[keep], weight[keep]
            counts = None if counts is None else counts[keep]
            groups = None if groups is None else np.unique(groups[keep], return_inverse=True)[1]
        return cls(model, X, labels, weight, counts, groups, strength, model.penalty == "firth", sampling)

    # --- words ----------------------------------------------------------------------------------------------------

    @property
    def labels(self) -> list[Any]:
        """The classes, as plain Python values."""
        return list(self.model.classes_.tolist())

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of X: their own names, or their places."""
        names = getattr(self.model, "feature_names_in_", self.model._column_names)
        return tuple(f"column {j}" if names is None else str(names[j]) for j in range(self.X.shape[1]))

    def place(self, label: Any) -> int:
        """Return the code of a class; raises `ValueError` for a label that is none."""
        code = int(Classes.of(self.model.classes_).find([label])[0])
        if code < 0:
            raise ValueError(f"{spell(label)} is no class; the classes are {', '.join(map(repr, self.labels[:10]))}.")
        return code

    def columns_among(self, chosen: Sequence[Any] | Any) -> list[int]:
        """Places of columns given by name or place; raises `ValueError` for one that is not there."""
        names, d = list(self.names), self.X.shape[1]
        given = [chosen] if isinstance(chosen, (str, int, np.integer)) else list(chosen)
        places = []
        for one in given:
            if isinstance(one, (int, np.integer)) and 0 <= one < d:
                places.append(int(one))
            elif isinstance(one, str) and one in names:
                if names.count(one) > 1:
                    raise ValueError(f"{names.count(one)} columns are called {one!r}; name it by its place from 0.")
                places.append(names.index(one))
            else:
                raise ValueError(f"{spell(one)} is no column; there are {', '.join(map(repr, names[:10]))}.")
        if not places or len(set(places)) < len(places):
            raise ValueError("name at least one column to test, and each only once.")
        return places

    # --- the maximum ----------------------------------------------------------------------------------------------

    def likelihood(self) -> Likelihood:
        """Return the likelihood of these rows."""
        return Likelihood(
            self.X,
            self.y,
            self.weight,
            len(self.labels),
            strength=self.strength,
            fit_intercept=bool(self.model.fit_intercept),
        )

    def maximum(self) -> tuple[Likelihood, Array, Evaluation]:
        """Return the likelihood, its exact maximum near the model's weights, and value, gradient and Hessian there."""
        likelihood = self.likelihood()
        if self.strength == 0:
            likelihood.refuse_dependent(self.names)
        start = likelihood.from_user(self.model.coef_, self.model.intercept_)
        near = max(NEAR, 2 * float(self.model.tol))
        try:
            theta, reading, gap = (self._firth if self.firth else likelihood.polish)(start, near)
        except np.linalg.LinAlgError:
            found = separation(self.X, self.y, self.weight, fit_intercept=likelihood.bias)
            if found is None:
                raise ValueError("the information of these rows is singular to working precision.") from None
            message = checks.separation_message(found, self.model.classes_, np.array(self.names))
            how = "completely" if found.complete else "quasi-completely"
            by = f"{found.labels[0]!r} and {found.labels[1]!r} {how}, by {', '.join(map(repr, found.columns))}"
            raise SeparationError(message, by) from None
        if gap is not None:
            raise ValueError(
                f"the model's weights miss the optimum of these rows by about {gap:.1e} nats a row: hand in the rows, "
                "labels and weights that it was fitted to, or fit it to its end (max_iter) first."
            )
        return likelihood, theta, reading

    def _firth(self, start: Array, near: float) -> tuple[Array, Evaluation, float | None]:
        """Return the same as `Likelihood.polish`, for Firth's penalised likelihood."""
        likelihood = self.likelihood()
        firth = Firth(likelihood.objective)
        gap = firth.step(firth.at(start))[1] / 2 / likelihood.mass
        if not gap <= near:
            return start, likelihood.read(start), gap
        theta = firth.run(start, FIRTH_STEPS)[0].theta
        return theta, likelihood.read(theta), None

    def lost(self, columns: list[int], theta: Array, log_likelihood: float) -> float:
        """By how much the largest log-likelihood (with Firth's term, where the model has it) falls without columns."""
        if not self.firth:
            return log_likelihood - self.without(columns)
        objective = self.likelihood().objective
        full = Firth(objective).at(theta).log_likelihood
        start = theta.copy()
        start[:, columns] = 0.0
        return full - Firth(objective, tuple(columns)).run(start, FIRTH_STEPS)[0].log_likelihood

    def without(self, columns: list[int]) -> float:
        """Return the largest log-likelihood without these columns."""
        keep = np.setdiff1d(np.arange(self.X.shape[1]), columns)
        if not len(keep):
            return self.null_log_likelihood
        q, V = len(self.labels), None if self.weight is None else self.weight[None, :]
        bias = bool(self.model.fit_intercept)
        few = Likelihood(self.X[:, keep], self.y, self.weight, q, fit_intercept=bias)
        rows = as_rows(self.X[:, keep], self.y, V)
        (found,) = minimise(rows, q, l2(np.zeros(1)), fit_intercept=bias, tol=1e-9)
        _, reading, _ = few.polish(few.from_user(found.W.T, found.b), np.inf)
        return -float(reading.value[0]) * few.mass

    @property
    def null_log_likelihood(self) -> float:
        """The log-likelihood of the intercept-only model (without an intercept: of equal probabilities)."""
        q = len(self.labels)
        ones = np.ones(len(self.y)) if self.weight is None else self.weight
        mass = np.bincount(self.y, weights=ones, minlength=q) if self.y.ndim == 1 else ones @ self.y
        total = float(mass.sum())
        if not self.model.fit_intercept:
            return -total * float(np.log(q))
        return float((mass * np.log(mass / total)).sum())

    # --- what makes no sense --------------------------------------------------------------------------------------

    def refuse_tests(self, what: str) -> None:
        """Raise `ValueError` under an L2 penalty."""
        if self.strength > 0:
            raise ValueError(
                f"the L2 penalty (strength={self.strength:g}) pulls the weights to zero, so {what} has no known "
                "distribution; fit with penalty=None, or penalty='firth' where classes are separated."
            )

    @property
    def pseudo(self) -> bool:
        """Whether the weights make the objective a pseudo-likelihood: class weights or sampling weights."""
        return self.sampling or self.model.class_weight is not None

    def refuse_pseudo_likelihood(self, what: str) -> None:
        """Raise `ValueError` for a model with class weights or sampling weights: its objective is no likelihood."""
        if self.model.class_weight is not None:
            raise ValueError(f"the model was fitted with class weights, whose objective is no likelihood: no {what}.")
        if self.sampling:
            raise ValueError(
                f"with sampling weights the objective is a pseudo-likelihood: no {what}; use Wald's tests."
            )


def _codes(clusters: Any, weight: Array | None, n: int) -> Array:
    """Codes 0 .. G - 1 of the clusters (n,).

    Returns
    -------
    ndarray
        Codes 0 .. G - 1 of the clusters (n,).

    Raises
    ------
    ValueError
        For another length, a missing cluster of a row that counts, or a single cluster.
    """
    advice = "Rows of one cluster depend on each other: give this row a cluster of its own, or leave it out."
    found = read_keys(clusters, n, "clusters", advice, None if weight is None else weight > 0)
    if len(np.unique(found.codes if weight is None else found.codes[weight > 0])) < 2:
        raise ValueError("there is only one cluster, and nothing to compare it with; clustered errors need many.")
    return np.asarray(found.codes)
