"""`POST /predict`: rows as JSON, and probabilities by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.serve.requests.request_errors import InvalidContent, RequestError, shown
from softreg.serve.served_models.served_model import Answer, Columns, ServedModel, most_probable_set
from softreg.tables.columns.table_errors import quote, quote_list, unknown_column_error

OPTIONS = ("rows", "level", "prediction_set", "contributions", "threshold")
"""Keys of a request."""
BINARY = 2


@dataclass(frozen=True)
class PredictRequest:
    """A checked request.

    Attributes
    ----------
    columns : mapping of str to sequence
        Cells by column.
    n : int
        Number of rows.
    level, prediction_set : float or None
        Levels of intervals and of sets.
    contributions : bool
        Whether contributions are computed.
    threshold : tuple of (int, float) or None
        Code of a class, and the probability from which on it is predicted.
    """

    columns: Columns
    n: int
    level: float | None = None
    prediction_set: float | None = None
    contributions: bool = False
    threshold: tuple[int, float] | None = None


def read_request(model: ServedModel, body: Any, max_rows: int) -> PredictRequest:
    """Check the parsed body of a request.

    Parameters
    ----------
    model : ServedModel
        The model.
    body : object
        Parsed JSON.
    max_rows : int
        Most rows.

    Returns
    -------
    PredictRequest
        Checked request.

    Raises
    ------
    InvalidContent
        If the body is invalid.
    RequestError
        With status 413, if it has too many rows.
    """
    if not isinstance(body, dict):
        raise InvalidContent(f'The body is {shown(body)}; expected an object with rows: {{"rows": [{{...}}]}}.')
    unknown = [key for key in body if key not in OPTIONS]
    if unknown:
        raise InvalidContent(
            f"The request has the unknown key {shown(unknown[0])}; the keys are {quote_list(OPTIONS)}."
        )
    if "rows" not in body:
        raise InvalidContent('The request has no "rows"; send {"rows": [{...}]}.')
    rows = body["rows"]
    if not isinstance(rows, list):
        raise InvalidContent(f'"rows" is {shown(rows)}; expected a list of rows: {{"rows": [{{...}}]}}.')
    if len(rows) > max_rows:
        raise RequestError(413, f"The request has {len(rows):,} rows, more than {max_rows:,}; send several requests.")
    level = _level(body, "level", "intervals")
    if level is not None and not model.has_intervals:
        raise InvalidContent(
            'The model keeps no covariance of its weights, which intervals ("level") need: train it with --intervals, '
            "or call keep_intervals(data) before it is saved."
        )
    contributions = body.get("contributions", False)
    if not isinstance(contributions, bool):
        raise InvalidContent(f'"contributions" is {shown(contributions)}; expected true or false.')
    if contributions and not model.has_contributions:
        raise InvalidContent(
            "The model was fitted on an array, and its file keeps no mean of training that contributions could be "
            "relative to; in Python: softreg.explain(model, X, baseline=X_train)."
        )
    columns = columns_of_rows(model, rows)
    return PredictRequest(
        columns=columns,
        n=len(rows),
        level=level,
        prediction_set=_level(body, "prediction_set", "sets"),
        contributions=contributions,
        threshold=_threshold(model, body.get("threshold")),
    )


def columns_of_rows(model: ServedModel, rows: Sequence[Any]) -> Columns:
    """Return the cells of each column of a model from rows that are objects, or lists for models of arrays.

    Parameters
    ----------
    model : ServedModel
        The model.
    rows : sequence
        Rows.

    Returns
    -------
    dict of str to list
        Cells.

    Raises
    ------
    InvalidContent
        For a row of another form, a missing or an unknown column.
    """
    names = model.columns
    if model.kind == "array" and rows and isinstance(rows[0], list):
        return _from_lists(model, rows)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            also = "" if model.kind == "table" else " (or lists, in every row)"
            raise InvalidContent(f"Row {number:,} is {shown(row)}; expected an object of columns and values{also}.")
        if not model.named:
            d = len(names)
            raise InvalidContent(
                f"Row {number:,} is an object, but the model has no names of columns; send a list of {d:,} numbers."
            )
        if row.keys() != names.keys():
            _check_names(model, row, number)
    return {name: [row[name] for row in rows] for name in names}


def _from_lists(model: ServedModel, rows: Sequence[Any]) -> Columns:
    """Return the cells of rows that are lists."""
    d = len(model.columns)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list):
            raise InvalidContent(f"Row {number:,} is {shown(row)}; expected a list, as row 1.")
        if len(row) != d:
            raise InvalidContent(f"Row {number:,} has {len(row):,} numbers, but the model was fitted on {d:,}.")
    return dict(zip(model.columns, map(list, zip(*rows, strict=True)), strict=True))


def _check_names(model: ServedModel, row: dict[str, Any], number: int) -> None:
    """Raise `RequestError` for a column that a row lacks or should not have."""
    missing = [name for name in model.columns if name not in row]
    unknown = [name for name in row if name not in model.columns and name not in model.ignored]
    if missing:
        renamed = f"; it has the unknown {quote_list(unknown)}: renamed?" if unknown else ""
        columns = "the column" if len(missing) == 1 else f"{len(missing):,} columns:"
        raise InvalidContent(
            f"Row {number:,} lacks {columns} {quote_list(missing)}{renamed}; where a value is not known, write null."
        )
    if unknown:
        guess = str(unknown_column_error(unknown[0], list(model.columns))).split("?")
        near = f"{guess[0].partition('. ')[2]}? " if len(guess) > 1 else ""
        raise InvalidContent(
            f"Row {number:,} has the column {quote(unknown[0])}, which the model does not know. {near}Leave it out."
        )


def _level(body: dict[str, Any], key: str, what: str) -> float | None:
    """Return the level of a request, None without."""
    level = body.get(key)
    if level is None:
        return None
    if type(level) not in (int, float) or not 0 < level < 1:
        raise InvalidContent(
            f'"{key}" is {shown(level)}; expected the level of {what}, a number between 0 and 1 such as 0.95.'
        )
    return float(level)


def _threshold(model: ServedModel, given: Any) -> tuple[int, float] | None:
    """Return the class and the probability of a threshold."""
    if given is None:
        return None
    texts = model.labels.texts
    if isinstance(given, dict):
        if len(given) != 1:
            raise InvalidContent(f'"threshold" has {len(given):,} labels; expected one: {{{shown(texts[-1])}: 0.5}}.')
        label, value = next(iter(given.items()))
        if label not in texts:
            raise InvalidContent(f'"threshold" names the class {shown(label)}; the classes are {quote_list(texts)}.')
    else:
        label, value = texts[-1], given
        if len(texts) != BINARY and type(value) in (int, float):
            raise InvalidContent(
                f'With {len(texts):,} classes "threshold" needs a label: {{{shown(texts[-1])}: {value}}}.'
            )
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise InvalidContent(
            f'"threshold" is {shown(value)}; expected a probability from 0 to 1, or {{label: probability}}.'
        )
    return texts.index(label), float(value)


def response(model: ServedModel, request: PredictRequest, answer: Answer) -> dict[str, Any]:
    """Return the response to a request.

    Parameters
    ----------
    model : ServedModel
        The model.
    request : PredictRequest
        The request.
    answer : Answer
        What the model returned.

    Returns
    -------
    dict
        Value for JSON.
    """
    labels, texts, P = model.labels.values, model.labels.texts, answer.probabilities
    codes = P.argmax(axis=1)
    if request.threshold is not None:
        code, least = request.threshold
        others = np.array(P)
        others[:, code] = -1
        codes = np.where(P[:, code] >= least, code, others.argmax(axis=1))
    predictions: list[dict[str, Any]] = [
        {"probabilities": dict(zip(texts, row, strict=True)), "label": labels[code]}
        for row, code in zip(P.tolist(), codes.tolist(), strict=True)
    ]
    if answer.low is not None and answer.high is not None:
        for out, low, high in zip(predictions, answer.low.tolist(), answer.high.tolist(), strict=True):
            out["interval"] = {text: list(pair) for text, *pair in zip(texts, low, high, strict=True)}
    if request.prediction_set is not None:
        for out, chosen in zip(predictions, most_probable_set(P, request.prediction_set), strict=True):
            out["set"] = [labels[code] for code in chosen]
    if answer.contributions is not None:
        for out, found in zip(predictions, answer.contributions, strict=True):
            out["contributions"] = {
                "predicted": labels[found.predicted],
                "against": labels[found.runner_up],
                "log_odds": found.log_odds,
                "reference": found.reference,
                "columns": found.columns,
            }
    for out, sentences in zip(predictions, answer.warnings, strict=False):
        if sentences:
            out["warnings"] = sentences
    return {"classes": list(labels), "predictions": predictions}
