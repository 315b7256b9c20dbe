"""The schema of a table: inferred from the training rows, stored in the model, and checked at prediction."""

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
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list, unknown_column_error
from softreg.tables.columns.untyped_text import is_untyped
from softreg.tables.images.image_form import ImageForm, form_of_field, is_label_field, is_path_field
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.schema.column_hints import similar_levels_note
from softreg.tables.schema.decimal_mark import decimal_comma_columns
from softreg.tables.schema.infer_kind import infer_column
from softreg.tables.schema.input_kind import check_input_kind
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
    """The target and the kind of each column of a table, in the order of the table.

    Attributes
    ----------
    target : str
        Column of labels.
    columns : tuple of Column
        Every column, with its kind and the reason.
    na : tuple of str
        Spellings of a missing value in every column, given by the user.
    notes : tuple of str
        Sentences on the labels.

    Examples
    --------
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
        """The columns that are features of the model."""
        return tuple(column for column in self.columns if column.kind in FEATURE_KINDS)

    @property
    def image(self) -> Column | None:
        """The column of images, if it is the only feature."""
        return self.features[0] if len(self.features) == 1 and self.features[0].image is not None else None

    @property
    def image_form(self) -> ImageForm | None:
        """Size and colour of the images that the model reads; None for a model without images."""
        return next((column.image for column in self.features if column.image is not None), None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings on columns that are left out and on values that may be misread."""
        messages = []
        for kind, (singular, plural_form) in _LEFT_OUT.items():
            left_out = [column for column in self.columns if column.kind is kind and not column.hint]
            if len(left_out) == 1:
                messages.append(f"column {left_out[0].name!r} {singular} and is left out: {left_out[0].reason}")
            elif left_out:
                named = "; ".join(f"{column.name!r} ({column.reason})" for column in left_out[:6])
                more = f"; and {len(left_out) - 6:,} more" if len(left_out) > 6 else ""
                messages.append(f"{len(left_out)} columns {plural_form} and are left out: {named}{more}")
        index = [column.name for column in self.columns if column.kind is Kind.INDEX]
        if index:
            named = f"column {quote(index[0])} is" if len(index) == 1 else f"columns {quote_list(index)} are"
            which, name = "it" if len(index) == 1 else "one of them", quote(index[0])
            messages.append(
                f"{named} the {_INDEX} and left out; to use {which} as a feature, say what it is, as with "
                f"--category {name} (category=[{name}] in Python); there are --number, --date and --text as well"
            )
        messages += [column.hint for column in self.columns if column.hint]
        messages += [note for column in self.columns for note in column.notes]
        return (*messages, *_missing_note(self.columns), *self.notes)

    def describe(self) -> list[tuple[str, str, str]]:
        """Return name, kind and reason of each column, in the order of the table."""
        return [(column.name, column.kind.value, column.reason) for column in self.columns]

    def match(self, table: pa.Table | pa.Schema | Sequence[str]) -> tuple[str, ...]:
        """Check the columns of a table against those of training, by name; their order is free.

        The target, and columns that training left out, may be absent.

        Parameters
        ----------
        table : pyarrow.Table, pyarrow.Schema or sequence of str
            A table or the names of its columns.

        Returns
        -------
        tuple of str
            A warning that names columns which training did not have; empty without any.

        Raises
        ------
        TableError
            If a feature is missing, or only one of both, the model and the table, has images.

        Examples
        --------
        >>> schema = infer_schema(pa.table({"age": [31, 58], "buys": ["no", "yes"]}), "buys")
        >>> schema.match(["age", "town"])
        ("1 column that the model was not trained with, not used: 'town'",)
        """
        features = {column.name for column in self.features}
        schema = table.schema if isinstance(table, pa.Table) else table
        if isinstance(schema, pa.Schema):
            check_input_kind(self.features, schema)
            table = [field.name for field in schema if field.name in features or not _is_beside_images(field)]
        columns = list(table)
        names = set(columns)
        missing = [column.name for column in self.features if column.name not in names]
        known_names = {column.name for column in self.columns}
        extra = [name for name in columns if name not in known_names]
        if missing:
            unknown = f" It has columns that the model does not know: {quote_list(extra)}; renamed?" if extra else ""
            which = "the column" if len(missing) == 1 else f"{len(missing):,} columns"
            raise TableError(
                f"The table lacks {which} {quote_list(missing, 20)}, which the model was trained with.{unknown} "
                "Columns are matched by exact name; where a value is not known, keep the column and leave "
                "its fields empty."
            )
        if not extra:
            return ()
        count = pluralize(len(extra), "column")
        return (f"{count} that the model was not trained with, not used: {quote_list(extra, 20)}",)

    def to_state(self) -> dict[str, Any]:
        """Return the schema as a JSON-serializable dict; `from_state` reads it."""
        columns = [column.to_state() for column in self.columns]
        return {"target": self.target, "columns": columns, "na": list(self.na), "notes": list(self.notes)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Schema:
        """Return the schema that `to_state` wrote; raise `ValueError` for any other state."""
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
    describe_row: Callable[[int], str] = row_name,
) -> Schema:
    """Infer the kind of every column of a table from its training rows.

    The rules are those of `softreg.tables.schema.infer_kind.infer_column`. The row index of a data frame and columns of
    one value are no features. Where text may have a decimal point or a decimal comma, as in 1,234, the other columns
    and the file decide.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.
    drop : sequence of str
        Columns to leave out, whose values are not read.
    rows : array of int (k,), optional
        Numbers of the training rows from 0; all by default.
    kinds : mapping of str to Kind, optional
        Requested kinds by column, in place of the inferred ones.
    strict : bool
        Whether the rare values of a column of numbers or dates that are no numbers or dates are an error; by default
        they are missing values.
    describe_row : callable
        Names a row, from 0, in warnings.

    Returns
    -------
    Schema
        Kinds of all columns.

    Raises
    ------
    TableError
        If a column does not exist, has an infinite number or cannot be of its requested kind, or if no feature is left.

    Examples
    --------
    >>> table = pa.table({"plan": ["a", "b", "a"], "id": [1, 2, 3], "left": ["no", "yes", "no"]})
    >>> infer_schema(table, "left").warnings  # doctest: +ELLIPSIS
    ("column 'id' looks like an identifier and is left out: its name says so, and every row has ...",)
    """  # noqa: DOC501
    kinds = dict(kinds or {})
    _check_named_columns(table, target, drop, kinds)
    columns = []
    hints = TextMetadata.from_schema(table.schema)
    options = TextOptions(hints.decimal, strict=strict, describe_row=describe_row)
    index = index_columns(table)
    for name in table.column_names:
        if name == target:
            columns.append(Column(name, Kind.TARGET, "what is predicted"))
        elif name in drop:
            columns.append(Column(name, Kind.DROPPED, "left out as asked"))
        elif _is_beside_images(table.schema.field(name)) and name not in kinds:
            path = is_path_field(table.schema.field(name))
            columns.append(Column(name, Kind.DROPPED, "path of the picture" if path else "label of the image"))
        elif name in index and name not in kinds:
            columns.append(Column(name, Kind.INDEX, _INDEX))
        else:
            columns.append(
                infer_column(name, table.column(name), rows, kinds.get(name), _text_options(options, table, name))
            )
    columns = [_with_image_form(column, table.schema) for column in columns]
    if hints.decimal is None:
        reasons = decimal_comma_columns(columns, table, hints.delimiter)
        for position, column in enumerate(columns):
            if column.name in reasons:
                options_with_comma = replace(options, decimal=",", why=reasons[column.name])
                columns[position] = infer_column(
                    column.name, table.column(column.name), rows, kinds.get(column.name), options_with_comma
                )
    schema = Schema(target, tuple(columns), hints.na, _label_notes(table, target))
    if not schema.features:
        raise _no_feature_error(target, [column for column in columns if column.kind is not Kind.TARGET])
    return schema


def _is_beside_images(field: pa.Field) -> bool:
    """Return whether a column holds the paths or labels of images, which are features only if a kind names them."""
    return is_path_field(field) or is_label_field(field)


def _with_image_form(column: Column, schema: pa.Schema) -> Column:
    """Return a column of images with their form as its reason; other columns unchanged."""
    form = form_of_field(schema.field(column.name)) if column.kind is Kind.VECTOR else None
    return column if form is None else replace(column, reason=str(form), image=form)


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
    """Return the table without unusable rows, and the numbers of these rows from 1.

    Unusable are rows without a label, with an infinite number, with text in a column of numbers, with a day that the
    calendar does not have, or with a value that is not of the requested kind.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.
    drop : sequence of str
        Columns to leave out.
    kinds : mapping of str to Kind, optional
        Requested kinds by column.

    Returns
    -------
    table : pyarrow.Table
        The usable rows.
    numbers : list of int
        Numbers of the other rows, from 1.

    Raises
    ------
    TableError
        If the table cannot be used for another reason.

    Examples
    --------
    >>> table = pa.table({"x": [1.0, np.inf, 3.5, 4.0], "y": ["a", "b", "b", ""]})
    >>> without_bad_rows(table, "y")[1]
    [2, 4]
    """
    n = table.num_rows
    kept = np.arange(n)
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
            table, kept = table.filter(pa.array(keep)), kept[keep]
    return table, (np.setdiff1d(np.arange(n), kept) + 1).tolist()


def _no_feature_error(target: str, others: Sequence[Column]) -> TableError:
    """Return the error for a table without a feature."""
    if not others:
        return TableError(f"No column is left to learn {target!r} from: the table has no other column.")
    kinds_found = "; ".join(f"{quote(column.name)}: {column.kind.value} ({column.reason})" for column in others[:8])
    more = f"; and {len(others) - 8:,} more" if len(others) > 8 else ""
    hints = [column.hint for column in others[:8] if column.hint]
    if hints and len(hints) == len(others):
        return TableError(f"No column is left to learn {target!r} from: {'; '.join(hints)}.")
    advice = " Say what a column is where that is wrong: --text, --category, --number or --date and its name."
    return TableError(
        f"No column is left to learn {target!r} from, since the others were taken for: {kinds_found}{more}.{advice}"
    )


def _label_notes(table: pa.Table, target: str) -> tuple[str, ...]:
    """Return a note on labels that differ in blanks or case only."""
    cells = read_column(table.column(target), target) if target in table.column_names else None
    if not isinstance(cells, Levels) or cells.storage == "boolean":
        return ()
    note = similar_levels_note(target, cells.levels, count_levels(cells.codes, len(cells.levels)), "labels")
    return (note,) if note else ()


def _text_options(options: TextOptions, table: pa.Table, name: str) -> TextOptions:
    return replace(options, typed=not is_untyped(table.schema.field(name)))


def _missing_note(columns: Sequence[Column]) -> list[str]:
    """Return a note on spellings of a missing value that were found in columns of numbers and dates."""
    with_missing = [column for column in columns if column.format is not None and column.format.missing]
    if not with_missing:
        return []
    parts = []
    for column in with_missing[:6]:
        assert column.format is not None
        spellings = sorted(column.format.missing.items(), key=lambda one: -one[1])
        counts = ", ".join(f"{quote(text)} in {pluralize(rows, 'row')}" for text, rows in spellings[:4])
        parts.append(f"{quote(column.name)} ({counts}{' and others' if len(spellings) > 4 else ''})")
    more = f"; and {len(with_missing) - 6:,} more columns" if len(with_missing) > 6 else ""
    name = quote(with_missing[0].name)
    return [
        f"read as missing values in columns of {'numbers' if _all_numbers(with_missing) else 'numbers or dates'}: "
        f"{'; '.join(parts)}{more}; where such a value has a meaning of its own, take its column for words: --category "
        f"{name} (category=[{name}] in Python)"
    ]


def _all_numbers(columns: Sequence[Column]) -> bool:
    return all(column.kind is Kind.NUMBER for column in columns)
