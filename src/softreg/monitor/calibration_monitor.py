"""The monitor of a model: the test of calibration, and the figures of each batch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softreg.monitor.batch_summary import BatchSummary, summarize_batch
from softreg.monitor.calibration_test import CalibrationTest
from softreg.monitor.column_drift import (
    ColumnChange,
    ColumnReference,
    compare_column,
    corrected_level,
    reference_columns,
    references_from_state,
    references_to_state,
)
from softreg.monitor.column_inputs import column_inputs
from softreg.monitor.state_file import StateError, read_state, write_state
from softreg.monitor.verdict import Verdict, make_verdict
from softreg.probability import Classes, check_probabilities
from softreg.typing import Array, Codes, Float64Array
from softreg.value_text import value_text

MAX_BATCHES = 100
"""Batches whose figures are kept; the test of calibration is that of all."""
RATE_SUM_TOLERANCE = 1e-6
"""Largest distance of the sum of class rates from 1."""


class Monitor:
    """Watch whether the probabilities of a model stay right, batch by batch.

    With labels, an anytime-valid test of calibration (`CalibrationTest`), overall and for each class, that may be
    looked at after every batch: if the probabilities are right, the probability of a false alarm, ever, is at most
    `alpha`. Without labels, each batch has the expected log loss and accuracy, class rates by EM, and the drift of its
    columns against reference rows. The tests of columns have the level `alpha` together, over all columns and batches;
    their p-values are those of large samples of independent rows.

    Parameters
    ----------
    classes : array_like of shape (K,)
        Labels, in the order of the columns of P.
    alpha : float, default 0.05
        Probability of a false alarm of the test of calibration, ever, and again of the tests of columns.
    class_rates : array_like of shape (K,), optional
        Class rates under which the probabilities are right, as those of the training rows; by default, the mean
        probabilities of the reference rows, or of the first batch.
    model_id : str, optional
        Identifies the model, such as the hash of its file; a state of another model is refused.

    Attributes
    ----------
    test : CalibrationTest
        The test of calibration.
    batches : list of BatchSummary
        Figures of the last 100 batches.
    batch_count, rows : int
        Number of batches and of rows, with and without labels.
    references : list of ColumnReference
        Reference rows of each column.

    Raises
    ------
    ValueError
        For fewer than two classes, a wrong `alpha`, or wrong class rates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> monitor = Monitor(["no", "yes"])
    >>> for share in (0.5, 0.5, 0.7):
    ...     y = np.where(rng.random(500) < share, "yes", "no")
    ...     _ = monitor.update(np.full((500, 2), 0.5), y)
    ...     print(monitor.verdict)
    still right
    still right
    shift the class rates
    """

    def __init__(
        self,
        classes: ArrayLike,
        *,
        alpha: float = 0.05,
        class_rates: ArrayLike | None = None,
        model_id: str = "",
    ) -> None:
        self._classes = Classes.of(classes)
        if len(self._classes) < 2:
            raise ValueError("a monitor needs at least two classes; a single one always has the probability 1.")
        if not (isinstance(alpha, int | float) and 0 < alpha < 1):
            raise ValueError(f"alpha is {alpha!r}; expected a probability between 0 and 1, such as 0.05.")
        self.alpha, self.model_id = float(alpha), model_id
        self.class_rates = None if class_rates is None else _checked_rates(class_rates, len(self._classes))
        self.test = CalibrationTest(len(self._classes), self.alpha)
        self.batches: list[BatchSummary] = []
        self.references: list[ColumnReference] = []
        self.reference_name = ""
        self.batch_count = self.rows = 0
        self._looks = 0
        self._changed: list[tuple[str, str]] = []
        self._digests: list[str] = []

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes as text."""
        return tuple(value_text(label) for label in self._classes.labels)

    @property
    def verdict(self) -> Verdict:
        """What to do with the model, with the reasons."""
        return make_verdict(self.test, self.classes, self._changed)

    def set_reference(self, columns: Any, P: ArrayLike | None = None, name: str = "the reference rows") -> None:
        """Compare the columns of later batches with these rows, such as the training rows.

        Parameters
        ----------
        columns : mapping of str to array_like, or data frame
            Values (n,) of each column: numbers, or anything else as levels.
        P : array_like of shape (n, K), optional
            Probabilities of the rows; their means are the class rates, unless these are given.
        name : str
            Name of the rows, for messages.

        Raises
        ------
        ValueError
            If there are batches or reference rows already, or no rows.
        """
        if self.batch_count or self.references:
            raise ValueError(
                f"the monitor compares with {self.reference_name or 'earlier batches'} already; reference rows are "
                "given before the first batch, once."
            )
        if P is not None:
            P = self._probabilities(P)
        rows = _row_count(columns) if P is None else len(P)
        values = column_inputs(columns, rows)
        if not rows:
            raise ValueError("there are no reference rows; at least one is needed.")
        if P is not None and self.class_rates is None:
            self.class_rates = P.mean(axis=0)
        self.references, self.reference_name = reference_columns(values), name

    def update(
        self, P: ArrayLike, y: ArrayLike | None = None, columns: Any = None, name: str | None = None
    ) -> BatchSummary:
        """Add a batch of rows, in the order in which they were predicted.

        Parameters
        ----------
        P : array_like of shape (n, K)
            Probabilities of the model.
        y : array_like of shape (n,), optional
            Labels; None without.
        columns : mapping of str to array_like, or data frame, optional
            Values of each column. Without reference rows, those of the first batch are the reference rows.
        name : str, optional
            Name of the batch.

        Returns
        -------
        BatchSummary
            Figures of the batch.

        Raises
        ------
        ValueError
            For probabilities that are none, unknown labels, other numbers of rows, or columns that are missing.
        """
        P = self._probabilities(P)
        codes = None if y is None else np.asarray(self._classes.encode(y), dtype=np.int64)
        return self.update_codes(P, codes, columns, name)

    def update_codes(
        self, P: ArrayLike, codes: Codes | None, columns: Any = None, name: str | None = None
    ) -> BatchSummary:
        """Add a batch as `update`, with labels as codes in 0 to K - 1, negative where there is none.

        Parameters
        ----------
        P : array_like of shape (n, K)
            Probabilities of the model.
        codes : array (n,), optional
            Codes of the labels.
        columns : mapping of str to array_like, or data frame, optional
            Values of each column.
        name : str, optional
            Name of the batch.

        Returns
        -------
        BatchSummary
            Figures of the batch.

        Raises
        ------
        ValueError
            As `update`.
        """
        P = self._probabilities(P)
        if len(P) == 0:
            raise ValueError("the batch has no rows; leave it out.")
        if codes is not None and (codes.shape != (len(P),) or codes.max(initial=-1) >= len(self._classes)):
            raise ValueError(f"there are {codes.shape} labels for {len(P):,} rows of P; expected one for each row.")
        name = name or f"batch {self.batch_count + 1}"
        values = None if columns is None else column_inputs(columns, len(P))
        changes, new_reference = self._compare(values, name)
        rates = P.mean(axis=0) if self.class_rates is None else self.class_rates
        summary = summarize_batch(name, P, codes, rates, changes)
        if codes is not None and summary.labelled:
            self.test.update(P[codes >= 0], codes[codes >= 0])
        self.class_rates = rates
        self.references = new_reference
        self._looks += bool(changes)
        known = {column for column, _ in self._changed}
        self._changed += [(change.name, name) for change in changes if change.changed and change.name not in known]
        self.batches = [*self.batches, summary][-MAX_BATCHES:]
        self._digests = [*self._digests, batch_digest(name, P, codes)]
        self.batch_count, self.rows = self.batch_count + 1, self.rows + len(P)
        return summary

    def has_batch(self, name: str, P: ArrayLike, codes: Codes | None) -> bool:
        """Return whether a batch of this name with the same probabilities and labels was added before."""
        return batch_digest(name, self._probabilities(P), codes) in self._digests

    def _compare(
        self, values: dict[str, Array] | None, name: str
    ) -> tuple[tuple[ColumnChange, ...], list[ColumnReference]]:
        """Return the changes of the columns of a batch, and the reference rows afterwards."""
        if values is None:
            return (), self.references
        if not self.references:
            self.reference_name = name
            return (), reference_columns(values)
        limit = corrected_level(self.alpha, len(self.references), self._looks + 1)
        for reference in self.references:
            column = values.get(reference.name)
            if column is None:
                raise ValueError(f"{name} lacks the column {reference.name!r}, which the reference rows have.")
            if (column.dtype.kind == "f") != reference.is_number and not _is_empty(column):
                kinds = ("numbers", "levels") if reference.is_number else ("levels", "numbers")
                raise ValueError(
                    f"column {reference.name!r} has {kinds[1]} in {name}, and {kinds[0]} in the reference rows."
                )
        return tuple(
            compare_column(reference, _as_kind(values[reference.name], reference), limit)
            for reference in self.references
        ), self.references

    def _probabilities(self, P: ArrayLike) -> Float64Array:
        """Return P as checked float64 whose rows sum to 1."""
        checked = np.asarray(check_probabilities(P), dtype=np.float64)
        if checked.ndim != 2 or checked.shape[1] != len(self._classes):
            raise ValueError(
                f"P has the shape {checked.shape}; expected one row for each prediction and "
                f"{len(self._classes)} columns, one for each class: {', '.join(map(repr, self.classes[:6]))}."
            )
        return np.asarray(checked / checked.sum(axis=1, keepdims=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a JSON file, atomically; `Monitor.load` continues from it with the same results."""
        write_state(path, self.to_state())

    def to_state(self) -> dict[str, Any]:
        """Return the state as a dict for JSON."""
        labels = [label.item() if isinstance(label, np.generic) else label for label in self._classes.labels]
        plain = [label if isinstance(label, str | int | float) else value_text(label) for label in labels]
        return {
            "model_id": self.model_id,
            "classes": plain,
            "alpha": self.alpha,
            "class_rates": None if self.class_rates is None else self.class_rates.tolist(),
            "test": self.test.to_state(),
            "batches": [batch.to_state() for batch in self.batches],
            "batch_count": self.batch_count,
            "rows": self.rows,
            "references": references_to_state(self.references),
            "reference_name": self.reference_name,
            "looks": self._looks,
            "changed": [list(entry) for entry in self._changed],
            "digests": self._digests,
        }

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, model_id: str | None = None, classes: Sequence[Any] | None = None
    ) -> Monitor:
        """Read the state that `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        model_id : str, optional
            The model that is monitored now; a state of another one is refused.
        classes : sequence, optional
            Its classes, which must be those of the state.

        Returns
        -------
        Monitor
            The monitor, which continues as if it had never stopped.

        Raises
        ------
        StateError
            If the file is damaged, or belongs to another model.
        """
        state, shown = read_state(path), repr(os.fspath(path))
        try:
            monitor = cls(
                state["classes"], alpha=state["alpha"], class_rates=state["class_rates"], model_id=state["model_id"]
            )
            monitor._take_state(state)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise StateError(f"The state file {shown} is damaged: {error}. Name a new state file.") from None
        other_classes = classes is not None and [value_text(label) for label in classes] != list(monitor.classes)
        if other_classes or (model_id is not None and model_id != monitor.model_id):
            raise StateError(
                f"The state file {shown} belongs to another model: "
                f"{'its classes differ' if other_classes else 'the model file has changed since'}. Name a new state "
                "file for this model."
            )
        return monitor

    def _take_state(self, state: dict[str, Any]) -> None:
        """Take the values of a state."""
        if state["class_rates"] is not None:
            self.class_rates = np.asarray(state["class_rates"], dtype=np.float64)  # exactly, without a division
        self.test = CalibrationTest.from_state(state["test"], len(self._classes), self.alpha)
        self.batches = [BatchSummary.from_state(batch) for batch in state["batches"]]
        self.batch_count, self.rows, self._looks = int(state["batch_count"]), int(state["rows"]), int(state["looks"])
        self.references = references_from_state(state["references"])
        self.reference_name = str(state["reference_name"])
        self._changed = [(str(name), str(batch)) for name, batch in state["changed"]]
        self._digests = [str(digest) for digest in state["digests"]]


def batch_digest(name: str, P: Float64Array, codes: Codes | None) -> str:
    """Return a hash of a batch.

    Parameters
    ----------
    name : str
        Name of the batch.
    P : array (n, K)
        Probabilities.
    codes : array (n,), optional
        Codes of the labels.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(P.round(9)).tobytes())
    digest.update(b"" if codes is None else np.ascontiguousarray(codes).tobytes())
    return digest.hexdigest()


def _row_count(columns: Any) -> int:
    """Return the number of rows of the first column."""
    rows = getattr(columns, "num_rows", None)
    if rows is None:
        first = next(iter(columns.values() if isinstance(columns, dict) else [columns]), ())
        rows = len(first)
    return int(rows)


def _is_empty(column: Array) -> bool:
    """Return whether all values are missing."""
    return bool(all(value is None or value != value for value in column.tolist()))


def _as_kind(column: Array, reference: ColumnReference) -> Array:
    """Return a column, of which all values may be missing, in the kind of the reference rows."""
    if (column.dtype.kind == "f") == reference.is_number:
        return column
    return np.full(len(column), np.nan) if reference.is_number else np.full(len(column), None, dtype=object)


def _checked_rates(rates: ArrayLike, classes: int) -> Float64Array:
    """Return class rates as a checked array."""
    array = np.asarray(rates, dtype=np.float64)
    if array.shape != (classes,) or not (array >= 0).all() or abs(array.sum() - 1) > RATE_SUM_TOLERANCE:
        raise ValueError(f"class_rates is {array.tolist()}; expected {classes} rates of at least 0 that sum to 1.")
    return np.asarray(array / array.sum())
