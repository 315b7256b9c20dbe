"""Content of a report, as plain records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from softreg.deprecated import DeprecatedAttributes
from softreg.models import Added, CodeLength, LinearityTest
from softreg.probability import OperatingPoint
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.column_rates import ColumnRates
from softreg.report.figures.term_plots import ShownTerms
from softreg.report.figures.training_plots import FitRecord, StrengthSearch
from softreg.report.groups.group_search import GroupSearch
from softreg.typing import Array, FloatArray

CONTRIBUTIONS = "largest contributions"
"""Name of the cell of a shown row with the columns that contribute most to its prediction."""


@dataclass(frozen=True, eq=False)
class ShownRow(DeprecatedAttributes):
    """One row of data that a report shows.

    Attributes
    ----------
    index : int
        Number of the row.
    observed, predicted : str
        Observed label, and most likely or suggested class.
    probability : float
        Probability of the observed label.
    surprisal_bits : float
        Surprisal of the observed label in bits.
    cells : mapping of str to str
        Text of each cell by the name of its column.
    image : array of shape (height, width) or (height, width, 3), or None
        The row as an image: numbers, which are drawn in the text colour of the page, or a picture of bytes (uint8),
        grey or red, green and blue.
    p_wrong : float or None
        Suspicion score of the observed label (`softreg.label_audit`).

    Examples
    --------
    >>> ShownRow(7, "spam", "ham", probability=0.25, surprisal_bits=2.0, cells={"text": "You won"}).surprisal_bits
    2.0
    """

    index: int
    observed: str
    predicted: str
    probability: float
    surprisal_bits: float
    cells: Mapping[str, str] = field(default_factory=dict)
    image: Array | None = None
    p_wrong: float | None = None


@dataclass(frozen=True)
class Effect:
    """Average marginal effect: change of the mean probability of a class with a feature.

    Attributes
    ----------
    feature : str
        The feature and its change: `age (+12)`, which is 12 times the slope, or `sex=female rather than male`.
    label : str
        Name of the class.
    value, low, high : float
        Change of its mean probability, with the 95% interval.

    Examples
    --------
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
    """Odds ratios of each class against the reference class for a change of a column.

    Attributes
    ----------
    column, change : str
        Name of the column, and its change, such as "+10".
    ratios : tuple of float
        Odds ratio of each class but the reference class; empty for a reference level.
    per_deviation : tuple of float
        The same for one standard deviation of a number.

    Examples
    --------
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
    """Number of missing values of a column among all `rows`.

    Examples
    --------
    >>> MissingValues("age", 5, 20).share
    0.25
    """

    name: str
    missing: int
    rows: int

    @property
    def share(self) -> float:
        """Share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True, eq=False)
class ReportData:
    """Content of a report; all but the title and the audit is optional.

    Attributes
    ----------
    title, subtitle : str
        Heading of the page.
    audit : Audit
        Evaluation of the probabilities.
    certificate : str
        Sentence on the convergence of the fit.
    results : sequence of (str, str, str)
        Name, value and meaning of figures beside those of the audit.
    history : sequence of FitRecord
        Records of the fit, for its curve.
    gap_name : str
        "certified gap" or "estimated gap", according to the gaps of `history`.
    coef : array of shape (q, d) or None
        Coefficients, with classes in the order of the audit.
    feature_names : sequence of str, length d, or None
        Names of the features.
    image_shape : (int, int) or (int, int, 3), or None
        Height and width, where the d features are the pixels of an image in row order, with the three numbers of a
        pixel in colour side by side.
    least_surprising, most_surprising : sequence of ShownRow
        Rows by the surprisal of their label.
    columns : sequence of (str, str, str)
        Name, kind and reason of the kind of each column.
    warnings : sequence of str
        Sentences at the top of the page.
    doubtful : sequence of ShownRow
        Rows whose labels may be wrong.
    expected_wrong : float or None
        Number of labels that contradict the probabilities beyond chance.
    information : sequence of (str, float)
        Mutual information of each column and the label, in nats.
    information_rows : str
        From which rows it is estimated, such as "5,000 training rows".
    added : sequence of Added
        Increase of the log loss without each column.
    added_rows : str
        On which rows these models are fitted, where not on all training rows.
    code : CodeLength or None
        Prequential code length of the training labels.
    effects : sequence of Effect
        Average marginal effects.
    operating : OperatingPoint or None
        Decisions by a matrix of costs.
    trained : bool
        Whether the report is on a fitted model.
    path : StrengthSearch or None
        Cross-validation of the strength.
    curves : sequence of ColumnRates
        Observed rates and mean probabilities by the values of columns.
    linearity : sequence of LinearityTest
        Tests of linearity.
    linearity_rows : str
        On which rows they are computed, such as "the training rows".
    odds : sequence of OddsRatio
        Odds ratios.
    missing : sequence of MissingValues
        Missing values of each column.
    training_rows : sequence of int, length q
        Training rows of each class.
    group_search : GroupSearch or None
        Groups that a search found; those of named columns are in `audit.group_audit`.
    terms : TermFunctions or None
        Functions of the columns and interactions, from `TableClassifier.term_functions`.
    provenance : sequence of (str, str)
        Name and value of lines of the footer: version, date, command, seed, hash of the data.

    Raises
    ------
    ValueError
        If the shapes of `coef`, `feature_names` and `image_shape` do not match.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> ReportData("Ham or spam", evaluation, coef=[[1.0], [-1.0]], feature_names=["free"]).title
    'Ham or spam'
    """

    title: str
    audit: Audit
    subtitle: str = ""
    certificate: str = ""
    results: Sequence[tuple[str, str, str]] = ()
    history: Sequence[FitRecord] = ()
    gap_name: str = "certified gap"
    coef: FloatArray | None = None
    feature_names: Sequence[str] | None = None
    image_shape: tuple[int, ...] | None = None
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
    path: StrengthSearch | None = None
    added_rows: str = ""
    curves: Sequence[ColumnRates] = ()
    linearity: Sequence[LinearityTest] = ()
    linearity_rows: str = ""
    odds: Sequence[OddsRatio] = ()
    missing: Sequence[MissingValues] = ()
    training_rows: Sequence[int] = ()
    group_search: GroupSearch | None = None
    provenance: Sequence[tuple[str, str]] = ()
    terms: ShownTerms | None = None

    def __post_init__(self) -> None:
        if self.coef is None:
            return
        q, shape = len(self.audit.classes), np.shape(self.coef)
        if len(shape) != 2 or shape[0] != q:
            raise ValueError(f"coef must have one row for each of {q} classes; seen: shape {shape}")
        d = shape[1]
        if self.feature_names is not None and len(self.feature_names) != d:
            raise ValueError(f"coef has {d} features, but {len(self.feature_names)} feature names are given")
        if self.image_shape is not None and int(np.prod(self.image_shape)) != d:
            raise ValueError(f"image_shape {self.image_shape} has not as many pixels as coef has features, {d}")


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
    """Collect what a report shows of some audited rows, such as `audit.most_surprising`.

    Parameters
    ----------
    audit : Audit
        Evaluation of n rows.
    indices : array_like of shape (k,)
        Indices among the audited rows.
    numbers : array_like of shape (n,), optional
        Number to print for each audited row; its index without them.
    cells : sequence of mapping of str to str, length k, optional
        Text of each cell by the name of its column, for the rows `indices`.
    images : array_like of shape (k, height, width) or (k, height, width, 3), optional
        The rows `indices` as images.
    p_wrong : array_like of shape (k,), optional
        Suspicion scores of the labels of the rows `indices`.
    suggested : array_like of shape (k,), optional
        Codes of the suggested classes of the rows `indices`, in place of the predicted ones.

    Returns
    -------
    tuple of ShownRow
        The k rows.

    Raises
    ------
    ValueError
        If `cells` or `images` do not have k entries.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.75, 0.25], [0.5, 0.5]], [0, 1], ["ham", "spam"])
    >>> row = show_rows(evaluation, evaluation.most_surprising[:1], cells=[{"text": "win a prize"}])[0]
    >>> row.index, row.observed, row.predicted, row.probability, row.surprisal_bits
    (1, 'spam', 'ham', 0.5, 1.0)
    """
    positions = [int(i) for i in np.asarray(indices).ravel()]
    shown = np.arange(audit.rows) if numbers is None else np.asarray(numbers)
    image_arrays = None if images is None else np.asarray(images)
    for name, entries in (("cells", cells), ("images", image_arrays)):
        if entries is not None and len(entries) != len(positions):
            raise ValueError(
                f"{name} must have one entry for each of the {len(positions)} indices; seen: {len(entries)}"
            )
    return tuple(
        ShownRow(
            index=int(shown[i]),
            observed=audit.classes[audit.codes[i]],
            predicted=audit.classes[audit.predicted[i] if suggested is None else np.asarray(suggested)[at]],
            probability=float(audit.probability[i]),
            surprisal_bits=float(audit.surprisal[i] / np.log(2)),
            cells={} if cells is None else cells[at],
            image=None if image_arrays is None else image_arrays[at],
            p_wrong=None if p_wrong is None else float(np.asarray(p_wrong)[at]),
        )
        for at, i in enumerate(positions)
    )
