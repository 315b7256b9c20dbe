"""SoftmaxRegressionCV: the strength of the penalty by cross-validation, all folds in one stack."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models.estimators.base import Predictor
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs import labels as targets
from softreg.models.inputs import parameters as checks
from softreg.models.inputs.sample_weights import ClassWeights, in_bounds, row_weights, sample_weights
from softreg.models.inputs.tensors import rows_features
from softreg.models.selection import plot as path_plot
from softreg.models.selection import regularization_path as path
from softreg.models.selection import state as selection_state
from softreg.models.selection.cv_splits import check_fold_classes, make_folds
from softreg.models.selection.fold_scores import FoldScorer
from softreg.models.selection.fold_stack import FoldStack, Settings
from softreg.models.selection.leave_one_out import check_size
from softreg.models.selection.relaxed import minimise_relaxed
from softreg.models.selection.scorers import find_scorer, more_is_better, scorer_name
from softreg.models.selection.search import StrengthSearch
from softreg.models.selection.stored_parameters import check_stored
from softreg.models.serialization.model_file import write_model
from softreg.rows import Array

SETTLED = 1e-5
"""A fold is done when its held-out log loss will hardly move by about this, in nats, as far as its last steps tell
(measured: it is then within 3e-5 of the optimum's on digits at all strengths from 1e-1 to 1e-6, and within 4e-4 on
8,000 images of MNIST at 1e-6, far below the chosen one, where its standard error is 0.02)."""


class SoftmaxRegressionCV(Predictor):
    """Softmax regression whose strength is chosen by cross-validation, for about the price of a few fits.

    Minimises what `SoftmaxRegression` minimises, at the strength whose held-out score is best. All folds (and the
    model of all rows, where there is an l1 part) are one stack that shares each pass over X, from a strength at which
    the weights are practically 0 down to where the held-out log loss has clearly turned. A fold has the strength of
    the whole, per row: scikit-learn's C is `1 / (n * strength)` with n the number of its training rows
    (`2 / (n * strength)` for two classes).

    Parameters:
        strengths: "auto", or the strengths to try (positive numbers). "auto" goes down by factors of ten and then
            between the points near the best, until they differ by less than a factor of 1.8.
        cv: a number of stratified folds (which keep the rows of a group together, where `fit` is given groups), a
            splitter, an iterable of (train, test), or "loo": leave-one-out by one Newton step from the fit of all rows
            (an approximation, near where rows are many for each weight).
        scoring: "log_loss" (nats), "brier", "accuracy", a scorer's name in scikit-learn, or a callable
            `scorer(estimator, X, y)`, more being better. Means over folds are weighted by their rows.
        rule: "min", the best mean score; "1se", the strongest penalty within one standard error of it.
        penalty, l1_ratio: as in `SoftmaxRegression`; for "elasticnet" a list of l1_ratios is tried as well.
        relaxed: the share of the l1 part, in [0, 1], that is left once it has chosen which weights are not 0, or
            several shares to try. Below 1 each model is fitted again on those weights, its support, with
            `relaxed * l1_ratio` in place of l1_ratio before `||W||_1`, and the l2 part as it is. 0 needs an l2 part.
        fit_intercept, class_weight, solver, max_iter, random_state: as in `SoftmaxRegression`.
        tol: nats; of the final model. The folds are fitted to the gap that the noise of their scores warrants.
        verbose: 1 prints a line for each strength to stderr; a callable receives a `PathPoint` each.
        device: as in `SoftmaxRegression`; all folds and strengths are fitted there.

    After fit:
        strength_, l1_ratio_, relaxed_, path_ (a `Path`: strength, scores, mean, error, gap, nonzero), scores_ (S, K) of
        each point and fold, oof_proba_ (n, q) out-of-fold probabilities at the chosen strength (the mean, where several
        folds judge a row; nan, where none does), best_estimator_ (a `SoftmaxRegression`), and what
        `SoftmaxRegression` has: classes_, coef_, intercept_, solution_, n_iter_, n_features_in_, feature_names_in_.
        Where relaxed_ < 1, solution_ is that of the fit on the support: its gap is proved among all weights there.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SoftmaxRegressionCV().fit(X, y)
        >>> print(model.strength_, model.path_.mean.min().round(3), model.oof_proba_.shape)
        0.0001 0.055 (150, 3)

    Source: Stone, "Cross-validatory choice and assessment of statistical predictions" (1974); Hastie, Tibshirani and
    Friedman, The Elements of Statistical Learning (2009), section 7.10, for the rule of one standard error;
    Meinshausen, "Relaxed lasso" (2007).
    """

    def __init__(
        self,
        strengths: str | float | Sequence[float] = "auto",
        *,
        cv: Any = 5,
        scoring: str | Callable[..., float] = "log_loss",
        rule: Literal["min", "1se"] = "min",
        penalty: Literal["l2", "l1", "elasticnet"] = "l2",
        l1_ratio: float | Sequence[float] = 0.0,
        relaxed: float | Sequence[float] = 1.0,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: Any = None,
        verbose: int | Callable[[path.PathPoint], Any] = 0,
        device: Any = None,
    ) -> None:
        self.strengths = strengths
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.relaxed = relaxed
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose
        self.device = device

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> SoftmaxRegressionCV:
        """Choose the strength and fit all rows with it; X, y and `sample_weight` are those of `SoftmaxRegression.fit`.

        `groups` (n,): rows of equal values stay together in a number of folds; a splitter receives them. Sample weights
        count in the fits and in the scores; class weights count in the fits alone, and "balanced" is computed on the
        training rows of each fold. Raises `ValueError` for input that cannot be learned from, and for folds that
        cannot.
        """
        check_stored("cv", self.cv)
        check_stored("scoring", self.scoring)
        strengths, ratios, shares = checks.check_selection(self)
        scorer = find_scorer(self.scoring)
        seen = copy.copy(self)
        X = rows_features(seen, X, self.device)
        if isinstance(self.cv, str):
            check_size(X.shape[1])
        classes, labels = targets.known_labels(y)
        checks.check_lengths(X, labels)
        weight = row_weights(sample_weight, X.shape[0], classes, labels, self.class_weight)
        kept = np.ones(X.shape[0], dtype=bool) if weight is None else weight > 0
        hard = classes[labels if labels.ndim == 1 else labels.argmax(axis=1)]
        folds = make_folds(self.cv, X, hard, groups, kept)
        score_weight = None if sample_weight is None else in_bounds(sample_weights(sample_weight, X.shape[0])[kept])
        X, labels, weight = checks.rows_that_count(X, labels, weight)
        checks.check_classes(classes, labels, weight)
        settings, per_class = self._settings(), ClassWeights(classes, self.class_weight)
        stack = FoldStack(X, labels, score_weight, folds, per_class, settings, whole=max(ratios) > 0)
        check_fold_classes(stack.mass[1:], classes)
        judge = FoldScorer(X, hard[kept], labels, score_weight, classes, stack, folds, scorer)
        judge.warn_of_unseen()
        walk = StrengthSearch(stack, judge, self.rule, more_is_better(scorer), self._listener())
        walk.go(strengths, ratios, shares)
        stack.cohorts.clear()  # what the folds have learned: the last fit needs the memory
        checks.take_columns(self, seen)
        self.classes_ = classes
        self._finish(X, labels, weight, walk, settings.seed)
        self._keep(walk, kept)
        self._say(self.solution_)
        self._say_unsettled(walk)
        return self

    def _settings(self) -> Settings:
        seed = 0 if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
        settled = SETTLED / (100 if isinstance(self.cv, str) else 1)
        return Settings(self.fit_intercept, self.solver, settled, self.max_iter, seed, self.penalty)

    def _finish(self, X: Any, labels: Array, weight: Array | None, walk: StrengthSearch, seed: int) -> None:
        """Fit all rows at the chosen strength to `tol`, from where the path has brought them."""
        chosen = walk.chosen
        start, second = ((w[0][None], w[1][None]) if w else None for w in (walk.start, walk.start_relaxed))
        (net,), (solution,) = minimise_relaxed(
            X,
            labels,
            None if weight is None else weight[None, :],
            len(self.classes_),
            (chosen.strength, chosen.l1_ratio, chosen.relaxed),
            start,
            second,
            fit_intercept=self.fit_intercept,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            seed=seed,
            penalty=self.penalty,
        )
        self._take(solution)
        if net is not solution:
            self._say(net)

    def _keep(self, walk: StrengthSearch, kept: NDArray[np.bool_]) -> None:
        """Set what the path has found."""
        chosen = walk.chosen
        self.strength_, self.l1_ratio_, self.relaxed_ = chosen.strength, chosen.l1_ratio, chosen.relaxed
        self.path_ = path.make_path(
            walk.points, chosen, scorer_name(self.scoring), walk.more, passes=walk.passes, seconds=walk.seconds
        )
        self.scores_ = self.path_.scores
        self.oof_proba_ = np.full((len(kept), len(self.classes_)), np.nan)
        self.oof_proba_[kept] = walk.out_of_fold

    def _say_unsettled(self, walk: StrengthSearch) -> None:
        if not all(point.settled for point in walk.points):
            warnings.warn(
                f"max_iter={self.max_iter} steps were too few for some folds, whose scores are then not those of their "
                f"optimum (the largest certified gap is {self.path_.gap.max():.1e} nats). Raise max_iter, or leave out "
                "the weakest strengths.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _listener(self) -> Callable[[path.PathPoint], Any] | None:
        if callable(self.verbose) or not self.verbose:
            return self.verbose or None

        def line(point: path.PathPoint) -> None:
            print(
                f"strength {point.strength:9.3g}   score {point.mean:.6f} +- {point.error:.6f}   "
                f"nonzero {point.nonzero}   passes {point.passes}"
                f"{f'   relaxed {point.relaxed:g}' if point.relaxed < 1 else ''}",
                file=sys.stderr,
            )

        return line

    # --- afterwards ---------------------------------------------------------------------------------------------

    @property
    def best_estimator_(self) -> SoftmaxRegression:
        """The final model as a `SoftmaxRegression` at the chosen strength; it shares the arrays of this one.

        Where relaxed_ < 1 its weights are the relaxed ones; its own `fit` would find those of the elastic net.
        """
        check_is_fitted(self, "coef_")
        model = SoftmaxRegression(
            self.strength_,
            penalty=self.penalty,
            l1_ratio=self.l1_ratio_ if self.penalty != "l2" else 0.0,
            fit_intercept=self.fit_intercept,
            class_weight=self.class_weight,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.random_state,
            device=self.device,
        )
        checks.take_columns(model, self)
        model.classes_, model.coef_, model.intercept_ = self.classes_, self.coef_, self.intercept_
        model.n_iter_, model._mini_batch_state = self.n_iter_, None
        model.solution_ = self.solution_
        return model

    def plot_path(self, axes: Any = None) -> Any:
        """Draw mean held-out scores with their standard errors against strength; returns the Matplotlib axes.

        Both axes are logarithmic where losses differ much; a band marks what is within one standard error of the best.
        """
        check_is_fitted(self, "path_")
        return path_plot.plot(self.path_, axes)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the fitted model and its path to one file, whole or not at all; `softreg.load` gives it back.

        Out-of-fold probabilities belong to the rows of the fit and are not stored. Of `cv` and `scoring`, numbers,
        names and splitters of scikit-learn are; in the place of lists of rows and of callables the loaded model has a
        note of what they were, and its `fit` asks for them.
        """
        arrays, metadata = self.to_state()
        write_model(file, "selection", arrays, metadata)

    def to_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and strict JSON that hold the fitted model; `from_state` gives it back."""
        check_is_fitted(self, "coef_")
        return selection_state.to_state(self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> SoftmaxRegressionCV:
        """The model that `to_state` described; raises `ValueError` for the state of anything else."""
        return selection_state.restore(cls, arrays, metadata)  # type: ignore[no-any-return]
