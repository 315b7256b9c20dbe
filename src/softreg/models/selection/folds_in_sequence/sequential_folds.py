"""The models of folds, fitted one after the other and scored on their held-out rows from blocks of logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.class_blocks.logit_blocks import LogitBlocks, is_streamed
from softreg.models.class_blocks.row_scores import label_log_losses, row_scores
from softreg.models.class_blocks.top_classes import most_likely_codes
from softreg.models.inputs.sample_and_class_weights import ClassWeights, WeightedRows, class_mass
from softreg.models.parameters.parameter_checks import SearchGrid
from softreg.models.selection.cv_splits import Folds, check_fold_classes
from softreg.models.selection.fold_scores import warn_of_unseen
from softreg.models.selection.fold_stack import StackSettings, Weights
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.regularization_path import PathPoint, mean_and_error
from softreg.optimize import Solution, minimise
from softreg.rows import OnDevice, Rows, as_rows
from softreg.typing import Array, Codes, Float64Array, IntArray

FOLD_TOLERANCE = 1e-5
"""Certified gap of the model of a fold, in nats: at most 2e-3 of the standard errors that fold scores usually have."""


MANY_CLASSES = 100
"""Classes above which the folds of many rows are fitted one after the other, without their probabilities (n, q)."""


def fits_in_sequence(rows: WeightedRows, grid: SearchGrid, scorer: Any, q: int) -> bool:
    """Return whether folds are fitted one after the other: for many classes, where a stack of them is too large.

    Parameters
    ----------
    rows : WeightedRows
        The rows.
    grid : SearchGrid
        Strengths, l1_ratios and relaxed shares.
    scorer : str or callable
        The score; a callable needs the models of a stack.
    q : int
        Number of classes.

    Returns
    -------
    bool
    """
    simple = isinstance(scorer, str) and min(grid.relaxed) == 1
    on_host = not isinstance(rows.X, OnDevice) and rows.labels.ndim == 1
    return simple and on_host and q > MANY_CLASSES and is_streamed(len(rows.labels), q)


@dataclass(frozen=True, eq=False)
class Fold:
    """The rows of one fold, among the classes that its training rows have.

    Attributes
    ----------
    classes : ndarray of int of shape (c,)
        Codes of the classes.
    train, test : ndarray of int
        Training rows, and held-out rows whose label is among the classes.
    share : float
        Sample weight of these held-out rows.
    """

    classes: IntArray
    train: IntArray
    test: IntArray
    share: float


class SequentialFolds:
    """The models of K folds of rows with hard labels.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n, d)
        Features.
    labels : ndarray of int of shape (n,)
        Codes of the classes.
    count : ndarray of shape (n,)
        Sample weights, by which folds are scored.
    V : ndarray of shape (K + 1, n)
        Weights of the rows in the fits: of all rows, and of those of each fold.
    class_mass : ndarray of shape (K + 1, q)
        Sample weight of each class among all rows and among the training rows of each fold.
    folds : Folds
        The folds.
    settings : StackSettings
        Parameters of the fits.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits.

    Attributes
    ----------
    folds : list of Fold
        The folds.
    """

    def __init__(
        self,
        X: Any,
        labels: Codes,
        count: Float64Array,
        *,
        V: Float64Array,
        class_mass: Float64Array,
        folds: Folds,
        settings: StackSettings,
        offset: Array | None,
    ) -> None:
        self.X, self.labels, self.count, self.V = X, labels, count, V
        self.settings, self.offset, self.q = settings, offset, class_mass.shape[1]
        self.folds: list[Fold] = []
        for k, rows in enumerate(folds.test):
            known = class_mass[k + 1] > 0
            test = rows[known[labels[rows]]]
            train = np.flatnonzero(V[k + 1] > 0)
            self.folds.append(Fold(np.flatnonzero(known), train, test, float(count[test].sum())))

    @classmethod
    def of(
        cls,
        rows: WeightedRows,
        score_weight: Array | None,
        folds: Folds,
        class_weights: ClassWeights,
        settings: StackSettings,
    ) -> SequentialFolds:
        """Return the folds of weighted rows, after the checks and warnings of their classes.

        Parameters
        ----------
        rows : WeightedRows
            Rows with hard labels.
        score_weight : ndarray of shape (n,) or None
            Sample weights; None if all are 1.
        folds : Folds
            The folds.
        class_weights : ClassWeights
            Class weights, computed from the training rows of each fold.
        settings : StackSettings
            Parameters of the fits.

        Returns
        -------
        SequentialFolds
            The folds.
        """
        classes, n = class_weights.classes, len(rows.labels)
        count = np.ones(n) if score_weight is None else score_weight
        V = np.concatenate([count[None], folds.train * count])
        mass = class_mass(V, rows.labels, len(classes))
        check_fold_classes(mass[1:], classes)
        V = class_weights.apply(V, rows.labels)
        sequence = cls(
            rows.X, rows.labels, count, V=V, class_mass=mass, folds=folds, settings=settings, offset=rows.offset
        )
        sequence.warn_of_unseen_classes(classes, folds)
        return sequence

    def warn_of_unseen_classes(self, classes: Array, folds: Folds) -> None:
        """Warn of classes that a fold is tested on without training rows of them."""
        unseen = np.zeros(self.q, dtype=bool)
        for rows, fold in zip(folds.test, self.folds, strict=True):
            known = np.zeros(self.q, dtype=bool)
            known[fold.classes] = True
            unseen[self.labels[rows]] |= ~known[self.labels[rows]]
        warn_of_unseen(classes[unseen], stacklevel=6)

    def all_rows(self) -> Rows:
        """Return all rows with their weights in a fit."""
        return as_rows(self.X, self.labels, self.V[:1], self.offset)

    def fit(self, k: int, spec: PenaltySpec, start: Weights | None) -> Solution:
        """Return the model of fold k at a penalty.

        Parameters
        ----------
        k : int
            Number of the fold.
        spec : PenaltySpec
            The penalty.
        start : pair of ndarray or None
            W (d, c) and b (c,) from which the fit starts.

        Returns
        -------
        Solution
            The model, of the classes of the fold.
        """
        fold, settings = self.folds[k], self.settings
        code = np.full(self.q, -1, dtype=np.int64)
        code[fold.classes] = np.arange(len(fold.classes))
        offset = None if self.offset is None else self.offset[np.ix_(fold.train, fold.classes)]
        rows = as_rows(self.X[fold.train], code[self.labels[fold.train]], self.V[k + 1 : k + 2, fold.train], offset)
        (solution,) = minimise(
            rows,
            len(fold.classes),
            settings.of_classes(fold.classes).make_penalty(spec.strength, spec.l1_ratio),
            fit_intercept=settings.fit_intercept,
            solver=settings.solver,
            tol=FOLD_TOLERANCE,
            max_iter=settings.max_iter,
            start=None if start is None else (start[0][None], start[1][None]),
            seed=settings.seed,
        )
        return solution

    def scores(self, k: int, solution: Solution, scorer: str) -> tuple[float, float]:
        """Return the weighted log loss of the held-out rows of fold k, and their score; nan without rows.

        Parameters
        ----------
        k : int
            Number of the fold.
        solution : Solution
            Its model.
        scorer : str
            One of `scorers.OWN_SCORES`.

        Returns
        -------
        log_loss, score : float
        """
        fold = self.folds[k]
        if len(fold.test) == 0 or fold.share == 0:
            return np.nan, np.nan
        codes = np.searchsorted(fold.classes, self.labels[fold.test])
        offset = None if self.offset is None else self.offset[np.ix_(fold.test, fold.classes)]
        blocks = LogitBlocks(solution.W.T, solution.b, self.X[fold.test], offset)
        if scorer == "brier":
            rows = row_scores(blocks, codes, 1)
            losses, values = rows.log_loss, rows.brier
        else:
            losses = values = label_log_losses(blocks, codes)
        if scorer == "accuracy":
            values = (most_likely_codes(blocks) == codes).astype(np.float64)
        elif scorer == "neg_log_loss":
            values = -losses
        weight = self.count[fold.test]
        return float(np.average(losses, weights=weight)), float(np.average(values, weights=weight))

    def mean_weights(self, weights: list[Weights]) -> Weights:
        """Return the mean W (d, q) and b (q,) of the models of the folds that have each class."""
        d, dtype = weights[0][0].shape[0], weights[0][0].dtype
        W, b, models = np.zeros((d, self.q), dtype), np.zeros(self.q), np.zeros(self.q)
        for fold, (fold_W, fold_b) in zip(self.folds, weights, strict=True):
            W[:, fold.classes] += fold_W
            b[fold.classes] += fold_b
            models[fold.classes] += 1
        models = np.maximum(models, 1)
        W /= models.astype(dtype)
        return W, b / models

    def point(
        self, spec: PenaltySpec, solutions: list[Solution], figures: list[tuple[float, float]], penalty: float
    ) -> PathPoint:
        """Return the point of the path for a penalty.

        Parameters
        ----------
        spec : PenaltySpec
            The penalty.
        solutions : list of Solution
            The models of the folds; their weights are not read.
        figures : list of (float, float)
            Log loss and score of each fold.
        penalty : float
            Mean penalty of the models.

        Returns
        -------
        PathPoint
            Scores and statistics.
        """
        losses, scores = np.array(figures).T
        share = np.array([fold.share for fold in self.folds])
        mean, error = mean_and_error(scores, share)
        return PathPoint(
            strength=spec.strength,
            l1_ratio=spec.l1_ratio,
            scores=scores,
            mean=mean,
            error=error,
            log_loss=mean_and_error(losses, share)[0],
            fold_losses=losses,
            gap=max(float(one.gap) for one in solutions),
            nonzero=0,
            objective=float(np.mean([one.value for one in solutions])),
            penalty=penalty,
            passes=sum(one.passes for one in solutions),
            settled=all(one.converged for one in solutions),
        )
