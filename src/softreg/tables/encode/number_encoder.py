"""How a column of numbers becomes features: as it is, by normal scores, or both, within the range of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.serialization import fields
from softreg.tables.columns.errors import TableError, quote
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.encode.column_encoder import Entry, entries_with_missing
from softreg.tables.encode.moments import Moments
from softreg.tables.encode.normal_scores import NumericSample, normal_scores
from softreg.tables.schema.typed_values import read_numbers, require_numbers
from softreg.typing import BoolArray, Float64Array

FAR = 1.0
"""Standard deviations beyond the range of training from which on a number is far outside, which is reported."""


class Form(StrEnum):
    """How a column of numbers enters the model: standardised, by its normal scores, or by two features of both.

    Example:
        >>> Form("both") is Form.BOTH
        True
    """

    LINEAR = "linear"
    SCORES = "scores"
    BOTH = "both"


@dataclass(frozen=True)
class FormLoss:
    """The held-out log loss in nats of a model with the column in this form, and how far that is above the chosen form.

    `error` is the standard error of that difference, over rows.
    """

    form: Form
    log_loss: float
    excess: float
    error: float


@dataclass(frozen=True)
class NumberEncoder:
    """A number x becomes z = (x - mean) / scale; missing is z = 0 and, if training saw it, an indicator.

    With `knots`, z is the normal score of x instead, the value at x of the piecewise linear map through (`knots`,
    `scores`), which is constant beyond the first and the last knot; with `both`, there is a feature for each. Numbers
    outside the `span` of training are taken as its nearest end: on rows of which one column is above all those of
    training, the log loss was lower on six of seven tables than with a straight line (benchmarks/features.py).
    `evidence` holds the losses that the form was chosen by, first that of the chosen one.
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
        """How the numbers enter the model."""
        return Form.BOTH if self.both else Form.SCORES if self.knots else Form.LINEAR

    @property
    def features(self) -> tuple[str, ...]:
        """The column's name, `name=score` where there are both forms, and the indicator's."""
        both = (f"{self.name}=score",) if self.both else ()
        return (self.name, *both, *((f"{self.name}=missing",) if self.missing else ()))

    @property
    def width(self) -> int:
        """One, one more for both forms, and one for the indicator."""
        return 1 + self.both + self.missing

    @property
    def remark(self) -> str:
        """The form, where it is not linear or was chosen, and the held-out losses that it was chosen by."""
        words = {Form.LINEAR: "as it is", Form.SCORES: "by normal scores", Form.BOTH: "as it is and by normal scores"}
        if not self.evidence:
            return f"heavy tail, {words[self.form]}" if self.knots else ""
        best, *others = self.evidence
        more = ", ".join(f"{one.form.value} {round(one.excess, 4) + 0.0:+.4f} ± {one.error:.4f}" for one in others)
        return f"heavy tail, {words[self.form]}: held-out log loss {best.log_loss:.4f} nats; {more} (1 SE)"

    def entries(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> list[Entry]:
        """Features of each row; `TableError` where a cell is no finite number.

        Rows with numbers far outside the range of training are counted in `unseen`.
        """
        x = require_numbers(self.name, column, where)
        if self.span:
            x = self._limited(x, unseen)
        values = []
        if not self.knots or self.both:
            values.append(self._standardised(x, where))
        if self.knots:
            values.append(np.interp(x, self.knots, self.scores))
        return entries_with_missing(values, 0.0, self.missing)

    def _limited(self, x: Float64Array, unseen: UnseenValues | None) -> Float64Array:
        """Numbers (n,) within the range of training; nan stays."""
        low, high = self.span
        if not ((x < low) | (x > high)).any():
            return x
        if unseen is not None:
            far = self._far(x)
            if far.any():
                unseen.add_outside(self.name, int(far.sum()), x[far][:MAX_EXAMPLES].tolist(), self.span)
        return np.asarray(np.clip(x, low, high))

    def _far(self, x: Float64Array) -> BoolArray:
        if not self.span:
            return np.zeros(len(x), dtype=bool)
        with np.errstate(over="ignore"):
            return np.asarray((x < self.span[0] - FAR * self.scale) | (x > self.span[1] + FAR * self.scale))

    def _standardised(self, x: Float64Array, where: RowLocation) -> Float64Array:
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
        """Which rows hold a number more than a standard deviation outside the range of training."""
        return self._far(read_numbers(self.name, column)[0])

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Which cells are no numbers that can be computed with."""
        x, ok = read_numbers(self.name, column)
        near = np.clip(x, self.span[0], self.span[1]) if self.span else x
        with np.errstate(over="ignore"):
            return ~ok | np.isinf(x) | np.isinf((near - self.mean) / self.scale)

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON; floats are exact."""
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
        """The code that `to_state` wrote; files of earlier versions have no `both`, `span` and `evidence`."""
        name, missing = fields.text(state, "name"), fields.flag(state, "missing")
        knots, scores, span = (fields.numbers(state, key, rising=True) for key in ("knots", "scores", "span"))
        if len(knots) != len(scores):
            raise ValueError(f"{len(knots)} knots and {len(scores)} scores of the column {name!r} do not fit together")
        if len(span) not in (0, 2):
            raise ValueError(f"the range of the column {name!r} has {len(span)} ends")
        both = fields.flag(state, "both", False)
        if both and not knots:
            raise ValueError(f"the column {name!r} has no normal scores, but is said to have both forms")
        mean, scale = fields.number(state, "mean"), fields.number(state, "scale", positive=True)
        losses = fields.mappings(state, "evidence") if "evidence" in state else []
        evidence = [
            FormLoss(
                Form(fields.text(one, "form")), *(fields.number(one, key) for key in ("log_loss", "excess", "error"))
            )
            for one in losses
        ]
        return cls(name, mean, scale, missing, knots, scores, both, span, tuple(evidence))


class NumberFitter:
    """Mean, deviation and, of a sample of the rows, the shape of a column of numbers."""

    def __init__(self, name: str, sample: NumericSample, form: Form | None = None) -> None:
        self.name, self.sample, self.form = name, sample, form
        self.moments = Moments()
        self.least, self.greatest = np.inf, -np.inf
        self.latest = np.zeros(0)

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Take one batch."""
        self.latest = require_numbers(self.name, column, where)
        self.moments.add(self.latest)
        if len(self.latest):
            self.least = float(np.fmin(self.least, np.fmin.reduce(self.latest)))
            self.greatest = float(np.fmax(self.greatest, np.fmax.reduce(self.latest)))

    def encoder(self) -> NumberEncoder:
        """In the form that was asked for, or else by normal scores where the tail is heavy, and standardised."""
        asked = self.form in (Form.SCORES, Form.BOTH)
        knots, scores = ((), ()) if self.form is Form.LINEAR else normal_scores(self.sample.column(self.name), asked)
        moments, both = self.moments, self.form is Form.BOTH and bool(knots)
        span = (self.least, self.greatest) if self.least <= self.greatest else ()
        return NumberEncoder(self.name, moments.mean, moments.deviation, moments.missing > 0, knots, scores, both, span)
