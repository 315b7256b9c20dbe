"""A program as one SELECT statement."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Protocol

from softreg.export.export_errors import ExportError
from softreg.export.program import Input, InputKind, Program
from softreg.export.sql.calendar_phases import add_day_stages
from softreg.export.sql.dialects.duckdb_syntax import DuckDBSyntax
from softreg.export.sql.dialects.postgres_syntax import PostgresSyntax
from softreg.export.sql.dialects.sqlite_syntax import SQLiteSyntax
from softreg.export.sql.feature_columns import Features, dated_inputs, feature_limit, row_features
from softreg.export.sql.grid_stages import add_grid_stages
from softreg.export.sql.input_columns import input_columns
from softreg.export.sql.probability_stages import add_step, softmax, total, weighted
from softreg.export.sql.result import Result, check_inputs, result_labels, result_names, row_alias
from softreg.export.sql.stages import Stages
from softreg.export.sql.syntax import Dialect, Syntax, identifier

__all__ = ["Dialect", "sql_query"]

MOST_COLUMNS = {Dialect.POSTGRES: 1660, Dialect.SQLITE: 1990}
"""Columns of a SELECT that the systems allow by default, less a few of the statement's own."""
WIDTH = 116
"""Characters of a line of the head."""
_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
"""A part of a table's name, in double quotes or without them."""


class StatementSyntax(Syntax, Protocol):
    """A dialect that joins stages to a statement."""

    def statement(self, source: str, stages: Sequence[Mapping[str, str]], result: Result) -> str:
        """Return the statement."""


SYNTAXES: dict[Dialect, StatementSyntax] = {
    Dialect.DUCKDB: DuckDBSyntax(),
    Dialect.POSTGRES: PostgresSyntax(),
    Dialect.SQLITE: SQLiteSyntax(),
}
"""The dialects."""


def sql_query(program: Program, dialect: Dialect, table: str = "input") -> str:
    """Return a program as one SELECT statement, which adds the prediction to each row of a table.

    The statement selects all columns of the table, the predicted label and the probability of each class. The columns
    are named `prediction` and by the class labels, as `softreg predict` writes them, with underscores appended where a
    column of the program, its target or another class has the name. All of them are NULL for a row with an invalid
    value. No value of a column raises an error.

    Parameters
    ----------
    program : Program
        Program of a fitted model.
    dialect : Dialect
        System that runs the statement.
    table : str, default="input"
        Table. A dot separates schema and table; a part in double quotes may contain dots and, doubled, quotes. Names
        are taken as they are, with upper and lower case.

    Returns
    -------
    str
        Statement, which begins with a comment and ends with a line feed and no semicolon.

    Raises
    ------
    ExportError
        If the system cannot compute a column as training did, or cannot hold a name.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> from softreg.export import build_program
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> statement = sql_query(build_program(model), Dialect.DUCKDB, "main.new rows")
    >>> print(statement[statement.rindex("SELECT") :])
    SELECT r.*,
    CASE w WHEN 0 THEN 'a' WHEN 1 THEN 'b' END AS "prediction",
    p0 AS "a",
    p1 AS "b"
    FROM s9
    <BLANKLINE>
    """
    dialect = Dialect(dialect)
    syntax = SYNTAXES[dialect]
    source = _table(table)
    check_inputs(program, syntax)
    names = result_names(program, syntax)
    stages = Stages(syntax)
    alias = row_alias(program)
    read = input_columns(program, syntax, alias)
    stages.add(read.columns)
    if dates := dated_inputs(program):
        add_day_stages(stages, dates)
    add_grid_stages(stages, program, feature_limit(program))
    P = softmax(stages, _logits(program, stages, row_features(program, syntax), read.valid))
    for step in program.steps:
        P = add_step(stages, step, P)
    stages.add({"b": syntax.extreme(P, greatest=True)}, keep=stages.names)
    winner = " ".join(f"WHEN {p} = b THEN {k}" for k, p in enumerate(P))
    stages.add({"w": f"CASE {winner} END"}, keep=[name for name in stages.names if name != "b"])
    _check_size(program, dialect, stages)
    result = Result(alias, "w", P, result_labels(program, syntax), names)
    return f"{_head(program, dialect, names)}\n{syntax.statement(source, stages.columns, result)}\n"


def _logits(program: Program, stages: Stages, features: Features, valid: str) -> list[str]:
    """Add the stage of features and return the logits, which are NULL for an invalid row."""
    syntax = stages.syntax
    packed = syntax.pack("f", list(features.numbers.values()))
    offsets = syntax.pack("o", [one.value for one in features.offsets])
    stages.add({"valid": valid, **packed.columns, **features.codes, **offsets.columns})
    rows, logits = list(features.numbers), []
    for k in range(len(program.classes)):
        weights = program.weights[:, k]
        parts = [weighted(packed.references, weights[rows].tolist(), float(program.bias[k]), syntax)]
        for one in features.sums:
            found = weights[one.first : one.first + one.width].tolist()
            if any(not syntax.is_zero_weight(weight) for weight in found):
                look = syntax.tag_sum if one.several else syntax.lookup
                parts.append(look(one.column, found))
        each = zip(features.offsets, offsets.references, strict=True)
        parts += [reference for one, reference in each if one.label == k]
        logits.append(f"CASE WHEN valid THEN {total(parts, syntax)} END")
    return logits


def _table(name: str) -> str:
    """Return the name of a table as identifiers."""
    parts, at = [], 0
    while found := _PART.match(name, at):
        parts.append(found[1].replace('""', '"') if found[1] is not None else found[2])
        at = found.end()
        if at == len(name):
            return ".".join(identifier(part, "table") for part in parts)
        if name[at] != ".":
            break
        at += 1
    raise ExportError(
        f"{name!r} is no name of a table; expected table or schema.table, with double quotes around a part that has "
        "dots or quotes."
    )


def _check_size(program: Program, dialect: Dialect, stages: Stages) -> None:
    """Check that no SELECT has too many columns."""
    inputs = sum(len(read.elements) or 1 for read in program.inputs)
    most = max(inputs + len(program.classes), *(len(columns) for columns in stages.columns))
    limit = MOST_COLUMNS.get(dialect, most)
    if most > limit:
        raise ExportError(
            f"The model needs a SELECT of {most:,} columns, and {dialect.value} allows about {limit:,}. Train with "
            "fewer columns, or export to DuckDB."
        )


def _head(program: Program, dialect: Dialect, names: tuple[str, ...]) -> str:
    """Return the comment at the head of a statement; names are written as `repr` does, which has no line ends."""
    syntax = SYNTAXES[dialect]
    target = f" of {program.target!r}" if program.target else ""
    lines = [
        f"Prediction{target} by softmax regression, in SQL for {syntax.title}; written by softreg {program.version}.",
        f"Adds the column {names[0]!r} and the probability of each class: {', '.join(map(repr, names[1:]))}.",
        "They are NULL for a row with an invalid value: an infinite number, a word that is no boolean or no number, a "
        "vector of another length, or a missing value of a required column.",
        *syntax.notes,
        "Columns:",
        *(f"  {_described(read)}" for read in program.inputs),
    ]
    wrapped = [
        part
        for line in lines
        for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    ]
    return "\n".join(f"-- {line}" for line in wrapped)


def _described(read: Input) -> str:
    """Return a column in words."""
    if read.elements:
        return f"numbers: {', '.join(map(repr, read.elements))}; required"
    words = {
        InputKind.NUMBER: "number",
        InputKind.CODE: "number, a category",
        InputKind.CATEGORY: "text, a category; compared as it is",
        InputKind.BOOLEAN: f"boolean, or a word: {', '.join(map(repr, (*read.false_words, *read.true_words)))}",
        InputKind.DATE: "date or time",
        InputKind.VECTOR: f"array of {read.length} numbers",
        InputKind.TAGS: "list of tags",
    }[read.kind]
    return f"{read.name!r}: {words}{'; required' if read.required else ''}{f'. {read.note}' if read.note else ''}"
