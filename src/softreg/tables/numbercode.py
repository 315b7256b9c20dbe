"""How a column of numbers becomes features: as it is, by normal scores, or both, up to a limit beyond the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.models import fields
from softreg.tables.errors import TableError, shown
from softreg.tables.unseen import EXAMPLES, UnseenLevels
from softreg.tables.values import Floats, numbers_of, read_numbers
from softreg.tables.where import Where

# The feature of each row (-1 for none), or one for all, and their values of shape (n,).
Entry = tuple[NDArray[np.int64] | int, NDArray[np.float64]]

MARGIN = 0.5
"""A number is used as it is up to this share of the range of training beyond it; further ones are taken as that limit.
Measured on rows beyond the 98th percentile of the training rows (benchmarks/forms.py): see docs/tables.md."""


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
class NumberCode:
    """A number x becomes z = (x - mean) / scale; missing is z = 0 and, if training saw it, an indicator.

    With `knots`, z is the normal score of x instead, the value at x of the piecewise linear map through (`knots`,
    `scores`), which is constant beyond the first and the last knot; with `both`, there is a feature for each. Numbers
    outside `limits`, which are those of training and half its range on either side, are taken as the nearest limit.
    `evidence` holds the losses that the form was chosen by.
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
        best = next(one for one in self.evidence if one.form is self.form)
        others = ", ".join(
            f"{one.form.value} {one.excess:+.4f} ± {one.error:.4f}" for one in self.evidence if one is not best
        )
        return (
            f"heavy tail, {words[self.form]}: held-out log loss {best.log_loss:.4f} nats; {others} (1 SE of the "
            "difference)"
        )

    @property
    def limits(self) -> tuple[float, float]:
        """Numbers outside are taken as the nearest of these two.

        Example:
            >>> NumberCode("age", 40.0, 10.0, False, span=(20.0, 60.0)).limits
            (0.0, 80.0)
        """
        if not self.span:
            return -np.inf, np.inf
        low, high = self.span
        reach = MARGIN * high - MARGIN * low
        most = float(np.finfo(np.float64).max)
        return max(low - reach, -most), min(high + reach, most)

    def entries(self, column: pa.ChunkedArray, where: Where, unseen: UnseenLevels | None = None) -> list[Entry]:
        """Features of each row; `TableError` where a cell is no finite number.

        Rows with numbers outside the limits are counted in `unseen`.
        """
        x = numbers_of(self.name, column, where)
        if self.span:
            x = self._limited(x, unseen)
        values = []
        if not self.knots or self.both:
            values.append(self._standardised(x, where))
        if self.knots:
            values.append(np.interp(x, self.knots, self.scores))
        return filled(values, 0.0, self.missing)

    def _limited(self, x: Floats, unseen: UnseenLevels | None) -> Floats:
        low, high = self.limits
        beyond = (x < low) | (x > high)  # nan is neither
        if not beyond.any():
            return x
        if unseen is not None:
            unseen.add_outside(self.name, int(beyond.sum()), x[beyond][:EXAMPLES].tolist(), self.span, (low, high))
        return np.asarray(np.clip(x, low, high))

    def _standardised(self, x: Floats, where: Where) -> Floats:
        with np.errstate(over="ignore"):
            z = (x - self.mean) / self.scale
        far = np.flatnonzero(np.isinf(z))
        if far.size:
            raise TableError(
                f"Column {shown(self.name)} has {x[far[0]]:.6g} in {where.row(far[0])}, too far from "
                f"the training rows (mean {self.mean:.6g}, standard deviation {self.scale:.6g}) to be "
                "computed with; correct it."
            )
        return z

    def outside(self, column: pa.ChunkedArray) -> NDArray[np.bool_]:
        """Which rows hold a number outside the limits."""
        x, _ = read_numbers(self.name, column)
        return np.asarray((x < self.limits[0]) | (x > self.limits[1]))

    def bad(self, column: pa.ChunkedArray) -> NDArray[np.bool_]:
        """Which cells are no numbers that can be computed with."""
        x, ok = read_numbers(self.name, column)
        with np.errstate(over="ignore"):
            return ~ok | np.isinf(x) | np.isinf((np.clip(x, *self.limits) - self.mean) / self.scale)

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON; floats are exact."""
        evidence = {one.form.value: [one.log_loss, one.excess, one.error] for one in self.evidence}
        return {
            "code": "number", "name": self.name, "mean": self.mean, "scale": self.scale, "missing": self.missing,
            "knots": list(self.knots), "scores": list(self.scores), "both": self.both, "span": list(self.span),
            "evidence": evidence,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumberCode:
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
        losses = fields.mapping(state, "evidence") if "evidence" in state else {}
        evidence = []
        for form in losses:
            figures = fields.numbers(losses, form)
            if len(figures) != 3:
                raise ValueError(f"the form {form!r} of the column {name!r} has {len(figures)} figures, not 3")
            evidence.append(FormLoss(Form(form), *figures))
        return cls(name, mean, scale, missing, knots, scores, both, span, tuple(evidence))


def filled(values: Floats | list[Floats], fill: float, indicator: bool) -> list[Entry]:
    """Entries of the features (n,) of a column; missing ones are filled in and, where asked, marked by one more."""
    columns = values if isinstance(values, list) else [values]
    missing = np.isnan(columns[0])
    some = missing.any()
    entries: list[Entry] = [(i, np.where(missing, fill, one) if some else one) for i, one in enumerate(columns)]
    if indicator:
        entries.append((np.where(missing, len(columns), -1), np.ones(len(missing))))
    return entries
