"""Generated tables: columns of every kind, with missing values and odd names, and a target.

A pool of values is drawn for each column, and a NumPy generator with a drawn seed says which row has which of them: a
failing example then shrinks to few values and the seed 0.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from softreg.tables.columns.untyped_text import mark_untyped

TARGET = "y"
NAMES = [
    "x",
    "a b",
    "x=1",
    "x=missing",
    "é",
    "日本",
    "1",
    "7.0",
    "p,q",
    'say "x"',
    "prediction",
    "it's",
    "X",
    "k;l",
    "😀",
]
WORDS = [
    "a", "b", "NA", "007", "1.0", "1", "é", "日本", "a,b", 'say "x"', "line\nbreak", "a\r\nb", "it's", "None", "null",
    "nan",
    "true", "no", "=1+1", "1e5", "-0", "2020-01-01", " a", "a ", "tab\there", "a;b", "#x", "😀", "missing", "0.10",
    "12:30", "1,5", "Ünï", "e\u0301", "\\n", "''", "{}",
]  # fmt: skip
BLANKS = ["", " "]
ZONES = ["UTC", "+02:00", "Europe/Paris"]


@dataclass(frozen=True)
class Table:
    """A generated table: Arrow columns, what kind each was drawn as, and the kind of the target."""

    arrow: pa.Table
    kinds: dict[str, str] = field(compare=False)
    category: tuple[str, ...] = ()
    """Columns that are to be taken for categories, whatever they look like."""

    @property
    def n(self) -> int:
        return int(self.arrow.num_rows)

    def take(self, rows: Any) -> Table:
        return replace(self, arrow=self.arrow.take(pa.array(np.asarray(rows, dtype=np.int64))))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        """Python that makes the table again."""
        columns = [
            f"{f.name!r}: pa.array({c.to_pylist()!r}, {_type(f.type)})"
            for f, c in zip(self.arrow.schema, self.arrow.columns, strict=True)
        ]
        asked = f", category={list(self.category)}" if self.category else ""
        return f"pa.table({{{', '.join(columns)}}})  # {self.kinds}{asked}"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return f"pa.dictionary(pa.{kind.index_type}(), {_type(kind.value_type)})"
    if pa.types.is_list(kind):
        return f"pa.list_({_type(kind.value_type)})"
    if pa.types.is_decimal(kind):
        return f"pa.decimal128({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return f"pa.timestamp({kind.unit!r}, {kind.tz!r})"
    if pa.types.is_time(kind):
        return f"pa.time64({kind.unit!r})"
    return {"double": "pa.float64()", "float": "pa.float32()", "date32[day]": "pa.date32()", "bool": "pa.bool_()"}.get(
        str(kind), f"pa.{kind}()"
    )


@dataclass(frozen=True)
class Kind:
    """How the values of a column are drawn: a strategy for single values of the pool, and the Arrow type."""

    value: st.SearchStrategy[Any]
    type: pa.DataType
    key: Callable[[Any], Any] = lambda v: v


def decimals(places: int, low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low, high).map(lambda i: Decimal(i).scaleb(-places))


_words = st.sampled_from(WORDS) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=4
)
_filled = _words.filter(lambda word: bool(word.strip()))
_floats = st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, 0.1, 1e-3, 12345.678, 1e10 + 0.5, 2.0**53, 1e15]) | st.floats(
    -1e6, 1e6, allow_subnormal=False
)
_dates = st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31))
_times = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 12, 31))
_seconds = _times.map(lambda t: t.replace(microsecond=0))
_zoned = _seconds.map(lambda t: t.replace(tzinfo=dt.UTC))
_elsewhere = st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2037, 1, 1)).map(  # see the table of test_forms.py
    lambda t: t.replace(microsecond=0, tzinfo=dt.UTC)
)

KINDS: dict[str, Kind] = {
    "int": Kind(st.integers(-5, 120), pa.int64()),
    "id": Kind(st.integers(10**10, 2**53), pa.int64()),
    "huge": Kind(st.integers(2**53, 2**63 - 1), pa.int64()),
    "uint64": Kind(st.integers(2**63, 2**64 - 1), pa.uint64()),
    "float": Kind(_floats, pa.float64(), lambda v: float(v) + 0.0),
    "nan": Kind(_floats | st.just(float("nan")), pa.float64(), lambda v: str(float(v) + 0.0)),
    "whole": Kind(st.integers(-3, 9).map(float), pa.float64()),
    "float32": Kind(st.floats(-100, 100, width=32, allow_subnormal=False), pa.float32()),
    "bool": Kind(st.booleans(), pa.bool_()),
    "words": Kind(_words | st.sampled_from(BLANKS), pa.string()),
    "digits": Kind(st.sampled_from(["007", "7", "12", "012", "7.0", "1e1", "-0", "NA", "", " 3", "0"]), pa.string()),
    "category": Kind(_filled, pa.dictionary(pa.int32(), pa.string())),
    "integers as categories": Kind(st.integers(0, 2000), pa.dictionary(pa.int32(), pa.int64())),
    "decimal": Kind(decimals(2, -999, 9999), pa.decimal128(12, 2)),
    "date": Kind(_dates, pa.date32()),
    "timestamp": Kind(_times, pa.timestamp("us")),
    "timestamp[s]": Kind(_seconds, pa.timestamp("s")),
    "zoned": Kind(_zoned, pa.timestamp("us", "UTC")),
    "elsewhere": Kind(_elsewhere, pa.timestamp("us", "Europe/Paris")),
    "clock": Kind(_seconds.map(dt.datetime.time), pa.time64("us")),
    "tags": Kind(st.lists(st.sampled_from(["a", "b", "NA", "é"]), max_size=3), pa.list_(pa.string()), tuple),
    "normal": Kind(st.nothing(), pa.float64()),
    "heavy": Kind(st.nothing(), pa.float64()),
    "counter": Kind(st.nothing(), pa.int64()),
    "sentence": Kind(st.nothing(), pa.string()),
    "vector": Kind(st.nothing(), pa.list_(pa.float64())),
}
ASKED = ("int", "id", "huge", "uint64", "whole", "float", "bool", "words", "digits", "decimal")  # as categories
ROWWISE = (
    "normal",
    "heavy",
    "counter",
    "sentence",
    "vector",
)  # different in every row: made by the generator, not from a pool

TARGETS: dict[str, Kind] = {
    "int": Kind(st.integers(-3, 12), pa.int64()),
    "id": Kind(st.integers(10**10, 2**53), pa.int64()),
    "huge": Kind(st.integers(2**62, 2**62 + 3), pa.int64()),
    "bool": Kind(st.booleans(), pa.bool_()),
    "words": Kind(_filled, pa.string()),
    "category": Kind(_filled, pa.dictionary(pa.int32(), pa.string())),
    "integers as categories": Kind(st.integers(0, 9), pa.dictionary(pa.int32(), pa.int64())),
    "whole": Kind(st.integers(-3, 9).map(float), pa.float64()),
    "float": Kind(st.sampled_from([0.5, 1.0, 1.5, -2.25, 0.1]), pa.float64()),
    "decimal": Kind(decimals(2, 0, 500), pa.decimal128(12, 2)),
    "date": Kind(_dates, pa.date32()),
    "timestamp": Kind(_seconds, pa.timestamp("us")),
}


def column(kind: str, pool: Sequence[Any], n: int, missing: float, seed: int) -> list[Any]:
    """The values of n rows: each of the pool at least once, in an order that the seed gives."""
    rng = np.random.default_rng(seed)
    if kind == "normal":
        values: list[Any] = (rng.normal(size=n) * 10.0 ** rng.integers(-3, 6)).tolist()
    elif kind == "heavy":
        values = np.round(rng.standard_cauchy(n), 3).tolist()
    elif kind == "counter":
        values = rng.permutation(np.arange(n) + int(rng.integers(0, 3))).tolist()
    elif kind == "sentence":
        nouns = ["red", "blue", "cat", "dog", "tree", "Ünï", "日本", "it's"]
        values = [" ".join(rng.choice(nouns, 4)) + f" {i}" for i in range(n)]
    elif kind == "vector":
        values = rng.normal(size=(n, 3)).tolist()
    else:
        places = rng.permutation(np.append(np.arange(len(pool)), rng.integers(len(pool), size=n - len(pool))))
        values = [pool[i] for i in places]
    if missing:
        values = [None if gone else value for value, gone in zip(values, rng.random(n) < missing, strict=True)]
    return values


@st.composite
def tables(
    draw: Any,
    kinds: Sequence[str],
    targets: Sequence[str],
    *,
    least: int = 10,
    most: int = 80,
    no_gaps: Sequence[str] = (),
    not_asked: Sequence[str] = (),
) -> Table:
    """A table of one to eight columns of these kinds and a target of one of those.

    Kinds in `no_gaps` miss no value, and those in `not_asked` are never asked for as categories.
    """
    n = draw(st.integers(least, most))
    target = draw(st.sampled_from(sorted(targets)))
    pool = draw(st.lists(TARGETS[target].value, min_size=2, max_size=2 if target == "bool" else 4, unique=True))
    seed = draw(st.integers(0, 2**16))
    codes = np.random.default_rng(seed).permutation(
        np.append(np.tile(np.arange(len(pool)), 2), np.arange(n))[:n] % len(pool)
    )
    columns, taken, count = {}, {}, draw(st.integers(1, 8))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=count, max_size=count, unique=True))
    for place, name in enumerate(names):
        kind = draw(st.sampled_from(sorted(kinds)))
        values: list[Any] = []
        if kind not in ROWWISE:
            values = draw(st.lists(KINDS[kind].value, min_size=2, max_size=6, unique_by=KINDS[kind].key))
        gaps = 0.0 if kind in no_gaps else draw(st.sampled_from([0.0, 0.25]))
        columns[name] = pa.array(column(kind, values, n, gaps, seed + place + 1), KINDS[kind].type)
        taken[name] = kind
    columns[TARGET] = pa.array([pool[code] for code in codes], TARGETS[target].type)
    order = draw(st.permutations(list(columns))) if draw(st.booleans()) else list(columns)
    able = [name for name in names if taken[name] in set(ASKED) - set(not_asked)]
    category = tuple(name for name in able if draw(st.integers(0, 2)) == 2)
    return Table(pa.table({name: columns[name] for name in order}), {**taken, TARGET: target}, category)


def plain(table: pa.Table, csv: bool = False) -> pa.Table:
    """The table as a file of text carries it: dictionaries are the values that they stand for.

    Text of a CSV file has no type, of which Arrow tables carry a mark.
    """
    for place, one in enumerate(table.schema):
        if pa.types.is_dictionary(one.type):
            table = table.set_column(place, one.name, table.column(place).cast(one.type.value_type))
    if csv:
        texts = [mark_untyped(one) if pa.types.is_string(one.type) else one for one in table.schema]
        table = table.cast(pa.schema(texts))
    return table


def canonical(label: Any, kind: str) -> Any:
    """A label of any form as one value that can be compared, by what the target was drawn as."""
    text = str(label)
    if kind in ("int", "id", "huge", "integers as categories", "whole", "float", "decimal"):
        return Decimal(text).normalize() + 0
    if kind == "bool":
        return text.lower()
    if kind == "date":
        return text[:10]
    if kind == "timestamp":
        return np.datetime64(text.replace(" ", "T").removesuffix("Z"), "us")
    return text
