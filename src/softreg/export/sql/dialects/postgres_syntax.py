"""The SQL of PostgreSQL, which raises an error where a result overflows or underflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softreg.canonical_values import BOOLEAN_TEXTS
from softreg.export.program import Input
from softreg.export.sql.dialects.common_syntax import CommonSyntax, chained
from softreg.export.sql.result import Result
from softreg.export.sql.syntax import BLANKS, LARGEST, Vector, exponent_form

MAX_NAME = 63
"""Bytes of a name; the system cuts longer ones."""
NEGLIGIBLE = 1e-150
"""Least absolute value of features and weights beside 0: products of two of them do not underflow."""
HUGE = 8e307
"""Numbers up to this bound may be subtracted from one another."""
NORMAL_EXPONENT = -708.0
"""exp underflows to subnormal numbers below, for which the system may raise an error."""
LEAST_EXPONENT = -745.13
"""exp is 0 below."""
RAISE, LOWERED = 2.0**1000, 2.0**-75
"""a / b is at least the smallest float64 if `a * RAISE > b * LOWERED`."""
SMALLEST = 5e-324
NUMBER_TYPES = ("double precision", "real", "integer", "bigint", "smallint")
NUMBER = r"^[+-]?([0-9]{1,200}([.][0-9]{0,200})?|[.][0-9]{1,200})([eE][+-]?[0-9]{1,2})?$"
"""Text that is converted without an error."""
CODE = r"^[+-]?(0|[1-9][0-9]{0,199})([.][0-9]{0,200})?([eE][+-]?[0-9]{1,2})?$"
"""Text that is a number of a category: without leading zeros."""


class PostgresSyntax(CommonSyntax):
    """PostgreSQL. OFFSET 0 keeps each stage from being merged with the next one, which would copy its expressions.

    Examples
    --------
    >>> PostgresSyntax().number(0.1)
    "float8 '0.1e0'"
    """

    title = "PostgreSQL"
    infinity = "float8 'Infinity'"
    folds_case = False
    notes: tuple[str, ...] = (
        "The database must have the encoding UTF8. Numbers may be columns of text; times are dates or timestamps.",
        "Times with a time zone are read in the time zone of the session. Arrays have one dimension and begin at 1.",
        "The setting extra_float_digits must be 1, its default, or more.",
        "Times of day are timestamps on 1970-01-01; durations are numbers of seconds.",
        "On large tables, SET jit = off saves the seconds in which the system compiles the statement.",
    )

    def number(self, value: float) -> str:
        """Return a literal of the type; numbers without one are of the type numeric."""
        return f"float8 '{exponent_form(value)}'"

    def clipped(self, name: str) -> str:
        """Return the characters of the first bytes."""
        return name.encode()[:MAX_NAME].decode(errors="ignore")

    def text(self, value: str) -> str:
        """Text in quotes; backslashes are doubled, whatever `standard_conforming_strings` is."""
        quoted = super().text(value)
        if "\\" not in value:
            return quoted
        doubled = quoted.replace("\\", "\\\\")
        return f"E{doubled}"

    def as_text(self, raw: str) -> str:
        """Return a cast."""
        return f"CAST({raw} AS text)"

    def as_word(self, raw: str) -> str:
        """Text of the collation that compares bytes."""
        return f'CAST({raw} AS text) COLLATE "C"'

    def place(self, word: str, places: Mapping[str, int]) -> str:
        """Return a search; text has no zero characters."""
        return super().place(word, {one: place for one, place in places.items() if "\0" not in one})

    def is_one_of(self, text: str, words: Sequence[str]) -> str:
        """Return a list of literals, by the collation that compares bytes."""
        listed = ", ".join(self.text(word) for word in words if "\0" not in word)
        return f'{text} COLLATE "C" IN ({listed})'

    def trimmed(self, text: str) -> str:
        """Return the function btrim with all blanks."""
        blanks = "".join(f"\\u{ord(blank):04X}" for blank in BLANKS)
        return f"btrim({text}, E'{blanks}')"

    def lower(self, text: str) -> str:
        """Lower case of the letters A to Z, in every locale."""
        return f'lower({text} COLLATE "C")'

    def as_number(self, raw: str, read: Input) -> str:
        """Return a cast; columns of text and of decimal numbers are converted where they have the form of a number."""
        text = self.trimmed(self.as_text(raw))
        words = [f"WHEN {text} = 'NaN' OR {self.is_missing(text, read)} THEN NULL"]
        if read.booleans or read.elements:
            words += [f"WHEN lower({text}) = '{word}' THEN {self.number(k)}" for k, word in enumerate(BOOLEAN_TEXTS)]
        # a cast of a boolean is an error even where it is not evaluated, but one of its text is none
        return self._number(raw, NUMBER_TYPES, NUMBER, words, self.as_text(raw) if read.booleans else raw)

    def as_code(self, raw: str) -> str:
        """Return the number that the digits of the text stand for, as a column of any type has text."""
        blank = f"WHEN {self.trimmed(self.as_text(raw))} = '' THEN NULL"
        nan = f"WHEN {self.is_number_type(raw)} AND {self.as_text(raw)} = 'NaN' THEN NULL"
        return self._number(raw, NUMBER_TYPES, CODE, [blank, nan], self.as_text(raw))

    def _number(self, raw: str, kinds: Sequence[str], form: str, words: Sequence[str], given: str) -> str:
        """Return `given` of some types, or the number of text of some form, or what some branches say of other text."""
        text = self.trimmed(self.as_text(raw))
        return (
            f"NULLIF(CASE WHEN {raw} IS NULL THEN NULL WHEN {self._is_of(raw, kinds)} THEN "
            f"CAST({given} AS double precision) WHEN {text} ~ '{form}' THEN CAST({text} AS double precision) "
            f"{' '.join(words)} ELSE {self.infinity} END, float8 'NaN')"
        )

    def _is_of(self, raw: str, kinds: Sequence[str]) -> str:
        """Return the condition that a column is of one of some types."""
        listed = ", ".join(f"CAST('{kind}' AS regtype)" for kind in kinds)
        return f"pg_typeof({raw}) IN ({listed})"

    def is_number_type(self, raw: str) -> str:
        """Return a condition on the type."""
        return self._is_of(raw, (*NUMBER_TYPES, "numeric"))

    def whole_text(self, number: str) -> str:
        """Return two casts."""
        return f"CAST(CAST({number} AS bigint) AS text)"

    def as_seconds(self, raw: str, read: Input) -> str:
        """Seconds within the range of timestamps; other times are invalid."""
        seconds = f"CAST(EXTRACT(EPOCH FROM CAST({raw} AS timestamp)) AS double precision)"
        span = f"{raw} > DATE '4713-01-02 BC' AND {raw} < DATE '290000-01-01'"
        return f"CASE WHEN {raw} IS NULL THEN NULL WHEN {span} THEN {seconds} ELSE {self.infinity} END"

    def as_vector(self, read: Input, raw: str) -> str:
        """Return a cast; the concatenation reads a compressed array once."""
        array = f"CAST({raw} AS double precision[]) || CAST('{{}}' AS double precision[])"
        return f"CASE WHEN {raw} IS NOT NULL THEN {array} END"

    def is_vector(self, value: str, length: int) -> str:
        """One dimension, the length, and every element finite; nan is the greatest number."""
        shape = f"array_ndims({value}) = 1 AND array_lower({value}, 1) = 1 AND cardinality({value}) = {length}"
        finite = f"SELECT bool_and(e IS NOT NULL AND abs(e) <= {self.number(LARGEST)}) FROM unnest({value}) AS u(e)"
        valid = f"{shape} AND ({finite})" if length else f"cardinality({value}) = 0"
        return f"({value} IS NULL OR coalesce({valid}, FALSE))"

    def as_tags(self, read: Input, raw: str) -> str:
        """Return a cast to an array of text."""
        return f"CAST({raw} AS text[])"

    def is_tags(self, value: str, raw: str) -> str:
        """Return an array of text is valid."""
        return "TRUE"

    def tag_features(self, value: str, tags: Mapping[str, int], other: int) -> list[str] | None:
        """One search of the array a tag."""
        ordered = sorted(tags, key=lambda tag: tags[tag])
        found = [self._flag(f'{self.text(tag)} COLLATE "C" = ANY ({value})') if "\0" not in tag else self.number(0)
                 for tag in ordered]  # fmt: skip
        if other >= 0:
            known = [self.text(tag) for tag in ordered if "\0" not in tag]
            unknown = f'u.e COLLATE "C" NOT IN ({", ".join(known)})' if known else "u.e IS NOT NULL"
            found.append(self._flag(f"EXISTS (SELECT 1 FROM unnest({value}) AS u(e) WHERE {unknown})"))
        return found

    def _flag(self, condition: str) -> str:
        """Return 1 where a condition holds, 0 elsewhere."""
        return f"CASE WHEN {condition} THEN {self.number(1)} ELSE {self.number(0)} END"

    def scaled(self, x: str, center: float, scale: float, *, bounded: bool, limit: float) -> str:
        """Return the formula, 0 where its result would be negligible, NULL where it would be too large."""
        difference = f"({x} - {self.number(center)})" if center else x
        negligible = max(min(NEGLIGIBLE * scale, LARGEST), SMALLEST)
        whens = f"WHEN abs({difference}) <= {self.number(negligible)} THEN {self.number(0)}"
        if not bounded:
            most = self.number(min(limit, HUGE / max(1.0, scale)) * scale)
            beyond = f"WHEN abs({x}) > {self.number(HUGE)} THEN NULL"
            whens = f"{beyond} {whens} WHEN abs({difference}) > {most} THEN NULL"
        return f"CASE {whens} ELSE {difference} / {self.number(scale)} END"

    def bounded(self, x: str, limit: float) -> str:
        """Return the number, NULL beyond the limit."""
        return f"CASE WHEN abs({x}) <= {self.number(limit)} THEN {x} END"

    def exponential(self, x: str) -> str:
        """Return the function, by halves of the exponent where the result is subnormal, 0 below."""
        half = f"exp({x} * {self.number(0.5)})"
        return (
            f"CASE WHEN {x} >= {self.number(NORMAL_EXPONENT)} THEN exp({x}) WHEN {x} > {self.number(LEAST_EXPONENT)} "
            f"THEN {half} * {half} WHEN {x} IS NOT NULL THEN {self.number(0)} END"
        )

    def quotient(self, a: str, b: str) -> str:
        """Return the formula, 0 where the result is smaller than any number."""
        enough = f"{a} * {self.number(RAISE)} > {b} * {self.number(LOWERED)}"
        return f"CASE WHEN {enough} THEN {a} / {b} WHEN {a} IS NOT NULL THEN {self.number(0)} END"

    def product(self, p: str, factor: float) -> str:
        """Return the formula, 0 where the result is smaller than any number."""
        if factor < NEGLIGIBLE:
            return self._zero_or_null(p)
        if factor * RAISE > LARGEST:
            return f"{p} * {self.number(factor)}"
        enough = f"{p} * {self.number(factor * RAISE)} > {self.number(LOWERED)}"
        return f"CASE WHEN {enough} THEN {p} * {self.number(factor)} ELSE {self._zero_or_null(p)} END"

    def _zero_or_null(self, p: str) -> str:
        """Return 0, NULL where p is NULL."""
        return f"CASE WHEN {p} IS NOT NULL THEN {self.number(0)} END"

    def half(self, p: str) -> str:
        """Return the formula; half of the smallest number is 0."""
        return f"CASE WHEN {p} > {self.number(SMALLEST)} THEN {p} * {self.number(0.5)} ELSE {self.number(0)} END"

    def lookup(self, code: str, weights: Sequence[float]) -> str:
        """Return an element of a constant array."""
        constant = ",".join(exponent_form(weight) for weight in weights)
        return f"coalesce((CAST('{{{constant}}}' AS double precision[]))[{code} + 1], {self.number(0)})"

    def is_zero_weight(self, weight: float) -> bool:
        """Products with negligible weights could underflow."""
        return abs(weight) < NEGLIGIBLE

    def pack(self, name: str, values: Sequence[str]) -> Vector:
        """One array, as a subquery has at most 1,664 columns."""
        if not values:
            return Vector({}, ())
        array = f"ARRAY[{', '.join(values)}]"
        return Vector({name: array}, tuple(f"{name}[{k + 1}]" for k in range(len(values))))

    def statement(self, source: str, stages: Sequence[Mapping[str, str]], result: Result) -> str:
        """Return a chain of common table expressions; `(r).*` are the columns of a row."""
        return chained(source, stages, result, row="(r).*", fence="\nOFFSET 0")
