"""A fitted model as a program: inputs, terms of the logits, and steps from logits to probabilities.

A program holds everything that a prediction needs, as numbers and text, and nothing of the library. Each printer
translates the same records, so that all targets compute the same probabilities.

The logits of a row are `bias + sum over its features of value * weights[feature]`. A term gives the values of some
features, which are numbered from its `first` on. A missing value is treated by the term; an invalid one (an infinite
number, a word that is no boolean, a vector of another length, a missing value of a required input) has no prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from softreg.models.serialization.stored_evaluation import ReliabilityBin
from softreg.typing import Float64Array

Label = str | int | float | bool
"""A class label that every target can write."""


class InputKind(StrEnum):
    """Type of an input.

    NUMBER is a float64; BOOLEAN is true or false; CATEGORY is text and CODE a number, both compared with levels; DATE
    is a wall-clock time, counted in seconds since 1970 where a target has no type of times; TEXT is free text; TAGS is
    a list of texts; VECTOR is a list of numbers.

    Examples
    --------
    >>> InputKind("date") is InputKind.DATE
    True
    """

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    CODE = "code"
    DATE = "date"
    TEXT = "text"
    TAGS = "tags"
    VECTOR = "vector"


@dataclass(frozen=True)
class Input:
    """A column that the program reads.

    Attributes
    ----------
    name : str
        Column.
    kind : InputKind
        Type of its values.
    required : bool
        Whether a missing value is an error.
    missing_words : tuple of str
        Texts that stand for a missing value, besides blank text; compared without surrounding blanks.
    missing_numbers : tuple of float
        Numbers that stand for a missing value, besides nan.
    missing_spellings : tuple of str
        Texts in lower case that stand for a missing value where numbers or dates are text; compared without case and
        surrounding blanks.
    false_words, true_words : tuple of str
        Words of a boolean, in lower case; compared without case and surrounding blanks.
    length : int
        Length of a vector.
    elements : tuple of str
        Name of each element of a vector that consists of columns of their own (the features of a model of arrays).
    booleans : bool
        Whether true and false stand for the numbers 1 and 0.
    level_numbers : dict of float to str
        Level of a category by the number that it stands for, for columns of a numeric type and other texts of whole
        numbers; empty unless all levels are numbers.
    levels : tuple of str
        Known levels of a category, tags of a list, or the words of a boolean, for forms and documentation.
    low, high, typical : float
        Least, greatest and mean number of training, nan where they are not known.
    note : str
        How values are to be prepared, in one sentence; empty where they are taken as they are.
    """

    name: str
    kind: InputKind
    required: bool = False
    missing_words: tuple[str, ...] = ()
    missing_numbers: tuple[float, ...] = ()
    missing_spellings: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()
    true_words: tuple[str, ...] = ()
    length: int = 0
    elements: tuple[str, ...] = ()
    booleans: bool = False
    level_numbers: dict[float, str] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    low: float = float("nan")
    high: float = float("nan")
    typical: float = float("nan")
    note: str = ""


@dataclass(frozen=True)
class LinearTerm:
    """The feature `(clip(x, low, high) - center) / scale` of a number; 0 where it is missing.

    `low` and `high` are infinite where training limited nothing.
    """

    input: int
    first: int
    low: float
    high: float
    center: float
    scale: float


@dataclass(frozen=True)
class CurveTerm:
    """The feature of a number by linear interpolation through (knots, values); 0 where it is missing.

    It is constant beyond the first and the last knot.
    """

    input: int
    first: int
    knots: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class BooleanTerm:
    """The feature 1 for true, 0 for false, and `fill` where the value is missing."""

    input: int
    first: int
    fill: float


@dataclass(frozen=True)
class MissingTerm:
    """The feature 1 where the value is missing, and 0 otherwise; for any kind of input but TEXT and TAGS."""

    input: int
    first: int


@dataclass(frozen=True)
class LevelTerm:
    """One feature for each level of a category, which is 1 for the level of the row.

    Attributes
    ----------
    input, first : int
        Input, of the kind CATEGORY, and number of the first feature.
    words : dict of str to int
        Place of each spelling of a level, counted from `first`; compared as it is.
    other, missing : int
        Place of the feature of other words, and of missing values; -1 for none.
    """

    input: int
    first: int
    words: dict[str, int]
    other: int
    missing: int

    @property
    def width(self) -> int:
        """The number of features."""
        return max((*self.words.values(), self.other, self.missing)) + 1


@dataclass(frozen=True)
class CodeTerm:
    """One feature for each level of a category of numbers, as `LevelTerm` for an input of the kind CODE.

    An infinite number, and text that is no number, is a level that training did not have.
    """

    input: int
    first: int
    numbers: dict[float, int]
    other: int
    missing: int

    @property
    def width(self) -> int:
        """The number of features."""
        return max((*self.numbers.values(), self.other, self.missing)) + 1


@dataclass(frozen=True)
class TrendTerm:
    """The feature `(t - center) / scale` of a time t in seconds since 1970; 0 where it is missing."""

    input: int
    first: int
    center: float
    scale: float


class Cycle(StrEnum):
    """A cycle of the calendar; see `CycleTerm`.

    Examples
    --------
    >>> [cycle.value for cycle in Cycle]
    ['year', 'month', 'week', 'day']
    """

    YEAR = "year"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"


@dataclass(frozen=True)
class CycleTerm:
    """Two features of a time, sine and cosine of `2 pi phase`; both 0 where it is missing.

    The phase is the share of the cycle that has passed: of the year and the month in whole days, of the week in whole
    days from Monday on, of the day in seconds.
    """

    input: int
    first: int
    cycle: Cycle


@dataclass(frozen=True)
class VectorTerm:
    """The features `(x_i - means_i) / scale` of a vector; 0 where it is missing."""

    input: int
    first: int
    means: tuple[float, ...]
    scale: float


@dataclass(frozen=True)
class TagsTerm:
    """One feature for each tag, which is 1 where the list has it.

    Attributes
    ----------
    input, first : int
        Input, of the kind TAGS, and number of the first feature.
    tags : dict of str to int
        Place of each tag, counted from `first`.
    other : int
        Place of the feature of all other tags; -1 for none.
    """

    input: int
    first: int
    tags: dict[str, int]
    other: int

    @property
    def width(self) -> int:
        """The number of features."""
        return max((*self.tags.values(), self.other)) + 1


@dataclass(frozen=True)
class TermGroup:
    """Terms of a text whose values are scaled to Euclidean length 1 together.

    Attributes
    ----------
    places : dict of str to int
        Place of each term, counted from `TextTerm.first`. A pair of words is written with a zero character between
        them.
    idf : tuple of float
        Inverse document frequency by place, from the least place of the group on.
    start : int
        Least place of the group.
    """

    places: dict[str, int]
    idf: tuple[float, ...]
    start: int


@dataclass(frozen=True)
class TextTerm:
    """TF-IDF of free text: a term that occurs c times has the value `(1 + log c) idf`, divided by the group's length.

    `words` holds words and pairs of consecutive words, and `runs` the n-grams of `shortest` to `longest` characters,
    of which there are none in most models. `softreg.tables.encode.text.tokenizer` defines words and n-grams.
    """

    input: int
    first: int
    words: TermGroup | None
    runs: TermGroup | None
    shortest: int
    longest: int


@dataclass(frozen=True)
class OffsetTerm:
    """A number that is added to the logit of a class; it has no feature."""

    input: int
    label: int


Term = (
    LinearTerm
    | CurveTerm
    | BooleanTerm
    | MissingTerm
    | LevelTerm
    | CodeTerm
    | TrendTerm
    | CycleTerm
    | VectorTerm
    | TagsTerm
    | TextTerm
    | OffsetTerm
)


@dataclass(frozen=True)
class ReplaceZeros:
    """The zeros of a row share `floor`, each at most half the least positive probability and at least `smallest`.

    With z zeros, each becomes `max(min(floor / z, least / 2), smallest)`, and the row is divided by its sum.
    """

    floor: float
    smallest: float


@dataclass(frozen=True)
class ScaleLogs:
    """The probabilities `softmax(scale_k log P_k + bias_k)`."""

    scale: tuple[float, ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class MixLogs:
    """The probabilities `softmax(log P @ W + b)`; `rows` are those of W (q, q)."""

    rows: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class MixBoundedLogs:
    """The probabilities `softmax(l @ W + b - c log(1 - l))` with `l = max(log P, least)`; `rows` are those of W."""

    rows: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    curve: float
    least: float


@dataclass(frozen=True)
class StepCurve:
    """The map of one class by linear interpolation through (knots, values), constant beyond the first and the last."""

    knots: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class IsotonicShares:
    """Each probability by its curve, divided by their sum (P itself where that is 0), mixed with a share of P.

    The result is `(1 - kept) mapped + kept P`.
    """

    curves: tuple[StepCurve, ...]
    kept: float


@dataclass(frozen=True)
class ShiftRates:
    """The probabilities `P_k ratio_k`, divided by their sum."""

    ratio: tuple[float, ...]


Step = ReplaceZeros | ScaleLogs | MixLogs | MixBoundedLogs | IsotonicShares | ShiftRates


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of the parameters, for intervals of the probabilities.

    Attributes
    ----------
    shift, scale : array of float64 (d,)
        The coordinates of the covariance are `z = (x - shift) / scale`, and 1 for the intercept.
    factor : array of float64 (a k, a k)
        Lower triangular factor of the covariance of the parameters of the classes 1 to q - 1 minus those of class 0,
        class by class; a = q - 1, k = d + 1.
    """

    shift: Float64Array
    scale: Float64Array
    factor: Float64Array


@dataclass(frozen=True)
class Reliability:
    """How often each class occurred among the held-out rows of an evaluation, by predicted probability.

    Attributes
    ----------
    rows : int
        Number of held-out rows.
    bins : tuple of tuple of ReliabilityBin (q,)
        Bins of each class, by increasing probability; none for classes that the evaluation leaves out.
    """

    rows: int
    bins: tuple[tuple[ReliabilityBin, ...], ...]


@dataclass(frozen=True, eq=False)
class Program:
    """A fitted model as a program.

    Attributes
    ----------
    inputs : tuple of Input
        The columns that it reads.
    terms : tuple of Term
        The features of a row, and offsets.
    weights : array of float64 (d, q)
        Weight of each feature for each class.
    bias : array of float64 (q,)
        Bias of each class.
    classes : tuple of label (q,)
        Class labels.
    steps : tuple of Step
        What is applied to the probabilities `softmax(logits)`, in order.
    target : str
        What is predicted; empty where the model does not know it.
    feature_names : tuple of str (d,)
        Name of each feature.
    covariance : Covariance or None
        For intervals; None where the model keeps none, or steps follow the softmax.
    version : str
        Version of softreg that made the program.
    reliability : Reliability or None
        From the model's evaluation; None where the model has none, or steps follow the softmax.
    """

    inputs: tuple[Input, ...]
    terms: tuple[Term, ...]
    weights: Float64Array
    bias: Float64Array
    classes: tuple[Label, ...]
    steps: tuple[Step, ...] = ()
    target: str = ""
    feature_names: tuple[str, ...] = ()
    covariance: Covariance | None = field(default=None, repr=False)
    version: str = ""
    reliability: Reliability | None = field(default=None, repr=False)

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The class labels as text; True and False are "true" and "false"."""
        return tuple(str(label).lower() if isinstance(label, bool) else str(label) for label in self.classes)
