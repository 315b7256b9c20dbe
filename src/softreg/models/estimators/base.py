"""What every fitted model can do: logits, probabilities, classes and accuracy of new rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from softreg.models.inputs.batches import iter_batches, iter_features
from softreg.models.inputs.features import is_batch_source, validate_features
from softreg.models.inputs.finite_values import check_finite
from softreg.models.inputs.labels import check_lengths, hard_codes
from softreg.models.inputs.sample_weights import rescale_extreme_weights, sample_weights
from softreg.models.inputs.tensors import classes_like, refuse_overflow, tensor_scores
from softreg.models.likelihood.separation_message import separation_message
from softreg.optimize import Solution, Status
from softreg.probability import Classes, log_softmax, softmax
from softreg.rows import Array, scores
from softreg.rows.gpu.interop import is_tensor, like, to_numpy

DIGITS = 1000.0
"""float32 products serve where no logit of the rows looked at is a sum `|x| |w| + |b|` of more than this: each term is
rounded to 6e-8 of its size. (For images of MNIST it is 110 at a strength of 1e-4 and 500 at 1e-6; columns that almost
depend on each other, or lie far from zero, have weights with sums of 1e4 to 1e8.)"""
LOOKED_AT = 128
"""Rows, evenly spread, that decide it."""

MANY = 1 << 16
"""From so many numbers on, rows are worth compiled kernels and threads; fewer are answered sooner by one product."""


class LinearClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model with `coef_` (q, d), `intercept_` (q,) and `classes_` (q,), however they were found."""

    coef_: Array
    intercept_: Array
    classes_: NDArray[Any]
    tol: float

    _column_names: NDArray[Any] | None = None
    """Names of the columns for messages, where X carries none: a table model sets them."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _take(self, solution: Solution) -> None:
        self.coef_ = np.ascontiguousarray(solution.W.T)
        self.intercept_ = solution.b
        self.n_iter_ = max(1, solution.n_iter)
        self.solution_ = solution
        self._mini_batch_state = None

    def _say(self, solution: Solution) -> None:
        if solution.status in (Status.CONVERGED, Status.STATIONARY):
            return
        if solution.separation is not None:
            message = separation_message(
                solution.separation, self.classes_, getattr(self, "feature_names_in_", self._column_names)
            )
        elif solution.status is Status.UNCERTIFIED:
            message = (
                f"{solution.status.value}: the objective is estimated to be within {solution.gap:.1e} nats of its "
                f"minimum, but not proved. {self._way_to_a_proof()}"
            )
        else:
            message = (
                f"{solution.status.value} after {solution.passes} passes: the objective is "
                f"{'proved' if solution.certified else 'estimated'} to be within {solution.gap:.1e} nats of its "
                f"minimum, not within tol={self.tol:g}. {self._way_to_the_minimum(solution)}"
            )
        warnings.warn(message, ConvergenceWarning, stacklevel=3)

    @staticmethod
    def _way_to_the_minimum(solution: Solution) -> str:
        """What to do about a fit that ended too early."""
        if solution.status is Status.STALLED:
            return (
                "No step lowers it further in the precision of float64: raise strength, bring the columns to one scale "
                "(StandardScaler), or raise tol if that is near enough."
            )
        return "Raise max_iter, or tol if that is near enough."

    def _way_to_a_proof(self) -> str:
        """What to do about a fit without a proof."""
        from softreg.optimize.solvers import final_newton  # predictions do not need the solvers

        parameters, most = (len(self.classes_) - 1) * (self.coef_.shape[1] + 1), final_newton.MOST_PARAMETERS
        if parameters > most:
            return (
                f"Without a penalty a proof needs the exact Hessian, which is not computed for more than "
                f"{most:,} parameters (here {parameters:,}): add an L2 penalty (penalty='l2', strength=1e-6, "
                "say), or use fewer columns."
            )
        return (
            "The Hessian is singular to rounding, as it is where classes are nearly separated or one column almost "
            "determines another: add an L2 penalty (penalty='l2', strength=1e-6, say), or leave such columns out."
        )

    def _scores(self, X: Any, probabilities: bool = False) -> Any:
        """Logits (n, q), or their softmax: of many rows by threads, in one reading of X."""
        check_is_fitted(self, "coef_")
        if is_tensor(X):
            return tensor_scores(self, X, probabilities)
        if is_batch_source(X):
            return np.concatenate([self._scores(part, probabilities) for part in iter_features(X)])
        X = validate_features(self, X, reset=False, finite=False)
        if isinstance(X, np.ndarray) and X.size >= MANY and (X.dtype == np.float64 or self._single_serves(X)):
            # a number of X that is not finite shows in all logits of its row, and then there is no answer yet
            with np.errstate(over="ignore"):
                W = self.coef_.astype(X.dtype, copy=False)
            found = scores(W, self.intercept_, X, probabilities)
            if found is not None:
                return found
        check_finite(X)
        o = self._logits(X)
        return np.asarray(softmax(o)) if probabilities else o

    def _single_serves(self, X: Any) -> bool:
        """Whether float32 products of rows X (n, d), dense or CSR, keep the digits of the logits."""
        some = np.linspace(0, X.shape[0] - 1, min(LOOKED_AT, X.shape[0])).astype(np.intp)
        with np.errstate(over="ignore", invalid="ignore"):
            terms = abs(X[some]).astype(np.float64) @ np.abs(self.coef_.T) + np.abs(self.intercept_)
        return bool((terms <= DIGITS).all())

    def _logits(self, X: Any) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is named below
            if X.dtype == np.float32 and X.shape[0] * X.shape[1] >= MANY and self._single_serves(X):
                o = np.asarray(X @ self.coef_.T.astype(np.float32) + self.intercept_, dtype=np.float64)
                if np.isfinite(o).all():
                    return o
            if X.dtype == np.float32 and isinstance(X, np.ndarray):  # a few rows at a time, no float64 copy of all
                runs = [X[a : a + 8192].astype(np.float64) @ self.coef_.T for a in range(0, len(X), 8192)]
                o = np.concatenate(runs) + self.intercept_
            else:
                o = np.asarray(X @ self.coef_.T + self.intercept_)
        refuse_overflow(np.isfinite(o).all(axis=1), lambda row: float(abs(X[[row]]).max()))
        return o

    def decision_function(self, X: Any) -> Any:
        """Logits `X W + b`, (n, q); for two classes the log-odds (n,) of the second, as scikit-learn's tools expect."""
        o = self._scores(X)
        return like(o if len(self.classes_) > 2 else o[:, 1] - o[:, 0], X)

    def predict_proba(self, X: Any) -> Any:
        """Class probabilities `softmax(X W + b)`, (n, q) in the order of `classes_`; each row sums to 1.

        Of tensors (PyTorch, CuPy, JAX) the answer is such a tensor, on the same device, in float64 where X is that and
        in float32 otherwise; so are the logits, and the classes where these are numbers.
        """
        return like(self._scores(X, probabilities=True), X)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities in nats, (n, q); finite where the logits are, however tiny p is."""
        o = self._scores(X)
        return like(log_softmax(o) if isinstance(o, np.ndarray) else o.log_softmax(1), X)

    def predict(self, X: Any) -> Any:
        """The most probable class of each row, (n,)."""
        codes = self._scores(X).argmax(axis=1)
        return classes_like(self.classes_, codes, X) if is_tensor(X) else np.asarray(self.classes_[codes])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy: the share of rows whose label is the most probable one (of label probabilities, the heaviest).

        A label that is no class of the model counts as wrong. Columns of a frame of label probabilities are matched by
        name. Batches bring their labels, and weights where they have them: X alone is given.
        """
        if is_batch_source(X):
            return self._score_of_batches(X)
        predicted = to_numpy(self._scores(X).argmax(axis=1))
        actual = hard_codes(y, Classes.of(self.classes_))
        check_lengths(predicted, actual)
        weight = None if sample_weight is None else rescale_extreme_weights(sample_weights(sample_weight, len(actual)))
        return float(np.average(predicted == actual, weights=weight))

    def _score_of_batches(self, source: Any) -> float:
        known, right, total = Classes.of(self.classes_), 0.0, 0.0
        for X, *rest in iter_batches(source):
            if not rest:
                raise ValueError("a batch to score is (X, y) or (X, y, weight), but this one brings no labels.")
            predicted, actual = self._scores(X).argmax(axis=1), hard_codes(rest[0], known)
            check_lengths(predicted, actual)
            weight = np.ones(len(actual)) if len(rest) < 2 else sample_weights(rest[1], len(actual), some=False)
            right, total = right + float(weight @ (predicted == actual)), total + float(weight.sum())
        return right / total if total else float("nan")
