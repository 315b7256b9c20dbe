"""The choice of the terms of a table: linear, curves, or curves and interactions, by the loss of held-out rows.

Models of increasing size are compared on rows that took no part in any of their choices: the linear model, curves, and
curves with the interactions for which there is evidence. The search is repeated in each fold, until `HELD_OUT` rows
have been held out, or fewer if all differences are clear. A larger model is chosen if its mean held-out
loss, with the weights of the rows, is less by more than `LINEAR_GAIN_SE` standard errors of the difference from the
linear model, or `LEAST_GAIN_SE` from a smaller one with terms.

Before, the first `FEWEST_HELD_OUT` of these rows choose between two kinds of curves: strengths of linear features,
categories and indicators that are shrunk towards a common one, or, if their loss is less by more than
`SEPARATE_GAIN_SE` standard errors of the difference, separate strengths, which are better where few columns of many
have an effect. The held-out rows also choose multiples of the strengths: of the curves and of the interactions before
the models are compared, as the evidence of many terms makes them too small, and finally of all terms of the chosen
model, as Laplace's approximation makes them too large where the classes are nearly separated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from softreg.probability import softmax
from softreg.splits import Split
from softreg.tables.fit.terms.term_problem import ChosenTerms, TermProblem
from softreg.tables.fit.terms.term_record import LINEAR, REQUESTED, StageLoss, TermProgress, TermRecord
from softreg.tables.fit.terms.term_search import NO_MULTIPLES, Deadline, Model, Multiples, Refits, TermRows, TermSearch
from softreg.typing import Float64Array, FloatArray, IntArray

HELD_OUT = 4_000
"""Held-out rows from which no further fold is held out; the standard error of a mean loss is then about 0.01 nats."""
FEWEST_HELD_OUT = 600
"""Held-out rows from which no further fold is held out if all differences are clear."""
CLEAR_SE = 4.0
"""Standard errors from which a difference of the mean losses of two models is clear."""
REFIT_ROWS = 10_000
"""Rows below which the terms are searched again in all rows once a model is chosen, in place of those of the fold."""
LEAST_GAIN_SE = 0.5
"""Standard errors by which a larger model with terms has to be better on held-out rows."""
LINEAR_GAIN_SE = 1.0
"""Standard errors by which a model with terms has to be better than the linear one."""
SEPARATE_GAIN_SE = 1.0
"""Standard errors by which separate strengths have to be better on held-out rows than those that share a prior."""
MULTIPLE_GAIN_SE = 1.0
"""Standard errors by which another multiple of the strengths has to be better on held-out rows."""
STEP = 2.0
"""Ratio of successive multiples of the strengths that are tried."""
LARGEST_MULTIPLE = 64.0
"""Largest multiple of the strengths that is tried; the least is one by it."""
LEAST_PROBABILITY = 1e-15
"""Held-out probabilities are limited to it, so that one row does not decide."""
KINDS = ("curves", "interactions")
"""Terms that the models after the linear one add, whose strengths have multiples of their own."""
STAGES = (LINEAR, "curves", "interactions")
"""The models that are compared, in the order of their size."""

LinearProbabilities = Callable[[IntArray, IntArray], Float64Array]
"""Probabilities (k, q) of test rows by the linear model, fitted to training rows; both are numbers of rows."""


def compare_models(
    problem: TermProblem,
    folds: Sequence[Split],
    linear: LinearProbabilities,
    deadline: Deadline,
    *,
    may_be_linear: bool = True,
    on_progress: Callable[[TermProgress], Any] | None = None,
) -> ChosenTerms | TermRecord:
    """Return the terms of the model with the least loss on held-out rows.

    Parameters
    ----------
    problem : TermProblem
        Rows, and the search on them.
    folds : sequence of Split
        Training and test rows of each fold.
    linear : callable
        Probabilities of the linear model, see `LinearProbabilities`.
    deadline : Deadline
        No larger models are tried after it.
    may_be_linear : bool
        Whether the linear model may be chosen; False where single terms are requested, which it does not have.
    on_progress : callable, optional
        Receives a record for each model of each fold.

    Returns
    -------
    ChosenTerms or TermRecord
        The terms; the record alone if no larger model is better than the linear one, or no fold has rows to compare
        them on.
    """
    parts, first = list[_HeldOut](), 0 if may_be_linear else 1
    folds = [fold for fold in folds if _scored_rows(problem.rows, fold).size]
    if not folds:
        if may_be_linear:
            return TermRecord(STAGES[0], (), (), len(problem.rows.codes))
        return problem.chosen(problem.search.main(problem.rows), REQUESTED, ())
    folds = folds[::-1]  # of folds in the order of time, the last one first
    problem, mains = _with_better_strengths(problem, folds, deadline)
    for number, fold in enumerate(folds, start=1):
        report = None if on_progress is None else _FoldProgress(on_progress, number, len(folds))
        main = mains.pop(0) if mains else None
        parts.append(_held_out(problem, fold, linear, deadline, report=report, main=main))
        reached = min(len(part.losses) for part in parts)
        losses = [np.concatenate([part.losses[stage] for part in parts]) for stage in range(reached)]
        compared = _Comparison.of(losses, np.concatenate([part.weight for part in parts]), first)
        if len(compared.share) >= HELD_OUT or (compared.is_clear and len(compared.share) >= FEWEST_HELD_OUT):
            break
    tunings = _tunings(problem, parts, compared, deadline)
    compared = _Comparison.of([compared.losses[0], *(one.losses for one in tunings)], compared.share, first)
    if compared.best == 0:
        return TermRecord(STAGES[0], compared.stages(), (), len(problem.rows.codes))
    best, tuning = compared.best - 1, tunings[compared.best - 1]
    tuning.improve("common", (1 / STEP, STEP), deadline)  # larger ones if no smaller one is better
    stages = compared.with_losses(tuning.losses).stages()
    models = parts[-1].models
    if len(parts) > 1 or len(problem.rows.codes) < REFIT_ROWS:
        models = list(_models(problem.search, problem.rows, best + 1, Deadline(None)))
    model, multiples = models[best], tuning.multiples
    if multiples != NO_MULTIPLES:
        model = problem.search.at_multiples(problem.rows, model, multiples)
    return problem.chosen(model, STAGES[best + 1], stages, multiples)


def _tunings(
    problem: TermProblem, parts: Sequence[_HeldOut], compared: _Comparison, deadline: Deadline
) -> list[_Tuning]:
    """Return the models after the linear one, with multiples of the strengths of curves and interactions."""
    tunings = list[_Tuning]()
    for stage in range(1, len(compared.losses)):
        if stage > 1 and all(part.models[stage - 1] is part.models[stage - 2] for part in parts):
            tunings.append(tunings[-1])  # no part has interactions
            continue
        tuning = _Tuning(problem, parts, stage, compared.losses[stage], compared.share)
        worse = _Mean.of(compared.losses[stage] - compared.losses[compared.best], compared.share)
        if worse.value <= CLEAR_SE * worse.error:
            for kind in KINDS[:stage][::-1]:
                tuning.improve(kind, (STEP,), deadline)
        tunings.append(tuning)
    return tunings


class _Tuning:
    """The multiples of the strengths of a model, with the losses of the held-out rows.

    Parameters
    ----------
    problem : TermProblem
        Rows, and the search on them.
    parts : sequence of _HeldOut
        Models of the folds.
    stage : int
        Place of the model in `STAGES`.
    losses : array of float64 (k,)
        Losses of the held-out rows at the strengths of the evidence.
    share : array of float64 (k,)
        Shares of the held-out rows of the weight.
    """

    def __init__(
        self, problem: TermProblem, parts: Sequence[_HeldOut], stage: int, losses: Float64Array, share: Float64Array
    ) -> None:
        self.problem, self.parts, self.stage, self.losses, self.share = problem, parts, stage, losses, share
        self.multiples = NO_MULTIPLES

    @cached_property
    def _refits(self) -> list[_HeldOutRefits]:
        return [part.refits(self.problem, self.stage - 1) for part in self.parts]

    def improve(self, kind: str, ratios: Sequence[float], deadline: Deadline) -> None:
        """Change the multiple of a kind of terms while the loss falls by more than `MULTIPLE_GAIN_SE` errors.

        Parameters
        ----------
        kind : str
            Field of `Multiples`.
        ratios : sequence of float
            Ratios of successive multiples; each is tried if none before it was better.
        deadline : Deadline
            No further multiple is tried after it.
        """
        first = self.multiples
        for ratio in ratios:
            while not deadline.passed:
                tried = replace(self.multiples, **{kind: getattr(self.multiples, kind) * ratio})
                if not 1 / LARGEST_MULTIPLE <= getattr(tried, kind) <= LARGEST_MULTIPLE:
                    break
                losses = np.concatenate([one.losses_at(tried) for one in self._refits])
                gain = _Mean.of(self.losses - losses, self.share)
                if gain.value <= MULTIPLE_GAIN_SE * gain.error:
                    break
                self.multiples, self.losses = tried, losses
            if self.multiples != first:
                break


def _with_better_strengths(
    problem: TermProblem, folds: Sequence[Split], deadline: Deadline
) -> tuple[TermProblem, list[Model]]:
    """Return the problem with shared or separate strengths, and its main effects in the first folds."""
    kinds, weights = (problem.with_shared_strengths(), problem), list[Float64Array]()
    models, losses = [list[Model]() for _ in kinds], [list[Float64Array]() for _ in kinds]
    for fold in folds:
        part = _FoldRows.of(problem.rows, fold)
        train, test = part.training(problem.rows), part.held_out(problem.rows)
        weights.append(test.weights)
        for kind, found, lost in zip(kinds, models, losses, strict=True):
            found.append(kind.search.main(train))
            lost.append(_losses_of(kind.search, found[-1], test))
        if deadline.passed or sum(map(len, weights)) >= FEWEST_HELD_OUT:
            break
    share = np.concatenate(weights)
    gain = _Mean.of(np.concatenate(losses[0]) - np.concatenate(losses[1]), share / share.sum())
    best = int(gain.value > SEPARATE_GAIN_SE * gain.error)
    return kinds[best], models[best]


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Losses of the held-out rows at each stage, their shares of the weight, and the stage that is chosen."""

    losses: list[Float64Array]
    share: Float64Array
    best: int
    is_clear: bool
    """Whether each difference that decided is clear, or 0 in all rows."""

    @classmethod
    def of(cls, losses: Sequence[Float64Array], weight: Float64Array, first: int) -> _Comparison:
        """Return the comparison of the stages from `first` on."""
        share, best, is_clear = weight / weight.sum(), first, True
        for stage in range(first + 1, len(losses)):
            gain = _Mean.of(losses[best] - losses[stage], share)
            is_clear &= abs(gain.value) >= CLEAR_SE * gain.error
            if gain.value > (LEAST_GAIN_SE if best else LINEAR_GAIN_SE) * gain.error:
                best = stage
        return cls(list(losses), share, best, is_clear)

    def with_losses(self, losses: Float64Array) -> _Comparison:
        """Return the comparison with other losses of the chosen stage."""
        return replace(self, losses=[losses if k == self.best else one for k, one in enumerate(self.losses)])

    def stages(self) -> tuple[StageLoss, ...]:
        """Return the mean losses of all stages."""
        best = self.losses[self.best]
        return tuple(_stage(name, loss, best, self.share) for name, loss in zip(STAGES, self.losses, strict=False))


@dataclass(frozen=True)
class _Mean:
    """A weighted mean and its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, values: Float64Array, share: Float64Array) -> _Mean:
        """Return the mean of values (n,) with weights (n,) whose sum is 1."""
        mean = float(share @ values)
        return cls(mean, float(np.sqrt((share**2) @ (values - mean) ** 2)))


def _stage(name: str, loss: Float64Array, best: Float64Array, share: Float64Array) -> StageLoss:
    """Return the mean loss of a model, and its difference from that of the chosen model on the same rows."""
    excess = _Mean.of(loss - best, share)
    return StageLoss(name, float(share @ loss), excess.value, excess.error)


@dataclass(frozen=True, eq=False)
class _FoldRows:
    """Rows of a fold: numbers of its training and of its held-out rows, and the classes of the former."""

    train: IntArray
    test: IntArray
    known: IntArray

    @classmethod
    def of(cls, rows: TermRows, fold: Split) -> _FoldRows:
        """Return the rows of a fold; held-out rows of weight 0 or of a class without training rows are left out."""
        return cls(fold.train, _scored_rows(rows, fold), np.unique(rows.codes[fold.train]))

    def training(self, rows: TermRows) -> TermRows:
        """Return the training rows."""
        return rows.take(self.train).of_classes(self.known)

    def held_out(self, rows: TermRows) -> TermRows:
        """Return the held-out rows."""
        return rows.take(self.test).of_classes(self.known)


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Losses of the held-out rows of a fold at each stage, their weights, and the models after the linear one."""

    fold: _FoldRows
    losses: list[Float64Array]
    weight: Float64Array
    models: list[Model]

    def refits(self, problem: TermProblem, stage: int) -> _HeldOutRefits:
        """Return the fits of the model of a stage at multiples of its strengths."""
        model, test = self.models[stage], self.fold.held_out(problem.rows)
        refits = problem.search.refits(self.fold.training(problem.rows), model)
        return _HeldOutRefits(refits, test, problem.search.features(test.X, model.pairs))


@dataclass(frozen=True, eq=False)
class _HeldOutRefits:
    """Fits of a model of a fold at multiples of its strengths, and its held-out rows with their features."""

    refits: Refits
    test: TermRows
    X: FloatArray

    def losses_at(self, multiples: Multiples) -> Float64Array:
        """Return the losses of the held-out rows at multiples."""
        return _losses(np.asarray(softmax(self.test.logits(self.X, self.refits.at(multiples)))), self.test.codes)


@dataclass(frozen=True)
class _FoldProgress:
    """Reports of the models of a fold."""

    on_progress: Callable[[TermProgress], Any]
    number: int
    folds: int

    def __call__(self, losses: Sequence[Float64Array]) -> None:
        name = STAGES[len(losses) - 1]
        self.on_progress(TermProgress(name, self.number, self.folds, float(losses[-1].mean())))


def _held_out(
    problem: TermProblem,
    fold: Split,
    linear: LinearProbabilities,
    deadline: Deadline,
    *,
    report: _FoldProgress | None,
    main: Model | None,
) -> _HeldOut:
    """Return the losses of the models on the test rows of a fold; `main` has their main effects, if already fitted."""
    part = _FoldRows.of(problem.rows, fold)
    train, test = part.training(problem.rows), part.held_out(problem.rows)
    losses = [_losses(linear(part.train, part.test)[:, part.known], test.codes)]
    models = list[Model]()
    if report is not None:
        report(losses)
    for model in _models(problem.search, train, len(STAGES) - 1, deadline, main):
        models.append(model)
        losses.append(_losses_of(problem.search, model, test))
        if report is not None:
            report(losses)
    return _HeldOut(part, losses, test.weights, models)


def _scored_rows(rows: TermRows, fold: Split) -> IntArray:
    """Return the test rows of a fold whose weight is above 0 and whose class has training rows."""
    tested = fold.test[np.isin(rows.codes[fold.test], rows.codes[fold.train])]
    return tested if rows.weight is None else tested[rows.weight[tested] > 0]


def _models(
    search: TermSearch, rows: TermRows, stages: int, deadline: Deadline, main: Model | None = None
) -> Iterator[Model]:
    """Yield the models of the first stages after the linear one, `main` if it is given; fewer once the time is over."""
    main = search.main(rows) if main is None else main
    yield main
    if stages > 1 and not deadline.passed:
        pairs = search.screen(rows, main)
        yield search.with_pairs(rows, main, pairs) if pairs else main


def _losses_of(search: TermSearch, model: Model, test: TermRows) -> Float64Array:
    """Return the losses of held-out rows by a model."""
    X = search.features(test.X, model.pairs)
    return _losses(np.asarray(softmax(test.logits(X, model.fit))), test.codes)


def _losses(P: Float64Array, codes: IntArray) -> Float64Array:
    """Return the losses (n,) of labels in nats."""
    return np.asarray(-np.log(np.maximum(P[np.arange(len(codes)), codes], LEAST_PROBABILITY)))
