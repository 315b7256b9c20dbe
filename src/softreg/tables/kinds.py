"""What one column is taken for, and why: the rules, learned on the training rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.cells import Dates, Levels, Numbers, count_levels, parse_numbers, pick, read_column
from softreg.tables.errors import TableError, listed, plural, shown

SMALL = 20  # a text column with at most this many levels is a category, however few rows there are
MAX_LEVELS = 1000  # more levels than this are no category
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"))

_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?"
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = (
    rf"(\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}[ -]{_MONTH}[ -](\d{{4}}|\d{{2}})|{_MONTH} \d{{1,2}},? \d{{4}})"
)
_DATE = rf"^(?i:({_DAY}([T ]+{_TIME}( ?[ap]m)?( ?(Z|UTC|[+-]\d{{2}}:?\d{{2}}))?)?|{_TIME}( ?[ap]m)?))$"
_ID_NAME = re.compile(r"(^|[\W_])(?i:id|uuid|guid|identifier)$|[a-z](Id|ID)$|^(?i:index|row_?id|rownames)$")
_PLAIN = "write them like 1234.5 to have them used as numbers"
_GROUPED = r"^[+-]?(\d+,\d+|\d{1,3}([ .,'’_]\d{3})+([.,]\d+)?)$"


class Kind(StrEnum):
    """What a column is taken for.

    Example:
        >>> Kind("number") is Kind.NUMBER
        True
    """

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"
    TEXT = "text"
    DATE = "date"
    DROPPED = "dropped"
    TARGET = "target"


FEATURES = (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY)


@dataclass(frozen=True)
class Column:
    """A column, the kind that it is taken for, and the reason in a few words.

    `levels` are the values of a category seen in training, sorted, or the words for false and true of a
    boolean; `missing` counts the training rows without a value; `hint` is advice for the owner, "" for none.

    Example:
        >>> Column("age", Kind.NUMBER, "18 to 95").kind.value
        'number'
    """

    name: str
    kind: Kind
    reason: str
    levels: tuple[str, ...] = ()
    missing: int = 0
    hint: str = ""

    def to_state(self) -> dict[str, Any]:
        """The column as strict JSON; `from_state` gives it back."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reason": self.reason,
            "levels": list(self.levels),
            "missing": self.missing,
            "hint": self.hint,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Column:
        """The column that `to_state` wrote."""
        levels = tuple(str(level) for level in state["levels"])
        return cls(state["name"], Kind(state["kind"]), state["reason"], levels, int(state["missing"]), state["hint"])


def judge(name: str, column: pa.ChunkedArray, rows: NDArray[np.int64] | None = None) -> Column:
    """What a column is taken for, judged by the training rows `rows` (all where None).

    The rules, in this order:

    1. one value in every row, or none at all: constant;
    2. Arrow types of time, or text that is a date or a time in every row: date;
    3. an Arrow number type, or text that is a number in every row: number; but whole numbers that are all
       different are an identifier if they count the rows from 0 or 1, and so are those of a column named like
       one ("id", "customer_id", "rowId") where more than half are different; and digits of one length with
       leading zeros ("007") are codes, a category;
    4. exactly the two words true and false, yes and no, t and f, or y and n, in any case: boolean;
    5. other text, and any dictionary type: a category, where the levels are at most 20, or at most 1,000 and
       at most half of the rows; otherwise free text (three words or more a value on average) or an
       identifier.

    Missing is an empty or blank field or a null; among numbers also NA, N/A, #N/A, NaN, null and None in any
    case. In a category these are levels like any other word, as "unknown" is.

    Raises `TableError` for an infinite number, and for a column of many numbers in which a few words stand
    (naming the first of them and its row), because either reading of it would lose what it says.

    Example:
        >>> judge("age", pa.chunked_array([["31", "NA", "58"]])).kind.value
        'number'
        >>> judge("code", pa.chunked_array([["007", "112", "007"]])).kind.value
        'category'
    """
    cells = read_column(column, name)
    if isinstance(cells, Dates):
        return Column(name, Kind.DATE, f"{shown(cells.first)}, of type {column.type}")
    if isinstance(cells, Numbers):
        return _judge_numbers(name, cells.values, rows)
    return _judge_levels(name, cells, rows)


def _judge_levels(name: str, cells: Levels, rows: NDArray[np.int64] | None) -> Column:
    """Rules for text, dictionary types and booleans."""
    codes = pick(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    levels = cells.levels.take(pa.array(seen))
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return _constant(name, levels[0].as_py() if len(seen) else None)
    if cells.storage == "text":
        if _dates(levels):
            return Column(name, Kind.DATE, f"{shown(levels[0])} in row {cells.first_row(int(seen[0])):,}")
        values, ok = parse_numbers(levels)
        if ok.all() and not np.isnan(values).all() and not _zero_padded(levels):
            every = np.append(parse_numbers(cells.levels)[0], np.nan)[cells.codes]
            return _judge_numbers(name, every, rows)
        _check_mixed(name, cells, seen, values, ok, counts)
    words = tuple(sorted({str(level).strip().casefold() for level in levels.to_pylist()})) if len(seen) <= 8 else ()
    if words in BOOLEAN_WORDS or (cells.storage == "boolean"):
        words = words if words in BOOLEAN_WORDS else BOOLEAN_WORDS[0]
        return Column(name, Kind.BOOLEAN, " or ".join(reversed(words)) + _without(missing, ","), words, missing)
    return _judge_category(name, levels, len(codes), missing)


def _judge_category(name: str, levels: pa.Array, n: int, missing: int) -> Column:
    """A category where the levels are few; otherwise free text or an identifier."""
    count = len(levels)
    hint = _odd_numbers(name, levels)
    named = bool(_ID_NAME.search(name)) and count + missing == n and missing < n / 2
    if not named and (count <= SMALL or (count <= MAX_LEVELS and count <= n / 2)):
        names = tuple(sorted(levels.to_pylist()))
        reason = f"{plural(count, 'level')}: {listed(names, 4)}{_without(missing, ';')}"
        said = f"column {hint}, which are read as words; {_PLAIN}" if hint else ""
        return Column(name, Kind.CATEGORY, reason, names, missing, said)
    said = f"column {hint} and is left out; {_PLAIN}" if hint else ""
    words = np.mean(np.asarray(pc.count_substring_regex(levels, r"\S+"), dtype=np.float64))
    different = f"{count:,} different values in {plural(n, 'row')}"
    if words >= 3:
        return Column(name, Kind.TEXT, f"{different}, {words:.0f} words each on average", (), missing, said)
    return Column(name, Kind.IDENTIFIER, f"{different}, such as {listed(levels[:2].to_pylist())}", (), missing, said)


def _without(missing: int, mark: str) -> str:
    """How many rows have no value, behind a comma or semicolon; nothing where every row has one."""
    rows = "row" if missing == 1 else "rows"
    return f"{mark} {missing:,} {rows} without a value" if missing else ""


def _judge_numbers(name: str, every: NDArray[np.float64], rows: NDArray[np.int64] | None) -> Column:
    """Rules for a column whose values are numbers; nan is missing."""
    values = pick(every, rows)
    bad = np.flatnonzero(np.isinf(every))  # of the rows held out as well: better told now than after the fit
    if bad.size:
        raise infinite(name, int(bad[0]) + 1, every[bad[0]])
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if known.size == 0:
        return _constant(name, None)
    low, high = float(known.min()), float(known.max())
    if low == high and not missing:
        return _constant(name, f"{low:.6g}")
    whole = bool((known == np.floor(known)).all())
    different = np.unique(known).size if whole and not missing else 0
    if _ID_NAME.search(name) and 2 * different > known.size:
        all_differ = "every row has another whole number"
        how = all_differ if different == known.size else f"{known.size:,} rows have {different:,} different numbers"
        return Column(name, Kind.IDENTIFIER, f"its name says so, and {how}")
    if different == known.size and len(every) > SMALL and _counts_rows(every):
        return Column(name, Kind.IDENTIFIER, f"it counts the rows, from {np.nanmin(every):.0f} on")
    return Column(name, Kind.NUMBER, f"{low:.6g} to {high:.6g}{_without(missing, ',')}", (), missing)


def _counts_rows(values: NDArray[np.float64]) -> bool:
    """Whether the values of the whole column are 0..n-1 or 1..n, in any order."""
    start = values.min()
    return bool(start in (0.0, 1.0) and np.array_equal(np.sort(values), start + np.arange(len(values))))


def _check_mixed(
    name: str,
    cells: Levels,
    seen: NDArray[np.int64],
    values: NDArray[np.float64],
    ok: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    """Raise `TableError` for a column of many different numbers among which a few words stand."""
    numbers = ok & ~np.isnan(values)
    weights = counts[seen]
    words, total = int(weights[~ok].sum()), int(weights.sum())
    if ok.all() or numbers.sum() <= SMALL or weights[numbers].sum() < total / 2:
        return
    if (~ok).sum() > 3 and words > total / 100:
        return
    at = seen[~ok]
    rows = [cells.first_row(int(level)) for level in at[:1000]]
    first = int(np.argmin(rows))
    value = shown(cells.levels[int(at[first])])
    raise TableError(
        f"Column {shown(name)} holds numbers, but row {rows[first]:,} has {value} ({plural(words, 'row')} of "
        f"{total:,} with a value are no numbers). Correct the value; if it means that the number is missing, "
        f"leave the field empty or write NA; or leave the column out: --drop {shown(name)} "
        f"(drop=[{shown(name)}] in Python)."
    )


def infinite(name: str, row: int, value: float) -> TableError:
    """The error for a number that is not finite.

    Example:
        >>> print(infinite("age", 3, float("inf")))  # doctest: +ELLIPSIS
        Column 'age' has inf in row 3; expected a finite number. Correct it, or leave the field empty ...
    """
    return TableError(
        f"Column {shown(name)} has {value} in row {row:,}; expected a finite number. Correct it, or leave "
        "the field empty if the value is not known."
    )


def _constant(name: str, value: str | None) -> Column:
    return Column(name, Kind.CONSTANT, "no value in any row" if value is None else f"{shown(value)} in every row")


def _dates(levels: pa.Array) -> bool:
    """Whether every value is a date or a time; the first alone decides most columns."""
    return all(
        pc.all(pc.match_substring_regex(pc.utf8_trim_whitespace(part), _DATE)).as_py() for part in (levels[:1], levels)
    )


def _zero_padded(levels: pa.Array) -> bool:
    """Whether the values are digits of one length, two at least, some with a leading zero: codes like 007."""
    digits = levels.filter(pc.match_substring_regex(levels, r"^\d+$"))
    lengths = pc.unique(pc.utf8_length(digits)).to_pylist()
    return len(lengths) == 1 and lengths[0] > 1 and bool(pc.any(pc.starts_with(digits, "0")).as_py())


def _odd_numbers(name: str, levels: pa.Array) -> str:
    """That a column of text looks like numbers with a decimal comma or thousands separators; "" if it does not."""
    number = np.asarray(pc.match_substring_regex(levels, _GROUPED), dtype=bool)
    plain = parse_numbers(levels)[1]
    if not number.any() or not (number | plain).all():
        return ""
    value = shown(levels[int(np.argmax(number))])
    return f"{shown(name)} looks like numbers written with a decimal comma or thousands separators ({value})"
