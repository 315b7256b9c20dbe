"""The SQL of SQLite, which has no arrays, no types of times and no columns that a subquery hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softreg.export.export_errors import ExportError
from softreg.export.program import Input, Label
from softreg.export.sql.dialects.common_syntax import CommonSyntax, listed
from softreg.export.sql.expressions import Choice, balanced, search
from softreg.export.sql.result import Result
from softreg.export.sql.syntax import BLANKS, exponent_form, identifier

MAX_ARGUMENTS = 100
"""Arguments of a function; the system has a limit of 127 by default."""
DAY = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
CLOCK = "[0-2][0-9]:[0-5][0-9]"
MINUTE = f"{DAY}[ T]{CLOCK}"
SECOND = f"{MINUTE}:[0-5][0-9]"
"""Patterns of dates and times."""
RESULT = '"softreg:result"'
"""Alias of the results of a row."""
MAX_EXACT = 2**62
"""Integers up to this bound may be divided by one another."""


class SQLiteSyntax(CommonSyntax):
    """SQLite. Its stages are nested in a subquery of a single row, whose result travels as JSON.

    LIMIT 1 keeps each stage from being merged with the next one, which would copy its expressions.

    Examples
    --------
    >>> SQLiteSyntax().exact(0.1)
    '(CAST(3602879701896397 AS REAL) / 36028797018963968)'
    """

    title = "SQLite"
    infinity = "9e999"
    notes: tuple[str, ...] = (
        "SQLite 3.35 or later with its functions of mathematics (SQLITE_ENABLE_MATH_FUNCTIONS) and of JSON.",
        "Times are text such as 2020-01-31, 2020-01-31 18:30, 2020-01-31 18:30:15.25 or 18:30, or seconds since 1970; "
        "other text is invalid, as are times with a time zone. Durations are numbers of seconds. Tags are text: a JSON "
        "array of strings.",
    )

    def exact(self, value: float) -> str:
        """Return a whole number or a quotient of two; the system may not read other literals exactly."""
        numerator, denominator = float(value).as_integer_ratio()
        if abs(numerator) > MAX_EXACT or denominator > MAX_EXACT:
            return f"({exponent_form(value)})"
        return f"(CAST({numerator} AS REAL) / {denominator})"

    def text(self, value: str) -> str:
        """Text in quotes, joined with zero characters."""
        parts = [super(SQLiteSyntax, self).text(part) for part in value.split("\0")]
        return parts[0] if len(parts) == 1 else f"({' || char(0) || '.join(parts)})"

    def as_text(self, raw: str) -> str:
        """Return a cast."""
        return f"CAST({raw} AS TEXT)"

    def as_word(self, raw: str) -> str:
        """Text of the collation that compares bytes."""
        return f"CAST({raw} AS TEXT) COLLATE BINARY"

    def trimmed(self, text: str) -> str:
        """Return the function trim with all blanks."""
        return f"trim({text}, char({', '.join(str(ord(blank)) for blank in BLANKS)}))"

    def as_number(self, raw: str, read: Input) -> str:
        """Return the number of a numeric value, or of text with the form of one."""
        words = [f"WHEN {self.is_missing(self.trimmed(self.as_text(raw)), read)} THEN NULL"]
        if read.booleans or read.elements:
            words.append(f"WHEN {self.lower(self.trimmed(self.as_text(raw)))} = 'true' THEN 1.0")
            words.append(f"WHEN {self.lower(self.trimmed(self.as_text(raw)))} = 'false' THEN 0.0")
        return self._number(raw, words)

    def as_code(self, raw: str) -> str:
        """Return the number of a numeric value, or of text with the form of one."""
        return self._number(raw, [f"WHEN {self.trimmed(self.as_text(raw))} = '' THEN NULL"])

    def is_number_type(self, raw: str) -> str:
        """Return a condition on the value, as columns have no types."""
        return f"typeof({raw}) IN ('integer', 'real')"

    def whole_text(self, number: str) -> str:
        """Return two casts."""
        return f"CAST(CAST({number} AS INTEGER) AS TEXT)"

    def _number(self, raw: str, branches: Sequence[str]) -> str:
        """Return the number of a numeric value, or of text with the form of one, or what some branches say of text."""
        text = self.trimmed(self.as_text(raw))
        number = f"CASE WHEN {text} NOT GLOB '*[^-+0-9.eE]*' THEN json_valid({text}) ELSE 0 END"
        words = f"CASE {' '.join(branches)} WHEN {number} THEN CAST({text} AS REAL) ELSE {self.infinity} END"
        kinds = f"WHEN 'real' THEN {raw} WHEN 'integer' THEN CAST({raw} AS REAL) WHEN 'text' THEN {words}"
        return f"CASE typeof({raw}) {kinds} WHEN 'null' THEN NULL ELSE {self.infinity} END"

    def as_seconds(self, raw: str, read: Input) -> str:
        """Seconds of text of the usual form, whose date exists, or the number."""
        text = self.trimmed(self.as_text(raw))
        midnight = f"strftime('%s', substr({text}, 1, 10))"
        forms = f"{text} GLOB '{DAY}' OR {text} GLOB '{MINUTE}' OR {text} GLOB '{SECOND}'"
        fraction = f"{text} GLOB '{SECOND}.[0-9]*' AND substr({text}, 21) NOT GLOB '*[^0-9]*'"
        exists = f"date({midnight}, 'unixepoch') = substr({text}, 1, 10) AND substr({text}, 12, 2) < '24'"
        time = f"3600.0 * substr({text}, 12, 2) + 60.0 * substr({text}, 15, 2) + CAST(substr({text}, 18) AS REAL)"
        missing = self.is_missing(text, read)
        clock = f"({text} GLOB '{CLOCK}' OR {text} GLOB '{CLOCK}:[0-5][0-9]') AND {text} < '24'"
        of_day = f"3600.0 * substr({text}, 1, 2) + 60.0 * substr({text}, 4, 2) + CAST(substr({text}, 7) AS REAL)"
        whens = f"WHEN {missing} THEN NULL WHEN {clock} THEN {of_day}"
        whens += f" WHEN ({forms} OR {fraction}) AND {exists} THEN {midnight} + {time}"
        words = f"CASE {whens} ELSE {self.infinity} END"
        kinds = f"WHEN 'null' THEN NULL WHEN 'text' THEN {words} WHEN 'blob' THEN {self.infinity}"
        return f"CASE typeof({raw}) {kinds} ELSE CAST({raw} AS REAL) END"

    def as_vector(self, read: Input, raw: str) -> str:
        """There are no arrays."""
        raise ExportError(
            f"Column {read.name!r} holds vectors of {read.length:,} numbers, and SQLite has no arrays. Leave the "
            "column out of the model, or export to DuckDB or PostgreSQL."
        )

    def is_vector(self, value: str, length: int) -> str:
        """There are no arrays."""
        raise NotImplementedError

    def as_tags(self, read: Input, raw: str) -> str:
        """Return the text of a JSON array."""
        if zero := [level for level in read.levels if "\0" in level]:
            raise ExportError(
                f"Column {read.name!r} has the tag {zero[0]!r} with a zero character, which SQLite cannot read from "
                "JSON. Export to DuckDB, or leave the column out of the model."
            )
        valid = f"CASE WHEN json_valid({raw}) THEN CASE WHEN json_type({raw}) = 'array' THEN {raw} END END"
        return f"CASE WHEN typeof({raw}) = 'text' THEN CASE WHEN instr({raw}, '\\u0000') = 0 THEN {valid} END END"

    def is_tags(self, value: str, raw: str) -> str:
        """Return an array of text, NULL or blank text."""
        other = f"EXISTS (SELECT 1 FROM json_each({value}) AS g WHERE g.type NOT IN ('text', 'null'))"
        blank = f"coalesce({self.trimmed(raw)} = '', 1)"
        return f"CASE WHEN {value} IS NULL THEN {blank} ELSE NOT {other} END"

    def tag_features(self, value: str, tags: Mapping[str, int], other: int) -> list[str] | None:
        """Tags are read once, as places."""
        return None

    def tag_codes(self, value: str, tags: Mapping[str, int], other: int) -> str:
        """Return a JSON array of distinct places."""
        place = f"coalesce({self.place('g.value', tags)}, {other})"
        return f"(SELECT json_group_array(DISTINCT {place}) FROM json_each({value}) AS g WHERE g.type = 'text')"

    def tag_sum(self, codes: str, weights: Sequence[float]) -> str:
        """Return a sum over the JSON array."""
        return f"(SELECT total({self.lookup('g.value', weights)}) FROM json_each({codes}) AS g)"

    def extreme(self, values: Sequence[str], *, greatest: bool) -> str:
        """Return the functions `max` and `min` of several arguments, in groups."""
        level = list(values)
        while len(level) > 1:
            groups = [level[at : at + MAX_ARGUMENTS] for at in range(0, len(level), MAX_ARGUMENTS)]
            level = [
                f"{'max' if greatest else 'min'}({', '.join(group)})" if len(group) > 1 else group[0]
                for group in groups
            ]
        return level[0]

    def lookup(self, code: str, weights: Sequence[float]) -> str:
        """Return a search."""
        choices = [Choice(str(k), self.number(weight)) for k, weight in enumerate(weights)]
        return f"coalesce({search(code, choices)}, {self.number(0)})"

    def label(self, value: Label) -> str:
        """Booleans are 1 and 0."""
        return str(int(value)) if isinstance(value, bool) else super().label(value)

    def statement(self, source: str, stages: Sequence[Mapping[str, str]], result: Result) -> str:
        """Return the table and, for each of its rows, the JSON array of the results as a table of one row."""
        parts = []
        for k in range(len(stages)):
            end = f"\nFROM s{k - 1}" if k else ""
            parts.append(f"s{k} AS (\nSELECT {listed(stages, k) or '1'}{end}\nLIMIT 1)")
        texts = [f"printf('%!.17g', {value})" for value in result.probabilities]
        printed = balanced(" || ',' || ", texts, "''")
        last = f"SELECT json_array('[' || {result.winner} || ',' || {printed} || ']') FROM s{len(stages) - 1} LIMIT 1"
        cells = [f"json_extract({RESULT}.value, '$[{k}]')" for k in range(len(texts) + 1)]
        values = Result(result.row, cells[0], tuple(cells[1:]), result.labels, result.names).values
        added = ",\n".join(f"{value} AS {identifier(name)}" for value, name in zip(values, result.names, strict=True))
        inner = f"json_each((WITH {', '.join(parts)}\n{last})) AS {RESULT}"
        alias = result.row
        return f"SELECT {alias}.*,\n{added}\nFROM {source} AS {alias}, {inner}"
