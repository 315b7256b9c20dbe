"""Fits of the folds of a sample of rows with each column of numbers in one of its forms, and their held-out losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softreg.models.inputs.sample_and_class_weights import ClassWeights
from softreg.models.selection.cv_splits import Folds
from softreg.models.selection.fold_stack import FoldStack, StackSettings, StackSolution
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.scorers import row_scores
from softreg.optimize import PENALTIES
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import Form
from softreg.tables.fit.choose_strength import FIRST
from softreg.typing import Codes, Float64Array, IntArray, TextArray

STRENGTHS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Where the strength is not given, these are tried from the first on, until the loss turns."""
SETTLED = 1e-5
"""How near the held-out losses are to be known, in nats."""

NumericForms = dict[str, Form]


@dataclass
class NumericFormCV:
    """The folds of the rows that choose, with both forms of all columns in X, and what is fitted to parts of it."""

    X: Any
    labels: Codes
    stack: FoldStack
    places: dict[str, tuple[int, int]]
    """Of each column, the place of the linear feature and of the normal score."""
    strengths: tuple[float, ...]
    ratio: float
    begun: StackSolution | None = None
    shares: Float64Array | None = None
    """How often each row (n,) counts, 1 on average."""

    @classmethod
    def of(
        cls,
        X: Any,
        y: TextArray,
        splits: Sequence[tuple[IntArray, IntArray]],
        settings: Mapping[str, Any],
        encoder: Encoder,
        columns: Sequence[str],
        weight: Float64Array | None = None,
    ) -> NumericFormCV:
        """Of rows encoded by an encoder with both forms of these columns."""
        classes, labels = np.unique(y, return_inverse=True)
        train = np.stack([np.bincount(learn, minlength=len(y)).astype(np.float64) for learn, _ in splits])
        folds = Folds(train, tuple(judge for _, judge in splits))
        seed = 0 if settings["random_state"] is None else int(settings["random_state"])
        weights = settings["class_weight"]
        if isinstance(weights, Mapping):
            weights = {name: weight for name, weight in weights.items() if name in set(classes.tolist())}
        penalty = settings["penalty"]
        fits = StackSettings(True, "auto", SETTLED, 200, seed, penalty if penalty in PENALTIES else "l2")
        stack = FoldStack(
            X, labels, weight, folds=folds, class_weights=ClassWeights(classes, weights), settings=fits, whole=False
        )
        places, start = {}, 0
        for code in encoder.column_encoders:
            if code.name in columns:
                places[code.name] = (start, start + 1)
            start += code.width
        strength, penalised = settings["strength"], penalty in PENALTIES
        tried = STRENGTHS if strength == "auto" else (float(strength) if penalised and strength > 0 else FIRST,)
        share = PENALTIES[penalty].share if penalised else 0.0
        ratio = float(settings["l1_ratio"]) if share is None else share
        return cls(X, labels, stack, places, tried, ratio, shares=None if weight is None else weight / weight.mean())

    def losses(self, forms: NumericForms, strength: float) -> Float64Array:
        """The held-out log loss of each row (n,), nan where no fold judges it; with these forms of the columns."""
        answer, kept = self._fit(forms, strength)
        held, layer = answer.held_out_logits[0].astype(np.float64), self.stack.fold_of_row[0]
        self._limit(held, layer, answer, kept)
        found = np.full(len(self.labels), np.nan)
        told = layer >= 0
        found[told] = row_scores("log_loss", held[told], self.labels[told])
        if self.shares is not None:
            found *= self.shares
        return np.where(np.isfinite(found), found, np.nan)  # a class that the fold never saw

    def _limit(self, held: Float64Array, layer: IntArray, answer: StackSolution, kept: IntArray) -> None:
        """Take numbers outside the range of a fold's training rows as its nearest end, as a prediction does.

        Corrects the held-out logits (n, q): a single number far outside would else decide the form of its column.
        """
        wanted = {place for pair in self.places.values() for place in pair}
        places = np.array([at for at, j in enumerate(kept) if j in wanted])
        x = self.X[:, kept[places]]
        x = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
        folds = self.stack.folds
        assert folds is not None
        for cohort, (W, _) in zip(self.stack.cohorts, answer.weights, strict=True):
            for j, fold in enumerate(cohort.folds.tolist()):
                rows, seen = np.flatnonzero(layer == fold), x[folds.train[fold] > 0]
                change = np.clip(x[rows], seen.min(axis=0), seen.max(axis=0)) - x[rows]
                far = change.any(axis=1)
                held[np.ix_(rows[far], cohort.classes)] += change[far] @ W[j][places]

    def _fit(self, forms: NumericForms, strength: float) -> tuple[StackSolution, IntArray]:
        """The answer of all folds, and which columns of X it is of."""
        gone = {self.places[name][form is Form.LINEAR] for name, form in forms.items() if form is not Form.BOTH}
        kept = np.array([j for j in range(self.X.shape[1]) if j not in gone])
        whole, start = len(kept) == self.X.shape[1], None
        stack = self.stack if whole else self.stack.with_features(self.X[:, kept])
        if self.begun is not None:
            weights = tuple((np.ascontiguousarray(W[:, kept]), b) for W, b in self.begun.weights)
            start = [replace(self.begun, weights=weights)]
        (answer,) = stack.fit([PenaltySpec(strength, self.ratio)], start)
        if whole:
            self.begun = answer
        return answer, kept

    def best_strength(self, forms: NumericForms) -> float:
        """The strength at which these forms have the least held-out loss, tried from the strongest on."""
        found: list[float] = []
        for strength in self.strengths:
            found.append(float(np.nanmean(self.losses(forms, strength))))
            if len(found) > 1 and found[-1] > found[-2]:
                break
        return self.strengths[int(np.argmin(found))]
