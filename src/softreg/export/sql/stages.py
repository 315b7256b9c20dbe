"""The chain of subqueries that a statement consists of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from softreg.export.sql.syntax import Syntax


class Stages:
    """Stages, each of which reads the columns of the one before it.

    Attributes
    ----------
    syntax : Syntax
        Dialect.
    columns : list of dict of str to str
        Expressions of the columns of each stage.

    Examples
    --------
    >>> from softreg.export.sql.dialects.duckdb_syntax import DuckDBSyntax
    >>> stages = Stages(DuckDBSyntax())
    >>> stages.add({"a": "1"})
    >>> stages.add({"b": "a + 1"}, keep=["a"])
    >>> stages.columns
    [{'a': '1'}, {'a': 'a', 'b': 'a + 1'}]
    """

    def __init__(self, syntax: Syntax) -> None:
        self.syntax = syntax
        self.columns: list[dict[str, str]] = []

    def add(self, columns: Mapping[str, str], keep: Iterable[str] = ()) -> None:
        """Add a stage.

        Parameters
        ----------
        columns : mapping of str to str
            Expression of each column.
        keep : iterable of str
            Columns of the stage before it that remain.
        """
        self.columns.append({**{name: name for name in keep}, **columns})

    def add_vector(self, name: str, values: Sequence[str], keep: Iterable[str] = ()) -> tuple[str, ...]:
        """Add a stage of numbers, and return how later stages refer to them.

        Parameters
        ----------
        name : str
            Letter of their columns.
        values : sequence of str
            Expressions.
        keep : iterable of str
            Columns of the stage before it that remain.

        Returns
        -------
        tuple of str
            References.
        """
        packed = self.syntax.pack(name, values)
        self.add(packed.columns, keep)
        return packed.references

    @property
    def names(self) -> list[str]:
        """The columns of the last stage."""
        return list(self.columns[-1])
