"""The SQL of DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softreg.canonical_values import BOOLEAN_TEXTS
from softreg.export.program import Input
from softreg.export.sql.dialects.common_syntax import CommonSyntax, chained
from softreg.export.sql.result import Result
from softreg.export.sql.syntax import BLANKS, LARGEST

MICRO = 1_000_000
"""Microseconds of a second."""


NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
"""Text that is a number."""
CODE = "[+-]?(0|[1-9][0-9]*)([.][0-9]*)?([eE][+-]?[0-9]{1,4})?"
"""Text that is a number of a category: without leading zeros."""
TIME = "([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?"
DATE = f"[0-9]{{4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}([ T]{TIME}( ?(Z|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?))?)?"
"""Text that is a date, or date and time."""
NUMBER_TYPES = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
                "UHUGEINT", "FLOAT", "DOUBLE")  # fmt: skip
"""Types of numbers, beside decimals."""


class DuckDBSyntax(CommonSyntax):
    """DuckDB. Rows travel as structs, so that no column of the table meets one of a stage.

    Examples
    --------
    >>> DuckDBSyntax().as_text("x")
    'CAST(x AS VARCHAR)'
    """

    title = "DuckDB"
    infinity = "CAST('Infinity' AS DOUBLE)"
    notes: tuple[str, ...] = (
        "Numbers and times may be columns of text. Times with a time zone are read in the time zone of the session.",
        "Times of text are written as 2020-01-31 18:30:15; durations are numbers of seconds.",
        "Tags are compared by the default collation; it must be binary.",
    )

    def text(self, value: str) -> str:
        """Text in quotes, joined with zero characters."""
        parts = [super(DuckDBSyntax, self).text(part) for part in value.split("\0")]
        return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"

    def as_text(self, raw: str) -> str:
        """Return a cast."""
        return f"CAST({raw} AS VARCHAR)"

    def as_word(self, raw: str) -> str:
        """Text; casts to enumerations do not see its collation."""
        return self.as_text(raw)

    def place(self, word: str, places: Mapping[str, int]) -> str:
        """Return an enumeration, whose words are found by their hash, but those with zero characters."""
        named = [one for one in places if "\0" not in one]
        found = []
        if named:
            kind = f"ENUM({', '.join(map(self.text, named))})"
            found.append(f"[{', '.join(str(places[one]) for one in named)}][enum_code(TRY_CAST({word} AS {kind})) + 1]")
        others = [f"WHEN {self.is_one_of(word, [one])} THEN {place}" for one, place in places.items() if "\0" in one]
        if others:
            found.append(f"CASE {' '.join(others)} END")
        return f"coalesce({', '.join(found)})" if found else "NULL"

    def is_one_of(self, text: str, words: Sequence[str]) -> str:
        """Bytes, which have no collation."""
        return f"encode({text}) IN ({', '.join(f'encode({self.text(word)})' for word in words)})"

    def trimmed(self, text: str) -> str:
        """Return the function trim with all blanks."""
        return f"trim({text}, {' || '.join(f'chr({ord(blank)})' for blank in BLANKS)})"

    def as_number(self, raw: str, read: Input) -> str:
        """Return a cast that gives NULL for what is no number, and for text unless it has the form of one."""
        text = self.trimmed(self.as_text(raw))
        words = [f"WHEN {raw} IS NULL OR {self.is_missing(text, read)} THEN NULL"]
        if read.booleans or read.elements:
            words += [f"WHEN lower({text}) = '{word}' THEN {self.number(k)}" for k, word in enumerate(BOOLEAN_TEXTS)]
        words.append(f"WHEN regexp_full_match({text}, '{NUMBER}') THEN TRY_CAST({text} AS DOUBLE)")
        given = f"CASE WHEN {self.is_number_type(raw)} THEN TRY_CAST({raw} AS DOUBLE) {' '.join(words)} END"
        other = f"CASE WHEN {raw} IS NULL OR {self.is_missing(text, read)} THEN NULL ELSE {self.infinity} END"
        return f"nullif(coalesce({given}, {other}), CAST('NaN' AS DOUBLE))"

    def as_code(self, raw: str) -> str:
        """Return the number of the text, so that a FLOAT or DECIMAL is the number that its digits stand for."""
        text = self.trimmed(self.as_text(raw))
        number = f"CASE WHEN regexp_full_match({text}, '{CODE}') THEN TRY_CAST({text} AS DOUBLE) END"
        missing = f"{raw} IS NULL OR {text} = '' OR ({self.is_number_type(raw)} AND {text} = 'nan')"
        return f"coalesce({number}, CASE WHEN NOT ({missing}) THEN {self.infinity} END)"

    def is_number_type(self, raw: str) -> str:
        """Return a condition that is constant for a column."""
        return f"(typeof({raw}) IN ({', '.join(map(self.text, NUMBER_TYPES))}) OR typeof({raw}) LIKE 'DECIMAL%')"

    def whole_text(self, number: str) -> str:
        """Return two casts."""
        return f"CAST(CAST({number} AS BIGINT) AS VARCHAR)"

    def as_seconds(self, raw: str, read: Input) -> str:
        """Return a cast to a timestamp; text has the form of a date, of both, or of a time, which is of 1970-01-01."""
        text = self.trimmed(self.as_text(raw))
        other = f"CASE WHEN {self.is_missing(text, read)} THEN NULL ELSE {self.infinity} END"
        day = f"CASE WHEN regexp_full_match({text}, '{TIME}') THEN '1970-01-01 ' || {text} END"
        written = f"CASE WHEN regexp_full_match({text}, '{DATE}') THEN {text} ELSE {day} END"
        typed = f"typeof({raw}) = 'DATE' OR typeof({raw}) LIKE 'TIMESTAMP%'"
        time = f"CASE WHEN {typed} THEN TRY_CAST({raw} AS TIMESTAMP) ELSE TRY_CAST({written} AS TIMESTAMP) END"
        count = f"epoch_us({time})"
        seconds = f"{count} // {MICRO} + CAST({count} % {MICRO} AS DOUBLE) / {self.number(MICRO)}"
        return f"CASE WHEN {raw} IS NOT NULL THEN coalesce({seconds}, {other}) END"

    def as_vector(self, read: Input, raw: str) -> str:
        """Return a cast of a list or an array."""
        other = f"CASE WHEN {raw} IS NOT NULL THEN [CAST(NULL AS DOUBLE)] END"
        return f"coalesce(TRY_CAST({raw} AS DOUBLE[]), {other})"

    def is_vector(self, value: str, length: int) -> str:
        """Return the number of all elements and of those that are not NULL, and the range."""
        count = f"len({value}) = {length} AND list_count({value}) = {length}"
        largest = self.number(LARGEST)
        span = f"list_max({value}) <= {largest} AND list_min({value}) >= -{largest}"
        return f"({value} IS NULL OR coalesce({count} AND {span if length else 'TRUE'}, FALSE))"

    def as_tags(self, read: Input, raw: str) -> str:
        """Return a cast to a list of text."""
        return f"CAST({raw} AS VARCHAR[])"

    def is_tags(self, value: str, raw: str) -> str:
        """Return a list of text is valid."""
        return "TRUE"

    def tag_features(self, value: str, tags: Mapping[str, int], other: int) -> list[str] | None:
        """One list search a tag."""
        ordered = sorted(tags, key=lambda tag: tags[tag])
        found = [f"CAST(coalesce(list_contains({value}, {self.text(tag)}), FALSE) AS DOUBLE)" for tag in ordered]
        if other >= 0:
            known = f"[{', '.join(self.text(tag) for tag in ordered)}]" if ordered else "CAST([] AS VARCHAR[])"
            found.append(f"CAST(coalesce(NOT list_has_all({known}, {value}), FALSE) AS DOUBLE)")
        return found

    def lookup(self, code: str, weights: Sequence[float]) -> str:
        """Return an element of a constant list."""
        return f"coalesce([{', '.join(self.number(weight) for weight in weights)}][{code} + 1], {self.number(0)})"

    def statement(self, source: str, stages: Sequence[Mapping[str, str]], result: Result) -> str:
        """Return a chain of common table expressions, each of which is read once."""
        return chained(source, stages, result, row="r.*", fence="")
