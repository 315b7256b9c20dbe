"""Normalization of Arrow types to those that columns are read from.

Arrow has several layouts of one value: text as offsets or as views, lists as offsets or as views, run-end encoded
columns, 16-bit numbers, extension types with a storage type. Compute functions do not support all of them. Each
column is converted once, when a table is read, to the plain layout of the same values. Types that no feature can have
(structs, maps, unions, bytes, calendar intervals) stay as they are, or become null columns, and raise an error where
such a column is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.table_errors import TableError, quote

_NAME, _PARAMETERS = b"ARROW:extension:name", b"ARROW:extension:metadata"
_PERIOD, _INTERVAL, _UUID, _BOOL8 = "pandas.period", "pandas.interval", "arrow.uuid", "arrow.bool8"
_AS_TEXT = (_PERIOD, _INTERVAL, _UUID)


@dataclass(frozen=True)
class ExtensionType:
    """The name, the serialized parameters and the storage type of an extension type."""

    name: str
    parameters: str
    storage: pa.DataType

    @classmethod
    def from_type(cls, kind: pa.DataType, metadata: dict[bytes, bytes] | None = None) -> ExtensionType | None:
        """Return the extension of a type, or of the field's metadata if the extension type is not registered."""
        if isinstance(kind, pa.BaseExtensionType):
            serialize = getattr(kind, "__arrow_ext_serialize__", None)
            return cls(kind.extension_name, _text(serialize()) if serialize else "", kind.storage_type)
        if metadata and _NAME in metadata:
            return cls(_text(metadata[_NAME]), _text(metadata.get(_PARAMETERS, b"")), kind)
        return None


def plain_type(kind: pa.DataType, extension: ExtensionType | None = None) -> pa.DataType:
    """Return the plain type to which columns of a type are converted.

    Parameters
    ----------
    kind : pa.DataType
        Type of the column.
    extension : ExtensionType, optional
        Extension that the metadata of the field names.

    Returns
    -------
    pa.DataType
        An equal type if `kind` is plain already.

    Examples
    --------
    >>> plain_type(pa.string_view()), plain_type(pa.list_view(pa.float16()))
    (DataType(large_string), ListType(list<item: float>))
    """
    extension = ExtensionType.from_type(kind) or extension
    if extension is not None:
        if extension.name in _AS_TEXT:
            return pa.large_string()
        return pa.bool_() if extension.name == _BOOL8 else plain_type(extension.storage)
    if pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        inner = plain_type(kind.value_type)
        if not _may_be_level(inner):
            return inner
        return kind if inner == kind.value_type else pa.dictionary(kind.index_type, inner, kind.ordered)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal(kind) and kind.bit_width < 128:
        return pa.decimal128(kind.precision, kind.scale)
    if _is_list(kind):
        inner = plain_type(kind.value_type)
        inner = pa.large_string() if pa.types.is_dictionary(inner) else inner
        if inner == kind.value_type and not _is_view(kind):
            return kind
        large = pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind)
        return pa.large_list(inner) if large else pa.list_(inner)
    if pa.types.is_nested(kind) and not all(_has_rows(kind.field(i).type) for i in range(kind.num_fields)):
        return pa.struct([pa.field(f"{kind}", pa.null())])  # Arrow cannot take rows of it: a null column in its place
    return kind


def plain_array(array: pa.Array, extension: ExtensionType | None = None) -> pa.Array:
    """Convert an array to its plain type.

    Returns
    -------
    pa.Array (n,)
        The same array if it is plain already.

    Examples
    --------
    >>> plain_array(pa.array(["a", None], pa.string_view())).type
    DataType(large_string)
    """
    kind = array.type
    extension = ExtensionType.from_type(kind) or extension
    target = plain_type(kind, extension)
    if target == kind and not _null_levels(array):
        return array
    if extension is not None:
        storage = array.storage if isinstance(kind, pa.BaseExtensionType) else array
        if extension.name in _AS_TEXT:
            return _TEXT[extension.name](plain_array(storage), extension.parameters)
        return pc.cast(storage, target) if extension.name == _BOOL8 else plain_array(storage)
    if pa.types.is_run_end_encoded(kind):
        ends = np.asarray(array.run_ends)
        runs = np.searchsorted(ends, np.arange(array.offset, array.offset + len(array)), side="right")
        return plain_array(array.values).take(pa.array(runs))
    if pa.types.is_dictionary(kind):
        values, indices = plain_array(array.dictionary), array.indices
        if not pa.types.is_dictionary(target):
            return values.take(indices)
        if values.null_count:  # Arrow does not unify null levels: the rows become null
            positions = pa.array(np.cumsum(np.asarray(values.is_valid())) - 1)
            positions = pc.if_else(values.is_valid(), positions, pa.scalar(None, pa.int64()))
            values, indices = values.drop_null(), pc.cast(positions.take(indices), kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, values, ordered=kind.ordered)
    if _is_list(kind):
        return _plain_list(array, target)
    return pa.nulls(len(array), target) if pa.types.is_struct(target) else pc.cast(array, target)


def _plain_list(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert lists to offset layout with plain values; a null list has no values."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    large = pa.types.is_large_list(target)
    build = pa.LargeListArray if large else pa.ListArray
    values = plain_array(pc.list_flatten(array))
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values.dictionary, pa.large_string()).take(values.indices)
    offset_array = pa.array(offsets, pa.int64() if large else pa.int32())
    return build.from_arrays(offset_array, values, type=target, mask=array.is_null())


def plain_field(field: pa.Field) -> pa.Field:
    """Return the field of the plain column, without metadata.

    Returns
    -------
    pa.Field

    Examples
    --------
    >>> plain_field(pa.field("x", pa.string_view()))
    pyarrow.Field<x: large_string>
    """
    return pa.field(field.name, plain_type(field.type, ExtensionType.from_type(field.type, field.metadata)))


def plain_column(column: pa.ChunkedArray, name: str, field: pa.Field | None = None) -> pa.ChunkedArray:
    """Convert a column to its plain type.

    Parameters
    ----------
    column : pa.ChunkedArray (n,)
        Values of the column.
    name : str
        Name of the column, for errors.
    field : pa.Field, optional
        Field of the file, whose metadata name an extension type that is not registered.

    Returns
    -------
    pa.ChunkedArray (n,)
        The same column if it is plain already.

    Raises
    ------
    TableError
        If the values cannot be converted.

    Examples
    --------
    >>> plain_column(pa.chunked_array([pa.array([1.5], pa.float16())]), "x").type
    DataType(float)
    """
    extension = ExtensionType.from_type(column.type, None if field is None else field.metadata)
    target = plain_type(column.type, extension)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if target == column.type and not any(_null_levels(chunk) for chunk in chunks):
        return column
    try:
        return pa.chunked_array([plain_array(chunk, extension) for chunk in chunks], type=target)
    except (
        pa.ArrowException,
        ValueError,
        ArithmeticError,
        TypeError,
        LookupError,
        AttributeError,
        ImportError,
    ) as error:
        raise TableError(
            unsupported_type_message(name, extension.name if extension else str(column.type), error)
        ) from error


def plain_table(table: pa.Table) -> pa.Table:
    """Convert all columns of a table to their plain types.

    Returns
    -------
    pa.Table
        The same table if it is plain already.

    Examples
    --------
    >>> plain_table(pa.table({"x": pa.array(["a"], pa.string_view())})).schema.types
    [DataType(large_string)]
    """
    for position, field in enumerate(table.schema):
        column = table.column(position)
        plain = plain_column(column, field.name, field)
        if plain is not column:
            table = table.set_column(position, plain_field(field), plain)
    return table


def common_arrow_type(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    """Return the type that holds the values of columns of several plain types exactly.

    Signed and unsigned integers, and integers beside decimals, become decimals. Integers beside floats become
    float64; values beyond 2**53 are not cast to it.

    Parameters
    ----------
    kinds : sequence of pa.DataType
        Plain types, one for each column.

    Returns
    -------
    pa.DataType or None
        None if no type holds all values.

    Examples
    --------
    >>> common_arrow_type([pa.int64(), pa.uint64()]), common_arrow_type([pa.int64(), pa.string()])
    (Decimal128Type(decimal128(20, 0)), None)
    """
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0]
    if not all(pa.types.is_dictionary(kind) for kind in kinds):
        kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds]
    kinds = [kind for kind in kinds if not pa.types.is_null(kind)]
    whole = [kind for kind in kinds if pa.types.is_integer(kind)]
    exact = [kind for kind in kinds if pa.types.is_decimal(kind)]
    if len(whole) + len(exact) == len(kinds) and (exact or {pa.uint64()} < set(whole)):
        return _decimal(whole, exact)
    times = [kind for kind in kinds if pa.types.is_timestamp(kind)]
    if times and all(kind.tz is None for kind in times):
        kinds = [times[0] if pa.types.is_date(kind) else kind for kind in kinds]
    schemas = [pa.schema([pa.field("x", kind)]) for kind in kinds]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def _decimal(whole: Sequence[pa.DataType], exact: Sequence[pa.DataType]) -> pa.DataType:
    """Return the decimal type that holds all integers and decimals of these types."""
    scale = max([kind.scale for kind in exact], default=0)
    digits = [kind.precision - kind.scale for kind in exact] + [20 if kind.bit_width == 64 else 10 for kind in whole]
    precision = max(digits) + scale
    if precision > 76:
        return pa.float64()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def unsupported_type_message(name: str, kind: pa.DataType | str, error: Exception | None = None) -> str:
    """Return the error message for a column whose type is not supported.

    Returns
    -------
    str

    Examples
    --------
    >>> print(unsupported_type_message("x", "struct<a: int64>"))  # doctest: +ELLIPSIS
    Column 'x' has the type struct<a: int64>; supported types: numbers, booleans, text, dates, ...
    """
    if isinstance(kind, pa.StructType) and kind.num_fields == 1 and pa.types.is_null(kind.field(0).type):
        kind = kind.field(0).name  # the type as `plain_type` stores it
    reason = " ".join(str(error).split()) if error is not None else ""
    return (
        f"Column {quote(name)} has the type {kind}; supported types: numbers, booleans, text, dates, durations "
        f"and lists of words or numbers{f' ({reason})' if reason else ''}. Convert it to columns of these types, or "
        f"leave it out: --drop {quote(name)} (drop=[{quote(name)}] in Python)."
    )


def is_text(kind: pa.DataType) -> bool:
    """Return True if a plain type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _may_be_level(kind: pa.DataType) -> bool:
    """Return True if a dictionary of these values is a category; dates and lists are decoded."""
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(is_text(kind) or pa.types.is_boolean(kind) or number)


def _null_levels(array: pa.Array) -> bool:
    """Return True if an array is a dictionary with a null level."""
    return bool(pa.types.is_dictionary(array.type) and array.dictionary.null_count)


def _is_list(kind: pa.DataType) -> bool:
    offsets = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(offsets or _is_view(kind))


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _has_rows(kind: pa.DataType) -> bool:
    """Return True if Arrow can take rows of a type nested in another."""
    return bool(plain_type(kind) == kind or pa.types.is_float16(kind) or pa.types.is_decimal(kind))


def _interval_text(array: pa.Array, parameters: str) -> pa.Array:
    """Return intervals as pandas writes them: (0.0, 1.5]."""
    closed = json.loads(parameters or "{}").get("closed", "right")
    low, high = (_distinct_text(pc.struct_field(array, side), str) for side in ("left", "right"))
    marks = ("[" if closed in ("left", "both") else "("), ", ", ("]" if closed in ("right", "both") else ")"), ""
    opening, comma, closing, nothing = (pa.scalar(mark, pa.large_string()) for mark in marks)
    return pc.binary_join_element_wise(opening, low, comma, high, closing, nothing)


def _period_text(array: pa.Array, parameters: str) -> pa.Array:
    """Return periods as pandas writes them: 2020-01. Their ordinals need the calendar of pandas."""
    import pandas as pd

    frequency = json.loads(parameters)["freq"]
    return _distinct_text(array, lambda ordinal: str(pd.Period(ordinal=ordinal, freq=frequency)))


def _uuid_text(array: pa.Array, parameters: str) -> pa.Array:
    """Return UUIDs in their usual form of 36 characters."""
    from uuid import UUID

    return _distinct_text(array, lambda raw: str(UUID(bytes=raw)))


def _distinct_text(array: pa.Array, write: Callable[[Any], str]) -> pa.Array:
    """Return the text of each value; each distinct value is converted once."""
    coded = array.dictionary_encode()
    return pa.array([write(value) for value in coded.dictionary.to_pylist()], pa.large_string()).take(coded.indices)


_TEXT = {_INTERVAL: _interval_text, _PERIOD: _period_text, _UUID: _uuid_text}
