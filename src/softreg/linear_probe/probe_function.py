"""The function `probe`: a linear probe of embeddings, with the strength chosen on held-out rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np

from softreg.linear_probe.embedding_arrays import ColumnScale
from softreg.linear_probe.held_out_scores import TOP, RowScores, probabilities_of_rows, score_rows
from softreg.linear_probe.probe_inputs import (
    LabelledArrays,
    TestInput,
    TrainingInput,
    labelled_arrays,
    test_input,
    training_input,
)
from softreg.linear_probe.probe_result import Probe, StrengthScores
from softreg.linear_probe.strength_path import FitOptions, PathResult, automatic_strengths, fit, hold_out, run_path
from softreg.models import SoftmaxRegression
from softreg.optimize import Solution
from softreg.probability import Classes, entropy
from softreg.report import Audit, audit
from softreg.splits import sample_rows
from softreg.typing import Array

MOST_AUDITED = 5_000_000
"""Probabilities from which calibration is judged, at most (5,000 rows of 1,000 classes): else of a sample."""
LEAST_AUDITED = 1000
"""Rows of that sample, at least."""
NO_GAIN = 0.99
"""A log loss above this share of the entropy of the classes suggests that labels and embeddings are unrelated."""
SCORES = ("log_loss", "accuracy")


@dataclass(frozen=True)
class ProbeOptions:
    """Checked options of a probe: decreasing strengths (None for an automatic path), and those of `probe`."""

    strengths: tuple[float, ...] | None
    holdout: float
    folds: int | None
    score: str
    unit_rows: bool
    standardize: bool
    fits: FitOptions


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """Scores of all evaluated rows, and the audit of the probabilities of these rows or of a sample."""

    rows: RowScores
    audit: Audit


def probe(
    X: Any,
    y: Any,
    *,
    test: tuple[Any, Any] | None = None,
    strengths: str | float | Sequence[float] = "auto",
    holdout: float = 0.2,
    folds: int | None = None,
    score: Literal["log_loss", "accuracy"] = "log_loss",
    unit_rows: bool = False,
    standardize: bool = False,
    tol: float = 1e-4,
    max_iter: int = 1000,
    seed: int = 0,
    on_strength: Callable[[StrengthScores], Any] | None = None,
) -> Probe:
    """Fit a linear probe to embeddings, with the strength of its L2 penalty chosen on held-out rows.

    A softmax regression is fitted to the training part of the rows at each strength, every fit from the optimum at the
    one before, and the strength with the best score of the held-out part is used for a fit of all rows. All fits have
    certified gaps.

    Parameters
    ----------
    X : array, tensor or path, of shape (n, d)
        Embeddings: float16, bfloat16, float32 or float64. A path names a file `.npy` (memory-mapped), `.npz`,
        `.parquet` or `.pt`; `FILE::NAME` names an array or a column of it.
    y : array, tensor, list or path, of shape (n,)
        Labels: integers, text or booleans. A path names such a file, a `.csv` or a `.txt` with one label a line. A text
        that is no file is the name of an array or a column in the file of X.
    test : (X, y), optional
        Test rows, on which the final model is evaluated. The strength is chosen without them.
    strengths : "auto", float or sequence of float
        Strengths of the penalty, > 0. "auto" decreases them by factors of ten from where the weights are small, until
        the score is worse, and adds those 3 times as strong and as weak as the best.
    holdout : float
        Share of the training rows, stratified by class, on which the strengths are compared.
    folds : int, optional
        Compare the strengths on that many stratified folds instead.
    score : {"log_loss", "accuracy"}
        Held-out score by which the strength is chosen.
    unit_rows : bool
        Whether to divide each row by its length; this makes a float32 copy.
    standardize : bool
        Whether to subtract the mean of each column and divide it by its standard deviation; this makes a float32 copy.
        The weights of the result are those of the columns as given.
    tol : float
        Certified distance of each fit from its minimum, in nats.
    max_iter : int
        Iterations of a fit, at most.
    seed : int
        Seed of the held-out rows.
    on_strength : callable, optional
        Receives a `StrengthScores` record after each strength.

    Returns
    -------
    Probe
        The model, the table of strengths, scores and their evaluation.

    Raises
    ------
    ValueError
        If embeddings and labels do not fit together, numbers are not finite, or an option is out of its range.
    FileNotFoundError
        If a file does not exist.
    ImportError
        If a `.pt` file is given and PyTorch is not installed.

    Warns
    -----
    UserWarning
        If test rows have labels that no training row has, or the labels seem to be unrelated to the embeddings.
    ConvergenceWarning
        If the final fit has not reached its tolerance.

    References
    ----------
    Alain and Bengio, "Understanding intermediate layers using linear classifier probes" (2016).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> y = random.integers(0, 20, 1000)
    >>> X = (random.normal(size=(20, 16))[y] + random.normal(size=(1000, 16))).astype(np.float16)
    >>> result = probe(X, y, strengths=[1e-1, 1e-2, 1e-3])
    >>> result.strength, result.kind, result.model.solution_.gap <= 1e-4
    (0.001, 'float16', True)
    """
    fits = FitOptions(tol, max_iter, seed)
    options = _checked_options(strengths, holdout, folds, score, unit_rows, standardize, fits)
    given = labelled_arrays(X, y)
    given_test = None
    if test is not None:
        given_test = labelled_arrays(*test, name="the test embeddings", labels_name="the test labels")
    return _run(given, given_test, options, on_strength)


def _run(
    given: LabelledArrays,
    given_test: LabelledArrays | None,
    options: ProbeOptions,
    listener: Callable[[StrengthScores], Any] | None,
) -> Probe:
    """Choose the strength, fit all rows, and evaluate the model."""
    begin, fits, unit_rows = perf_counter(), options.fits, options.unit_rows
    training = training_input(given, unit_rows=unit_rows, standardize=options.standardize)
    data, classes, tested = training.data, training.classes, None
    if given_test is not None:
        tested = test_input(given_test, classes, data.embeddings.X.shape[1], unit_rows=unit_rows)
        _warn_of_unknown_labels(tested)
    path = None if tested is not None and _is_single(options) else _search(training, options, listener)
    strength = _only_strength(options) if path is None else path.points[path.chosen].strength
    solution = fit(data.rows(), data.q, strength, fits, None if path is None else path.start())
    model = _model(solution, training, strength, fits)
    if tested is not None:
        result = _of_test(model, tested, classes, fits.seed)
    else:
        result = _of_held_out(training, path, fits.seed)
    _warn_of_unrelated_labels(result.rows, training)
    points = (StrengthScores.of(strength, result.rows, [solution], 0.0),) if path is None else path.points
    return Probe(
        model=model,
        strengths=points,
        chosen=0 if path is None else path.chosen,
        log_loss=result.rows.log_loss(),
        accuracy=result.rows.accuracy(),
        top5_accuracy=result.rows.accuracy(TOP),
        evaluation=result.audit,
        evaluated_on="held-out" if tested is None else "test",
        rows=len(data.codes),
        held_out=0 if path is None else sum(len(part.held) for part in path.parts),
        tested=0 if tested is None else len(tested.codes),
        unknown_labels=0 if tested is None else tested.unknown,
        kind=data.embeddings.kind,
        unit_rows=unit_rows,
        standardized=options.standardize,
        score=options.score,
        passes=int(solution.passes) + (0 if path is None else sum(point.passes for point in points)),
        seconds=perf_counter() - begin,
    )


def _checked_options(
    strengths: str | float | Sequence[float],
    holdout: float,
    folds: int | None,
    score: str,
    unit_rows: bool,
    standardize: bool,
    fits: FitOptions,
) -> ProbeOptions:
    """Return the options; raise `ValueError` for one that is out of its range."""
    if score not in SCORES:
        raise ValueError(f"score={score!r} is not one of {', '.join(SCORES)}.")
    if not 0 < holdout < 1:
        raise ValueError(f"holdout={holdout!r} is not a share of the rows between 0 and 1, such as 0.2.")
    if folds is not None and (isinstance(folds, bool) or int(folds) != folds or folds < 2):
        raise ValueError(f"folds={folds!r} is not a number of folds, which is 2 at least.")
    if not fits.tol > 0:
        raise ValueError(f"tol={fits.tol!r} is not a positive number of nats, such as 1e-4.")
    if isinstance(strengths, str):
        if strengths != "auto":
            raise ValueError(f"strengths={strengths!r} is neither 'auto' nor a sequence of positive numbers.")
        return ProbeOptions(None, holdout, folds, score, unit_rows, standardize, fits)
    values = np.unique(np.atleast_1d(np.asarray(strengths, dtype=np.float64)))[::-1]
    if not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"strengths={strengths!r} holds no numbers, or one that is not positive and finite.")
    return ProbeOptions(tuple(values.tolist()), holdout, folds, score, unit_rows, standardize, fits)


def _is_single(options: ProbeOptions) -> bool:
    """Return True if one strength is given, so that none is chosen."""
    return options.strengths is not None and len(options.strengths) == 1


def _only_strength(options: ProbeOptions) -> float:
    """Return the strength that is given."""
    assert options.strengths is not None
    return options.strengths[0]


def _search(
    training: TrainingInput, options: ProbeOptions, listener: Callable[[StrengthScores], Any] | None
) -> PathResult:
    """Return the strengths with the scores of held-out rows."""
    data = training.data
    given = options.strengths
    return run_path(
        data,
        hold_out(data, options.holdout, options.folds, options.fits.seed),
        automatic_strengths(data.embeddings.X) if given is None else given,
        options.fits,
        score=options.score,
        automatic=given is None,
        listener=listener,
    )


def _model(solution: Solution, training: TrainingInput, strength: float, fits: FitOptions) -> SoftmaxRegression:
    """Return the fitted estimator, whose weights are those of columns that are not standardised."""
    scale: ColumnScale | None = training.scale
    if scale is not None:
        W, b = scale.to_columns(solution.W, solution.b)
        solution = replace(solution, W=W, b=b)
    model = SoftmaxRegression(strength, tol=fits.tol, max_iter=fits.max_iter)
    model.classes_, model.n_features_in_ = training.classes.labels, solution.W.shape[0]
    model._set_solution(solution)
    model._warn_unless_converged(solution)
    return model


def _of_test(model: SoftmaxRegression, test: TestInput, classes: Classes, seed: int) -> _Evaluation:
    """Return the evaluation of the test rows."""
    W, b = model.coef_.T, model.intercept_
    sample = _sample(len(test.rows), len(classes), seed)
    P = probabilities_of_rows(test.X, test.rows[sample], W, b)
    scores = score_rows(test.X, test.rows, test.codes, W, b)
    return _Evaluation(scores, audit(P, test.codes[sample], classes.labels))


def _of_held_out(training: TrainingInput, path: PathResult | None, seed: int) -> _Evaluation:
    """Return the evaluation of the held-out rows at the chosen strength, by the fits that do not know them."""
    assert path is not None
    data, classes = training.data, training.classes
    held = np.concatenate([part.held for part in path.parts])
    fold = np.repeat(np.arange(len(path.parts)), [len(part.held) for part in path.parts])
    sample = _sample(len(held), data.q, seed)
    P = np.empty((len(sample), data.q))
    for k, solution in enumerate(path.solutions):
        own = fold[sample] == k
        P[own] = probabilities_of_rows(data.embeddings.X, held[sample][own], solution.W, solution.b)
    return _Evaluation(path.scores, audit(P, data.codes[held[sample]], classes.labels))


def _sample(n: int, q: int, seed: int) -> Array:
    """Return the numbers of the rows from which calibration is judged."""
    return sample_rows(n, max(LEAST_AUDITED, MOST_AUDITED // q), seed)


def _warn_of_unknown_labels(test: TestInput) -> None:
    """Warn of test rows whose label is no class of the training rows."""
    if test.unknown:
        warnings.warn(
            f"{test.unknown:,} of {test.unknown + len(test.rows):,} test rows have labels that no training row has, "
            f"such as {test.first_unknown}; they are left out of all scores.",
            UserWarning,
            stacklevel=3,
        )


def _warn_of_unrelated_labels(scores: RowScores, training: TrainingInput) -> None:
    """Warn where the probabilities are no better than the class rates."""
    rates = np.bincount(training.data.codes, minlength=training.data.q) / len(training.data.codes)
    loss, limit = scores.log_loss(), float(entropy(rates))
    if loss.value > NO_GAIN * limit and scores.accuracy().low < rates.max():
        warnings.warn(
            f"the log loss {loss.value:.4f} nats is no better than that of class rates, {limit:.4f}: embeddings and "
            "labels seem to be unrelated. Are they in the same order, from the same split of the data?",
            UserWarning,
            stacklevel=3,
        )
