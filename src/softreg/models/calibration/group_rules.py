"""Rules by which the values of a column become groups of rows: levels, or intervals of numbers and dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from softreg.canonical_values import float_text
from softreg.models.inputs.row_keys import is_missing
from softreg.typing import Codes, Float64Array
from softreg.value_text import encode_as_text

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DISTINCT = 24
"""Distinct numbers or dates of a column up to which each is a group; more are cut to intervals."""
INTERVALS = 5
"""Intervals of a column of numbers or dates, of about equal numbers of rows."""
MISSING = "(missing)"
"""Name of the group of the rows without a value."""

Kind = Literal["levels", "numbers", "dates"]


@dataclass(frozen=True, eq=False)
class GroupRule:
    """The groups of one column, made by `fit_group_rule`.

    Attributes
    ----------
    column : str
        Name of the column.
    kind : {"levels", "numbers", "dates"}
        Whether groups are levels or intervals.
    names : tuple of str
        Name of each group.
    levels : mapping of str to int
        Group of each level by its text.
    edges : ndarray of float64
        Lower ends of the intervals but the first; of dates, in days since 1970.
    missing : int
        Group of rows without a value; -1 where there was none.
    pooled : int
        Group of rare levels; -1 where there is none.

    Examples
    --------
    >>> from softreg.models.calibration.group_columns import arrow_column
    >>> rule = fit_group_rule(arrow_column(["a", "b", "b", None]), "letter")
    >>> rule.names, rule.codes(arrow_column(["b", "c", None])).tolist()
    (('a', 'b', '(missing)'), [1, -1, 2])
    """

    column: str
    kind: Kind
    names: tuple[str, ...]
    levels: Mapping[str, int]
    edges: Float64Array
    missing: int
    pooled: int

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """Return the group (n,) of each row; -1 for a level that was not seen.

        Parameters
        ----------
        column : pyarrow.ChunkedArray of length n
            Values.

        Returns
        -------
        ndarray of int64 of shape (n,)

        Raises
        ------
        ValueError
            If the column holds text where numbers or dates were seen, or the reverse.
        """
        if self.kind == "levels":
            texts, codes = level_codes(column, self.column)
            group = np.array([*(self.levels.get(text, -1) for text in texts), self.missing], dtype=np.int64)
            return group[codes]
        values, kind = ordered_values(column)
        if values is None and not len(column.drop_null()):
            values, kind = np.full(len(column), np.nan), self.kind
        if values is None or kind != self.kind:
            raise ValueError(
                f"column {self.column!r} has the type {column.type}, but its groups are intervals of {self.kind}: "
                f"convert it to {self.kind}."
            )
        inside = np.searchsorted(self.edges, values, side="right")
        return np.where(np.isnan(values), self.missing, inside).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the rule as strict JSON."""
        return {
            "column": self.column,
            "kind": self.kind,
            "names": list(self.names),
            "levels": dict(self.levels),
            "edges": self.edges.tolist(),
            "missing": self.missing,
            "pooled": self.pooled,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> GroupRule:
        """Return the rule that `to_json` described; raise `ValueError` for others."""
        names = tuple(str(name) for name in stored["names"])
        levels = {str(text): int(code) for text, code in stored["levels"].items()}
        edges = np.array(stored["edges"], dtype=np.float64).reshape(-1)
        kind = stored["kind"]
        places = [*levels.values(), int(stored["missing"]), int(stored["pooled"])]
        if kind not in ("levels", "numbers", "dates") or not all(-1 <= place < len(names) for place in places):
            raise ValueError("the groups of a column are invalid")
        if kind != "levels" and (len(edges) >= len(names) or (np.diff(edges) <= 0).any()):
            raise ValueError("the intervals of a column are invalid")
        return cls(str(stored["column"]), kind, names, levels, edges, places[-2], places[-1])


def fit_group_rule(
    column: pa.ChunkedArray,
    name: str,
    *,
    least_rows: int = 1,
    most_levels: int | None = None,
    intervals: int = INTERVALS,
) -> GroupRule:
    """Return the rule that makes groups of the values of a column.

    Numbers and dates of more than 24 distinct values are cut to intervals of about equal numbers of rows, between
    values that occur; a value that fills several intervals has its own. Other values are levels. Missing values are a
    group of their own.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of length n
        Values.
    name : str
        Name of the column.
    least_rows : int, default 1
        Rows of a level below which it is pooled with other rare levels; intervals have at least about as many.
    most_levels : int, optional
        Levels at most; the less frequent ones are pooled.
    intervals : int, default 5
        Intervals at most.

    Returns
    -------
    GroupRule
        The rule.

    Raises
    ------
    ValueError
        If the values have no text, such as lists.

    Examples
    --------
    >>> from softreg.models.calibration.group_columns import arrow_column
    >>> rule = fit_group_rule(arrow_column(np.arange(100.0)), "age", intervals=2)
    >>> rule.names, rule.codes(arrow_column([-5.0, 49.9, 50.0])).tolist()
    (('below 50', '50 and above'), [0, 0, 1])
    """
    values, kind = ordered_values(column)
    if values is not None:
        known = np.sort(values[~np.isnan(values)])
        distinct = np.unique(known)
        if len(distinct) > MAX_DISTINCT:
            return _intervals(name, kind, known, distinct, len(known) < len(values), least_rows, intervals)
    texts, codes = level_codes(column, name)
    counts = np.bincount(codes, minlength=len(texts) + 1)
    kept = [k for k in np.argsort(-counts[:-1], kind="stable").tolist() if counts[k] >= least_rows]
    kept = kept if most_levels is None else kept[:most_levels]
    rare = [k for k in range(len(texts)) if k not in set(kept) and counts[k]]
    if len(rare) == 1:  # a pool of one level is this level
        kept, rare = [*kept, *rare], []
    kept = sorted(kept, key=_order_of(texts))
    names = [texts[k] for k in kept]
    levels = {texts[k]: place for place, k in enumerate(kept)}
    pooled = len(names) if rare else -1
    if rare:
        names.append(f"({len(rare):,} rare values)")
        levels.update({texts[k]: pooled for k in rare})
    missing = len(names) if counts[-1] else -1
    names += [MISSING] if counts[-1] else []
    return GroupRule(name, "levels", tuple(names), levels, np.zeros(0), missing, pooled)


def _order_of(texts: list[str]) -> Any:
    """Return the key that sorts levels as numbers where all are, and else as text."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return lambda k: texts[k]
    return lambda k: numbers[k]


def _intervals(
    name: str, kind: Kind, known: Float64Array, distinct: Float64Array, has_missing: bool, least: int, intervals: int
) -> GroupRule:
    """Return the rule of intervals of sorted values."""
    bins = int(np.clip(len(known) // max(least, 1), 1, intervals))
    edges, times = np.unique(known[(np.arange(bins) * len(known)) // bins], return_counts=True)
    after = np.searchsorted(distinct, edges[times > 1], side="right")  # a value at several quantiles has its own
    edges = np.unique(np.append(edges, distinct[after[after < len(distinct)]]))
    edges = edges[(edges > distinct[0]) & np.isfinite(edges)]
    texts = [_edge_text(edge, kind) for edge in edges]
    if not texts:
        names = ["all values"]
    else:
        middle = [f"{low} to below {high}" for low, high in pairwise(texts)]
        names = [f"below {texts[0]}", *middle, f"{texts[-1]} and above"]
    missing = len(names) if has_missing else -1
    return GroupRule(name, kind, (*names, *([MISSING] if has_missing else [])), {}, edges, missing, -1)


def _edge_text(edge: float, kind: Kind) -> str:
    """Return the text of an end of an interval."""
    if kind == "numbers":
        return str(float_text(edge))
    moment = np.datetime64(round(edge * DAY), "s")
    return str(moment.astype("M8[D]")) if edge == np.floor(edge) else str(moment)


DAY = 86_400
"""Seconds of a day."""


def level_codes(column: pa.ChunkedArray, name: str) -> tuple[list[str], Codes]:
    """Return the distinct texts of a column, and for each row the place of its text; their number where it is missing.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of length n
        Values.
    name : str
        Name of the column, for messages.

    Returns
    -------
    texts : list of str
        Levels that are not missing.
    codes : ndarray of int64 of shape (n,)

    Raises
    ------
    ValueError
        If the values have no text.

    Examples
    --------
    >>> from softreg.models.calibration.group_columns import arrow_column
    >>> level_codes(arrow_column(["a", " ", "b", "a"]), "letter")
    (['a', 'b'], array([0, 2, 1, 0]))
    """
    import pyarrow.compute as pc

    try:
        encoded = encode_as_text(column)
    except TypeError:
        raise ValueError(
            f"column {name!r} has the type {column.type}: groups need text, numbers, booleans or dates."
        ) from None
    texts = encoded.dictionary.to_pylist()
    kept = [k for k, text in enumerate(texts) if text is not None and not is_missing(text)]
    place = np.full(len(texts) + 1, len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    index = np.asarray(pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False), dtype=np.int64)
    return [texts[k] for k in kept], place[index]


def ordered_values(column: pa.ChunkedArray) -> tuple[Float64Array | None, Kind]:
    """Return numbers, or dates in days since 1970, as float64 with nan where missing; None for values without an order.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of length n
        Values.

    Returns
    -------
    values : ndarray of shape (n,) or None
    kind : {"levels", "numbers", "dates"}

    Examples
    --------
    >>> from softreg.models.calibration.group_columns import arrow_column
    >>> ordered_values(arrow_column(np.array(["1970-01-03", "NaT"], dtype="M8[D]")))
    (array([ 2., nan]), 'dates')
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = pc.cast(column, pa.float64(), safe=False)
        return np.array(numbers.to_numpy(), dtype=np.float64), "numbers"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        seconds = pc.cast(pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False), pa.int64())
        days = pc.divide(pc.cast(seconds, pa.float64(), safe=False), DAY * 10.0**6)
        return np.array(days.to_numpy(), dtype=np.float64), "dates"
    return None, "levels"
