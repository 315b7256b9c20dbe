"""The terms that a user requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from softreg.tables.columns.table_errors import (
    TableError,
    column_name,
    column_names,
    quote,
    quote_list,
    unknown_column_error,
)
from softreg.tables.schema.kinds import Column, Kind
from softreg.tables.schema.schema import Schema

MODES = ("auto", "linear")
"""Values of the parameter `terms`."""
SIGNS = {"+": 1, "-": -1}
"""Directions of monotone curves."""
PAIR = 2
"""Columns of an interaction."""
PAIRED_KINDS = (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY)
"""Kinds of columns that interactions have."""

UNUSED = {
    Kind.TARGET: "it is the target",
    Kind.CONSTANT: "it holds one value in all training rows",
    Kind.IDENTIFIER: "it was taken for an identifier",
    Kind.INDEX: "it is the index of the data frame",
}
"""Why a column is no feature, by kind."""
COUNTABLE_KINDS = (Kind.BOOLEAN, Kind.CATEGORY)
"""Kinds of columns that may have numbers."""


@dataclass(frozen=True)
class Terms:
    """Terms of a table beyond one feature a column: curves of numbers, interactions, and pooled levels.

    Parameters
    ----------
    mode : {"auto", "linear"}
        "auto" compares, by the log loss of held-out rows, the linear model with curves of all columns of numbers, and
        with interactions of two columns; the best one is fitted to all rows. "linear" has the requested terms alone.
    smooth : names
        Columns of numbers that have a curve. A column with fewer than three distinct values keeps its linear feature.
    interactions : sequence of pairs
        Interactions that the model has, as ("age", "job") or "age:job". A requested curve or interaction without
        evidence has the largest precision, so that its weights are nearly 0; the record lists it with about 0
        effective degrees of freedom.
    pool : names
        Categories whose levels have a strength of their own, so that the weights of rare levels are shrunk towards the
        mean of the levels (partial pooling). In mode "auto" every category has.
    linear : names
        Columns that have neither a curve nor an interaction.
    monotone : mapping of str to {"+", "-"}
        Columns of numbers whose curve increases or decreases: with "+", the probability of the second of two classes
        does not decrease in the column. Such a column has no interaction.
    seconds : float, optional
        Seconds after which the choice tries no larger model.

    Raises
    ------
    TableError
        If a value is invalid, or two of them contradict each other.

    Examples
    --------
    >>> terms = Terms(interactions=["age:job"], monotone={"income": "+"}, seconds=60)
    >>> terms.interactions, terms.signs
    ((('age', 'job'),), {'income': 1})
    """

    mode: str = "auto"
    smooth: Any = ()
    interactions: Any = ()
    pool: Any = ()
    linear: Any = ()
    monotone: Mapping[Any, str] = field(default_factory=dict)
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise TableError(f"terms is {self.mode!r}; expected one of {quote_list(list(MODES))}.")
        seconds = self.seconds
        if seconds is not None and (isinstance(seconds, bool) or not (isinstance(seconds, Real) and seconds > 0)):
            raise TableError(f"The time for terms is {seconds!r}; expected a number of seconds above 0, or None.")
        for name in ("smooth", "pool", "linear"):
            object.__setattr__(self, name, column_names(getattr(self, name)))
        object.__setattr__(self, "interactions", _pairs(self.interactions))
        if not isinstance(self.monotone, Mapping):
            raise TableError(f"monotone is {self.monotone!r:.80}; expected a direction by column, as {{'age': '+'}}.")
        object.__setattr__(self, "monotone", {column_name(key, "monotone"): s for key, s in self.monotone.items()})
        self._check_contradictions()

    def _check_contradictions(self) -> None:
        """Raise `TableError` for an unknown direction, and for a column with two contradictory requests."""
        for name, sign in self.monotone.items():
            if not isinstance(sign, str) or sign not in SIGNS:
                raise TableError(
                    f"The direction of the monotone column {quote(name)} is {sign!r}; expected '+' or '-'."
                )
        paired = {name for pair in self.interactions for name in pair}
        for name in self.linear:
            if name in self.smooth or name in self.monotone or name in paired:
                raise TableError(
                    f"Column {quote(name)} is requested as linear, and with a curve or an interaction; drop one."
                )
        for name in self.pool:
            if name in self.smooth or name in self.monotone:
                raise TableError(
                    f"Column {quote(name)} is requested as a pooled category, and with a curve, which is for numbers; "
                    "drop one."
                )
        for name in self.monotone:
            if name in paired:
                raise TableError(
                    f"Column {quote(name)} is requested as monotone, and with an interaction, in which it need not be; "
                    "drop one of them."
                )

    @property
    def signs(self) -> dict[str, int]:
        """The direction of each monotone column, 1 or -1."""
        return {name: SIGNS[sign] for name, sign in self.monotone.items()}

    def __bool__(self) -> bool:
        return self.mode == "auto" or self.required

    @property
    def required(self) -> bool:
        """Whether single terms are requested, which the model has in any case."""
        return bool(self.smooth or self.interactions or self.pool or self.monotone)

    @property
    def named(self) -> dict[str, str]:
        """What is requested of each column that is named, in words."""
        found = dict.fromkeys(self.smooth, "smooth curve") | dict.fromkeys(self.pool, "pooled category")
        found |= dict.fromkeys(self.linear, "linear column") | dict.fromkeys(self.monotone, "monotone curve")
        return found | {name: "column of an interaction" for pair in self.interactions for name in pair}

    def check(self, schema: Schema) -> None:
        """Check the columns against a schema.

        Parameters
        ----------
        schema : Schema
            Kinds of the columns.

        Raises
        ------
        TableError
            If a column does not exist, is no feature, or is of a kind without such a term.
        """  # noqa: DOC501
        columns = {column.name: column for column in schema.columns}
        kinds = {name: column.kind for name, column in columns.items()}
        features = {column.name for column in schema.features}
        for name, what in self.named.items():
            if name not in kinds:
                raise unknown_column_error(name, list(kinds))
            if name not in features:
                raise TableError(
                    f"Column {quote(name)} is named as a {what}, and is no feature of the model: "
                    f"{_why_unused(columns[name])}."
                )
        for name in (*self.smooth, *self.monotone):
            if kinds[name] is not Kind.NUMBER:
                as_numbers = (
                    f"If it has numbers, take it for them with --number {quote(name)} (number=[{quote(name)}] in "
                    "Python); otherwise leave the curve out."
                )
                hint = as_numbers if kinds[name] in COUNTABLE_KINDS else "Leave the curve out."
                raise TableError(
                    f"Column {quote(name)} is to have a curve, which is for numbers, and was taken for a "
                    f"{kinds[name].value}. {hint}"
                )
        for name in (name for pair in self.interactions for name in pair):
            if kinds[name] not in PAIRED_KINDS:
                raise TableError(
                    f"Column {quote(name)} is to have an interaction, and was taken for a {kinds[name].value}; "
                    "interactions are for numbers, categories and booleans."
                )


def _why_unused(column: Column) -> str:
    """Return why a column is no feature of the model, and what to do."""
    why = UNUSED.get(column.kind, "it has another role, or was left out")
    if column.kind is not Kind.IDENTIFIER:
        return f"{why}. Drop the request"
    name = quote(column.name)
    return f"{why} ({column.reason}). Drop the request, or, if it has numbers, add --number {name} (number=[{name}])"


def requested_terms(terms: Any) -> Terms:
    """Return the terms that the parameter `terms` of a classifier names.

    Parameters
    ----------
    terms : {"linear", "auto"} or Terms
        Mode, or terms.

    Returns
    -------
    Terms
        The requested terms.

    Raises
    ------
    TableError
        If it is something else.

    Examples
    --------
    >>> requested_terms("auto") == Terms("auto"), bool(requested_terms("linear"))
    (True, False)
    """
    if isinstance(terms, Terms):
        return terms
    if not isinstance(terms, str):
        raise TableError(f"terms is {terms!r:.80}; expected 'linear', 'auto' or softreg.tables.Terms(...).")
    return Terms(terms)


def _pairs(given: Any) -> tuple[tuple[str, str], ...]:
    """Return the interactions, each once; raise `TableError` for anything else."""
    if isinstance(given, str):
        given = [given]
    if given is not None and (not isinstance(given, Iterable) or isinstance(given, Mapping)):
        raise TableError(f"interactions is {given!r:.80}; expected a list of pairs of columns, as [('age', 'job')].")
    found: dict[frozenset[str], tuple[str, str]] = {}
    for pair in map(_pair, given or ()):
        found.setdefault(frozenset(pair), pair)
    return tuple(found.values())


def _pair(given: Any) -> tuple[str, str]:
    """Return the two columns of an interaction; raise `TableError` for anything else."""
    names = given.split(":") if isinstance(given, str) else given
    columns = (
        [column_name(name, "interactions") for name in names]
        if isinstance(names, (list, tuple)) and len(names) == PAIR
        else []
    )
    if len(set(columns)) != PAIR:
        raise TableError(
            f"The interaction {given!r:.80} does not name two columns; write 'age:job', or ('age', 'job') in Python "
            "for columns whose names contain a colon."
        )
    return columns[0], columns[1]


LINEAR_TERMS = Terms("linear")
"""No curves and no interactions."""
