"""Values at prediction time that the training data did not have: levels, tags, spellings and numbers out of range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from softreg.tables.columns.table_errors import pluralize, quote, quote_list

MAX_LEVEL_COLUMNS = 20
"""Columns with unseen levels that get one sentence each; the others share one."""
MAX_NUMBER_COLUMNS = 5
"""Numeric columns that get one sentence each; the others share one."""
MAX_EXAMPLES = 3
"""Unseen levels of a column that a message lists."""


@dataclass
class UnseenColumn:
    """Rows of one column with an unseen value: `rows` with a value, `missing` ones without, and some `examples`."""

    feature: str
    """Feature that these rows get, in words."""
    certain: bool
    """Whether all training levels are stored, so that these are certainly unseen."""
    name: str
    rows: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)
    what: str = "level"
    """Kind of value: levels of a category, tags, spellings of a missing value, or numbers in a format."""


@dataclass
class OutOfRangeColumn:
    """Rows of one numeric column far outside the range `span` of the training data."""

    span: tuple[float, ...]
    rows: int = 0
    examples: list[float] = field(default_factory=list)


@dataclass
class UnseenValues:
    """Counts of rows with values that the training data did not have, over all batches that an `Encoder` encodes.

    Attributes
    ----------
    rows : int
        Number of rows encoded.
    columns : dict of str to UnseenColumn
        Columns with unseen levels.
    outside : dict of str to OutOfRangeColumn
        Numeric columns with values far outside the training range.

    Examples
    --------
    >>> unseen = UnseenValues(rows=1000)
    >>> unseen.add("city", 120, ["Bonn", "Kiel"], feature="they have no feature of this column")
    >>> print(unseen.messages()[0])  # doctest: +ELLIPSIS
    column 'city': 120 of 1,000 rows (12%) hold a level not seen in training, such as 'Bonn', 'Kiel'; they ...
    """

    rows: int = 0
    columns: dict[str, UnseenColumn] = field(default_factory=dict)
    outside: dict[str, OutOfRangeColumn] = field(default_factory=dict)

    def add(
        self,
        name: str,
        rows: int,
        levels: Iterable[str],
        *,
        missing: int = 0,
        feature: str,
        certain: bool = True,
        what: str = "level",
    ) -> None:
        """Count rows of a batch with an unseen value in one column.

        Parameters
        ----------
        name : str
            Name of the column.
        rows : int
            Number of rows whose value is one of `levels`.
        levels : iterable of str
            The unseen values.
        missing : int, default=0
            Number of rows without a value, if no training row lacked one.
        feature : str
            Feature that such rows get, in words.
        certain : bool, default=True
            False if rare levels of the training data are not stored, so that `levels` may be among them.
        what : str, default="level"
            Kind of value: "level", "tag" (a row has several), or a phrase.
        """
        key = name if what in ("level", "tag") else f"{name}: {what}"
        column = self.columns.setdefault(key, UnseenColumn(feature, certain, name, what=what))
        column.rows += rows
        column.missing += missing
        for level in levels:
            if len(column.examples) >= MAX_EXAMPLES:
                break
            if level not in column.examples:
                column.examples.append(level)

    def add_outside(self, name: str, rows: int, examples: list[float], span: tuple[float, ...]) -> None:
        """Count rows of a batch whose number is far outside the training range `span`, with some examples."""
        column = self.outside.setdefault(name, OutOfRangeColumn(span))
        column.rows += rows
        column.examples += [x for x in dict.fromkeys(examples) if x not in column.examples]
        del column.examples[MAX_EXAMPLES:]

    def messages(self) -> list[str]:
        """Return one sentence for each column: number and share of rows, examples, the feature that they get."""
        level_columns = list(self.columns.values())
        messages = [self._message(column) for column in level_columns[:MAX_LEVEL_COLUMNS]]
        if others := list(dict.fromkeys(column.name for column in level_columns[MAX_LEVEL_COLUMNS:])):
            have = "has" if len(others) == 1 else "have"
            messages.append(
                f"{pluralize(len(others), 'further column')}, {quote_list(others)}, {have} values not seen in training"
            )
        return [*messages, *self.outside_messages()]

    def outside_messages(self) -> list[str]:
        """Return the sentences about numeric columns.

        Returns
        -------
        list of str

        Examples
        --------
        >>> counts = UnseenValues(rows=1000)
        >>> counts.add_outside("price", 2, [99.0, 120.0], (0.0, 20.0))
        >>> print(counts.outside_messages()[0])  # doctest: +ELLIPSIS
        column 'price': 2 of 1,000 rows (0.2%) hold a number far outside those of training (0 to 20), such as...
        """
        numeric_columns = list(self.outside.items())
        messages = [
            f"column {quote(name)}: {self._share(column.rows, 'hold')} a number far outside those of training "
            f"({column.span[0]:.6g} to {column.span[1]:.6g}), such as "
            f"{', '.join(f'{x:.6g}' for x in column.examples)}; the model uses "
            f"the nearest training value instead"
            for name, column in numeric_columns[:MAX_NUMBER_COLUMNS]
        ]
        if others := [name for name, _ in numeric_columns[MAX_NUMBER_COLUMNS:]]:
            messages.append(
                f"{pluralize(len(others), 'further column')}, {quote_list(others)}, "
                f"{'has' if len(others) == 1 else 'have'} "
                "numbers far outside those of training, too; the model uses the nearest training value instead"
            )
        return messages

    def _message(self, column: UnseenColumn) -> str:
        parts = []
        if column.rows:
            description = (
                f"a {column.what} not seen in training"
                if column.certain
                else f"a {column.what} that training had rarely or not at all"
            )
            examples = ", ".join(quote(level) for level in column.examples)
            parts.append(f"{self._share(column.rows, 'hold')} {description}, such as {examples}")
        if column.missing:
            parts.append(f"{self._share(column.missing, 'hold')} no value, while every training row had one")
        return f"column {quote(column.name)}: {'; '.join(parts)}; {column.feature}"

    def _share(self, rows: int, verb: str) -> str:
        share = f"{100 * rows / max(1, self.rows):.3g}%"
        return f"{rows:,} of {pluralize(self.rows, 'row')} ({share}) {verb}{'s' if rows == 1 else ''}"
