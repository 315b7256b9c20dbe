"""Fits of the folds of a sample of rows with each column of numbers in one of its forms, and their held-out losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softreg.models.estimators.penalty_groups import groups_of_columns
from softreg.models.inputs.sample_and_class_weights import ClassWeights
from softreg.models.selection.cv_splits import Folds
from softreg.models.selection.fold_stack import FoldStack, StackSettings, StackSolution
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.scorers import row_scores
from softreg.optimize import PENALTIES
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import Form
from softreg.tables.fit.choose_strength import FIRST_STRENGTH, with_column_groups
from softreg.typing import Codes, Float64Array, IntArray, TextArray

STRENGTHS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Grid of strengths if none is given, tried from the strongest until the held-out loss increases."""
LOSS_PRECISION = 1e-5
"""Precision of the held-out losses in nats, at which the fits stop."""
MAX_ITER = 200
"""Most iterations of a fit."""

NumericForms = dict[str, Form]


@dataclass
class NumericFormCV:
    """Cross-validation of numeric forms: an X with both forms of all columns, and fits of its folds to parts of it."""

    X: Any
    labels: Codes
    stack: FoldStack
    feature_indices: dict[str, tuple[int, int]]
    """Columns of X with the linear feature and the normal score, by column of the table."""
    strengths: tuple[float, ...]
    l1_ratio: float
    warm_start: StackSolution | None = None
    relative_weight: Float64Array | None = None
    """Weight of each row (n,), 1 on average."""

    @classmethod
    def from_encoded(
        cls,
        X: Any,
        y: TextArray,
        splits: Sequence[tuple[IntArray, IntArray]],
        settings: Mapping[str, Any],
        encoder: Encoder,
        columns: Sequence[str],
        *,
        weight: Float64Array | None = None,
        offset: Float64Array | None = None,
    ) -> NumericFormCV:
        """Return the cross-validation of rows X that an encoder with both forms of `columns` encoded."""
        classes, labels = np.unique(y, return_inverse=True)
        train = np.stack([np.bincount(rows, minlength=len(y)).astype(np.float64) for rows, _ in splits])
        folds = Folds(train, tuple(test for _, test in splits))
        seed = 0 if settings["random_state"] is None else int(settings["random_state"])
        weights = settings["class_weight"]
        if isinstance(weights, Mapping):
            weights = {name: weight for name, weight in weights.items() if name in set(classes.tolist())}
        penalty = settings["penalty"]
        fits = _fold_settings(settings, encoder, X.shape[1], seed)
        stack = FoldStack(
            X,
            labels,
            weight,
            folds=folds,
            class_weights=ClassWeights(classes, weights),
            settings=fits,
            whole=False,
            offset=offset,
        )
        feature_indices, start = {}, 0
        for code in encoder.column_encoders:
            if code.name in columns:
                feature_indices[code.name] = (start, start + 1)
            start += code.width
        strength, penalised = settings["strength"], penalty in PENALTIES
        strengths = (
            STRENGTHS if strength == "auto" else (float(strength) if penalised and strength > 0 else FIRST_STRENGTH,)
        )
        share = PENALTIES[penalty].share if penalised else 0.0
        l1_ratio = float(settings["l1_ratio"]) if share is None else share
        relative = None if weight is None else weight / weight.mean()
        return cls(X, labels, stack, feature_indices, strengths, l1_ratio, relative_weight=relative)

    def losses(self, forms: NumericForms, strength: float) -> Float64Array:
        """Return the held-out log loss of each row (n,) with the given forms; nan for rows that no fold tests."""
        solution, kept = self._fit(forms, strength)
        held, layer = solution.held_out_logits[0].astype(np.float64), self.stack.fold_of_row[0]
        self._clip_to_training_range(held, layer, solution, kept)
        losses = np.full(len(self.labels), np.nan)
        tested = layer >= 0
        losses[tested] = row_scores("log_loss", held[tested], self.labels[tested])
        if self.relative_weight is not None:
            losses *= self.relative_weight
        return np.where(np.isfinite(losses), losses, np.nan)  # infinite: the fold has no training row of the class

    def _clip_to_training_range(
        self, held: Float64Array, layer: IntArray, solution: StackSolution, kept: IntArray
    ) -> None:
        """Correct held-out logits (n, q) for numbers outside the range of a fold's training rows, clipped to it."""
        # Predictions clip, too; without it, one number far outside the range could decide the form of its column.
        clipped = {j for pair in self.feature_indices.values() for j in pair}
        positions = np.array([k for k, j in enumerate(kept) if j in clipped])
        x = self.X[:, kept[positions]]
        x = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
        folds = self.stack.folds
        assert folds is not None
        for cohort, (W, _) in zip(self.stack.cohorts, solution.weights, strict=True):
            for j, fold in enumerate(cohort.folds.tolist()):
                rows, seen = np.flatnonzero(layer == fold), x[folds.train[fold] > 0]
                change = np.clip(x[rows], seen.min(axis=0), seen.max(axis=0)) - x[rows]
                far = change.any(axis=1)
                held[np.ix_(rows[far], cohort.classes)] += change[far] @ W[j][positions]

    def _fit(self, forms: NumericForms, strength: float) -> tuple[StackSolution, IntArray]:
        """Return the solution of all folds, and the columns of X that it is fitted to."""
        excluded = {
            self.feature_indices[name][form is Form.LINEAR] for name, form in forms.items() if form is not Form.BOTH
        }
        kept = np.array([j for j in range(self.X.shape[1]) if j not in excluded])
        whole, start = len(kept) == self.X.shape[1], None
        stack = self.stack if whole else self.stack.with_features(self.X[:, kept], kept)
        if self.warm_start is not None:
            weights = tuple((np.ascontiguousarray(W[:, kept]), b) for W, b in self.warm_start.weights)
            start = [replace(self.warm_start, weights=weights)]
        (solution,) = stack.fit([PenaltySpec(strength, self.l1_ratio)], start)
        if whole:
            self.warm_start = solution
        return solution, kept

    def best_strength(self, forms: NumericForms) -> float:
        """Return the strength with the least held-out loss of the given forms, searched from the strongest on."""
        losses: list[float] = []
        for strength in self.strengths:
            losses.append(float(np.nanmean(self.losses(forms, strength))))
            if len(losses) > 1 and losses[-1] > losses[-2]:
                break
        return self.strengths[int(np.argmin(losses))]


def _fold_settings(settings: Mapping[str, Any], encoder: Encoder, d: int, seed: int) -> StackSettings:
    """Return the settings of the folds' fits with d features."""
    penalty = settings["penalty"] if settings["penalty"] in PENALTIES else "l2"
    groups = groups_of_columns(with_column_groups(settings, encoder).get("column_groups"), d, None)
    return StackSettings(True, "auto", LOSS_PRECISION, MAX_ITER, seed, penalty, groups)
