"""Text of values: one spelling for labels, levels of categories, clusters and groups.

Equal values have equal text, whatever their type: the integer 1, the float 1.0 and the decimal 1.00 are all "1". Text
is kept as it is. This module imports `softreg.canonical_values` and `softreg.typing`, and PyArrow where it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.canonical_values import (
    BOOLEAN_TEXTS,
    KEY_FUNCTIONS,
    MIDNIGHT,
    KeyFunction,
    boolean_key,
    decimal_text,
    float_text,
    number_key,
)
from softreg.typing import Codes

if TYPE_CHECKING:
    import pyarrow as pa

_DECIMAL_PLACES = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Decimal places of seconds in each unit of durations."""
_DECIMAL128_DIGITS = 38
"""Largest precision of Arrow's decimal128."""


def encode_as_text(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Return an Arrow column as a dictionary array of text.

    Integers and whole floats are written as digits without an exponent, other floats as the shortest text that rounds
    to them in their precision, and decimals exactly without trailing zeros; -0.0 is "0", and nan is missing. Booleans
    are "true" and "false". Dates and times are ISO 8601 without a fraction of zeros; a timestamp at midnight is its
    date, and a timestamp with a time zone is UTC with a final Z. Durations are numbers of seconds. Text is kept as it
    is; empty text is not missing.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray of length n
        Values, or a dictionary array of values.

    Returns
    -------
    pyarrow.DictionaryArray of length n
        Each distinct text once, of type large_string; null where a value is missing.

    Raises
    ------
    TypeError
        If the type has no text: lists, structs, intervals of months.

    Examples
    --------
    >>> import pyarrow as pa
    >>> encode_as_text(pa.array([1.0, 1e10, -0.0, 0.0, None])).to_pylist()
    ['1', '10000000000', '0', '0', None]
    """
    import pyarrow as pa

    column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    half = pa.types.is_float16(column.type)
    column = _encodable(column)
    if len(column) == 0 or pa.types.is_null(column.type):
        nulls = pa.nulls(len(column), pa.int32())
        return pa.DictionaryArray.from_arrays(nulls, text_array([]))
    try:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        if encoded.num_chunks > 1:
            encoded = encoded.unify_dictionaries()
        encoded = encoded.combine_chunks()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        if pa.types.is_dictionary(column.type):  # Arrow cannot unify dictionaries of these values
            parts = [chunk.dictionary.take(chunk.indices) for chunk in column.chunks]
            return encode_as_text(pa.chunked_array(parts, column.type.value_type))
        raise TypeError(f"values of the type {column.type} have no text") from None
    if isinstance(encoded, pa.ChunkedArray):  # a dictionary array of one chunk or none
        encoded = encoded.chunk(0)
    return _distinct(encoded.indices, _values_to_text(encoded.dictionary, half))


def to_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return an Arrow column as text, written as by `encode_as_text`.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray of length n
        Values.

    Returns
    -------
    pyarrow.Array of length n
        Text of type large_string; null where a value is missing.

    Examples
    --------
    >>> import pyarrow as pa
    >>> to_text(pa.array([True, None])).to_pylist()
    ['true', None]
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return column.cast(pa.large_string())
    encoded = encode_as_text(column)
    return encoded.dictionary.take(encoded.indices)


def value_text(value: Any) -> str:
    """Return the text of one value, written as by `encode_as_text`.

    Parameters
    ----------
    value : object
        A value of a type of Python or NumPy.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> value_text(True), value_text(2.0), value_text(np.float32(0.1)), value_text(np.datetime64("2020-01"))
    ('true', '2', '0.1', '2020-01-01')
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return BOOLEAN_TEXTS[int(value)]
    if isinstance(value, np.datetime64 | np.timedelta64):  # before integers: timedelta64 is one of NumPy's integers
        import pyarrow as pa

        unit = np.datetime_data(value.dtype)[0]
        is_arrow_unit = unit in _DECIMAL_PLACES or (unit == "D" and isinstance(value, np.datetime64))
        as_days = unit in ("Y", "M", "W") and isinstance(value, np.datetime64)
        converted = value if is_arrow_unit else value.astype(f"{value.dtype.kind}8[{'D' if as_days else 's'}]")
        return str(to_text(pa.array(np.array([converted])))[0])
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return float_text(value) or "nan"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, date | time | timedelta):
        import pyarrow as pa

        return str(to_text(pa.array([value]))[0])
    return str(value)


class TextIndex:
    """Index of known texts, which looks up other texts exactly or by the value that they stand for.

    A text that is not among the known ones is looked up by its value if all known texts are numbers without leading
    zeros ("1.0" and "1e0" then find "1") or booleans ("TRUE" finds "true"). Numbers that are not whole are compared by
    value only if `typed`, since "1.10" may be a version. A value that two known texts stand for is not found.

    Parameters
    ----------
    known : sequence of str, length q
        The known texts.

    Examples
    --------
    >>> import pyarrow as pa
    >>> TextIndex(["1", "2"]).find(pa.array(["1.0", "3", "1.50"]))
    array([ 0, -1, -1])
    """

    def __init__(self, known: Sequence[str]) -> None:
        self.known = known
        self.array = text_array(known)

    @cached_property
    def numeric(self) -> bool:
        """Whether all known texts are numbers."""
        return self._by_value[0] is number_key

    @cached_property
    def _by_value(self) -> tuple[KeyFunction | None, dict[str, int]]:
        """The key function of the known texts, if all are of one kind, and the position of each key."""
        for key_of in KEY_FUNCTIONS:
            keys: list[str] = []
            for text in self.known:
                key = key_of(text, True)
                if key is None:
                    break
                keys.append(key)
            if keys and len(keys) == len(self.known):
                counts = Counter(keys)
                return key_of, {key: k for k, key in enumerate(keys) if counts[key] == 1}
        return None, {}

    def find(self, texts: pa.Array, *, typed: bool = False) -> Codes:
        """Return the position of each text among the known ones.

        Parameters
        ----------
        texts : pyarrow.Array of length k
            Texts to look up.
        typed : bool
            Whether all texts were written from numbers.

        Returns
        -------
        ndarray of int, shape (k,)
            Positions; -1 for an unknown text and for null.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        positions = _to_codes(pc.index_in(texts.cast(pa.large_string()), value_set=self.array))
        unknown = np.flatnonzero(positions < 0)
        key_of, by_value = self._by_value if unknown.size else (None, {})
        if key_of is not None:
            keys = (None if (text := texts[int(i)].as_py()) is None else key_of(text, typed) for i in unknown)
            positions[unknown] = [-1 if key is None else by_value.get(key, -1) for key in keys]
        return positions


def unify_spellings(texts: Sequence[str], *, numbers: bool = False) -> dict[str, str]:
    """Return one spelling of equal values that several programs wrote differently.

    Parameters
    ----------
    texts : sequence of str
        Distinct texts.
    numbers : bool
        Whether to unify whole numbers, such as 1 and 1.0, besides booleans.

    Returns
    -------
    dict of str to str
        The unified spelling of each text; empty unless all texts are booleans (or numbers) and some of them are equal.

    Examples
    --------
    >>> unify_spellings(["True", "true", "False"]), unify_spellings(["True", "False"])
    ({'True': 'true', 'true': 'true', 'False': 'false'}, {})
    >>> unify_spellings(["1", "1.0", "2.5"], numbers=True), unify_spellings(["1.1", "1.10"], numbers=True)
    ({'1': '1', '1.0': '1', '2.5': '2.5'}, {})
    """
    for key_of in (boolean_key, number_key)[: 2 if numbers else 1]:
        if all(key_of(text, True) is not None for text in texts):
            unified = {text: key_of(text, False) or text for text in texts}
            return unified if len(set(unified.values())) < len(unified) else {}
    return {}


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Return an Arrow array of text, null for None.

    `pyarrow.array` returns the same, but imports pandas if it is installed, which takes longer than the prediction of a
    small file.

    Parameters
    ----------
    values : sequence of str or None
        The texts.

    Returns
    -------
    pyarrow.Array
        Array of type large_string.

    Examples
    --------
    >>> text_array(["no", None, ""]).to_pylist()
    ['no', None, '']
    """
    import pyarrow as pa

    raw = [b"" if value is None else value.encode() for value in values]
    ends = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(text) for text in raw], out=ends[1:])
    valid = None
    if None in values:
        present = np.array([value is not None for value in values])
        valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))]
    return pa.Array.from_buffers(pa.large_string(), len(raw), buffers)


def _to_codes(index: pa.Array) -> Codes:
    """Return an int32 array as int64, -1 where it is null, without `to_numpy`, which imports pandas."""
    values = np.frombuffer(index.buffers()[1], np.int32, len(index), 4 * index.offset).astype(np.int64)
    if index.null_count:
        bits = np.frombuffer(index.buffers()[0], np.uint8)
        present = np.unpackbits(bits, count=index.offset + len(index), bitorder="little")[index.offset :]
        values[present == 0] = -1
    return values


def _encodable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column in a type that Arrow can dictionary-encode, with the same values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_run_end_encoded(kind):
        return _encodable(pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type))
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return column.cast(pa.decimal128(_DECIMAL128_DIGITS, kind.scale))
    return column.cast(pa.float32()) if pa.types.is_float16(kind) else column


def _distinct(indices: pa.Array, values: pa.Array) -> pa.DictionaryArray:
    """Return a dictionary array whose values are distinct and not null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == 0 and len(pc.unique(values)) == len(values):
        return pa.DictionaryArray.from_arrays(indices, values)
    encoded = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(indices), encoded.dictionary)


def _values_to_text(values: pa.Array, half: bool = False) -> pa.Array:
    """Return the text of each value; `half` if floats had 16 bits."""
    import pyarrow as pa

    kind, types = values.type, pa.types
    if types.is_floating(kind):
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        numbers = numbers.astype(np.float16 if half else np.float32 if kind.bit_width == 32 else np.float64)
        return text_array([float_text(v) for v in numbers])
    if types.is_decimal(kind):
        return text_array([None if v is None else decimal_text(v) for v in values.to_pylist()])
    if types.is_duration(kind):
        counts, shift = values.cast(pa.int64()).to_pylist(), _DECIMAL_PLACES[kind.unit]
        return text_array([None if v is None else decimal_text(Decimal(v).scaleb(-shift)) for v in counts])
    if types.is_temporal(kind) and not types.is_interval(kind):
        return _times_to_text(values)
    try:
        return values.cast(pa.large_string())
    except pa.ArrowException:
        raise TypeError(f"values of the type {kind} have no text") from None


def _times_to_text(values: pa.Array) -> pa.Array:
    """Return dates and times in ISO 8601 without a fraction of zeros."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    text = (values.cast(pa.timestamp(kind.unit)) if zoned else values).cast(pa.large_string())
    text = pc.replace_substring_regex(text, r"(\.[0-9]*?)0+$", r"\1")
    text = pc.replace_substring_regex(text, r"\.$", "")
    if zoned:
        return pc.replace_substring_regex(text, "$", "Z")
    return pc.replace_substring_regex(text, f"{MIDNIGHT}$", "")
