"""Encoder of a column of numbers, linear, by normal scores, or both, within the range of training; its fitter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.serialization import fields
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.encode.column_encoder import Entry, entries_with_missing
from softreg.tables.encode.moments import Moments
from softreg.tables.encode.normal_scores import NumericSample, normal_scores
from softreg.tables.schema.typed_values import read_numbers, require_numbers
from softreg.typing import BoolArray, Float64Array

FAR_DEVIATIONS = 1.0
"""Standard deviations beyond the range of training at which a number is reported as far outside."""


class Form(StrEnum):
    """Form of a column of numbers in the model: standardized, its normal scores, or both as two features.

    Examples
    --------
    >>> Form("both") is Form.BOTH
    True
    """

    LINEAR = "linear"
    SCORES = "scores"
    BOTH = "both"


@dataclass(frozen=True)
class FormLoss:
    """Held-out loss of a model with a column in one form.

    Attributes
    ----------
    form : Form
        The form.
    log_loss : float
        Held-out log loss in nats.
    excess : float
        Difference from the loss of the chosen form, in nats.
    error : float
        Standard error of that difference over rows.
    """

    form: Form
    log_loss: float
    excess: float
    error: float


@dataclass(frozen=True)
class NumberEncoder:
    """Encoder of a number x as z = (x - mean) / scale, as its normal score, or as both.

    A missing value is z = 0 and, where training had missing values, sets an indicator. The normal score is the value at
    x of the piecewise linear map through (`knots`, `scores`), which is constant beyond the first and the last knot.
    Numbers outside the `span` of training are replaced by its nearest end: on rows in which one column exceeds all
    training rows, the log loss is lower on six of seven tables than with a straight line (benchmarks/features.py).

    Attributes
    ----------
    name : str
        Column.
    mean, scale : float
        Mean and standard deviation in training.
    missing : bool
        Whether training had missing values.
    knots, scores : tuple of float
        Map to normal scores; empty where the form is linear.
    both : bool
        Whether there is a linear feature beside the score.
    span : tuple of float
        Least and greatest number of training.
    evidence : tuple of FormLoss
        Held-out losses by which the form was chosen, that of the chosen form first.
    """

    name: str
    mean: float
    scale: float
    missing: bool
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    both: bool = False
    span: tuple[float, ...] = ()
    """The least and the greatest number of training; () in files of earlier versions, where nothing is limited."""
    evidence: tuple[FormLoss, ...] = ()

    @property
    def form(self) -> Form:
        """The form of the numbers in the model."""
        return Form.BOTH if self.both else Form.SCORES if self.knots else Form.LINEAR

    @property
    def features(self) -> tuple[str, ...]:
        """The name of the column, `name=score` where there are both forms, and `name=missing`."""
        both = (f"{self.name}=score",) if self.both else ()
        return (self.name, *both, *((f"{self.name}=missing",) if self.missing else ()))

    @property
    def width(self) -> int:
        """1, plus one for a second form and one for the indicator."""
        return 1 + self.both + self.missing

    @property
    def remark(self) -> str:
        """The form in words, where it is not linear or was chosen, with its held-out losses."""
        words = {Form.LINEAR: "as it is", Form.SCORES: "by normal scores", Form.BOTH: "as it is and by normal scores"}
        if not self.evidence:
            return f"heavy tail, {words[self.form]}" if self.knots else ""
        best, *others = self.evidence
        more = ", ".join(f"{one.form.value} {round(one.excess, 4) + 0.0:+.4f} ± {one.error:.4f}" for one in others)
        return f"heavy tail, {words[self.form]}: held-out log loss {best.log_loss:.4f} nats; {more} (1 SE)"

    def entries(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> list[Entry]:
        """Return the entries of a batch.

        Parameters
        ----------
        column : pyarrow.ChunkedArray
            Cells (n,).
        where : RowLocation
            Location of the rows, for messages.
        unseen : UnseenValues, optional
            Receives the rows with numbers far outside the range of training.

        Returns
        -------
        list of Entry
            One entry a feature.

        Raises
        ------
        TableError
            If a cell is not a finite number.
        """
        x = require_numbers(self.name, column, where)
        if self.span:
            x = self._clip(x, unseen)
        values = []
        if not self.knots or self.both:
            values.append(self._standardize(x, where))
        if self.knots:
            values.append(np.interp(x, self.knots, self.scores))
        return entries_with_missing(values, 0.0, self.missing)

    def _clip(self, x: Float64Array, unseen: UnseenValues | None) -> Float64Array:
        """Return numbers (n,) limited to the range of training; nan stays."""
        low, high = self.span
        if not ((x < low) | (x > high)).any():
            return x
        if unseen is not None:
            far = self._is_far(x)
            if far.any():
                unseen.add_outside(self.name, int(far.sum()), x[far][:MAX_EXAMPLES].tolist(), self.span)
        return np.asarray(np.clip(x, low, high))

    def _is_far(self, x: Float64Array) -> BoolArray:
        if not self.span:
            return np.zeros(len(x), dtype=bool)
        with np.errstate(over="ignore"):
            return np.asarray(
                (x < self.span[0] - FAR_DEVIATIONS * self.scale) | (x > self.span[1] + FAR_DEVIATIONS * self.scale)
            )

    def _standardize(self, x: Float64Array, where: RowLocation) -> Float64Array:
        with np.errstate(over="ignore"):
            z = (x - self.mean) / self.scale
        far = np.flatnonzero(np.isinf(z))
        if far.size:
            raise TableError(
                f"Column {quote(self.name)} has {x[far[0]]:.6g} in {where.row(far[0])}, too far from "
                f"the training rows (mean {self.mean:.6g}, standard deviation {self.scale:.6g}) to be "
                "computed with; correct it."
            )
        return z

    def outside_range(self, column: pa.ChunkedArray) -> BoolArray:
        """Return a mask (n,) of numbers more than a standard deviation outside the range of training."""
        return self._is_far(read_numbers(self.name, column)[0])

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Return a mask (n,) of cells that are not finite numbers, or are too large to standardize."""
        x, ok = read_numbers(self.name, column)
        near = np.clip(x, self.span[0], self.span[1]) if self.span else x
        with np.errstate(over="ignore"):
            return ~ok | np.isinf(x) | np.isinf((near - self.mean) / self.scale)

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; floats are exact."""
        evidence = [
            {"form": one.form.value, "log_loss": one.log_loss, "excess": one.excess, "error": one.error}
            for one in self.evidence
        ]
        return {
            "code": "number", "name": self.name, "mean": self.mean, "scale": self.scale, "missing": self.missing,
            "knots": list(self.knots), "scores": list(self.scores), "both": self.both, "span": list(self.span),
            "evidence": evidence,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumberEncoder:
        """Return the encoder that `to_state` wrote; raise `ValueError` for any other state."""
        name, missing = fields.text(state, "name"), fields.flag(state, "missing")
        knots, scores, span = (fields.numbers(state, key, rising=True) for key in ("knots", "scores", "span"))
        if len(knots) != len(scores):
            raise ValueError(f"{len(knots)} knots and {len(scores)} scores of the column {name!r} do not fit together")
        if len(span) not in (0, 2):
            raise ValueError(f"the range of the column {name!r} has {len(span)} ends")
        both = fields.flag(state, "both", False)
        if both and not knots:
            raise ValueError(f"the column {name!r} has no normal scores, but both forms were requested")
        mean, scale = fields.number(state, "mean"), fields.number(state, "scale", positive=True)
        losses = fields.mappings(state, "evidence") if "evidence" in state else []
        evidence = [
            FormLoss(
                Form(fields.text(loss, "form")), *(fields.number(loss, key) for key in ("log_loss", "excess", "error"))
            )
            for loss in losses
        ]
        return cls(name, mean, scale, missing, knots, scores, both, span, tuple(evidence))


class NumberFitter:
    """Fitter of a `NumberEncoder`: moments, range and, of a sample of the rows, the shape of the distribution."""

    def __init__(self, name: str, sample: NumericSample, form: Form | None = None) -> None:
        self.name, self.sample, self.form = name, sample, form
        self.moments = Moments()
        self.least, self.greatest = np.inf, -np.inf
        self.latest = np.zeros(0)

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Update moments and range with one batch."""
        self.latest = require_numbers(self.name, column, where)
        self.moments.add(self.latest)
        if len(self.latest):
            self.least = float(np.fmin(self.least, np.fmin.reduce(self.latest)))
            self.greatest = float(np.fmax(self.greatest, np.fmax.reduce(self.latest)))

    def merge(self, later: NumberFitter) -> None:
        """Add the moments and the range of the rows that follow; the sample is merged by itself."""
        self.moments.merge(later.moments)
        self.least, self.greatest = min(self.least, later.least), max(self.greatest, later.greatest)

    def encoder(self) -> NumberEncoder:
        """Return the encoder in the given form, or else by normal scores where the tail is heavy."""
        requested = self.form in (Form.SCORES, Form.BOTH)
        knots, scores = (
            ((), ()) if self.form is Form.LINEAR else normal_scores(self.sample.column(self.name), requested)
        )
        moments, both = self.moments, self.form is Form.BOTH and bool(knots)
        span = (self.least, self.greatest) if self.least <= self.greatest else ()
        return NumberEncoder(self.name, moments.mean, moments.deviation, moments.missing > 0, knots, scores, both, span)
