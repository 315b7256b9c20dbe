"""SoftmaxRegression: the estimator that a Python user imports."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models import checks, firth, learning, state, targets
from softreg.models.devices import host_rows, rows_features
from softreg.models.predicting import Predictor
from softreg.models.separated import settle
from softreg.models.storage import write_model
from softreg.models.weights import row_weights
from softreg.optimize import Progress, elastic_net, l2, minimise
from softreg.rows import Array, as_rows


class SoftmaxRegression(Predictor):
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
        device: None computes where X is; "cuda", "cuda:1" or "cpu" lets PyTorch compute there (`softreg[torch]`). Host
            arrays too large for a GPU's memory stream through it.

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
        device: Any = None,
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
        self.device = device

    # --- fitting ------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SoftmaxRegression:
        """Fit to features X (n, d) and labels y, which are hard (n,) or label probabilities (n, q).

        X is an array, a SciPy sparse matrix or array, a frame of pandas, polars or pyarrow, or a tensor of PyTorch,
        CuPy or JAX, on a GPU or not; what is fitted stays NumPy, so it predicts from any of them. `sample_weight` (n,)
        counts rows: a weight of 2 is the row given twice, 0 is a row left out. Returns the fitted estimator.

        Raises `ValueError` for input that cannot be learned from, naming column, row and value; warns with
        `ConvergenceWarning` where the certificate was not reached, and names the classes where no optimum exists.
        """
        l1_share = checks.check_parameters(self)
        seen = copy.copy(self)  # takes note of the columns; the model itself changes only when all has gone well
        X = rows_features(seen, X, self.device)
        classes, labels = targets.known_labels(y)
        checks.check_lengths(X, labels)
        weight = row_weights(sample_weight, X.shape[0], classes, labels, self.class_weight)
        counts = weight if weight is None else weight[weight > 0]
        X, labels, weight = checks.rows_that_count(X, labels, weight)
        checks.check_classes(classes, labels, weight)
        start = self._start(classes, X.shape[1])
        if self.penalty == "firth":
            names = getattr(seen, "feature_names_in_", self._column_names)
            solution = firth.fit(self, host_rows(X), labels, counts, len(classes), names, start)
        else:
            strength = 0.0 if self.penalty is None else self.strength
            seed = self.random_state
            (solution,) = minimise(
                as_rows(X, labels, None if weight is None else weight[None, :]),
                len(classes),
                l2(strength) if l1_share == 0 else elastic_net(strength, l1_share),
                fit_intercept=self.fit_intercept,
                solver=self.solver,
                tol=self.tol,
                max_iter=self.max_iter,
                start=start,
                seed=0 if seed is None else int(check_random_state(seed).randint(2**31 - 1)),
                on_progress=self._progress(),
            )
            if strength == 0:
                names = getattr(seen, "feature_names_in_", self._column_names)
                solution = settle(solution, X, labels, classes, names, self.fit_intercept)
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

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SoftmaxRegression:
        """One pass of mini-batch gradient steps over the rows given: for data that come in pieces.

        The first call names all `classes` that will ever be seen (without, those of y are taken). It approaches the
        optimum of `fit` and does not certify it: `solution_` is not set. Raises `ValueError` for an unseen class.
        """
        learning.partial_fit(self, X, y, classes, sample_weight)
        return self

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
