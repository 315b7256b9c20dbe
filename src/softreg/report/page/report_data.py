"""What a report is made of: plain records, so that the page knows neither models nor tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.models import Added, CodeLength, LinearityTest
from softreg.probability import OperatingPoint
from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.column_rates import ColumnCurve
from softreg.report.figures.reliability_plots import Record, Strengths

WHY = "why predicted"
"""The cell of a shown row that says which columns speak most for its predicted class."""


@dataclass(frozen=True, eq=False)
class ShownRow:
    """One row that a report shows: number, labels, and its cells (column -> text) or its image (2-D).

    `p_wrong` is the suspicion score of the given label (`softreg.label_audit`), where it was asked for.

    >>> ShownRow(7, "spam", "ham", probability=0.25, surprisal_bits=2.0, cells={"text": "You won"}).surprisal_bits
    2.0
    """

    index: int
    given: str
    predicted: str
    probability: float
    surprisal_bits: float
    cells: Mapping[str, str] = field(default_factory=dict)
    image: NDArray[np.floating] | None = None
    p_wrong: float | None = None


@dataclass(frozen=True)
class Effect:
    """By how much a class's mean probability changes with a feature: `value`, with its 95% interval.

    `feature` names the feature and its change: `age (+12)`, the slope times 12, or `sex=female rather than male`.

    >>> Effect("age", "yes", 0.1, 0.05, 0.15).value
    0.1
    """

    feature: str
    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OddsRatio:
    """By which factor the odds of each class against the reference class change with a feature.

    `change` names the column and its change, `age: +10`. `ratios` holds a factor for each class but the reference class
    and `per_deviation` those for one standard deviation of a number; both are empty for a reference level.

    >>> OddsRatio("age", "+10", (0.8,), (0.7,)).is_reference
    False
    """

    column: str
    change: str
    ratios: tuple[float, ...] = ()
    per_deviation: tuple[float, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether it is the level with which others are compared."""
        return not self.ratios


@dataclass(frozen=True)
class MissingValues:
    """How many of the `rows` have no value in a column.

    >>> MissingValues("age", 5, 20).share
    0.25
    """

    name: str
    missing: int
    rows: int

    @property
    def share(self) -> float:
        """The share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True, eq=False)
class ReportData:
    """All that a report says; everything but the title and the audit may be left out.

    `certificate` is a sentence on how near the fit is to the optimum; `gap_name` says whether the gaps of
    `history` are certified or estimated. `results` are (name, value, explanation) rows beside those that the
    audit gives; `coef` (q, d) are the weights in the order of the audit's classes, `feature_names` their d
    names; `image_shape` (height, width), where the d features are the pixels of an image in row order. `path` are
    the strengths among which cross-validation chose.
    `columns` are (column, taken for, why) rows, and `warnings` sentences that stand at the top. `doubtful` are rows
    whose labels may be wrong, `expected_wrong` how many there are beyond what chance explains; `information` has
    (column, nats that it tells alone) pairs, estimated from `information_rows` (in words), `added` what each adds to
    the others, `code` the description length of the training labels and `effects` what features do to probabilities;
    `operating` what decisions by a matrix of costs lead to. `trained` says whether there was a fit to speak of.
    `added_rows` says of how many rows the models without a column are, where it is not all. `curves` are observed rates
    and mean probabilities by the values of columns, `linearity` tests of a straight line, on `linearity_rows` (in
    words), and `odds` odds ratios.
    `missing` counts the rows without a value and `training_rows` (q,) those of each class in training. `provenance` are
    (name, value) pairs of the footer: version, date, command, seed, hash of the data. Raises `ValueError` where the
    shapes do not fit one another.

    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> ReportData("Ham or spam", found, coef=[[1.0], [-1.0]], feature_names=["free"]).title
    'Ham or spam'
    """

    title: str
    audit: Audit
    subtitle: str = ""
    certificate: str = ""
    results: Sequence[tuple[str, str, str]] = ()
    history: Sequence[Record] = ()
    gap_name: str = "certified gap"
    coef: NDArray[np.floating] | None = None
    feature_names: Sequence[str] | None = None
    image_shape: tuple[int, int] | None = None
    least_surprising: Sequence[ShownRow] = ()
    most_surprising: Sequence[ShownRow] = ()
    columns: Sequence[tuple[str, str, str]] = ()
    warnings: Sequence[str] = ()
    doubtful: Sequence[ShownRow] = ()
    expected_wrong: float | None = None
    information: Sequence[tuple[str, float]] = ()
    information_rows: str = ""
    added: Sequence[Added] = ()
    code: CodeLength | None = None
    effects: Sequence[Effect] = ()
    operating: OperatingPoint | None = None
    trained: bool = True
    path: Strengths | None = None
    added_rows: str = ""
    curves: Sequence[ColumnCurve] = ()
    linearity: Sequence[LinearityTest] = ()
    linearity_rows: str = ""
    odds: Sequence[OddsRatio] = ()
    missing: Sequence[MissingValues] = ()
    training_rows: Sequence[int] = ()
    provenance: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if self.coef is None:
            return
        q, shape = len(self.audit.classes), np.shape(self.coef)
        if len(shape) != 2 or shape[0] != q:
            raise ValueError(f"coef must hold one row of weights for each of {q} classes; seen: shape {shape}")
        d = shape[1]
        if self.feature_names is not None and len(self.feature_names) != d:
            raise ValueError(f"coef has {d} features, but {len(self.feature_names)} feature names are given")
        if self.image_shape is not None and self.image_shape[0] * self.image_shape[1] != d:
            raise ValueError(f"image_shape {self.image_shape} does not hold the {d} features of coef, one a pixel")


def show_rows(
    audit: Audit,
    indices: ArrayLike,
    *,
    numbers: ArrayLike | None = None,
    cells: Sequence[Mapping[str, str]] | None = None,
    images: ArrayLike | None = None,
    p_wrong: ArrayLike | None = None,
    suggested: ArrayLike | None = None,
) -> tuple[ShownRow, ...]:
    """Gather what a report shows of some audited rows, such as `audit.most_surprising`.

    `indices` are places among the audited rows. `numbers` (n,) are the numbers to print for them (the place
    in the whole table, where the audited rows are a part of it); `cells` and `images`, in contrast, hold one
    entry for each of `indices`, since only these few are needed. `p_wrong` and `suggested` (class codes, in the
    place of the predicted ones) hold one entry for each of `indices` as well.

    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit([[0.75, 0.25], [0.5, 0.5]], [0, 1], ["ham", "spam"])
    >>> row = show_rows(found, found.most_surprising[:1], cells=[{"text": "win a prize"}])[0]
    >>> row.index, row.given, row.predicted, row.probability, row.surprisal_bits
    (1, 'spam', 'ham', 0.5, 1.0)
    """
    places = [int(i) for i in np.asarray(indices).ravel()]
    shown = np.arange(audit.rows) if numbers is None else np.asarray(numbers)
    pictures = None if images is None else np.asarray(images)
    for name, entries in (("cells", cells), ("images", pictures)):
        if entries is not None and len(entries) != len(places):
            raise ValueError(
                f"{name} must hold one entry for each of the {len(places)} rows shown; seen: {len(entries)}"
            )
    return tuple(
        ShownRow(
            index=int(shown[i]),
            given=audit.classes[audit.codes[i]],
            predicted=audit.classes[audit.predicted[i] if suggested is None else np.asarray(suggested)[at]],
            probability=float(audit.probability[i]),
            surprisal_bits=float(audit.surprisal[i] / np.log(2)),
            cells={} if cells is None else cells[at],
            image=None if pictures is None else pictures[at],
            p_wrong=None if p_wrong is None else float(np.asarray(p_wrong)[at]),
        )
        for at, i in enumerate(places)
    )
