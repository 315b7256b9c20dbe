"""What the columns of a table are taken for: learned once, kept in the model, checked at prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.deprecated import accept_deprecated_arguments
from softreg.models.serialization import fields
from softreg.tables.columns.column_values import Levels, count_levels, read_column
from softreg.tables.columns.dataframe_index import index_columns
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list, unknown_column_error
from softreg.tables.columns.untyped_text import is_untyped
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.schema.column_hints import similar_levels_note
from softreg.tables.schema.decimal_mark import decimal_comma_columns
from softreg.tables.schema.infer_kind import infer_column
from softreg.tables.schema.kinds import FEATURE_KINDS, Column, Kind
from softreg.tables.schema.number_columns import TextOptions, row_name
from softreg.tables.schema.target_labels import labels
from softreg.typing import RowNumbers

_LEFT_OUT = {
    Kind.CONSTANT: ("holds one value in every training row", "hold one value each in every training row"),
    Kind.IDENTIFIER: ("looks like an identifier", "look like identifiers"),
}
_INDEX = "row index of a data frame"


@dataclass(frozen=True)
class Schema:
    """The target's name and what each column is taken for, in the order of the table.

    Example:
        >>> table = pa.table({"age": [31, 58, 31], "buys": ["no", "yes", "no"]})
        >>> infer_schema(table, "buys").describe()
        [('age', 'number', '31 to 58'), ('buys', 'target', 'what is predicted')]
    """

    target: str
    columns: tuple[Column, ...]
    na: tuple[str, ...] = ()
    """Spellings of a missing value in every column, which the user named."""
    notes: tuple[str, ...] = ()
    """Sentences on the labels."""

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that the model learns from."""
        return tuple(column for column in self.columns if column.kind in FEATURE_KINDS)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the owner of the table should know: columns left out, and values that look misread."""
        said = []
        for kind, (one, many) in _LEFT_OUT.items():
            those = [column for column in self.columns if column.kind is kind and not column.hint]
            if len(those) == 1:
                said.append(f"column {those[0].name!r} {one} and is left out: {those[0].reason}")
            elif those:
                some = "; ".join(f"{column.name!r} ({column.reason})" for column in those[:6])
                more = f"; and {len(those) - 6:,} more" if len(those) > 6 else ""
                said.append(f"{len(those)} columns {many} and are left out: {some}{more}")
        index = [column.name for column in self.columns if column.kind is Kind.INDEX]
        if index:
            named = f"column {quote(index[0])} is" if len(index) == 1 else f"columns {quote_list(index)} are"
            which, name = "it" if len(index) == 1 else "one of them", quote(index[0])
            said.append(
                f"{named} the {_INDEX} and left out; to use {which} as a feature, say what it is, as with "
                f"--category {name} (category=[{name}] in Python); there are --number, --date and --text as well"
            )
        said += [column.hint for column in self.columns if column.hint]
        said += [note for column in self.columns for note in column.notes]
        return (*said, *_missing_note(self.columns), *self.notes)

    def describe(self) -> list[tuple[str, str, str]]:
        """Name, kind and reason of each column, in the order of the table."""
        return [(column.name, column.kind.value, column.reason) for column in self.columns]

    def match(self, table: pa.Table | Sequence[str]) -> tuple[str, ...]:
        """Check the columns of a table (or their names) against those learned, by name; their order is free.

        Missing features are an error. Columns that training did not have are named in the warnings returned
        and are not used. The target, and columns left out in training, may be there or not.

        Raises `TableError` naming the missing columns.
        """
        columns = table.column_names if isinstance(table, pa.Table) else list(table)
        names = set(columns)
        missing = [column.name for column in self.features if column.name not in names]
        known_names = {column.name for column in self.columns}
        extra = [name for name in columns if name not in known_names]
        if missing:
            known = f" It has columns that the model does not know: {quote_list(extra)}; renamed?" if extra else ""
            few = "the column" if len(missing) == 1 else f"{len(missing):,} columns"
            raise TableError(
                f"The table lacks {few} {quote_list(missing, 20)}, which the model was trained with.{known} "
                "Columns are matched by exact name; where a value is not known, keep the column and leave "
                "its fields empty."
            )
        if not extra:
            return ()
        many = pluralize(len(extra), "column")
        return (f"{many} that the model was not trained with, not used: {quote_list(extra, 20)}",)

    def to_state(self) -> dict[str, Any]:
        """The schema as strict JSON; `from_state` gives it back."""
        columns = [column.to_state() for column in self.columns]
        return {"target": self.target, "columns": columns, "na": list(self.na), "notes": list(self.notes)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Schema:
        """The schema that `to_state` wrote."""
        columns = tuple(Column.from_state(column) for column in fields.mappings(state, "columns"))
        fields.distinct([column.name for column in columns], "column")
        na, notes = (fields.texts(state, key, ()) for key in ("na", "notes"))
        return cls(fields.text(state, "target"), columns, na, notes)


@accept_deprecated_arguments("infer_schema()")
def infer_schema(
    table: pa.Table,
    target: str,
    *,
    drop: Sequence[str] = (),
    rows: RowNumbers | None = None,
    kinds: Mapping[str, Kind] | None = None,
    strict: bool = False,
    place: Callable[[int], str] = row_name,
) -> Schema:
    """Take every column of a table for a kind, judged by the training rows `rows` (all where None).

    The rules are those of `softreg.tables.schema.infer_kind.infer_column`. Columns named in `drop` are left out unseen,
    those in `kinds` are what it says, and the row index of a data frame that was written with its columns is no
    feature. Columns of one value are left out. Of text that may be read with a decimal point or a decimal comma, as
    1,234, the other columns and the file decide (`decimal_comma_columns`). With `strict`, rare values among numbers
    that are none are an error; `place` names a row, from 0, in warnings.

    Raises `TableError`: no such column, an infinite number, a column that cannot be what was asked for, or no column
    left to learn from.

    Example:
        >>> table = pa.table({"plan": ["a", "b", "a"], "id": [1, 2, 3], "left": ["no", "yes", "no"]})
        >>> infer_schema(table, "left").warnings  # doctest: +ELLIPSIS
        ("column 'id' looks like an identifier and is left out: its name says so, and every row has ...",)
    """
    kinds = dict(kinds or {})
    _check_named_columns(table, target, drop, kinds)
    columns = []
    hints = TextMetadata.from_schema(table.schema)
    rules = TextOptions(hints.decimal, strict=strict, place=place)
    index = index_columns(table)
    for name in table.column_names:
        if name == target:
            columns.append(Column(name, Kind.TARGET, "what is predicted"))
        elif name in drop:
            columns.append(Column(name, Kind.DROPPED, "left out as asked"))
        elif name in index and name not in kinds:
            columns.append(Column(name, Kind.INDEX, _INDEX))
        else:
            columns.append(
                infer_column(name, table.column(name), rows, kinds.get(name), _text_options(rules, table, name))
            )
    if hints.decimal is None:
        why = decimal_comma_columns(columns, table, hints.delimiter)
        for at, one in enumerate(columns):
            if one.name in why:
                own = replace(rules, decimal=",", why=why[one.name])
                columns[at] = infer_column(one.name, table.column(one.name), rows, kinds.get(one.name), own)
    schema = Schema(target, tuple(columns), hints.na, _label_notes(table, target))
    if not schema.features:
        raise _no_feature_error(target, [column for column in columns if column.kind is not Kind.TARGET])
    return schema


def _check_named_columns(table: pa.Table, target: str, drop: Sequence[str], kinds: Mapping[str, Kind]) -> None:
    """Raise `TableError` for a column to drop, or with a requested kind, that is missing or is the target."""
    for name in drop:
        if name not in table.column_names:
            raise unknown_column_error(name, table.column_names, "column to drop")
        if name == target:
            raise TableError(f"Column {name!r} is the target; it cannot be dropped.")
    for name, kind in kinds.items():
        if name not in table.column_names:
            raise unknown_column_error(name, table.column_names, f"column to use as a {kind.value}")
        if name == target and kind is Kind.CATEGORY:
            continue  # the labels are classes, however many they are
        if name == target or name in drop:
            raise TableError(f"Column {name!r} is {'the target' if name == target else 'dropped'}; it cannot be used.")


@accept_deprecated_arguments("without_bad_rows()")
def without_bad_rows(
    table: pa.Table, target: str, *, drop: Sequence[str] = (), kinds: Mapping[str, Kind] | None = None
) -> tuple[pa.Table, list[int]]:
    """The table without the rows that cannot be used, and their numbers from 1.

    These are rows without a label, with an infinite number, with a word in a column of numbers, with a day that no
    calendar has, or with a value that is not what was asked for. Raises the `TableError` of anything else.

    Example:
        >>> table = pa.table({"x": [1.0, np.inf, 3.5, 4.0], "y": ["a", "b", "b", ""]})
        >>> without_bad_rows(table, "y")[1]
        [2, 4]
    """
    n = table.num_rows
    left = np.arange(n)
    while True:
        try:
            labels(table, target)
            infer_schema(table, target, drop=drop, kinds=kinds, strict=True)
            break
        except TableError as error:
            if error.rows is None or len(error.rows) >= table.num_rows:
                raise
            keep = np.ones(table.num_rows, dtype=bool)
            keep[error.rows] = False
            table, left = table.filter(pa.array(keep)), left[keep]
    return table, (np.setdiff1d(np.arange(n), left) + 1).tolist()


def _no_feature_error(target: str, others: Sequence[Column]) -> TableError:
    """The error for a table none of whose columns can be learned from."""
    if not others:
        return TableError(f"No column is left to learn {target!r} from: the table has no other column.")
    taken = "; ".join(f"{quote(column.name)}: {column.kind.value} ({column.reason})" for column in others[:8])
    more = f"; and {len(others) - 8:,} more" if len(others) > 8 else ""
    hints = [column.hint for column in others[:8] if column.hint]
    if hints and len(hints) == len(others):
        return TableError(f"No column is left to learn {target!r} from: {'; '.join(hints)}.")
    advice = " Say what a column is where that is wrong: --text, --category, --number or --date and its name."
    return TableError(
        f"No column is left to learn {target!r} from, since the others were taken for: {taken}{more}.{advice}"
    )


def _label_notes(table: pa.Table, target: str) -> tuple[str, ...]:
    """A sentence on labels that differ in blanks or case only."""
    cells = read_column(table.column(target), target) if target in table.column_names else None
    if not isinstance(cells, Levels) or cells.storage == "boolean":
        return ()
    note = similar_levels_note(target, cells.levels, count_levels(cells.codes, len(cells.levels)), "labels")
    return (note,) if note else ()


def _text_options(rules: TextOptions, table: pa.Table, name: str) -> TextOptions:
    return replace(rules, typed=not is_untyped(table.schema.field(name)))


def _missing_note(columns: Sequence[Column]) -> list[str]:
    """A sentence on the spellings of a missing value that were recognised in columns of numbers and dates."""
    those = [column for column in columns if column.format is not None and column.format.missing]
    if not those:
        return []
    parts = []
    for column in those[:6]:
        assert column.format is not None
        spelled = sorted(column.format.missing.items(), key=lambda one: -one[1])
        counts = ", ".join(f"{quote(text)} in {pluralize(rows, 'row')}" for text, rows in spelled[:4])
        parts.append(f"{quote(column.name)} ({counts}{' and others' if len(spelled) > 4 else ''})")
    more = f"; and {len(those) - 6:,} more columns" if len(those) > 6 else ""
    name = quote(those[0].name)
    return [
        f"read as missing values in columns of {'numbers' if _all_numbers(those) else 'numbers or dates'}: "
        f"{'; '.join(parts)}{more}; where such a value has a meaning of its own, take its column for words: --category "
        f"{name} (category=[{name}] in Python)"
    ]


def _all_numbers(columns: Sequence[Column]) -> bool:
    return all(column.kind is Kind.NUMBER for column in columns)
