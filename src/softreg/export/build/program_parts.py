"""Programs from the parts of a fitted model, without scikit-learn: for models, and for files that a service reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.export.build.column_terms import offset_columns, table_columns
from softreg.export.build.fold_terms import fold_terms
from softreg.export.build.grid_terms import grid_terms
from softreg.export.probability_maps import Step
from softreg.export.program import (
    Covariance,
    Input,
    InputKind,
    Label,
    OffsetTerm,
    Program,
    Reliability,
    Term,
    VectorTerm,
)
from softreg.models.serialization.stored_evaluation import StoredEvaluation
from softreg.tables.encode.encoder import Encoder
from softreg.typing import Array
from softreg.value_text import value_text
from softreg.version import __version__

if TYPE_CHECKING:
    from softreg.tables.fit.stored_intervals import StoredIntervals

ARRAY_INPUT = "X"
"""Name of the input of a model of arrays."""


def table_program(
    encoder: Encoder,
    coef: Array,
    intercept: Array,
    *,
    classes: Sequence[str],
    labels: Sequence[Any],
    target: str,
    offset: Mapping[str, str],
    intervals: StoredIntervals | None,
    evaluation: StoredEvaluation | None,
    steps: tuple[Step, ...] = (),
) -> Program:
    """Return the program of a model of a table.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder of d features.
    coef, intercept : array (q, d), array (q,)
        Weights and bias.
    classes : sequence of str (q,)
        Classes as text.
    labels : sequence (q,)
        Class labels in their type.
    target : str
        Column of labels.
    offset : mapping of str to str
        Column of offsets by class.
    intervals : StoredIntervals or None
        Covariance of the weights. It is left out of models with curves or interactions, whose features are folded.
    evaluation : StoredEvaluation or None
        Evaluation on held-out rows.
    steps : tuple of Step
        What is applied to the probabilities; intervals and reliability are left out where there are some, since they
        are those of the model's own probabilities.

    Returns
    -------
    Program
        The program.
    """
    columns = table_columns(encoder)
    inputs = [column.input for column in columns]
    terms: list[Term] = [*(term for column in columns for term in column.terms), *grid_terms(encoder, columns)]
    for read, numbers in offset_columns(offset, classes):
        terms += [OffsetTerm(len(inputs), number) for number in numbers]
        inputs.append(read)
    weights = np.ascontiguousarray(coef.T, dtype=np.float64)
    folded = fold_terms(terms, weights, encoder.feature_names_out)
    covariance = None
    if intervals is not None and not steps and len(folded.weights) == len(weights):
        kept = intervals.distribution
        covariance = Covariance(kept.shift, kept.scale, kept.L)
    return Program(
        tuple(inputs),
        folded.terms,
        folded.weights,
        np.asarray(intercept, dtype=np.float64),
        plain_labels(labels),
        steps,
        target,
        folded.names,
        covariance,
        __version__,
        None if evaluation is None or steps else _reliability(evaluation, classes),
    )


def _reliability(evaluation: StoredEvaluation, classes: Sequence[str]) -> Reliability:
    """Return the reliability of each class that an evaluation keeps."""
    by_label = {one.label: one.bins for one in evaluation.reliability}
    return Reliability(evaluation.rows, tuple(by_label.get(label, ()) for label in classes))


def array_program(
    coef: Array,
    intercept: Array,
    labels: Sequence[Any],
    *,
    names: Sequence[Any] | None = None,
    with_offset: bool = False,
    steps: tuple[Step, ...] = (),
) -> Program:
    """Return the program of a model of arrays: one required vector, whose elements are columns of their own.

    Parameters
    ----------
    coef, intercept : array (q, d), array (q,)
        Weights and bias.
    labels : sequence (q,)
        Class labels.
    names : sequence (d,), optional
        Names of the features; x0, x1, ... by default.
    with_offset : bool
        Whether the model was fitted with an offset, which is an input for each class.
    steps : tuple of Step
        What is applied to the probabilities.

    Returns
    -------
    Program
        The program.
    """
    weights = np.ascontiguousarray(coef.T, dtype=np.float64)
    d = len(weights)
    known = tuple(f"x{j}" for j in range(d)) if names is None else tuple(str(name) for name in names)
    inputs = [Input(ARRAY_INPUT, InputKind.VECTOR, required=True, length=d, elements=known)]
    plain = plain_labels(labels)
    terms: list[Term] = [VectorTerm(0, 0, (0.0,) * d, 1.0)]
    if with_offset:
        for k, label in enumerate(plain):
            inputs.append(Input(f"offset {label}", InputKind.NUMBER, required=True))
            terms.append(OffsetTerm(k + 1, k))
    bias = np.asarray(intercept, dtype=np.float64)
    return Program(tuple(inputs), tuple(terms), weights, bias, plain, steps, "", known, None, __version__)


def plain_labels(labels: Sequence[Any]) -> tuple[Label, ...]:
    """Return class labels as values that every target can write; others, such as dates, as text."""
    return tuple(label if isinstance(label, str | int | float | bool) else value_text(label) for label in labels)
