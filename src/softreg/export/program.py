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
from typing import TYPE_CHECKING

from softreg.export.probability_maps import Step
from softreg.models.serialization.stored_evaluation import ReliabilityBin
from softreg.typing import Float64Array

if TYPE_CHECKING:
    from softreg.tables import TermFunctions

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
    smooth : bool
        Whether the curve of a number is a smooth term, whose mean over the training rows is 0.
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
    smooth: bool = False


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
class KnotSide:
    """A number as a side of a grid: its nodes are knots, between which values are interpolated linearly.

    Attributes
    ----------
    value : LinearTerm or CurveTerm
        The feature of the number that is compared with the knots, 0 where it is missing; its `first` is not used.
    knots : tuple of float (m,)
        Knots, ascending; at least two.
    skips_missing : bool
        Whether the grid adds nothing where the number is missing.
    """

    value: LinearTerm | CurveTerm
    knots: tuple[float, ...]
    skips_missing: bool

    @property
    def input(self) -> int:
        """The number of the input."""
        return self.value.input

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return len(self.knots)


@dataclass(frozen=True)
class LevelSide:
    """A category or boolean as a side of a grid: its nodes are the places of `levels`.

    A boolean has the places 0 for false, 1 for true and `BOOLEAN_MISSING` for a missing value. The `first` of `levels`
    is not used.
    """

    levels: LevelTerm | CodeTerm | BooleanTerm

    @property
    def input(self) -> int:
        """The number of the input."""
        return self.levels.input

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return BOOLEAN_MISSING + 1 if isinstance(self.levels, BooleanTerm) else self.levels.width


BOOLEAN_MISSING = 2
"""Place of a missing value among the nodes of a boolean."""

GridSide = KnotSide | LevelSide
"""A side of a grid."""


@dataclass(frozen=True)
class GridTerm:
    """The features of an interaction of two inputs, each by interpolation in a grid of values at pairs of nodes.

    With places i and j and shares s and t of the next nodes, a feature is
    `(1 - s) (1 - t) v[i, j] + (1 - s) t v[i, j + 1] + s (1 - t) v[i + 1, j] + s t v[i + 1, j + 1]`. The share of levels
    is 0. The features are 0 where a side has no place: a level without a feature, or a skipped missing number.

    Attributes
    ----------
    name : str
        Names of both columns, such as `age:job`.
    left, right : GridSide
        Sides.
    first : int
        Number of the first feature.
    values : tuple of tuple of float (f, left nodes * right nodes)
        Values of each feature, row by row of the left nodes.
    reference : tuple of float (f,)
        Features of the reference row of contributions.
    """

    name: str
    left: GridSide
    right: GridSide
    first: int
    values: tuple[tuple[float, ...], ...]
    reference: tuple[float, ...]

    @property
    def input(self) -> int:
        """The number of the input on the left."""
        return self.left.input

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.values)


@dataclass(frozen=True)
class OffsetTerm:
    """A number that is added to the logit of a class; it has no feature."""

    input: int
    label: int


FeatureTerm = (
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
    | GridTerm
)
"""A term with features."""

Term = FeatureTerm | OffsetTerm
"""A term of the logits."""


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
    functions : TermFunctions or None
        Curves, levels and interactions as functions, for pictures; None for a model without curves and interactions, or
        without the distribution of its training rows.
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
    functions: TermFunctions | None = field(default=None, repr=False)

    @property
    def grids(self) -> tuple[GridTerm, ...]:
        """The interactions."""
        return tuple(term for term in self.terms if isinstance(term, GridTerm))

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The class labels as text; True and False are "true" and "false"."""
        return tuple(str(label).lower() if isinstance(label, bool) else str(label) for label in self.classes)
