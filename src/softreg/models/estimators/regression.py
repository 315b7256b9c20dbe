"""SoftmaxRegression: the estimator with a penalty of given strength."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models.estimators.base import LinearClassifier
from softreg.models.estimators.mini_batch import partial_fit
from softreg.models.estimators.penalty_groups import groups_of_columns
from softreg.models.estimators.prior_fit import PriorFit, posterior_of, prior_posterior, relabelled
from softreg.models.inputs.features import copy_feature_attributes
from softreg.models.inputs.training_rows import TrainingRows, checkpointed_rows, gather_training_rows
from softreg.models.likelihood import firth_fit as firth
from softreg.models.likelihood.posterior import Posterior, posterior_from_state
from softreg.models.likelihood.separation_lp import check_separation
from softreg.models.parameters.parameter_checks import check_parameters
from softreg.models.parameters.weight_terms import WeightNames, weight_terms
from softreg.models.serialization.model_file import write_model
from softreg.models.serialization.not_stored import check_was_stored
from softreg.models.serialization.regression_state import read_parameters, regression_to_state, restore_checked
from softreg.optimize import Progress, Solution, Status, make_penalty, minimise
from softreg.typing import Array


class SoftmaxRegression(LinearClassifier):
    """Softmax regression (multinomial logistic regression) with a certified optimum.

    Minimises over weights W (d, q) and bias b (q,)

        (1 / N) sum_i v_i CE(y_i, softmax(x_i W + b)) + strength * (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2)

    where N = sum_i v_i is the sum of the row weights and CE the cross-entropy in nats. Two classes have a weight vector
    each, like more classes.

    Parameters
    ----------
    strength : float
        Strength of the penalty, >= 0. scikit-learn's C is `1 / (n * strength)`, and `2 / (n * strength)` for q = 2.
    penalty : {"l2", "l1", "elasticnet", "group", "firth"} or None
        Penalty. "group" is `strength * sum_g sqrt(q |g|) ||W_g||_F` with the weights W_g of a group g of columns for
        the q classes: a group is in the model or out of it as a whole. "firth" multiplies the likelihood by Jeffreys'
        prior, which reduces the small-sample bias and keeps weights finite if classes are separated; it ignores
        `strength`.
    l1_ratio : float
        Share of the l1 part in the penalty "elasticnet", between 0 and 1.
    penalty_factors : dict or array of shape (d,) or (d, q), optional
        Factors of the penalty, for single columns or weights: 0 leaves a weight without penalty, so that the model is
        adjusted for a column without shrinking its weight; inf leaves the column out. A dict has factors by column, or
        by column and class: `{"age": 0, "income": {"yes": 2}}`; columns that are not named have factor 1.
    bounds : dict or pair of arrays of shape (d,) or (d, q), optional
        Bounds of weights, in units of `coef_`: `{"age": "+"}` for weights >= 0, `{"age": (-1, None)}` for weights
        of -1 or more, `{"age": {"yes": "+"}}` for one class. Two classes have opposite bounds, and a bound without
        class is that of the second: with "+" its probability does not decrease with the column. More classes need a
        class or `bounds_reference`. There a bound limits the weight itself: a shift of the weights of all classes
        changes no probability, so that a bound of one class alone acts through the penalty.
    bounds_reference : label, optional
        A class whose weight is 0 in the columns with bounds, so that the bounds of the others limit the slope of the
        log-odds against this class.
    prior : (mean, precision), Posterior or fitted model, optional
        A Gaussian prior in place of the penalty, in which case `strength` is not used. `mean` and `precision` are
        numbers, arrays of shape (d,) or (d, q), or dicts by column as in `penalty_factors`; the bias then has no prior,
        and the fit minimises the loss plus `sum precision / (2 N) * (w - mean)**2`. The posterior of another fit of the
        same columns, or that fit if it has `keep_posterior=True`, is a prior of all parameters: the result is that of
        the rows of both fits up to the second order of the first likelihood.
    keep_posterior : bool
        Whether `fit` keeps mean and precision of the Gaussian approximation to the posterior, for `posterior`. The
        model file then holds them: 8 (q (d + 1))^2 bytes up to 1,000 parameters q (d + 1), 16 bytes a parameter beyond.
    column_groups : array-like of shape (d,), list of lists, or None
        Groups of columns of the penalty "group": a label for each column, or lists of column numbers or names, which
        hold each column once. None: each column is a group.
    fit_intercept : bool
        Whether there is a bias. It is not penalized, so shifts of the features change no probability.
    class_weight : dict, "balanced" or None
        Weights of the classes.
    solver : str
        "auto" chooses by the shape of the data, "newton" and "lbfgs" within a family of methods, the name of a plan
        forces it (docs/solvers.md lists them). The optimum does not depend on it.
    tol : float
        Tolerance in nats: the fit has converged when its objective is certified to be within `tol` of the minimum.
    max_iter : int
        Iterations after which the fit stops with a `ConvergenceWarning` that states the gap.
    warm_start : bool
        Whether `fit` starts from the weights of the last fit. The optimum does not depend on it.
    random_state : int, RandomState or None
        Seed of the row sample from which a fit starts. The optimum does not depend on it beyond `tol`.
    verbose : int or callable
        1 prints progress to stderr; a callable receives `softreg.optimize.Progress` records.
    device : None, str or torch.device
        None computes where X is; "cuda", "cuda:1" or "cpu" computes there with PyTorch (`softreg[torch]`). Host arrays
        that exceed the memory of a GPU are streamed to it.

    Attributes
    ----------
    classes_ : ndarray of shape (q,)
        The classes.
    coef_ : ndarray of shape (q, d)
        Weights, for two classes as well.
    intercept_ : ndarray of shape (q,)
        Bias of each class.
    solution_ : Solution
        Result of the solver: value, gap, bound, passes, status, history, and the plan by which it was found.
    n_iter_ : int
        Iterations.
    has_offset_ : bool
        Whether the model was fitted with an offset; predictions then need one, too.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (d,)
        Names of the features, if X was a frame.

    References
    ----------
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 4.4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression(strength=1e-3).fit(X, y)
    >>> model.solution_.status.value, model.solution_.gap <= 1e-6
    ('converged', True)
    >>> model.predict_proba(X[:1]).round(3)
    array([[0.996, 0.004, 0.   ]])
    """

    def __init__(
        self,
        strength: float = 1e-4,
        *,
        penalty: Literal["l2", "l1", "elasticnet", "group", "firth"] | None = "l2",
        l1_ratio: float = 0.0,
        penalty_factors: Any = None,
        bounds: Any = None,
        bounds_reference: Any = None,
        prior: Any = None,
        keep_posterior: bool = False,
        column_groups: Any = None,
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
        self.penalty_factors = penalty_factors
        self.bounds = bounds
        self.bounds_reference = bounds_reference
        self.prior = prior
        self.keep_posterior = keep_posterior
        self.column_groups = column_groups
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
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        offset: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> SoftmaxRegression:
        """Fit the model to features and labels.

        Parameters
        ----------
        X : array, sparse matrix, frame or tensor of shape (n, d), or batches
            Features: an array or memory map, a sparse matrix of SciPy, a frame of pandas, polars or pyarrow, or a
            tensor of PyTorch, CuPy or JAX. Fitted attributes are NumPy arrays in each case. Batches `(X, y)`,
            `(X, y, weight)` or `(X, y, weight, offset)` come from `softreg.open_rows`, an iterable, or a callable that
            returns one; they are read once, into a temporary file that is deleted when the fit ends. An array or
            frame of Dask is summed by the workers of the current `distributed.Client`, partition by partition; then
            y, `sample_weight` and `offset` are Dask collections too.
        y : array of shape (n,) or (n, q)
            Hard labels or label probabilities; None for batches.
        sample_weight : array of shape (n,), optional
            Weights of the rows: a weight of 2 is the same as the row twice, 0 the same as no row.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits: they are `X W + b + offset`, such as the logits of another model or the logarithms
            of exposures. Columns in the order of the classes, or of a frame, named by class. For two classes (n,) is
            the offset of the log-odds of the second one.
        checkpoint : path, optional
            Folder from which the same call with the same rows resumes an interrupted fit, with the same result.

        Returns
        -------
        SoftmaxRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range or the rows cannot be used for training; the message names column, row
            and value.
        OSError
            If the disk is full.

        Warns
        -----
        ConvergenceWarning
            If the certificate was not reached, or no finite optimum exists; then the message names the classes.

        Examples
        --------
        >>> model = SoftmaxRegression(0.01).fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
        >>> model.classes_.tolist(), model.coef_.shape
        (['no', 'yes'], (2, 1))
        """
        check_was_stored("prior", self.prior)
        l1_share = check_parameters(self)
        validator = copy.copy(self)  # receives the attributes of the features, so that an error leaves self as it is
        with closing(gather_training_rows(validator, X, y, sample_weight, self._on_progress(), offset)) as data:
            names = getattr(validator, "feature_names_in_", self._column_names)
            posterior = None if self.prior is None else prior_posterior(self.prior)
            rows = data if posterior is None else relabelled(data, posterior)
            weight_names = WeightNames.of(names, rows.rows.d, rows.classes)
            solution = self._solve(rows, l1_share, names, weight_names, checkpoint)
            keep = self.keep_posterior and solution.status is not Status.SEPARATED
            kept = posterior_of(self, rows, solution, weight_names) if keep else None
        copy_feature_attributes(self, validator)
        self.classes_, self.has_offset_ = rows.classes, rows.rows.has_offset
        self._set_solution(solution)
        self._posterior = kept
        self._warn_unless_converged(solution)
        return self

    def _solve(
        self,
        data: TrainingRows,
        l1_share: float,
        names: Array | None,
        weight_names: WeightNames,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Solution:
        """Return the optimum for these rows, whose features and weights have these names."""
        start = self._warm_start_weights(data.classes, data.rows.d)
        if self.penalty == "firth":
            host = data.in_memory("penalty='firth'")
            return firth.fit(self, host, len(data.classes), names, start)
        strength = 0.0 if self.penalty is None else self.strength
        seed = 0 if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
        terms = weight_terms(self, weight_names)
        options: dict[str, Any] = {
            "fit_intercept": self.fit_intercept, "solver": self.solver, "tol": self.tol, "max_iter": self.max_iter,
            "start": start, "seed": seed, "on_progress": self._on_progress(),
        }  # fmt: skip
        if self.prior is not None:
            return PriorFit(self, data, weight_names, terms).solve(options)
        structure = terms or groups_of_columns(self.column_groups, data.rows.d, names)
        with checkpointed_rows(self, data, start=start, seed=seed, checkpoint=checkpoint) as rows:
            (solution,) = minimise(
                rows,
                len(data.classes),
                make_penalty(self.penalty, strength, l1_share, structure),
                **options,
            )
        if strength > 0 or data.labels is None or terms is not None:
            return solution
        host = data.in_memory("penalty=None")
        return check_separation(solution, host.X, host.labels, data.classes, names, self.fit_intercept)

    def _warm_start_weights(self, classes: Array, d: int) -> tuple[Array, Array] | None:
        """Return W (1, d, q) and b (1, q) of the last fit, if `warm_start` is set and classes and columns match."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        if self.coef_.shape != (len(classes), d) or not np.array_equal(self.classes_, classes):
            return None
        return self.coef_.T[None], self.intercept_[None]

    def _on_progress(self) -> Callable[[Progress], Any] | None:
        """Return the function that receives progress records."""
        if callable(self.verbose):
            return self.verbose
        return _print_progress if self.verbose else None

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SoftmaxRegression:
        """Run one pass of mini-batch gradient steps over the rows, for data that arrive in pieces.

        The weights approach the optimum of `fit` without a certificate: `solution_` is not set.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, d)
            Features.
        y : array of shape (n,) or (n, q)
            Labels or label probabilities.
        classes : sequence, optional
            All classes that will occur, in the first call; by default the classes of y.
        sample_weight : array of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        SoftmaxRegression
            The estimator.

        Raises
        ------
        ValueError
            If a label is not among the classes, or rows or parameters cannot be used.

        Examples
        --------
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
        >>> model = SoftmaxRegression(0.01).partial_fit(X[:2], y[:2], classes=[0, 1]).partial_fit(X[2:], y[2:])
        >>> model.classes_.tolist()
        [0, 1]
        """
        partial_fit(self, X, y, classes, sample_weight)
        return self

    # --- the posterior ------------------------------------------------------------------------------------------

    def posterior(self) -> Posterior:
        """Return the Gaussian approximation to the posterior of the parameters, as prior of further rows.

        Returns
        -------
        Posterior
            Mean and precision.

        Raises
        ------
        ValueError
            If the fit did not keep it.

        Examples
        --------
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
        >>> first = SoftmaxRegression(0.1, keep_posterior=True).fit(X, y)
        >>> both = SoftmaxRegression(prior=first.posterior()).fit(X + 1, y)
        >>> both.solution_.status.value
        'converged'
        """
        check_is_fitted(self, "coef_")
        if getattr(self, "_posterior", None) is None:
            separated = self.keep_posterior and getattr(self, "solution_", None) is not None
            reason = "has no finite optimum" if separated else "did not keep its posterior"
            raise ValueError(f"this fit {reason}; fit with keep_posterior=True and a penalty or a prior.")
        posterior: Posterior = self._posterior
        return posterior

    # --- storing ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file, completely or not at all; `softreg.load` reads it.

        Parameters
        ----------
        path : path
            The file.

        Examples
        --------
        >>> model = SoftmaxRegression(0.01).fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
        >>> model.save("model.softreg")
        """
        arrays, metadata = self.to_state()
        write_model(path, "regression", arrays, metadata)

    def to_state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the fitted model as arrays and strict JSON, from which `from_state` restores it.

        Returns
        -------
        arrays : dict of str to ndarray
            Weights, bias and numeric classes.
        metadata : dict
            Everything else.

        Examples
        --------
        >>> model = SoftmaxRegression(0.01).fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
        >>> arrays, metadata = model.to_state()
        >>> SoftmaxRegression.from_state(arrays, metadata).classes_.tolist()
        ['no', 'yes']
        """
        check_is_fitted(self, "coef_")
        return regression_to_state(self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SoftmaxRegression:
        """Return the model that `to_state` described.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Arrays of the state.
        metadata : mapping
            Metadata of the state.

        Returns
        -------
        SoftmaxRegression
            The fitted model.

        Raises
        ------
        ValueError
            If the state is not that of a `SoftmaxRegression`.

        Examples
        --------
        >>> model = SoftmaxRegression(0.01).fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
        >>> SoftmaxRegression.from_state(*model.to_state()).strength
        0.01
        """
        model = cls(**read_parameters(metadata))
        restore_checked(model, arrays, metadata)
        names = getattr(model, "feature_names_in_", None)
        model._posterior = posterior_from_state(arrays, model.classes_, None if names is None else tuple(names))
        return model


def _print_progress(now: Progress) -> None:
    """Print a line of progress to stderr."""
    if now.passes == 0 and now.rows and not np.isfinite(now.value):
        print(f"read {now.rows:,} rows   {now.rows / max(now.seconds, 1e-9):,.0f} a second", file=sys.stderr)
        return
    objective = "" if np.isnan(now.value) else f"objective {now.value:.8f}   "
    print(f"pass {now.passes:4d}   {objective}gap {now.gap:.1e}   {now.seconds:.1f} s", file=sys.stderr)
