"""The text that stands for a value: one spelling for labels, levels of categories, clusters and groups.

Equal values have equal text, whatever type holds them: the integer 1, the float 1.0 and the decimal 1.00 are all "1".
Text is its own spelling. A leaf: it imports only `softreg.value_keys`, and PyArrow only where it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.value_keys import BOOLEAN_TEXTS, KEY_FUNCTIONS, MIDNIGHT, boolean_key, decimal_text, float_text, number_key

Places = NDArray[np.int64]

_SECONDS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def encode_as_text(column: Any) -> Any:
    """Return an Arrow column as a dictionary array of text: each distinct text once, null where a value is missing.

    Parameters: `column`, an Arrow array or chunked array of n values of any type that has a text. Integers and whole
    floats are their digits, without an exponent; other floats have the shortest text that gives them back in their own
    precision; decimals are exact and lose trailing zeros; -0.0 is "0"; nan is missing. Booleans are "true" and
    "false". Dates and times are ISO 8601 without a fraction of zeros, timestamps at midnight are their date, and
    timestamps with a time zone are UTC with a final Z. Durations are numbers of seconds. Dictionaries are their values.
    Text is kept as it is; empty text is not missing.

    Returns a `pyarrow.DictionaryArray` of length n with values of type large_string. Raises `TypeError` for a type
    that has no text (lists, structs, intervals of months).

    Example:
        >>> import pyarrow as pa
        >>> encode_as_text(pa.array([1.0, 1e10, -0.0, 0.0, None])).to_pylist()
        ['1', '10000000000', '0', '0', None]
    """
    import pyarrow as pa

    column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    half = pa.types.is_float16(column.type)
    column = _plain(column)
    if len(column) == 0 or pa.types.is_null(column.type):
        none = pa.nulls(len(column), pa.int32())
        return pa.DictionaryArray.from_arrays(none, text_array([]))
    try:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        if encoded.num_chunks > 1:
            encoded = encoded.unify_dictionaries()
        encoded = encoded.combine_chunks()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        if pa.types.is_dictionary(column.type):  # of values that Arrow cannot unify
            parts = [chunk.dictionary.take(chunk.indices) for chunk in column.chunks]
            return encode_as_text(pa.chunked_array(parts, column.type.value_type))
        raise TypeError(f"values of the type {column.type} have no text") from None
    if isinstance(encoded, pa.ChunkedArray):  # a dictionary array of no chunk, or of one
        encoded = encoded.chunk(0)
    return _distinct(encoded.indices, _texts(encoded.dictionary, half))


def to_text(column: Any) -> Any:
    """Return an Arrow column as text (n,), written as by `encode_as_text`, null where a value is missing.

    Raises `TypeError` for a type that has no text.

    Example:
        >>> import pyarrow as pa
        >>> to_text(pa.array([True, None])).to_pylist()
        ['true', None]
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return column.cast(pa.large_string())
    found = encode_as_text(column)
    return found.dictionary.take(found.indices)


def value_text(value: Any) -> str:
    """Return the text of one value, of Python's or NumPy's types, as `encode_as_text` spells it.

    Example:
        >>> value_text(True), spelled(2.0), spelled(np.float32(0.1)), spelled(np.datetime64("2020-01"))
        ('true', '2', '0.1', '2020-01-01')
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return BOOLEAN_TEXTS[int(value)]
    if isinstance(value, np.datetime64 | np.timedelta64):  # the latter is one of NumPy's integers as well
        import pyarrow as pa

        unit = np.datetime_data(value.dtype)[0]
        known = unit in _SECONDS or (unit == "D" and isinstance(value, np.datetime64))
        days = unit in ("Y", "M", "W") and isinstance(value, np.datetime64)
        held = value if known else value.astype(f"{value.dtype.kind}8[{'D' if days else 's'}]")
        return str(to_text(pa.array(np.array([held])))[0])
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
    """Known texts (q,), among which others are looked up: exactly, or by the value that they stand for.

    Text that is not there exactly is looked up by its value: numbers, where all known texts are numbers without
    leading zeros ("1.0" and "1e0" are the 1 of training), and "True" or "TRUE" where the known texts are booleans. Of
    text, only whole numbers are read so, because "1.10" may be a version; `typed` values were numbers before they were
    text, and all of them are. A value that two known texts stand for is none of them.

    Example:
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
    def _by_value(self) -> tuple[Any, dict[str, int]]:
        """How a text is read as a value, if all known texts are of one kind; the place of each value."""
        for key_of in KEY_FUNCTIONS:
            keys: list[str] = []
            for text in self.known:
                key = key_of(text, True)
                if key is None:
                    break
                keys.append(key)
            if keys and len(keys) == len(self.known):
                counts = Counter(keys)
                return key_of, {key: at for at, key in enumerate(keys) if counts[key] == 1}
        return None, {}

    def find(self, found: Any, *, typed: bool = False) -> Places:
        """Return the place of each text of an Arrow array (k,), -1 for one that is not known, and for null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        place = _places(pc.index_in(found.cast(pa.large_string()), value_set=self.array))
        lost = np.flatnonzero(place < 0)
        key_of, by_value = self._by_value if lost.size else (None, {})
        if key_of is not None:
            asked = [found[int(at)].as_py() for at in lost]
            place[lost] = [-1 if text is None else by_value.get(key_of(text, typed), -1) for text in asked]
        return place


def unify_spellings(found: Sequence[str], *, numbers: bool = False) -> dict[str, str]:
    """Return the text to use for each of these distinct texts where several writers wrote equal values differently.

    That is so where all are booleans in more than two spellings or, with `numbers`, all are numbers and whole ones
    among them are equal, as 1 and 1.0. The result is empty otherwise: text stays as it is written.

    Example:
        >>> unify_spellings(["True", "true", "False"]), unify_spellings(["True", "False"])
        ({'True': 'true', 'true': 'true', 'False': 'false'}, {})
        >>> unify_spellings(["1", "1.0", "2.5"], numbers=True), unify_spellings(["1.1", "1.10"], numbers=True)
        ({'1': '1', '1.0': '1', '2.5': '2.5'}, {})
    """
    for key_of in (boolean_key, number_key)[: 2 if numbers else 1]:
        if all(key_of(text, True) is not None for text in found):
            same = {text: key_of(text, False) or text for text in found}
            return same if len(set(same.values())) < len(same) else {}
    return {}


def text_array(values: Sequence[str | None]) -> Any:
    """Return an Arrow array of text, null for None, from its bytes alone.

    `pyarrow.array` does the same, and imports pandas, where that is installed, to ask whether the values are of its
    types: that takes longer than a prediction of a small file.

    Example:
        >>> text_array(["no", None, ""]).to_pylist()
        ['no', None, '']
    """
    import pyarrow as pa

    raw = [b"" if value is None else value.encode() for value in values]
    ends = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(one) for one in raw], out=ends[1:])
    valid = None
    if None in values:
        there = np.array([value is not None for value in values])
        valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))]
    return pa.Array.from_buffers(pa.large_string(), len(raw), buffers)


def _places(index: Any) -> Places:
    """An int32 array as NumPy's, -1 where it is null, from its bytes: `to_numpy` imports pandas."""
    values = np.frombuffer(index.buffers()[1], np.int32, len(index), 4 * index.offset).astype(np.int64)
    if index.null_count:
        bits = np.frombuffer(index.buffers()[0], np.uint8)
        there = np.unpackbits(bits, count=index.offset + len(index), bitorder="little")[index.offset :]
        values[there == 0] = -1
    return values


def _plain(column: Any) -> Any:
    """The column in a type that Arrow can encode, with the same values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_run_end_encoded(kind):
        return _plain(pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type))
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return column.cast(pa.decimal128(38, kind.scale))
    return column.cast(pa.float32()) if pa.types.is_float16(kind) else column


def _distinct(indices: Any, values: Any) -> Any:
    """A dictionary array whose values are distinct and not null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == 0 and len(pc.unique(values)) == len(values):
        return pa.DictionaryArray.from_arrays(indices, values)
    again = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(indices), again.dictionary)


def _texts(values: Any, half: bool = False) -> Any:
    """The text of each of these values, an Arrow array of large_string; `half` says that floats had 16 bits."""
    import pyarrow as pa

    kind, types = values.type, pa.types
    if types.is_floating(kind):
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        numbers = numbers.astype(np.float16 if half else np.float32 if kind.bit_width == 32 else np.float64)
        return text_array([float_text(v) for v in numbers])
    if types.is_decimal(kind):
        return text_array([None if v is None else decimal_text(v) for v in values.to_pylist()])
    if types.is_duration(kind):
        counts, shift = values.cast(pa.int64()).to_pylist(), _SECONDS[kind.unit]
        return text_array([None if v is None else decimal_text(Decimal(v).scaleb(-shift)) for v in counts])
    if types.is_temporal(kind) and not types.is_interval(kind):
        return _times(values)
    try:
        return values.cast(pa.large_string())
    except pa.ArrowException:
        raise TypeError(f"values of the type {kind} have no text") from None


def _times(values: Any) -> Any:
    """Dates and times of the day without a fraction of zeros."""
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
