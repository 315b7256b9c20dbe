"""SoftmaxRegressionCV: the strength of the penalty by cross-validation, with all folds in one stack."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models.estimators.base import LinearClassifier
from softreg.models.estimators.penalty_groups import groups_of_columns
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs.cluster.cluster_training_rows import cluster_rows
from softreg.models.inputs.cluster.dask_collections import batches_on_workers, is_dask_collection
from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches
from softreg.models.inputs.features import copy_feature_attributes
from softreg.models.inputs.labels import check_classes, check_lengths, classes_and_labels
from softreg.models.inputs.offsets import offset_array
from softreg.models.inputs.sample_and_class_weights import (
    ClassWeights,
    WeightedRows,
    drop_zero_weight_rows,
    rescale_extreme_weights,
    row_weights,
    sample_weights,
)
from softreg.models.inputs.tensors import training_features
from softreg.models.parameters.parameter_checks import SearchGrid, check_cv_parameters
from softreg.models.parameters.weight_terms import WeightNames, weight_terms
from softreg.models.selection.cv_splits import Folds, check_fold_classes, make_folds
from softreg.models.selection.fold_scores import FoldScorer
from softreg.models.selection.fold_stack import FoldStack, StackSettings, Weights
from softreg.models.selection.folds_in_sequence.sequential_folds import SequentialFolds, fits_in_sequence
from softreg.models.selection.folds_in_sequence.sequential_search import search_in_sequence
from softreg.models.selection.folds_on_workers.fold_rows import RowFolds
from softreg.models.selection.folds_on_workers.worker_folds import WorkerFolds, WorkerFoldScorer, check_worker_folds
from softreg.models.selection.leave_one_out import check_size
from softreg.models.selection.path_plot import plot
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.regularization_path import PathPoint, make_path
from softreg.models.selection.relaxed_fits import minimise_relaxed
from softreg.models.selection.scorers import find_scorer, more_is_better, scorer_name
from softreg.models.selection.search_state import selection_from_state, selection_to_state
from softreg.models.selection.strength_search import SearchResult, StrengthSearch
from softreg.models.serialization.model_file import write_model
from softreg.models.serialization.not_stored import check_was_stored
from softreg.optimize import minimise
from softreg.typing import Array, BoolArray

SETTLED = 1e-5
"""Accuracy of the held-out log loss of a fold, in nats, as far as the last steps of its fit tell (measured: it is then
within 3e-5 of that of the optimum on digits at all strengths from 1e-1 to 1e-6, and within 4e-4 on 8,000 images of
MNIST at 1e-6, far below the chosen strength, where its standard error is 0.02)."""
LOO_FACTOR = 100
"""Leave-one-out steps from the fit of all rows, which is this many times more accurate."""


class SoftmaxRegressionCV(LinearClassifier):
    """Softmax regression whose strength is chosen by cross-validation, at the cost of a few fits.

    Minimises the objective of `SoftmaxRegression` at the strength with the best held-out score. All folds (and the
    model of all rows, if there is an l1 part) are one stack that shares each pass over X, from a strength at which
    the weights are practically 0 down to where the held-out log loss has clearly turned. A fold has the strength of the
    whole, per row: scikit-learn's C is `1 / (n * strength)` with n the number of its training rows
    (`2 / (n * strength)` for two classes).

    Parameters
    ----------
    strengths : "auto", float or sequence of float
        Strengths to try, > 0. "auto" decreases them by factors of ten and then refines around the best, until
        neighbours differ by less than a factor of 1.8.
    cv : int, splitter, iterable or "loo"
        A number of stratified folds (which keep the rows of a group together, if `fit` receives groups), a splitter, an
        iterable of (train, test), or "loo": leave-one-out by one Newton step from the fit of all rows, an
        approximation that is accurate if there are many rows for each weight.
    scoring : str or callable
        "log_loss" (nats), "brier", "accuracy", the name of a scorer of scikit-learn, or a callable
        `scorer(estimator, X, y)`, for which more is better. Means over folds are weighted by their rows.
    rule : {"min", "1se"}
        "min" chooses the best mean score; "1se" the strongest penalty within one standard error of it.
    penalty : {"l2", "l1", "elasticnet", "group"}
        Penalty, as in `SoftmaxRegression`.
    l1_ratio : float or sequence of float
        Share of the l1 part; several are tried for "elasticnet".
    relaxed : float or sequence of float
        Share of the l1 part, in [0, 1], in a second fit on the support (the weights that are not 0). Below 1 each model
        is fitted again on its support, with `relaxed * l1_ratio` in place of l1_ratio before `||W||_1` and the same l2
        part. 0 needs an l2 part.
    column_groups : array-like of shape (d,), list of lists, or None
        Groups of columns of the penalty "group", as in `SoftmaxRegression`; groups of rows are an argument of `fit`.
    penalty_factors, bounds, bounds_reference, fit_intercept, class_weight, solver, max_iter, random_state
        As in `SoftmaxRegression`.
    tol : float
        Tolerance of the final model in nats. The folds are fitted to an accuracy that suffices for their scores.
    verbose : int or callable
        1 prints a line for each strength to stderr; a callable receives `PathPoint` records.
    device : None, str or torch.device
        As in `SoftmaxRegression`; all folds and strengths are fitted there.

    Attributes
    ----------
    strength_, l1_ratio_, relaxed_ : float
        The chosen penalty.
    path_ : Path
        The points: strength, scores, mean, error, gap, nonzero.
    scores_ : ndarray of shape (S, K)
        Score of each point and fold.
    oof_proba_ : ndarray of shape (n, q), or None
        Out-of-fold probabilities at the chosen penalty: the mean over the folds that test a row, nan for none.
        None for rows on a cluster, and of more than 100 classes where they are more than 4 million; the folds are then
        fitted one after the other.
    best_estimator_ : SoftmaxRegression
        The final model.
    classes_ : ndarray of shape (q,)
        The classes.
    coef_ : ndarray of shape (q, d)
        Weights.
    intercept_ : ndarray of shape (q,)
        Bias of each class.
    solution_ : Solution
        Result of the final fit; if `relaxed_` < 1, of the fit on the support, whose gap is certified among all weights
        there.
    n_iter_, n_features_in_, feature_names_in_
        As in `SoftmaxRegression`.

    References
    ----------
    Stone, "Cross-validatory choice and assessment of statistical predictions" (1974).

    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 7.10, for the rule of one
    standard error.

    Meinshausen, "Relaxed lasso" (2007).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegressionCV().fit(X, y)
    >>> print(model.strength_, model.path_.mean.min().round(3), model.oof_proba_.shape)
    0.0001 0.055 (150, 3)
    """

    def __init__(
        self,
        strengths: str | float | Sequence[float] = "auto",
        *,
        cv: Any = 5,
        scoring: str | Callable[..., float] = "log_loss",
        rule: Literal["min", "1se"] = "min",
        penalty: Literal["l2", "l1", "elasticnet", "group"] = "l2",
        l1_ratio: float | Sequence[float] = 0.0,
        relaxed: float | Sequence[float] = 1.0,
        penalty_factors: Any = None,
        bounds: Any = None,
        bounds_reference: Any = None,
        column_groups: Any = None,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: Any = None,
        verbose: int | Callable[[PathPoint], Any] = 0,
        device: Any = None,
    ) -> None:
        self.strengths = strengths
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.relaxed = relaxed
        self.penalty_factors = penalty_factors
        self.bounds = bounds
        self.bounds_reference = bounds_reference
        self.column_groups = column_groups
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose
        self.device = device

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, offset: Any = None
    ) -> SoftmaxRegressionCV:
        """Choose the strength, and fit all rows with it.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor, or array or frame of Dask, of shape (n, d)
            Features. For those of Dask y, `sample_weight` and `offset` are Dask collections too; `cv` is a number of
            folds, drawn from hashed row numbers, `scoring` one of "log_loss", "brier" and "accuracy".
        y : array of shape (n,) or (n, q)
            Hard labels or label probabilities.
        sample_weight : array of shape (n,), optional
            Weights of the rows in fits and scores. Class weights count in the fits only, and "balanced" is computed
            from the training rows of each fold.
        groups : array of shape (n,), optional
            Rows of equal values stay together in a number of folds; a splitter receives them.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `SoftmaxRegression.fit`; held-out rows are scored with theirs.

        Returns
        -------
        SoftmaxRegressionCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or rows or folds cannot be used.

        Warns
        -----
        ConvergenceWarning
            If the certificate of the final model was not reached, or a fold did not reach its accuracy.

        Examples
        --------
        >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
        >>> SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y).strength_
        1.0
        """
        check_was_stored("cv", self.cv)
        check_was_stored("scoring", self.scoring)
        grid = check_cv_parameters(self)
        scorer = find_scorer(self.scoring)
        validator = copy.copy(self)  # receives the attributes of the features, so that an error leaves self as it is
        if isinstance(X, FragmentedBatches) or is_dask_collection(X):
            return self._fit_on_workers(validator, batches_on_workers(X, y, sample_weight, offset), grid, groups)
        X = training_features(validator, X, self.device)
        if isinstance(self.cv, str):
            check_size(X.shape[1])
        classes, labels = classes_and_labels(y)
        check_lengths(X, labels)
        weight = row_weights(sample_weight, X.shape[0], classes, labels, self.class_weight)
        kept = np.ones(X.shape[0], dtype=bool) if weight is None else weight > 0
        hard = classes[labels if labels.ndim == 1 else labels.argmax(axis=1)]
        folds = make_folds(self.cv, X, hard, groups, kept)
        score_weight = None
        if sample_weight is not None:
            score_weight = rescale_extreme_weights(sample_weights(sample_weight, X.shape[0])[kept])
        fixed = None if offset is None else offset_array(offset, X.shape[0], classes)
        rows = drop_zero_weight_rows(X, labels, weight, fixed)
        check_classes(classes, rows.labels, rows.weight)
        names = WeightNames.of(getattr(validator, "feature_names_in_", self._column_names), X.shape[1], classes)
        settings = self._settings(names)
        if folds is not None and fits_in_sequence(rows, grid, scorer, len(classes)):
            weights = ClassWeights(classes, self.class_weight)
            sequence = SequentialFolds.of(rows, score_weight, folds, weights, settings)
            result = search_in_sequence(sequence, self, grid, self._listener())
        else:
            result = self._search_stack(rows, score_weight, folds, settings, names, grid, scorer, hard[kept])
        copy_feature_attributes(self, validator)
        self.classes_, self.has_offset_ = classes, fixed is not None
        self._fit_chosen(rows, result, settings)
        self._set_path(result, kept, more_is_better(scorer))
        self._warn_unless_converged(self.solution_)
        self._warn_unless_settled(result)
        return self

    def _search_stack(
        self,
        rows: WeightedRows,
        score_weight: Array | None,
        folds: Folds | None,
        settings: StackSettings,
        names: WeightNames,
        grid: SearchGrid,
        scorer: Any,
        hard: Array,
    ) -> SearchResult:
        """Choose the strength by the models of all folds as one stack; `hard` has the labels of the rows."""
        stack = FoldStack(
            rows.X,
            rows.labels,
            score_weight,
            folds=folds,
            class_weights=ClassWeights(names.classes, self.class_weight),
            settings=settings,
            whole=max(grid.l1_ratios) > 0,
            offset=rows.offset,
        )
        check_fold_classes(stack.class_mass[1:], names.classes)
        fold_scorer = FoldScorer(rows.X, hard, rows.labels, score_weight, names.classes, stack, folds, scorer)
        fold_scorer.warn_of_unseen_classes()
        more = more_is_better(scorer)
        return StrengthSearch(stack, fold_scorer, rule=self.rule, more_is_better=more, listener=self._listener()).run(
            grid
        )

    def _fit_on_workers(
        self, validator: SoftmaxRegressionCV, source: FragmentedBatches, grid: SearchGrid, groups: Any
    ) -> SoftmaxRegressionCV:
        """Choose the strength and fit all rows, which stay on the workers of a cluster."""
        folds = check_worker_folds(self, groups)
        scored, classes = cluster_rows(validator, source, None)
        names = WeightNames.of(getattr(validator, "feature_names_in_", self._column_names), scored.d, classes)
        settings = self._settings(names)
        with closing(
            WorkerFolds(
                scored,
                classes,
                RowFolds(folds, settings.seed),
                self.class_weight,
                settings,
                whole=max(grid.l1_ratios) > 0,
            )
        ) as stack:
            more, scorer = more_is_better(self.scoring), WorkerFoldScorer(stack, str(self.scoring))
            search = StrengthSearch(stack, scorer, rule=self.rule, more_is_better=more, listener=self._listener())
            result = search.run(grid)
            (solution,) = minimise(
                stack.rows,
                len(classes),
                settings.make_penalty(result.chosen.strength, result.chosen.l1_ratio),
                start=_as_stack(result.weights),
                fit_intercept=self.fit_intercept,
                solver=self.solver,
                tol=self.tol,
                max_iter=self.max_iter,
                seed=settings.seed,
            )
        copy_feature_attributes(self, validator)
        self.classes_, self.has_offset_ = classes, scored.has_offset
        self._set_solution(solution)
        self._set_path(result, None, more)
        self._warn_unless_converged(self.solution_)
        self._warn_unless_settled(result)
        return self

    def _settings(self, names: WeightNames) -> StackSettings:
        """Return the parameters that all fits of the path share."""
        seed = 0 if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
        groups = groups_of_columns(self.column_groups, names.n_columns, names.columns)
        settled = SETTLED / (LOO_FACTOR if isinstance(self.cv, str) else 1)
        structure = weight_terms(self, names) or groups
        return StackSettings(self.fit_intercept, self.solver, settled, self.max_iter, seed, self.penalty, structure)

    def _fit_chosen(self, rows: WeightedRows, result: SearchResult, settings: StackSettings) -> None:
        """Fit all rows with the chosen penalty to `tol`, from the weights at the end of the search."""
        chosen = result.chosen
        fits = minimise_relaxed(
            rows.X,
            rows.labels,
            None if rows.weight is None else rows.weight[None, :],
            len(self.classes_),
            PenaltySpec(chosen.strength, chosen.l1_ratio, chosen.relaxed),
            start=_as_stack(result.weights),
            relaxed_start=_as_stack(result.relaxed_weights),
            penalty=self.penalty,
            structure=settings.structure,
            offset=rows.offset,
            fit_intercept=self.fit_intercept,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            seed=settings.seed,
        )
        (net,), (solution,) = fits.elastic_nets, fits.relaxed
        self._set_solution(solution)
        if net is not solution:
            self._warn_unless_converged(net)

    def _set_path(self, result: SearchResult, kept: BoolArray | None, more: bool) -> None:
        """Set the attributes that come from the search."""
        chosen = result.chosen
        self.strength_, self.l1_ratio_, self.relaxed_ = chosen.strength, chosen.l1_ratio, chosen.relaxed
        name = scorer_name(self.scoring)
        self.path_ = make_path(result.points, chosen, name, more, passes=result.passes, cost=result.cost)
        self.scores_ = self.path_.scores
        self.oof_proba_ = None
        if kept is not None and result.out_of_fold is not None:
            self.oof_proba_ = np.full((len(kept), len(self.classes_)), np.nan)
            self.oof_proba_[kept] = result.out_of_fold

    def _warn_unless_settled(self, result: SearchResult) -> None:
        """Give a `ConvergenceWarning` if the held-out loss of some fold did not reach its accuracy."""
        if not all(point.settled for point in result.points):
            warnings.warn(
                f"max_iter={self.max_iter} steps were too few for some folds, whose scores are then not those of their "
                f"optimum (the largest certified gap is {self.path_.gap.max():.1e} nats). Raise max_iter, or leave out "
                "the weakest strengths.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _listener(self) -> Callable[[PathPoint], Any] | None:
        """Return the function that receives the points of the path."""
        if callable(self.verbose):
            return self.verbose
        return _print_point if self.verbose else None

    # --- after the fit ------------------------------------------------------------------------------------------

    @property
    def best_estimator_(self) -> SoftmaxRegression:
        """The final model as a `SoftmaxRegression` at the chosen strength, with the same arrays.

        If `relaxed_` < 1, its weights are the relaxed ones; its own `fit` would find those of the elastic net.
        """
        check_is_fitted(self, "coef_")
        model = SoftmaxRegression(
            self.strength_,
            penalty=self.penalty,
            l1_ratio=self.l1_ratio_ if self.penalty != "l2" else 0.0,
            penalty_factors=self.penalty_factors,
            bounds=self.bounds,
            bounds_reference=self.bounds_reference,
            column_groups=self.column_groups,
            fit_intercept=self.fit_intercept,
            class_weight=self.class_weight,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.random_state,
            device=self.device,
        )
        copy_feature_attributes(model, self)
        model.classes_, model.coef_, model.intercept_ = self.classes_, self.coef_, self.intercept_
        model.n_iter_, model._mini_batch_state, model.has_offset_ = self.n_iter_, None, self.has_offset_
        model.solution_ = self.solution_
        return model

    def plot_path(self, axes: Any = None) -> Any:
        """Draw the mean held-out scores with their standard errors against strength.

        A band marks means within one standard error of the best. Losses that differ much have a logarithmic axis.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Axes to draw on; by default new ones.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Examples
        --------
        >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
        >>> axes = SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y).plot_path()
        >>> axes.get_xlabel()
        'strength of the penalty'
        """
        check_is_fitted(self, "path_")
        return plot(self.path_, axes)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the fitted model and its path to one file, completely or not at all; `softreg.load` reads it.

        Out-of-fold probabilities are not stored. Of `cv` and `scoring`, numbers, names and splitters of scikit-learn
        are stored; in place of lists of rows and of callables the loaded model has a description, and its `fit` raises
        an error until they are set.

        Parameters
        ----------
        file : path
            The file.

        Examples
        --------
        >>> import softreg
        >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
        >>> SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y).save("chosen.softreg")
        >>> softreg.load("chosen.softreg").strength_
        1.0
        """
        arrays, metadata = self.to_state()
        write_model(file, "selection", arrays, metadata)

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
        >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
        >>> arrays, metadata = SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y).to_state()
        >>> sorted(arrays)
        ['classes', 'coef', 'intercept']
        """
        check_is_fitted(self, "coef_")
        return selection_to_state(self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SoftmaxRegressionCV:
        """Return the model that `to_state` described; raise `ValueError` for the state of anything else.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Arrays of the state.
        metadata : mapping
            Metadata of the state.

        Returns
        -------
        SoftmaxRegressionCV
            The fitted model.

        Examples
        --------
        >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
        >>> model = SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y)
        >>> SoftmaxRegressionCV.from_state(*model.to_state()).strength_
        1.0
        """
        return selection_from_state(cls, arrays, metadata)


def _as_stack(weights: Weights | None) -> Weights | None:
    """Return W (d, q) and b (q,) as those of a stack of one model."""
    return None if weights is None else (weights[0][None], weights[1][None])


def _print_point(point: PathPoint) -> None:
    """Print a point of the path to stderr."""
    print(
        f"strength {point.strength:9.3g}   score {point.mean:.6f} +- {point.error:.6f}   "
        f"nonzero {point.nonzero}   passes {point.passes}"
        f"{f'   relaxed {point.relaxed:g}' if point.relaxed < 1 else ''}",
        file=sys.stderr,
    )
