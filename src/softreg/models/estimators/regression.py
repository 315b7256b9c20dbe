"""SoftmaxRegression: the estimator that a Python user imports."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models.estimators import mini_batch as learning
from softreg.models.estimators.base import Predictor
from softreg.models.inputs import parameters as checks
from softreg.models.inputs import training_rows as training
from softreg.models.likelihood import firth
from softreg.models.likelihood.separation_lp import settle
from softreg.models.serialization import regression_state as state
from softreg.models.serialization.model_file import write_model
from softreg.optimize import Progress, Solution, make_penalty, minimise
from softreg.rows import Array


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

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, checkpoint: str | os.PathLike[str] | None = None
    ) -> SoftmaxRegression:
        """Fit to features X (n, d) and labels y, which are hard (n,) or label probabilities (n, q).

        X is an array, a SciPy sparse matrix or array, a frame of pandas, polars or pyarrow, or a tensor of PyTorch,
        CuPy or JAX, on a GPU or not; what is fitted stays NumPy, so it predicts from any of them. `sample_weight` (n,)
        counts rows: a weight of 2 is the row given twice, 0 is a row left out. Returns the fitted estimator.

        X may be more than memory holds: a memory map, or, without y, batches `(X, y)` or `(X, y, weight)` from
        `softreg.open_rows`, an iterable or a callable that returns one. Batches are read once, into a file that is gone
        when the fit ends, however it does. `checkpoint` names a folder from which the same call, with the
        same rows, resumes an interrupted fit; the result is the same.

        Raises `ValueError` for input that cannot be learned from, naming column, row and value, and `OSError` where the
        disk is full; warns with `ConvergenceWarning` where the certificate was not reached, and names the classes where
        no optimum exists.
        """
        l1_share = checks.check_parameters(self)
        seen = copy.copy(self)  # takes note of the columns; the model itself changes only when all has gone well
        with closing(training.gathered(seen, X, y, sample_weight, self._progress())) as data:
            solution = self._solve(seen, data, l1_share, checkpoint)
        checks.take_columns(self, seen)
        self.classes_ = data.classes
        self._take(solution)
        self._say(solution)
        return self

    def _solve(self, seen: Any, data: Any, l1_share: float, checkpoint: Any) -> Solution:
        """The optimum for rows in their home."""
        start = self._start(data.classes, data.rows.d)
        if self.penalty == "firth":
            X, labels, counts = data.arrays("penalty='firth'")
            names = getattr(seen, "feature_names_in_", self._column_names)
            return firth.fit(self, X, labels, counts, len(data.classes), names, start)
        strength = 0.0 if self.penalty is None else self.strength
        seed = 0 if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
        with training.journal(seen, data, start, seed, checkpoint) as rows:
            (solution,) = minimise(
                rows,
                len(data.classes),
                make_penalty(self.penalty, strength, l1_share),
                fit_intercept=self.fit_intercept,
                solver=self.solver,
                tol=self.tol,
                max_iter=self.max_iter,
                start=start,
                seed=seed,
                on_progress=self._progress(),
            )
        if strength > 0 or data.labels is None:
            return solution
        X, labels, _ = data.arrays("penalty=None")
        names = getattr(seen, "feature_names_in_", self._column_names)
        return settle(solution, X, labels, data.classes, names, self.fit_intercept)

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
            if now.passes == 0 and now.rows and not np.isfinite(now.value):
                print(f"read {now.rows:,} rows   {now.rows / max(now.seconds, 1e-9):,.0f} a second", file=sys.stderr)
                return
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
