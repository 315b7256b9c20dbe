"""What one column is taken for, and why: the rules, learned on the training rows."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.arrowtypes import plain_column
from softreg.tables.cells import (
    Dates,
    Levels,
    Lists,
    Numbers,
    count_levels,
    means_missing,
    parse_numbers,
    pick,
    read_column,
    without_words,
)
from softreg.tables.dates import are_dates, day_first, parse_dates
from softreg.tables.errors import TableError, listed, plural, shown
from softreg.tables.kinds import BOOLEAN_WORDS, MAX_LEVELS, REPEATED, SMALL, Column, Kind
from softreg.tables.values import levels_of
from softreg.tables.verdicts import (
    ID_NAME,
    category,
    constant,
    dates,
    like_dates,
    lists,
    no_dates,
    numbers,
    text_dates,
    without,
)

_PLAIN = "write them like 1234.5 to have them used as numbers"
_GROUPED = r"^[+-]?(\d+,\d+|\d{1,3}([ .,'’_]\d{3})+([.,]\d+)?)$"
_SIGNED = r"^[+-]?[$€£¥]? ?[+-]?\d[\d.,]* ?[$€£¥%]?$"


def judge(
    name: str,
    column: pa.ChunkedArray,
    rows: NDArray[np.int64] | None = None,
    asked: Kind | None = None,
    *,
    typed: bool = False,
) -> Column:
    """What a column is taken for, judged by the training rows `rows` (all where None); `asked` overrules rules 2 to 6.

    `typed` says that text has the type text because whoever made the table gave it, as in a data frame; that of a CSV
    file has no type. Typed text that reads like numbers is not a number by rule 3: it is judged by rule 5.

    The rules, in this order:

    1. one value in every row, or none at all: constant;
    2. Arrow types of dates and times of day, or text that is a date or a time in every row: date; text that only
       looks like dates ("45:30", "12-34-5678") is judged by the rules below, and a hint says so;
    3. an Arrow number type or durations, or text that is a number in every row: number; but whole numbers that are all
       different are an identifier if they count the rows from 0 or 1, and so are those of a column named like
       one ("id", "customer_id", "rowId") where more than half are different; and digits of one length with
       leading zeros ("007") are codes, a category;
    4. exactly the two words true and false, yes and no, t and f, or y and n, in any case: boolean;
    5. other text, and any dictionary type: a category, where the levels are at most 20, or at most half of the rows,
       or, if they are more than 1,000, at most a fifth of them, counting the rows that have a value; otherwise free
       text (three words or more a value on average) or an identifier;
    6. lists of words are tags, lists of numbers a vector.

    Missing is an empty or blank field or a null; among numbers and dates also NA, N/A, #N/A, NaN, null and None in any
    case. In a category these are levels like any other word, as "unknown" is.

    Raises `TableError` for an infinite number, for a column of many numbers in which a few words stand
    (naming the first of them and its row), because either reading of it would lose what it says, and for a column that
    cannot be what was asked for.

    Example:
        >>> judge("age", pa.chunked_array([["31", "NA", "58"]])).kind.value
        'number'
        >>> judge("code", pa.chunked_array([["007", "112", "007"]])).kind.value
        'category'
        >>> judge("floor", pa.chunked_array([["1", "2", "1"]]), typed=True).kind.value
        'category'
        >>> judge("year", pa.chunked_array([[2019, 2020]]), asked=Kind.CATEGORY).levels
        ('2019', '2020')
    """
    column = plain_column(column, name)
    if asked is not None:
        return judge_as(asked, name, column, rows)
    cells = read_column(column, name)
    if isinstance(cells, Lists):
        return lists(name, column, cells, rows)
    if isinstance(cells, Dates):
        return dates(name, pick(cells.values, rows), f"{shown(cells.first)}, of type {column.type}")
    if isinstance(cells, Numbers):
        found = numbers(name, cells.values, rows)
        duration = pa.types.is_duration(column.type) and found.kind is Kind.NUMBER
        return replace(found, reason=f"durations in seconds, {found.reason}") if duration else found
    return _judge_levels(name, cells, rows, typed)


def judge_as(asked: Kind, name: str, column: pa.ChunkedArray, rows: NDArray[np.int64] | None) -> Column:
    """The column as the kind that the user asked for; `TableError` where it cannot be that."""
    cells = read_column(column, name)
    if isinstance(cells, Lists) or (isinstance(cells, Dates) and asked is not Kind.DATE):
        raise _not_that(name, asked, f"it has the type {column.type}")
    if isinstance(cells, Numbers):
        if asked is Kind.NUMBER:
            return numbers(name, cells.values, rows, sure=True)
        cells = levels_of(name, column)
    if isinstance(cells, Dates):
        return dates(name, pick(cells.values, rows), f"{shown(cells.first)}, of type {column.type}")
    codes = pick(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return constant(name, cells.levels[int(seen[0])].as_py() if len(seen) else None)
    if asked is Kind.TEXT:
        words = np.mean(np.asarray(pc.count_substring_regex(cells.levels, r"\S+"), dtype=np.float64))
        return Column(name, Kind.TEXT, f"as asked; {words:.0f} words each on average", (), missing)
    if asked is Kind.CATEGORY:
        return category(name, tuple(sorted(cells.levels.take(pa.array(seen)).to_pylist())), missing, "as asked; ")
    if asked is Kind.NUMBER:
        values, ok = parse_numbers(cells.levels)
        _all_read(name, asked, cells, ok)
        return numbers(name, np.append(values, np.nan)[cells.codes], rows, sure=True)
    cells = without_words(cells)
    _all_read(name, asked, cells, ~np.isnan(parse_dates(cells.levels, day_first(cells.levels) is not False)))
    return text_dates(name, cells, rows, "as asked; ")


def _judge_levels(name: str, cells: Levels, rows: NDArray[np.int64] | None, typed: bool = False) -> Column:
    """Rules for text, dictionary types and booleans."""
    codes = pick(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    levels = cells.levels.take(pa.array(seen))
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return constant(name, levels[0].as_py() if len(seen) else None)
    like = ""
    if cells.storage == "text":
        if are_dates(levels.filter(pa.array(~means_missing(levels)))):
            like = no_dates(name, without_words(cells))
            if not like:
                return text_dates(name, without_words(cells), rows)
        values, ok = parse_numbers(levels)
        numeric = bool(ok.all() and not np.isnan(values).all()) and not _zero_padded(levels)
        if numeric and not typed:
            every = np.append(parse_numbers(cells.levels)[0], np.nan)[cells.codes]
            return numbers(name, every, rows)
        mixed = _mixed(values, ok, counts[seen])
        if mixed and not typed:
            raise _mixed_column(name, cells, seen[~ok], *mixed)
        if numeric or mixed:
            number = levels[int(np.argmax(ok & ~np.isnan(values)))]
            return _text_of_numbers(name, levels, counts[seen], missing, number)
    words = tuple(sorted({str(level).strip().casefold() for level in levels.to_pylist()})) if len(seen) <= 8 else ()
    if words in BOOLEAN_WORDS or (cells.storage == "boolean"):
        words = words if words in BOOLEAN_WORDS else BOOLEAN_WORDS[0]
        return Column(name, Kind.BOOLEAN, " or ".join(reversed(words)) + without(missing, ","), words, missing)
    found = _judge_category(name, levels, counts[seen], missing)
    return like_dates(found, like) if like else found


def _text_of_numbers(name: str, levels: pa.Array, counts: NDArray[np.int64], missing: int, value: pa.Scalar) -> Column:
    """A column of the type text whose values read like numbers: words, with a hint at `number`."""
    found = _judge_category(name, levels, counts, missing)
    left = found.kind is Kind.IDENTIFIER
    does = "looks like an identifier and is left out" if left else f"is used as a {found.kind.value}, as its type says"
    said = (
        f"column {shown(name)} holds text that reads like numbers ({shown(value)}) and {does}; to use it as numbers: "
        f"--number {shown(name)} (number=[{shown(name)}] in Python)"
    )
    return replace(found, hint=said)


def _judge_category(name: str, levels: pa.Array, counts: NDArray[np.int64], missing: int) -> Column:
    """A category where the levels are few; otherwise free text or an identifier.

    Shares are those of the `counts` of rows that have a value: words for a missing one, such as NA, are levels, but
    the rows that have them say nothing about how often values repeat.
    """
    valued = ~means_missing(levels)
    count, n = int(valued.sum()), int(counts[valued].sum())
    hint = _odd_numbers(name, levels)
    named = bool(ID_NAME.search(name)) and count == n and count > 1
    few = count <= SMALL or count <= n / (2 if count <= MAX_LEVELS else REPEATED)
    if not named and few:
        said = f"column {hint}, which are read as words; {_PLAIN}" if hint else ""
        return category(name, tuple(sorted(levels.to_pylist())), missing, "", said)
    said = f"column {hint} and is left out; {_PLAIN}" if hint else ""
    words = np.mean(np.asarray(pc.count_substring_regex(levels, r"\S+"), dtype=np.float64))
    different = f"{count:,} different values in {plural(n, 'row')}{without(missing + int(counts.sum()) - n, ',')}"
    if words >= 3:
        return Column(name, Kind.TEXT, f"{different}, {words:.0f} words each on average", (), missing, said)
    return Column(name, Kind.IDENTIFIER, f"{different}, such as {listed(levels[:2].to_pylist())}", (), missing, said)


def _mixed(values: NDArray[np.float64], ok: NDArray[np.bool_], counts: NDArray[np.int64]) -> tuple[int, int] | None:
    """The rows with a word among many different numbers, and the rows with a value; None where there are no few words.

    `values` (k,) and `ok` are those of the levels, as `parse_numbers` gives them, and `counts` their rows.
    """
    numbers = ok & ~np.isnan(values)
    weights = np.where(ok & np.isnan(values), 0, counts)  # shares count the rows that have a value
    words, total = int(weights[~ok].sum()), int(weights.sum())
    if ok.all() or numbers.sum() <= SMALL or weights[numbers].sum() < total / 2:
        return None
    return None if (~ok).sum() > 3 and words > total / 100 else (words, total)


def _mixed_column(name: str, cells: Levels, at: NDArray[np.int64], words: int, total: int) -> TableError:
    """The error for a column of many different numbers among which stand a few words, the levels `at`."""
    rows = [cells.first_row(int(level)) for level in at[:1000]]
    first = int(np.argmin(rows))
    value = shown(cells.levels[int(at[first])])
    return TableError(
        f"Column {shown(name)} holds numbers, but row {rows[first]:,} has {value} ({plural(words, 'row')} of "
        f"{total:,} with a value are no numbers). Correct the value; if it means that the number is missing, "
        f"leave the field empty or write NA; or leave the column out: --drop {shown(name)} "
        f"(drop=[{shown(name)}] in Python).",
        np.flatnonzero(np.isin(cells.codes, at)),
    )


def _all_read(name: str, asked: Kind, cells: Levels, ok: NDArray[np.bool_]) -> None:
    """Raise `TableError` for the first level that is not what was asked for."""
    bad_rows = np.append(~ok, False)[cells.codes]
    if bad_rows.any():
        bad = int(cells.codes[np.argmax(bad_rows)])
        advice = _rewritten(str(cells.levels[bad])) if asked is Kind.NUMBER else ""
        error = _not_that(name, asked, f"row {cells.first_row(bad):,} has {shown(cells.levels[bad])}", advice)
        error.rows = np.flatnonzero(bad_rows)
        raise error


def _not_that(name: str, asked: Kind, seen: str, advice: str = "") -> TableError:
    advice = advice or "Leave it to softreg to judge the column, correct the value"
    return TableError(
        f"Column {shown(name)} cannot be used as a {asked.value}, as asked: {seen}. {advice}, or leave the column out: "
        f"--drop {shown(name)} (drop=[{shown(name)}] in Python)."
    )


def _rewritten(value: str) -> str:
    """How to write a number that has other characters than its digits, the sign and the point; "" for other texts.

    Example:
        >>> _rewritten("$9,417.15"), _rewritten("94.2 %")
        ("Remove '$' and ',' from its values, as in 9417.15", "Remove '%' from its values, as in 94.2")
        >>> _rewritten("0,942")
        "Write its values with a decimal point in place of ',', as in 0.942"
        >>> _rewritten("ten")
        ''
    """
    text = value.strip()
    decimal = "," if text.rfind(",") > text.rfind(".") and text.count(",") == 1 else "."
    odd = dict.fromkeys(sign for sign in text if not (sign.isdecimal() or sign in "+-" or sign == decimal))
    plain = "".join(sign for sign in text if sign not in odd).replace(decimal, ".")
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", plain) or any(sign.isalpha() for sign in odd):
        return ""
    said = (
        [f"remove {' and '.join(repr(sign) for sign in odd if sign != ' ') or 'the blanks'} from its values"]
        if odd
        else []
    )
    said += ["write its values with a decimal point in place of ','"] if decimal == "," else []
    sentence = " and ".join(said)
    return f"{sentence[:1].upper()}{sentence[1:]}, as in {plain}" if said else ""


def _zero_padded(levels: pa.Array) -> bool:
    """Whether the values are digits of one length, two at least, some with a leading zero: codes like 007."""
    digits = levels.filter(pc.match_substring_regex(levels, r"^\d+$"))
    lengths = pc.unique(pc.utf8_length(digits)).to_pylist()
    return len(lengths) == 1 and lengths[0] > 1 and bool(pc.any(pc.starts_with(digits, "0")).as_py())


def _odd_numbers(name: str, levels: pa.Array) -> str:
    """That a column of text looks like numbers with a decimal comma, separators or signs; "" if it does not."""
    grouped = np.asarray(pc.match_substring_regex(levels, _GROUPED), dtype=bool)
    signed = np.asarray(pc.match_substring_regex(levels, _SIGNED), dtype=bool)
    number, plain = grouped | signed, parse_numbers(levels)[1]
    number &= ~plain
    if not number.any() or not (number | plain).all():
        return ""
    if not grouped[number].any():
        value = shown(levels[int(np.argmax(number))])
        return f"{shown(name)} looks like numbers written with a sign such as $ or % ({value})"
    value = shown(levels[int(np.argmax(number))])
    return f"{shown(name)} looks like numbers written with a decimal comma or thousands separators ({value})"
