"""Functions of the columns and interactions of a model with terms, for the report."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from softreg.tables import TableClassifier
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.fit.terms.functions.term_functions import TermFunctions
from softreg.typing import Codes

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PARAMETERS = 1500
"""Parameters up to which the covariance of the weights is computed for the bands, of 18 MB and in seconds."""


def has_terms(classifier: TableClassifier) -> bool:
    """Return whether a model has curves or interactions."""
    encoder = classifier.encoder_
    return bool(encoder.pairs) or any(isinstance(code, CurveEncoder) for code in encoder.column_encoders)


def term_functions(
    classifier: TableClassifier, table: pa.Table, rows: Codes | None = None, *, trained: bool = False
) -> TermFunctions | None:
    """Return the functions of a model with curves or interactions.

    Parameters
    ----------
    classifier : TableClassifier
        The model.
    table : pyarrow.Table
        Table of rows over which functions are centred if the model keeps no distribution of its training rows.
    rows : array of shape (n,), optional
        Indices of these rows; all by default.
    trained : bool
        Whether the model was fitted to these rows, so that the covariance of its weights can be computed for the bands.

    Returns
    -------
    TermFunctions or None
        The functions; None for a model without curves and interactions.
    """
    if not has_terms(classifier):
        return None
    shown = _with_covariance(classifier, table, rows) if trained else classifier
    if shown.term_shares_ is not None:
        return shown.term_functions()
    return shown.term_functions(table if rows is None else table.take(rows))


def _with_covariance(classifier: TableClassifier, table: pa.Table, rows: Codes | None) -> TableClassifier:
    """Return the model with the covariance of its weights; without it where it is large or cannot be computed."""
    model = classifier.model_
    parameters = (len(model.classes_) - 1) * (classifier.encoder_.width + 1)
    if classifier.intervals_ is not None or model._posterior is not None or parameters > MAX_PARAMETERS:
        return classifier
    shown = copy.copy(classifier)
    try:
        shown.keep_intervals(table, rows)
    except ValueError:  # weights of rows, bounds, or columns without penalty
        return classifier
    return shown
