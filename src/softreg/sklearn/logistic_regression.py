"""`LogisticRegression` of scikit-learn, fitted to a certified optimum."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn import linear_model as scikit_learn
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs.features import copy_feature_attributes
from softreg.models.inputs.sample_and_class_weights import (
    balanced_class_weights,
    class_mass,
    rescale_extreme_weights,
    sample_weights,
)
from softreg.optimize import Solution, Status
from softreg.probability import log_softmax
from softreg.probability.label_arrays import spell
from softreg.sklearn.binary_weights import LinearWeights, fitted_weights, log_odds_weights, softmax_weights
from softreg.sklearn.parameters import check_classes_of_solver, penalty_choice
from softreg.sklearn.penalty_scale import inverse_total, penalty_name, to_softreg
from softreg.typing import Array, Float64Array, IntArray

MIN_GAP = 1e-14
"""Smallest tolerance of a fit in nats; the rounding error of a mean loss is of this size."""
ASSUMED_CURVATURE = 2e-2
"""Curvature by which `tol` is translated for penalties without an l2 part, which have no curvature of their own: the
default `tol=1e-4` gives a tolerance of 1e-10 nats."""
ABSENT_LOG_ODDS = 1e3
"""Difference of the intercepts of classes with weight and of those without, whose probability underflows to 0."""


class LogisticRegression(scikit_learn.LogisticRegression):  # type: ignore[misc]
    """scikit-learn's `LogisticRegression`, fitted to a certified optimum.

    It has the parameters, attributes and methods of `sklearn.linear_model.LogisticRegression`, is a subclass of it, and
    minimises the same objective over weights W and intercepts b, with row weights s and logits `x_i W + b`::

        sum_i s_i CE(y_i, softmax(x_i W + b)) + (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2) / C

    For two classes the log-odds `x_i w + b` have one penalised vector w. Differences from scikit-learn:

    - `solver` chooses nothing. Names, and their combinations with penalties, `dual` and numbers of classes, are checked
      as in scikit-learn. The intercept has no penalty with "liblinear" either, so `intercept_scaling` has no effect.
    - `tol` bounds the distance of the weights to the optimum, and `n_iter_` counts iterations of softreg's solver. The
      `ConvergenceWarning` has its own words, and a fit whose weights diverge (separated classes with `C=np.inf`) gives
      one.
    - Negative sample weights are an error. A class whose rows all have weight 0 gets the probability 0, with a warning.
    - With `l1_ratio=1` the optimum need not be unique, as with collinear columns or an even number of classes above
      two; then `coef_` may differ from that of scikit-learn at the same value of the objective.
    - `predict_log_proba` stays finite where a probability underflows.
    - Callbacks and inputs of array libraries other than NumPy are not supported.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet"} or None
        As in the installed version of scikit-learn, which deprecates it from 1.8 on.
    C : float
        Inverse strength of the penalty; inf for no penalty.
    l1_ratio : float
        Share of the l1 part of the penalty. As in scikit-learn, a value above 0 needs `solver="saga"`; 1 is possible
        with "liblinear", too.
    dual : bool
        Accepted for "liblinear"; no effect.
    tol : float
        Largest distance (Euclidean norm) of the weights to the optimum, which the certificate guarantees where the
        penalty has an l2 part and float64 permits; otherwise the gap of the mean loss is below `tol**2 / 100` nats.
    fit_intercept : bool
        Whether there is an intercept.
    intercept_scaling : float
        No effect.
    class_weight : dict, "balanced" or None
        Weights of the classes.
    random_state : int, RandomState or None
        Seed of the row sample from which a fit starts. The optimum does not depend on it.
    solver : str
        A solver of scikit-learn; no effect.
    max_iter : int
        Iterations after which the fit stops with a `ConvergenceWarning`.
    verbose : int
        Positive to print progress to stderr.
    warm_start : bool
        Whether `fit` starts from the weights of the last fit. The optimum does not depend on it.
    n_jobs : int or None
        No effect.

    Attributes
    ----------
    classes_ : ndarray of shape (q,)
        The classes.
    coef_ : ndarray or sparse matrix of shape (1, d) for two classes, (q, d) for more
        Weights, in the dtype of X.
    intercept_ : ndarray of shape (1,) or (q,)
        Intercepts.
    n_iter_ : ndarray of shape (1,)
        Iterations.
    regression_ : SoftmaxRegression
        The fitted model of softreg, for its inference, explanations and model files.
    solution_ : Solution or None
        Value, certified gap and status of the mean loss with penalty; None without an iteration.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (d,)
        Names of the features, if X was a frame.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression().fit(X, y)
    >>> model.predict_proba(X[:1]).round(3)
    array([[0.982, 0.018, 0.   ]])
    >>> model.solution_.status.value, model.solution_.gap < 1e-10
    ('converged', True)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, d)
            Features.
        y : array of shape (n,)
            Labels.
        sample_weight : array of shape (n,), optional
            Weights of the rows, >= 0.

        Returns
        -------
        LogisticRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range or the rows cannot be used for training.

        Warns
        -----
        ConvergenceWarning
            If the optimum was not reached, or is not finite.

        Examples
        --------
        >>> model = LogisticRegression(C=10).fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
        >>> model.coef_.shape, model.regression_.coef_.shape
        ((1, 1), (2, 1))
        """
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        choice = penalty_choice(self)
        self._warn_of_callbacks()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C")
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        check_classes_of_solver(self.solver, len(classes))
        if len(classes) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{spell(classes[0])}"
            )
        weight = _row_weights(sample_weight, self.class_weight, classes, codes)
        model = self._regression(inverse_total(choice.C, weight, len(codes)), choice.l1_ratio, len(classes))
        start = self._last_weights(len(classes), X.shape[1])
        self.classes_ = classes
        present = np.bincount(codes, weights=weight, minlength=len(classes)) > 0
        if self.max_iter == 0:
            zeros = LinearWeights(np.zeros((len(classes), X.shape[1])), np.zeros(len(classes)))
            weights = zeros if start is None else start
        elif weight is None or present.all():
            weights = self._fit_all(model, X, codes, weight, start)
        else:
            weights = self._fit_present(model, X, codes, weight, present)
        self._set_fit(model, weights, X.dtype)
        self._warn_unless_converged(present)
        return self

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the class probabilities, finite wherever the logits are.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, d)
            Features.

        Returns
        -------
        ndarray of shape (n, q)
            Log-probabilities in nats.

        Examples
        --------
        >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> bool(model.predict_log_proba([[1e6]])[0, 0] < -1e5)
        True
        """
        o = self.decision_function(X)
        logits = o if o.ndim == 2 else np.stack([np.zeros_like(o), o], axis=1)
        return np.asarray(log_softmax(logits), dtype=o.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    # --- parts of a fit -----------------------------------------------------------------------------------------

    def _regression(self, strength: float, l1_ratio: float, n_classes: int) -> SoftmaxRegression:
        """Return the estimator of softreg with the same objective."""
        scale = to_softreg(strength, l1_ratio, n_classes)
        penalty = penalty_name(scale)
        curvature = strength * (1 - l1_ratio)
        return _QuietRegression(
            scale.strength,
            penalty=penalty,
            l1_ratio=scale.l1_ratio if penalty == "elasticnet" else 0.0,
            fit_intercept=bool(self.fit_intercept),
            tol=max((curvature or ASSUMED_CURVATURE) / 2 * float(self.tol) ** 2, MIN_GAP),
            max_iter=int(self.max_iter),
            random_state=self.random_state,
            verbose=int(self.verbose),
        )

    def _last_weights(self, q: int, d: int) -> LinearWeights | None:
        """Return the weights of the last fit if `warm_start` is set and they have the right shape."""
        shape = (1 if q == 2 else q, d)
        if not self.warm_start or getattr(self, "coef_", np.zeros(0)).shape != shape:
            return None
        start = softmax_weights(fitted_weights(self))
        return start if self.fit_intercept else LinearWeights(start.coef, np.zeros(q))

    def _fit_all(
        self, model: SoftmaxRegression, X: Any, codes: IntArray, weight: Array | None, start: LinearWeights | None
    ) -> LinearWeights:
        """Fit all classes, and return their weights."""
        if start is not None:
            model.warm_start, model.classes_ = True, np.arange(len(start.coef))
            model.coef_, model.intercept_ = start.coef, start.intercept
        model.fit(X, codes, sample_weight=weight)
        return _centred(LinearWeights(model.coef_, model.intercept_), self.fit_intercept)

    def _fit_present(
        self, model: SoftmaxRegression, X: Any, codes: IntArray, weight: Array, present: Array
    ) -> LinearWeights:
        """Fit the classes with weight, and return weights of all; the probability of the others is 0 at the optimum."""
        if not self.fit_intercept:
            raise ValueError(
                f"the class {spell(self.classes_[~present][0])} has no row with a weight above zero; without an "
                "intercept its probability cannot be estimated. Leave its rows out."
            )
        coef, intercept = np.zeros((len(present), X.shape[1])), np.zeros(len(present))
        if present.sum() > 1:
            kept = weight > 0
            model.fit(X[kept], (np.cumsum(present) - 1)[codes[kept]], sample_weight=weight[kept])
            fitted = _centred(LinearWeights(model.coef_, model.intercept_), True)
            coef[present], intercept[present] = fitted.coef, fitted.intercept
        intercept[~present] = intercept[present].min() - ABSENT_LOG_ODDS
        return LinearWeights(coef, intercept)

    def _set_fit(self, model: SoftmaxRegression, weights: LinearWeights, dtype: Any) -> None:
        """Set the fitted attributes."""
        regression = SoftmaxRegression(**model.get_params()).set_params(
            class_weight=self.class_weight, warm_start=False
        )
        copy_feature_attributes(regression, self)
        regression.classes_, regression.has_offset_ = self.classes_, False
        regression.coef_, regression.intercept_ = weights.coef, weights.intercept
        self.solution_: Solution | None = getattr(model, "solution_", None)
        if self.solution_ is not None:
            regression.solution_ = self.solution_
        iterations = 0 if self.solution_ is None else self.solution_.n_iter
        regression.n_iter_, regression._mini_batch_state = max(1, iterations), None
        self.regression_, self.n_iter_ = regression, np.array([iterations], dtype=np.int32)
        rows = log_odds_weights(weights)
        if self.solver == "liblinear":  # which computes in float64 in scikit-learn
            dtype = np.float64
        self.coef_, self.intercept_ = rows.coef.astype(dtype), rows.intercept.astype(dtype)

    def _warn_unless_converged(self, present: Array) -> None:
        """Give a `ConvergenceWarning` where the optimum was not reached or is not finite."""
        solution = self.solution_
        if self.max_iter == 0:
            warnings.warn(
                "max_iter=0: the weights are those before the first iteration.", ConvergenceWarning, stacklevel=3
            )
        elif not present.all():
            warnings.warn(
                f"no finite optimum: the class {spell(self.classes_[~present][0])} has no row with a weight above "
                "zero, so its probability is 0 at the optimum. Its intercept is set "
                f"{ABSENT_LOG_ODDS:g} below those of the others.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif solution is not None and solution.separation is not None:
            a, b = (spell(self.classes_[k]) for k in solution.separation.classes)
            names = getattr(self, "feature_names_in_", None)
            columns = ", ".join(
                f"column {j}" if names is None else repr(names[j]) for j in solution.separation.features
            )
            warnings.warn(
                f"no finite optimum: without a penalty the weights diverge, because {columns} separate the classes "
                f"{a} and {b}. Set C to a finite number, or leave those features out.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif solution is not None and not (solution.within_tolerance or self._is_at_rounding_error(solution)):
            stopped = solution.status is Status.STOPPED
            reason = (
                "The max_iter was reached which means the coef_ did not converge"
                if stopped
                else "No step decreases it further in float64"
            )
            warnings.warn(
                f"{reason}: after {solution.n_iter} iterations the mean loss with penalty is "
                f"{'proved' if solution.certified else 'estimated'} to be within {solution.gap:.1e} nats of its "
                f"minimum. {'Raise max_iter, scale' if stopped else 'Scale'} the columns (StandardScaler), or lower C.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _is_at_rounding_error(self, solution: Solution) -> bool:
        """Return True if a fit ended at the limit of float64 with a gap that `tol` permits."""
        return solution.status is Status.STALLED and solution.gap <= float(self.tol) ** 2

    def _warn_of_callbacks(self) -> None:
        """Warn that callbacks of scikit-learn 1.9 are not called."""
        if getattr(self, "_skl_callbacks", None):
            warnings.warn("callbacks are not called by softreg's solver.", stacklevel=3)


class _QuietRegression(SoftmaxRegression):
    """The estimator without its warnings, which name parameters that `LogisticRegression` does not have."""

    def _warn_unless_converged(self, solution: Solution) -> None:
        """Give no warning."""


def _row_weights(sample_weight: Any, class_weight: Any, classes: Array, codes: IntArray) -> Float64Array | None:
    """Return the product of sample weight and class weight of each row, as scikit-learn defines it; None for ones."""
    weight = None if sample_weight is None else sample_weights(sample_weight, len(codes))
    if class_weight is None:
        return weight
    base = np.ones(len(codes)) if weight is None else weight
    if isinstance(class_weight, str):  # "balanced"
        mass = class_mass(rescale_extreme_weights(base)[None], codes, len(classes))
        by_class = balanced_class_weights(mass)[0]
    else:
        by_class = compute_class_weight(class_weight, classes=classes, y=classes[codes])
        if not (np.isfinite(by_class).all() and (by_class >= 0).all()):
            raise ValueError(f"class_weight={class_weight!r}: weights are finite numbers >= 0.")
    weight = np.asarray(base * by_class[codes])
    if not weight.any():
        raise ValueError("class_weight leaves every row with a weight of zero; give a class of y a weight above zero.")
    return weight


def _centred(weights: LinearWeights, fit_intercept: bool) -> LinearWeights:
    """Return the weights with intercepts that sum to 0, as those of scikit-learn's solvers; no probability changes."""
    if not fit_intercept:
        return weights
    return LinearWeights(weights.coef, weights.intercept - weights.intercept.mean())
