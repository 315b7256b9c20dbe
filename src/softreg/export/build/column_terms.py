"""Inputs and terms of the columns of a table, from its fitted column encoders."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from softreg.canonical_values import BOOLEAN_TEXTS, KEY_FUNCTIONS, MIDNIGHT, boolean_key, number_key
from softreg.export.build.text_term import text_term
from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    Cycle,
    CycleTerm,
    Input,
    InputKind,
    LevelTerm,
    LinearTerm,
    MissingTerm,
    TagsTerm,
    Term,
    TrendTerm,
    VectorTerm,
)
from softreg.tables.columns.date_parsing import DAY
from softreg.tables.columns.missing_values import MISSING_NUMBERS, MISSING_SPELLINGS, expand_spellings
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import TREND, DateEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.formats.column_formats import ColumnFormat
from softreg.tables.schema.typed_values import ONES, TRUTH_WORDS, ZEROS

DATE_SPREAD = 2.0
"""Standard deviations around the mean that a form offers for a date."""

DIGITS_NOTE = "The levels are numbers that a float64 does not hold exactly; pass them as text."
"""Note of a category of large integers."""
SINGLE_NOTE = "Levels are compared as float64; pass a float32 as the number of its shortest decimal text."
"""Note of a category of fractions that float32 rounds."""
TIME_NOTE = "Times of day are times on 1970-01-01."
"""Note of a column of times without dates."""
EXACT_INTEGERS = 2.0**53
"""Integers below are exact in a float64."""


@dataclass(frozen=True)
class ColumnProgram:
    """The input of a column and its terms."""

    input: Input
    terms: tuple[Term, ...]


def table_columns(encoder: Encoder) -> tuple[ColumnProgram, ...]:
    """Return the inputs and terms of all columns of a table.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.

    Returns
    -------
    tuple of ColumnProgram
        One for each feature column, in order; their features are numbered as those of the encoder.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg.tables.schema.schema import infer_schema
    >>> table = pa.table({"age": [20, 40, 30], "buys": ["y", "n", "y"]})
    >>> table_columns(Encoder.fit(infer_schema(table, "buys"), table))[0].input.high
    40.0
    """
    columns, first = [], 0
    words = tuple(expand_spellings(encoder.na))
    for place, code in enumerate(encoder.column_encoders):
        columns.append(_column(code, place, first, words, encoder.formats.get(code.name)))
        first += code.width
    return tuple(columns)


def _column(
    code: ColumnEncoder, place: int, first: int, missing_words: tuple[str, ...], form: ColumnFormat | None
) -> ColumnProgram:
    """Return the input and the terms of one column, whose features are numbered from `first` on."""
    match code:
        case NumberEncoder():
            return _number(code, place, first, missing_words=missing_words, form=form)
        case BooleanEncoder():
            return _boolean(code, place, first, missing_words)
        case CategoryEncoder():
            return _category(code, place, first, missing_words)
        case DateEncoder():
            return _date(code, place, first, missing_words=missing_words, form=form)
        case VectorEncoder():
            return _vector(code, place, first)
        case TagsEncoder():
            other = len(code.levels) if code.pooled else -1
            tags = {tag: k for k, tag in enumerate(code.levels)}
            return ColumnProgram(
                Input(code.name, InputKind.TAGS, levels=code.levels), (TagsTerm(place, first, tags, other),)
            )
        case TextEncoder():
            read = Input(code.name, InputKind.TEXT, missing_words=missing_words)
            return ColumnProgram(read, (text_term(code, place, first),))
    raise TypeError(f"no program is known for a column encoded by {type(code).__name__}")


def _with_indicator(terms: list[Term], place: int, after: int, *, indicator: bool) -> tuple[Term, ...]:
    """Return terms, and the indicator of missing values as the feature after them where there is one."""
    return (*terms, MissingTerm(place, after)) if indicator else tuple(terms)


def _number(
    code: NumberEncoder, place: int, first: int, *, missing_words: tuple[str, ...], form: ColumnFormat | None
) -> ColumnProgram:
    """Return the program of a column of numbers."""
    low, high = code.span or (-math.inf, math.inf)
    terms: list[Term] = []
    if not code.knots or code.both:
        terms.append(LinearTerm(place, first, low, high, code.mean, code.scale))
    if code.knots:
        terms.append(CurveTerm(place, first + len(terms), code.knots, code.scores))
    if isinstance(code, CurveEncoder):
        terms += [
            CurveTerm(place, first + 1 + j, code.curve_knots, values)
            for j, values in enumerate(zip(*code.curve_values, strict=True))
        ]
    read = Input(
        code.name,
        InputKind.NUMBER,
        missing_numbers=_numbers(missing_words),
        missing_words=_with_invalid(missing_words, form),
        missing_spellings=MISSING_SPELLINGS[1:],
        booleans=code.span == (0.0, 1.0),
        low=low if code.span else math.nan,
        high=high if code.span else math.nan,
        typical=code.mean,
        note=_number_note(form),
        smooth=isinstance(code, CurveEncoder),
    )
    return ColumnProgram(read, _with_indicator(terms, place, first + len(terms), indicator=code.missing))


def _with_invalid(words: tuple[str, ...], form: ColumnFormat | None) -> tuple[str, ...]:
    """Return spellings of a missing value, and the words that training took for missing ones."""
    return words if form is None else tuple(dict.fromkeys((*words, *(word.strip() for word in form.invalid))))


def _number_note(form: ColumnFormat | None) -> str:
    """Return how numbers that were text in training are to be prepared; empty where they are plain."""
    if form is None or form.number is None or form.number.plain:
        return ""
    number = form.number
    marks = [*number.currency, *(["%"] if number.percent else [])]
    signs = f"without {' and '.join(marks)}, " if marks else ""
    return f"Numbers were text in training; pass the number itself, {signs}with a decimal point."


def _boolean(code: BooleanEncoder, place: int, first: int, missing_words: tuple[str, ...]) -> ColumnProgram:
    """Return the program of a column of booleans."""
    numbers = (ZEROS, ONES) if code.words in TRUTH_WORDS else ((), ())
    false, true = ((code.words[k], BOOLEAN_TEXTS[k], *numbers[k]) for k in (0, 1))
    read = Input(
        code.name,
        InputKind.BOOLEAN,
        missing_words=missing_words,
        false_words=tuple(dict.fromkeys(false)),
        true_words=tuple(dict.fromkeys(true)),
        levels=code.words,
        typical=code.mean,
    )
    return ColumnProgram(
        read, _with_indicator([BooleanTerm(place, first, code.mean)], place, first + 1, indicator=code.missing)
    )


def _category(code: CategoryEncoder, place: int, first: int, missing_words: tuple[str, ...]) -> ColumnProgram:
    """Return the program of a category."""
    other = len(code.levels) if code.pooled else -1
    missing = len(code.levels) + (code.pooled > 0) if code.missing else other
    numbers = _exact_numbers((*code.levels, *code.rare)) if code.numbers else None
    if numbers is not None:
        codes = {number: k for k, number in enumerate(numbers[: len(code.levels)])}
        read = Input(
            code.name,
            InputKind.CODE,
            missing_numbers=_numbers(missing_words),
            levels=(*code.levels, *code.rare),
            note=SINGLE_NOTE if any(float(np.float32(number)) != number for number in numbers) else "",
        )
        return ColumnProgram(read, (CodeTerm(place, first, codes, other, missing),))
    read = Input(
        code.name,
        InputKind.CATEGORY,
        missing_words=missing_words,
        level_numbers=_level_numbers(code.levels),
        levels=(*code.levels, *code.rare),
        note=DIGITS_NOTE if code.numbers else "",
    )
    return ColumnProgram(read, (LevelTerm(place, first, level_spellings(code.levels), other, missing),))


def _level_numbers(levels: Sequence[str]) -> dict[float, str]:
    """Return the level of each number that float64 holds; empty unless all levels are numbers, and different ones."""
    keys = [number_key(level, True) for level in levels]
    if None in keys:
        return {}
    numbers = [float(key) for key in keys if key is not None]
    if len(set(keys)) < len(keys):
        return {}
    return {number: level for number, level in zip(numbers, levels, strict=True) if abs(number) < EXACT_INTEGERS}


def _exact_numbers(levels: Sequence[str]) -> list[float] | None:
    """Return levels as numbers; None where a float64 does not hold one of them exactly, or two are equal."""
    numbers = []
    for level in levels:
        key = number_key(level, True)
        number = math.nan if key is None else float(key)
        whole = number_key(level, False)
        if not math.isfinite(number) or (whole is not None and int(number) != int(whole)):
            return None
        numbers.append(number)
    return numbers if len(set(numbers)) == len(numbers) else None


def level_spellings(levels: Sequence[str]) -> dict[str, int]:
    """Return the place of each level, by its text and by other usual texts of the same value.

    Where all levels are whole numbers, "1.0" stands for "1"; where all are booleans, "True" and "TRUE" stand for
    "true"; where all are dates, a timestamp at midnight stands for its date.

    Parameters
    ----------
    levels : sequence of str
        Levels.

    Returns
    -------
    dict of str to int
        Place by text.

    Examples
    --------
    >>> level_spellings(["1", "2"])
    {'1': 0, '2': 1, '1.0': 0, '2.0': 1}
    """
    places = {level: k for k, level in enumerate(levels)}
    for key_of in KEY_FUNCTIONS:
        keys = [key_of(level, True) for level in levels]
        if levels and None not in keys:
            counts = Counter(keys)
            for k, key in enumerate(keys):
                if key is not None and counts[key] == 1:
                    for spelling in _other_spellings(key):
                        places.setdefault(spelling, k)
            break
    return places


def _other_spellings(key: str) -> tuple[str, ...]:
    """Return usual spellings of the value of a key."""
    if boolean_key(key, True):
        return key, key.capitalize(), key.upper()
    if number_key(key, True):
        return (key, f"{key}.0") if number_key(key, False) else ()
    return key, key + MIDNIGHT


def _date(
    code: DateEncoder, place: int, first: int, *, missing_words: tuple[str, ...], form: ColumnFormat | None
) -> ColumnProgram:
    """Return the program of a column of dates and times."""
    terms: list[Term] = []
    after = first
    for part in code.parts:
        if part == TREND:
            terms.append(TrendTerm(place, after, code.mean, code.scale))
        else:
            terms.append(CycleTerm(place, after, Cycle(part)))
        after += 1 if part == TREND else 2
    spread = DATE_SPREAD * code.scale
    known = MISSING_NUMBERS if form is None else MISSING_SPELLINGS
    read = Input(
        code.name,
        InputKind.DATE,
        missing_words=_with_invalid(missing_words, form),
        missing_spellings=known[1:],
        low=code.mean - spread,
        high=code.mean + spread,
        typical=code.mean,
        note=TIME_NOTE if 0 <= code.mean < DAY and code.scale < DAY else "",
    )
    return ColumnProgram(read, _with_indicator(terms, place, after, indicator=code.missing))


def _vector(code: VectorEncoder, place: int, first: int) -> ColumnProgram:
    """Return the program of a column of vectors."""
    read = Input(code.name, InputKind.VECTOR, length=len(code.means))
    term = VectorTerm(place, first, code.means, code.scale)
    return ColumnProgram(read, _with_indicator([term], place, first + len(code.means), indicator=code.missing))


def _numbers(words: Sequence[str]) -> tuple[float, ...]:
    """Return the spellings of a missing value that are numbers, as numbers."""
    keys = (number_key(word, True) for word in words)
    return tuple(dict.fromkeys(float(key) for key in keys if key is not None))


def offset_columns(offsets: Mapping[str, str], classes: Sequence[str]) -> list[tuple[Input, list[int]]]:
    """Return the inputs of the columns of offsets, and the classes to whose logits each is added.

    Parameters
    ----------
    offsets : mapping of str to str
        Column by class.
    classes : sequence of str
        Classes.

    Returns
    -------
    list of (Input, list of int)
        Inputs, and numbers of classes.

    Examples
    --------
    >>> offset_columns({"yes": "score"}, ["no", "yes"])[0][1]
    [1]
    """
    by_column: dict[str, list[int]] = {}
    for label, name in offsets.items():
        by_column.setdefault(name, []).append(classes.index(label))
    return [(Input(name, InputKind.NUMBER, required=True), labels) for name, labels in by_column.items()]
