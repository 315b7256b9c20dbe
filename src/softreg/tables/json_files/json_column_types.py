"""Common type of the JSON values of a column, and their conversion to Arrow arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.typing import BoolArray

MAX_EXACT_INTEGER = 1 << 53
"""Largest integer below which float64 represents every integer."""
MAX_DEPTH = 32
"""Maximum nesting depth of lists and objects."""
_INT64 = (-(1 << 63), (1 << 63) - 1)
_UINT64 = (1 << 64) - 1
_DIGITS = 38
"""Digits of the widest decimal type of a column."""
_KINDS: dict[type, str] = {
    bool: "boolean", int: "whole number", float: "number", str: "text", list: "list", dict: "object",
}  # fmt: skip
_SCALARS = {"text", "whole number", "number", "boolean"}


class TypeConflict(ValueError):
    """Error for values that have no common type; the message states the reason."""


@dataclass(frozen=True)
class JsonType:
    """Type of the JSON values of a column.

    Attributes
    ----------
    kind : str
        "missing", "boolean", "whole number", "number", "text", "list" or "object".
    low, high : int
        Range of integers.
    merges : int or None
        Smallest integer that float64 would round to another one.
    item : JsonType or None
        Type of the items of lists.
    fields : tuple of (str, JsonType)
        Types of the values of objects, by key.
    mixed : bool
        True if numbers or booleans occur beside text; they become text as JSON spells them.

    Examples
    --------
    >>> infer_type([1, None, 2.5]).kind, infer_type([[1], []]).item.kind
    ('number', 'whole number')
    """

    kind: str = "missing"
    low: int = 0
    high: int = 0
    merges: int | None = None
    item: JsonType | None = None
    fields: tuple[tuple[str, JsonType], ...] = ()
    mixed: bool = False
    """Whether numbers or booleans stand beside text, which are then text as JSON spells them."""

    @property
    def holds_mixed(self) -> bool:
        """Whether this type, or one nested in it, is mixed."""
        inner = [field_type for _, field_type in self.fields] + ([] if self.item is None else [self.item])
        return self.mixed or any(field_type.holds_mixed for field_type in inner)

    def arrow(self) -> pa.DataType:
        """Return the Arrow type that holds every value of this type exactly.

        Returns
        -------
        pa.DataType

        Examples
        --------
        >>> infer_type([1, 2]).arrow(), infer_type([2**63]).arrow(), infer_type([-(2**70)]).arrow()
        (DataType(int64), DataType(uint64), Decimal128Type(decimal128(38, 0)))
        """
        if self.kind == "whole number":
            if _INT64[0] <= self.low and self.high <= _INT64[1]:
                return pa.int64()
            return pa.uint64() if self.low >= 0 and self.high <= _UINT64 else pa.decimal128(_DIGITS, 0)
        if self.item is not None:
            return pa.list_(self.item.arrow())
        if self.kind == "object":
            return pa.struct([pa.field(name, field_type.arrow()) for name, field_type in self.fields])
        return {"missing": pa.null(), "boolean": pa.bool_(), "number": pa.float64(), "text": pa.string()}[self.kind]


MISSING = JsonType()


def infer_type(values: Sequence[Any], depth: int = 0) -> JsonType:
    """Return the common type of the values of a column, as parsed by the `json` module.

    Parameters
    ----------
    values : sequence
        Values of the column.
    depth : int, default=0
        Depth of nesting.

    Returns
    -------
    JsonType

    Raises
    ------
    TypeConflict
        If the values have no common type, or are nested more than `MAX_DEPTH` deep.

    Examples
    --------
    >>> infer_type([[], 1])
    Traceback (most recent call last):
    softreg.tables.json_files.json_column_types.TypeConflict: lists beside whole numbers
    """
    if depth > MAX_DEPTH:
        raise TypeConflict(f"lists and objects more than {MAX_DEPTH} deep")
    common = MISSING
    kinds = set(map(type, values))
    for kind in sorted(kinds - {type(None)}, key=lambda kind: _KINDS[kind], reverse=True):
        same_kind = values if len(kinds) == 1 else [value for value in values if type(value) is kind]
        common = common_type(_type_of(kind, same_kind, depth), common)
    return common


def _type_of(kind: type, values: Sequence[Any], depth: int) -> JsonType:
    """Return the type of values of one Python type."""
    if kind is int:
        low, high = min(values), max(values)
        if max(high, -low) >= 10**_DIGITS:
            raise TypeConflict(f"a whole number of more than {_DIGITS} digits")
        odd = [v for v in values if not _is_float(v)] if max(high, -low) > MAX_EXACT_INTEGER else []
        return JsonType("whole number", low, high, min(odd, default=None))
    if kind is float:
        if not (math.isfinite(min(values)) and math.isfinite(max(values))):
            raise TypeConflict("a number beyond 1.8e308, the largest of float64")
        return JsonType("number")
    if kind is list:
        return JsonType("list", item=infer_type(list(chain.from_iterable(values)), depth + 1))
    if kind is dict:
        names = dict.fromkeys(chain.from_iterable(values))
        return JsonType("object", fields=tuple((n, infer_type([v.get(n) for v in values], depth + 1)) for n in names))
    return JsonType(_KINDS[kind])


def common_type(first: JsonType, second: JsonType) -> JsonType:
    """Return the type that holds the values of both types.

    Integers beside other numbers become float64, unless that would merge two of them. Numbers or booleans beside text
    become text.

    Returns
    -------
    JsonType

    Raises
    ------
    TypeConflict
        If there is no such type.

    Examples
    --------
    >>> common_type(infer_type([1, None]), infer_type([0.5])).kind
    'number'
    """
    if first == second or second.kind == "missing":
        return first
    if first.kind == "missing":
        return second
    if first.kind == second.kind == "whole number":
        merged = [value for value in (first.merges, second.merges) if value is not None]
        return JsonType(first.kind, min(first.low, second.low), max(first.high, second.high), min(merged, default=None))
    if {first.kind, second.kind} == {"whole number", "number"}:
        whole = first if first.kind == "whole number" else second
        if whole.merges is not None:
            raise TypeConflict(f"the whole number {whole.merges}, which float64 rounds, beside decimals")
        return JsonType("number")
    if "text" in (first.kind, second.kind) and {first.kind, second.kind} <= _SCALARS:
        return JsonType("text", mixed=True)
    if first.item is not None and second.item is not None:
        return replace(first, item=common_type(first.item, second.item))
    if first.kind == second.kind == "object":
        fields = dict(first.fields)
        for name, inner in second.fields:
            fields[name] = common_type(fields.get(name, MISSING), inner)
        return replace(first, fields=tuple(fields.items()))
    raise TypeConflict(f"{_plural(first.kind)} beside {_plural(second.kind)}")


def to_arrow(values: Sequence[Any], kind: JsonType) -> pa.Array:
    """Convert values of one type to an Arrow array; None is missing.

    Parameters
    ----------
    values : sequence of length n
        Values of the column.
    kind : JsonType
        Their type.

    Returns
    -------
    pa.Array (n,)

    Notes
    -----
    The arrays are built from buffers, since `pyarrow.array` would import pandas.

    Examples
    --------
    >>> to_arrow([["a"], None, []], infer_type([["a"]])).to_pylist()
    [['a'], None, []]
    """
    n, target = len(values), kind.arrow()
    if kind.kind == "missing":
        return pa.nulls(n)
    mask = None
    if type(None) in set(map(type, values)):
        mask = _bits(np.fromiter((value is not None for value in values), np.bool_, n))
    if kind.mixed:
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    if kind.kind == "text":
        raw = [b"" if value is None else value.encode() for value in values] if mask else list(map(str.encode, values))
        return pa.Array.from_buffers(target, n, [mask, _offsets(raw), pa.py_buffer(b"".join(raw))])
    if kind.item is not None:
        lists = [value or () for value in values]
        inner = to_arrow(list(chain.from_iterable(lists)), kind.item)
        return pa.Array.from_buffers(target, n, [mask, _offsets(lists)], children=[inner])
    if kind.kind == "object":
        inside = [
            to_arrow([v.get(name) if v else None for v in values], field_type) for name, field_type in kind.fields
        ]
        return pa.Array.from_buffers(target, n, [mask], children=inside)
    if kind.kind == "boolean":
        true = np.fromiter((value is True for value in values), np.bool_, n)
        return pa.Array.from_buffers(target, n, [mask, _bits(true)])
    if pa.types.is_decimal(target):
        return pa.array([None if value is None else Decimal(value) for value in values], target)
    plain = values if mask is None else [0 if value is None else value for value in values]
    return pa.Array.from_buffers(target, n, [mask, pa.py_buffer(np.array(plain, target.to_pandas_dtype()))])


def _offsets(parts: Sequence[Sized]) -> pa.Buffer:
    """Return the offsets of concatenated parts, int32 (len(parts) + 1,)."""
    ends = np.zeros(len(parts) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=ends[1:])
    return pa.py_buffer(ends)


def _bits(flags: BoolArray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _is_float(value: int) -> bool:
    """Return True if float64 represents the integer, or prints it with the same digits."""
    return int(rounded := float(value)) == value or Decimal(repr(rounded)) == value


def _plural(kind: str) -> str:
    return kind if kind == "text" else f"{kind}s"
