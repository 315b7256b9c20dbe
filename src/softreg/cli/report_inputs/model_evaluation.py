"""The evaluation on held-out rows of `softreg train`, which the model file keeps."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_note
from softreg.cli.data.holdout import HeldOutRows
from softreg.cli.data.label_codes import known_codes
from softreg.cli.options.costs import check_no_costs, cost_matrix
from softreg.cli.options.train_request import TrainRequest
from softreg.models.estimators.streamed_predictions import logit_blocks
from softreg.probability import Classes, OperatingPoint, operating_point
from softreg.report import Audit, audit, evaluation_record
from softreg.report.evaluation.model_audit import audit_blocks, is_streamed_audit
from softreg.tables import TableClassifier, TableWarning
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.table_scan import TableScan
from softreg.tables.row_selection.weight_column import weight_column
from softreg.typing import Codes, Float64Array, TextArray


def keep_evaluation(
    request: TrainRequest,
    classifier: TableClassifier,
    audit: Audit,
    held: HeldOutRows,
    *,
    training_rows: int,
    class_weights: Float64Array | None,
) -> None:
    """Keep the evaluation of a fitted classifier.

    Parameters
    ----------
    request : TrainRequest
        Options of the command.
    classifier : TableClassifier
        The classifier, which keeps the evaluation.
    audit : Audit
        Its evaluation on the held-out rows.
    held : HeldOutRows
        These rows.
    training_rows : int
        Number of training rows.
    class_weights : array of shape (q,) or None
        Number or total weight of the training rows of each class; None where they are not known.
    """
    classifier.keep_evaluation(
        evaluation_record(
            audit,
            training_rows=training_rows,
            training_weights=class_weights,
            held_out=held.total,
            method=held.method,
            data=data_name(request),
            seed=request.seed,
        )
    )


def keep_intervals(classifier: TableClassifier, table: pa.Table, training: Codes) -> None:
    """Keep the covariance of the weights of a fitted classifier.

    Parameters
    ----------
    classifier : TableClassifier
        The classifier.
    table : pyarrow.Table
        Table of the fit.
    training : array of int
        Indices of its training rows.

    Raises
    ------
    CommandError
        If the model has none.
    """
    try:
        classifier.keep_intervals(table, training)
    except ValueError as error:
        raise CommandError(f"--intervals: {error}") from None
    kind = "posterior, the penalty read as a normal prior" if classifier.model_.penalty else "model-based"
    parameters = (len(classifier.classes_) - 1) * (classifier.encoder_.width + 1)
    print_note(f"The model keeps the covariance of {parameters:,} parameters for intervals ({kind}).")


def data_name(request: TrainRequest) -> str:
    """Return the name of the data without its folder."""
    return "standard input" if str(request.data) == "-" else request.data.name or request.data.resolve().name


def weights_of_classes(
    request: TrainRequest, classifier: TableClassifier, table: pa.Table, rows: Codes, labels: TextArray
) -> Float64Array:
    """Return the number, or with --weights the total weight, of the training rows of each class, as an array (q,).

    Parameters
    ----------
    request : TrainRequest
        Options of the command.
    classifier : TableClassifier
        The fitted classifier.
    table : pyarrow.Table
        Table with the training rows.
    rows : array of shape (k,)
        Their indices.
    labels : array of shape (k,)
        Their labels.

    Returns
    -------
    array of shape (q,)
        Weights in the order of the classes of the model.
    """
    classes = classifier.model_.classes_
    weights = None if request.weights is None else weight_column(table, request.weights, request.target)[rows]
    codes = Classes.of(classes).encode(labels)
    return np.bincount(codes, weights=weights, minlength=len(classes)).astype(np.float64)


def scanned_class_rows(classifier: TableClassifier, scan: TableScan) -> Float64Array | None:
    """Return the number of training rows of each class (q,) of a scan; None where rows have weights."""
    if scan.weights is not None:
        return None
    classes = classifier.model_.classes_.tolist()
    class_of, counts = scan.rare.merged(list(scan.trained)), dict.fromkeys(classes, 0.0)
    for label, rows in scan.trained.items():
        if label in class_of:
            counts[class_of[label]] += rows
    return np.array([counts[label] for label in classes])


def audit_held_out(
    request: TrainRequest, classifier: TableClassifier, held: HeldOutRows
) -> tuple[Audit, OperatingPoint | None]:
    """Return the evaluation of the held-out rows, and that of decisions at the given costs.

    Parameters
    ----------
    request : TrainRequest
        Options of the command.
    classifier : TableClassifier
        The fitted classifier.
    held : HeldOutRows
        The rows.

    Returns
    -------
    Audit, OperatingPoint or None
        The evaluation, and the result of decisions where costs are given.

    Raises
    ------
    CommandError
        If costs are given for so many classes that their probabilities are not held.
    """
    model = classifier.model_
    names = [str(label) for label in model.classes_]
    codes = known_codes(held.table.take(pa.array(held.rows)), request.target, names, classifier.rare_)
    unseen = UnseenValues()
    X, offsets = classifier.encoder_.encode(held.table, held.rows, unseen=unseen), classifier.offsets(held.table)
    offset = None if offsets is None else offsets[held.rows]
    for message in unseen.outside_messages():
        warnings.warn(f"held-out rows: {message}", TableWarning, stacklevel=2)
    rows_of: dict[str, Any] = {"groups": held.groups, "sample_weight": held.weights}
    if is_streamed_audit(len(codes), len(names)):
        check_no_costs(request.costs, len(codes), len(names))
        evaluation, point = audit_blocks(logit_blocks(model, X, offset), codes, names, **rows_of), None
    else:
        P, cost = model.predict_proba(X, offset), cost_matrix(request.costs, names)
        evaluation = audit(P, codes, names, **rows_of)
        point = None if cost is None else operating_point(P, codes, cost, **rows_of)
    return evaluation, point
