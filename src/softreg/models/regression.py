"""SoftmaxRegression: the estimator that a Python user imports."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models import checks, firth, learning, state, targets
from softreg.models.features import features
from softreg.models.storage import write_model
from softreg.models.weights import in_bounds, row_weights, sample_weights
from softreg.optimize import Progress, Solution, Status, elastic_net, l2, minimise
from softreg.probability import Classes, log_softmax, softmax
from softreg.rows import Array, as_rows

FAR = 100.0
"""Biases beyond this mean that features lie far from zero: float32 products would lose digits of the logits."""


class SoftmaxRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Softmax regression (multinomial logistic regression, maximum entropy), to its certified optimum.

    Minimises over weights W (d, q) and bias b (q,)

        (1 / N) sum_i v_i CE(y_i, softmax(x_i W + b)) + strength * (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2)

    with N = sum_i v_i, the sum of the row weights, and CE the cross-entropy in nats. Two classes are treated like more.

    Parameters:
        strength: penalty strength, >= 0. scikit-learn's C is `1 / (n * strength)`, and `2 / (n * strength)` for q = 2.
        penalty: "l2", "l1", "elasticnet" or None; 0 < l1_ratio < 1 belongs to "elasticnet". "firth" reduces the bias of
            small samples and needs no strength: the likelihood times Jeffreys' prior, finite for separated classes too.
        fit_intercept: whether there is a bias; it is not penalised, so shifts of the features change no probability.
        class_weight: None, "balanced", or a dict from class to weight.
        solver: "auto", "newton" or "lbfgs"; the optimum is the same.
        tol: nats; the fit has converged when its objective is proved to be within `tol` of the minimum.
        max_iter: steps before the fit stops with a `ConvergenceWarning` that names the gap.
        warm_start: whether the next `fit` starts from the last answer; the optimum is the same.
        random_state: seed of the row sample for the warm start; the optimum does not depend on it beyond `tol`.
        verbose: 1 prints progress to stderr; a callable receives `softreg.optimize.Progress` records.

    After fit:
        classes_ (q,), coef_ (q, d), intercept_ (q,) for two classes as well, n_iter_, n_features_in_,
        feature_names_in_ (from frames), solution_ (value, gap, bound, passes, status, history).

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SoftmaxRegression(strength=1e-3).fit(X, y)
        >>> model.solution_.status.value, model.solution_.gap <= 1e-6
        ('converged', True)
        >>> model.predict_proba(X[:1]).round(3)
        array([[0.996, 0.004, 0.   ]])

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 4.4.
    """

    _column_names: NDArray[Any] | None = None
    """Names of the columns for messages, where X carries none: a table model sets them."""

    def __init__(
        self,
        strength: float = 1e-4,
        *,
        penalty: Literal["l2", "l1", "elasticnet", "firth"] | None = "l2",
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int | Callable[[Progress], Any] = 0,
    ) -> None:
        self.strength = strength
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # --- fitting ------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SoftmaxRegression:
        """Fit to features X (n, d) and labels y, which are hard (n,) or label probabilities (n, q).

        X is an array, a SciPy sparse matrix or array, or a frame of pandas, polars or pyarrow. `sample_weight` (n,)
        counts rows: a weight of 2 is the row given twice, 0 is a row left out. Returns the fitted estimator.

        Raises `ValueError` for input that cannot be learned from, naming column, row and value; warns with
        `ConvergenceWarning` where the certificate was not reached, and names the classes where no optimum exists.
        """
        l1_share = checks.check_parameters(self)
        seen = copy.copy(self)  # takes note of the columns; the model itself changes only when all has gone well
        X = features(seen, X, reset=True)
        classes, labels = targets.known_labels(y)
        checks.check_lengths(X, labels)
        weight = row_weights(sample_weight, X.shape[0], classes, labels, self.class_weight)
        counts = weight if weight is None else weight[weight > 0]
        X, labels, weight = checks.rows_that_count(X, labels, weight)
        checks.check_classes(classes, labels, weight)
        if self.penalty == "firth":
            names = getattr(seen, "feature_names_in_", self._column_names)
            solution = firth.fit(self, X, labels, counts, len(classes), names, self._start(classes, X.shape[1]))
            return self._fitted(seen, classes, solution)
        strength = 0.0 if self.penalty is None else self.strength
        penalty = l2(strength) if l1_share == 0 else elastic_net(strength, l1_share)
        (solution,) = minimise(
            as_rows(X, labels, None if weight is None else weight[None, :]),
            len(classes),
            penalty,
            fit_intercept=self.fit_intercept,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            start=self._start(classes, X.shape[1]),
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)) if self.random_state is not None else 0,
            on_progress=self._progress(),
        )
        return self._fitted(seen, classes, solution)

    def _fitted(self, seen: SoftmaxRegression, classes: NDArray[Any], solution: Solution) -> SoftmaxRegression:
        checks.take_columns(self, seen)
        self.classes_ = classes
        self._take(solution)
        self._say(solution)
        return self

    def _start(self, classes: NDArray[Any], d: int) -> tuple[Array, Array] | None:
        """Last weights, where they are wanted and fit."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        if self.coef_.shape != (len(classes), d) or not np.array_equal(self.classes_, classes):
            return None
        return self.coef_.T[None], self.intercept_[None]

    def _take(self, solution: Solution) -> None:
        self.coef_ = np.ascontiguousarray(solution.W.T)
        self.intercept_ = solution.b
        self.n_iter_ = max(1, solution.n_iter)
        self.solution_ = solution
        self._mini_batch_state = None

    def _progress(self) -> Callable[[Progress], Any] | None:
        if callable(self.verbose):
            return self.verbose
        if not self.verbose:
            return None

        def line(now: Progress) -> None:
            print(
                f"pass {now.passes:4d}   objective {now.value:.8f}   gap {now.gap:.1e}   {now.seconds:.1f} s",
                file=sys.stderr,
            )

        return line

    def _say(self, solution: Solution) -> None:
        if solution.status is Status.CONVERGED:
            return
        if solution.separation is not None:
            message = checks.separation_message(
                solution.separation, self.classes_, getattr(self, "feature_names_in_", self._column_names)
            )
        else:
            message = (
                f"{solution.status.value} after {solution.passes} passes: the objective is "
                f"{'proved' if solution.certified else 'estimated'} to be within {solution.gap:.1e} nats of its "
                f"minimum, not within tol={self.tol:g}. Raise max_iter, or tol if that is near enough."
            )
        warnings.warn(message, ConvergenceWarning, stacklevel=4)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SoftmaxRegression:
        """One pass of mini-batch gradient steps over the rows given: for data that come in pieces.

        The first call names all `classes` that will ever be seen (without, those of y are taken). It approaches the
        optimum of `fit` and does not certify it: `solution_` is not set. Raises `ValueError` for an unseen class.
        """
        learning.partial_fit(self, X, y, classes, sample_weight)
        return self

    # --- predicting ---------------------------------------------------------------------------------------------

    def _logits(self, X: Any) -> Array:
        X = features(self, X, reset=False)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is named below
            if X.dtype == np.float32 and np.abs(self.intercept_).max() <= FAR:
                o = np.asarray(X @ self.coef_.T.astype(np.float32) + self.intercept_, dtype=np.float64)
                if np.isfinite(o).all():
                    return o
            if X.dtype == np.float32 and isinstance(X, np.ndarray):  # a few rows at a time, no float64 copy of all
                runs = [X[a : a + 8192].astype(np.float64) @ self.coef_.T for a in range(0, len(X), 8192)]
                o = np.concatenate(runs) + self.intercept_
            else:
                o = np.asarray(X @ self.coef_.T + self.intercept_)
        if not np.isfinite(o).all():
            row = int(np.argmin(np.isfinite(o).all(axis=1)))
            raise ValueError(
                f"row {row} of X holds numbers so large that its logits X W + b overflow (the largest is "
                f"{float(abs(X[[row]]).max()):g}). Look for a wrong unit or a damaged value in that row."
            )
        return o

    def decision_function(self, X: Any) -> Array:
        """Logits `X W + b`, (n, q); for two classes the log-odds (n,) of the second, as scikit-learn's tools expect."""
        check_is_fitted(self, "coef_")
        o = self._logits(X)
        return o if len(self.classes_) > 2 else np.asarray(o[:, 1] - o[:, 0])

    def predict_proba(self, X: Any) -> Array:
        """Class probabilities `softmax(X W + b)`, (n, q) in the order of `classes_`; each row sums to 1."""
        check_is_fitted(self, "coef_")
        return np.asarray(softmax(self._logits(X)))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities in nats, (n, q); finite where the logits are, however tiny p is."""
        check_is_fitted(self, "coef_")
        return np.asarray(log_softmax(self._logits(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        check_is_fitted(self, "coef_")
        return np.asarray(self.classes_[self._logits(X).argmax(axis=1)])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the share of rows whose label is the most probable one (of label probabilities, the heaviest).

        A label that is no class of the model counts as wrong. Columns of a frame of label probabilities are matched by
        name.
        """
        check_is_fitted(self, "coef_")
        predicted = self._logits(X).argmax(axis=1)
        actual = targets.codes_among(y, Classes.of(self.classes_))
        checks.check_lengths(predicted, actual)
        weight = None if sample_weight is None else in_bounds(sample_weights(sample_weight, len(actual)))
        return float(np.average(predicted == actual, weights=weight))

    # --- keeping ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file, whole or not at all; `softreg.load` gives it back."""
        arrays, metadata = self.to_state()
        write_model(path, "regression", arrays, metadata)

    def to_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and strict JSON that hold the fitted model; `from_state` gives it back."""
        check_is_fitted(self, "coef_")
        return state.to_state(self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> SoftmaxRegression:
        """The model that `to_state` described; raises `ValueError` for the state of anything else."""
        model = cls(**state.parameters(metadata))
        state.restore(model, arrays, metadata)
        return model
