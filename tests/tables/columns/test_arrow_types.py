"""Tables of every Arrow type and of odd values: each is read, or refused in one sentence; nothing else.

`python tests/tables/columns/test_arrow_types.py 10000` tries as many cases and prints those that fall.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from click.testing import CliRunner

from softreg import TableClassifier, load
from softreg.cli import main
from softreg.tables import Encoder, TableError, as_table, group_codes, infer_schema, labels, table_statistics
from softreg.tables.schema.kinds import USER_KINDS

if not hasattr(pa, "json_"):
    pytest.skip("this pyarrow has not all of the types", allow_module_level=True)

WORDS = [
    "",
    " ",
    "NA",
    "a",
    "b",
    "é",
    "😀",
    "1",
    "-0",
    "1e3",
    "inf",
    "2020-01-31",
    "31/12/99",
    "45:30",
    "true",
    "no",
    "007",
]
UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "Europe/Berlin", "+05:30", "Mars/Phobos")
WIDTHS = (
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(),
    pa.float32(), pa.float64(), pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"),
    pa.time64("ns"), *(pa.duration(unit) for unit in UNITS),
    *(pa.timestamp(unit, zone) for unit in UNITS for zone in ZONES), pa.month_day_nano_interval(),
    pa.decimal32(9, 2), pa.decimal64(18, 3), pa.decimal128(38, 10), pa.decimal256(76, 4),
)  # fmt: skip
TEXTS = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.binary(3),
)


class Draw:
    """Arrow arrays of random types, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, options: Any) -> Any:
        """One of the options."""
        return options[int(self.random.integers(len(options)))]

    def array(self, n: int, depth: int = 0) -> pa.Array:
        """n values of a random type."""
        kinds = ["width", "width", "width", "text", "text", "bool", self.one(["null", "width", "text"])]
        if depth < 3 and n:
            kinds += ["dictionary", "dictionary", "runs", "runs", "extension"]
            kinds += ["list", "view", "fixed", self.one(["struct", "map", "union", "text"])][: 4 - depth]
        made = getattr(self, f"_{self.one(kinds)}")(n, depth)
        return made if self.random.random() < 0.5 or len(made) < 2 * n else made.slice(n)

    def mask(self, n: int) -> np.ndarray:
        """Where values are null: nowhere, somewhere, or everywhere."""
        return self.random.random(n) < self.one([0] * 12 + [0.1] * 6 + [0.7, 1])

    def _width(self, n: int, depth: int) -> pa.Array:
        kind = self.one(WIDTHS)
        size = kind.bit_width // 8
        small = self.random.integers(0, self.one([2, 5, 100]), n)
        if size <= 8:
            raw = small.astype(f"<i{size}").tobytes()
            if pa.types.is_floating(kind):
                raw = (small / 4).astype(f"<f{size}").tobytes()
        else:
            raw = b"".join(int(v).to_bytes(size, "little") for v in small)
        valid = np.packbits(~self.mask(n), bitorder="little").tobytes()
        if self.random.random() < 0.3:  # any bits: infinite, nan, beyond the calendar
            wild = pa.Array.from_buffers(kind, n, [pa.py_buffer(valid), pa.py_buffer(self.random.bytes(size * n))])
            try:
                wild.validate(full=True)
                return wild
            except pa.ArrowInvalid:
                pass
        if pa.types.is_date64(kind):
            raw = (small * 86_400_000).astype("<i8").tobytes()
        return pa.Array.from_buffers(kind, n, [pa.py_buffer(valid), pa.py_buffer(raw)])

    def _text(self, n: int, depth: int) -> pa.Array:
        kind = self.one(TEXTS[:3]) if self.random.random() < 0.8 else self.one(TEXTS[3:])
        if pa.types.is_fixed_size_binary(kind):
            return pa.array([self.random.bytes(3) for _ in range(n)], kind)
        words = WORDS[: self.one([4, len(WORDS)])] if self.random.random() < 0.7 else [f"w{i}" for i in range(60)]
        values = [self.one(words) for _ in range(n)]
        return pa.array(values, pa.large_string(), mask=self.mask(n)).cast(kind)

    def _bool(self, n: int, depth: int) -> pa.Array:
        return pa.array(self.random.random(n) < 0.5, mask=self.mask(n))

    def _null(self, n: int, depth: int) -> pa.Array:
        return pa.nulls(n)

    def _dictionary(self, n: int, depth: int) -> pa.Array:
        values = self.array(5, depth + 1)
        places = pa.array(
            self.random.integers(0, 5, n), self.one([pa.int8(), pa.int64(), pa.uint16()]), mask=self.mask(n)
        )
        return pa.DictionaryArray.from_arrays(places, values)

    def _runs(self, n: int, depth: int) -> pa.Array:
        ends = np.unique(np.append(self.random.integers(1, n + 1, 6), n))
        values = self.array(len(ends), depth + 1)
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), values)

    def _offsets(self, n: int) -> tuple[np.ndarray, int]:
        lengths = self.random.integers(0, self.one([1, 2, 4]), n) + self.one([0, 1])
        return np.concatenate([[0], np.cumsum(lengths)]), int(lengths.sum())

    def _list(self, n: int, depth: int) -> pa.Array:
        offsets, size = self._offsets(n)
        build, kind = self.one([(pa.ListArray, pa.int32()), (pa.LargeListArray, pa.int64())])
        return build.from_arrays(pa.array(offsets, kind), self.array(size, depth + 1), mask=pa.array(self.mask(n)))

    def _view(self, n: int, depth: int) -> pa.Array:
        offsets, size = self._offsets(n)
        build, kind = self.one([(pa.ListViewArray, pa.int32()), (pa.LargeListViewArray, pa.int64())])
        values = self.array(size, depth + 1)
        places = pa.array(offsets[:-1], kind), pa.array(np.diff(offsets), kind)
        return build.from_arrays(*places, values, mask=pa.array(self.mask(n)))

    def _fixed(self, n: int, depth: int) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(self.array(2 * n, depth + 1), 2, mask=pa.array(self.mask(n)))

    def _struct(self, n: int, depth: int) -> pa.Array:
        fields = [self.array(n, depth + 1) for _ in range(2)]
        return pa.StructArray.from_arrays(fields, ["left", "right"], mask=pa.array(self.mask(n)))

    def _map(self, n: int, depth: int) -> pa.Array:
        offsets, size = self._offsets(n)
        keys = pa.array([f"k{i}" for i in range(size)], pa.string())
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, self.array(size, depth + 1))

    def _union(self, n: int, depth: int) -> pa.Array:
        children = [self.array(n, depth + 1) for _ in range(2)]
        which = pa.array(self.random.integers(0, 2, n), pa.int8())
        if self.random.random() < 0.5:
            return pa.UnionArray.from_sparse(which, children)
        return pa.UnionArray.from_dense(which, pa.array(np.arange(n), pa.int32()), children)

    def _extension(self, n: int, depth: int) -> pa.Array:
        which = self.one(["uuid", "json", "bool8", "tensor", "opaque"])
        if which == "uuid":
            raw = pa.array([self.random.bytes(16) for _ in range(n)], pa.binary(16), mask=self.mask(n))
            return pa.ExtensionArray.from_storage(pa.uuid(), raw)
        if which == "json":
            return pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(['{"a": 1}'] * n, pa.string()))
        if which == "bool8":
            return pa.ExtensionArray.from_storage(pa.bool8(), pa.array(self.random.integers(0, 2, n), pa.int8()))
        if which == "tensor":
            flat = pa.FixedSizeListArray.from_arrays(pa.array(self.random.normal(size=4 * n)), 4)
            return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float64(), [2, 2]), flat)
        storage = self.array(n, depth + 1)
        if isinstance(storage.type, pa.BaseExtensionType):
            storage = storage.storage
        return pa.ExtensionArray.from_storage(pa.opaque(storage.type, "odd", "elsewhere"), storage)


def table_of(draw: Draw, n: int = 40) -> pa.Table:
    """A table with an ordinary number `x`, labels `y`, groups `g` and one or two columns of any type, in odd chunks."""
    columns: dict[str, Any] = {
        "x": draw.random.normal(size=n),
        "y": pa.array(["no", "yes"] * (n // 2)),
        "g": pa.array(np.arange(n) // 4),
    }
    for i in range(1 + int(draw.random.integers(2))):
        array = draw.array(n)
        columns[f"odd{i}"] = pa.chunked_array([array.slice(0, 7), array.slice(7)]) if draw.one([0, 1]) else array
    return pa.table(columns)


def written(table: pa.Table, folder: Path, draw: Draw) -> Path:
    """The table in a file, Parquet where it has all the types."""
    if draw.one([True, False]):
        try:
            pq.write_table(table, folder / "data.parquet")
            pq.read_table(folder / "data.parquet")
            return folder / "data.parquet"
        except (pa.ArrowException, OSError):
            pass
    with pa.ipc.new_file(folder / "data.arrow", table.schema) as file:
        file.write_table(table)
    return folder / "data.arrow"


def by_command(table: pa.Table, folder: Path, draw: Draw) -> None:
    """Train, predict and evaluate by the command line; raises what is no answer and no complaint."""
    data, model = written(table, folder, draw), folder / "m.softreg"
    target = draw.one(["y", "y", "y", "odd0"])
    options: list[str] = ["--strength", "1", "--quiet"]
    if target == "y":
        options += draw.one([[], [], [], ["--drop", "odd0"], ["--groups", "odd0"], ["--groups", "g"]])
        if options[-1] != "odd0":
            options += draw.one([[], [], *([f"--{kind}", "odd0"] for kind in ("category", "text", "number", "date"))])
    options += draw.one([[], [], ["--bad-rows", "skip"], ["--memory", "low"], ["--report", str(folder / "r.html")]])
    called = [["train", str(data), "--target", target, "--model", str(model), *options]]
    called += [["predict", str(model), str(data), "-o", str(folder / "out.csv")], ["evaluate", str(model), str(data)]]
    called += [["statistics", str(data), "--target", target]]
    for words in called:
        if words[0] in ("predict", "evaluate") and not model.exists():
            continue
        done = CliRunner().invoke(main, words)
        if done.exit_code == 1 or (done.exception is not None and not isinstance(done.exception, SystemExit)):
            raise AssertionError(f"softreg {' '.join(words)}: {done.stderr[-500:]}") from done.exception
        assert done.exit_code in (0, 2)
        assert "Traceback" not in done.stderr
        assert done.exit_code == 0 or done.stderr.strip().splitlines()[-1].startswith("softreg: ")


def by_python(table: pa.Table, folder: Path, draw: Draw) -> None:
    """Fit, predict, save and load in Python."""
    model = TableClassifier(draw.one(["y", "y", "odd0"]), strength=1.0, drop=draw.one([(), (), ("x",)]))
    rows = np.flatnonzero(draw.random.random(table.num_rows) < 0.8)
    try:
        P = model.fit(table, draw.one([None, rows])).predict_proba(table)
        model.save(folder / "m.softreg")
    except TableError:
        return
    np.testing.assert_array_equal(load(folder / "m.softreg").predict_proba(table), P)
    model.describe()
    try:
        model.predict(table_of(draw))
        table_statistics(table, "y")
    except ValueError:  # columns of other types, or that others determine
        pass


def by_reading(table: pa.Table, folder: Path, draw: Draw) -> None:
    """What a fit reads of a file or a table, without the fit: labels, groups, every kind, the matrix twice."""
    data: Any = table if draw.one([True, False]) else written(table, folder, draw)
    try:
        read = as_table(data)
    except TableError:
        return
    rows = np.flatnonzero(draw.random.random(table.num_rows) < 0.8)
    for name in read.column_names[3:]:
        trials = [lambda: labels(read, name), lambda: group_codes(read, name, "y")]  # noqa: B023
        trials += [lambda kind=kind: encoded({name: kind}) for kind in (*USER_KINDS, None)]  # type: ignore[misc]  # noqa: B023

        def encoded(asked: dict[str, Any]) -> None:
            others = [other for other in read.column_names[3:] if other not in asked]
            known = {name: kind for name, kind in asked.items() if kind is not None}
            schema = infer_schema(read, "y", drop=[*others, "g"], rows=rows, kinds=known)
            encoder = Encoder.fit(schema, read, rows)
            X, again = encoder.encode(read, rows), Encoder.fit(schema, read.to_batches(max_chunksize=9), rows)
            assert again == encoder
            assert np.isfinite(X.data if sp.issparse(X) else X).all()
            batch = read.slice(3, 20).combine_chunks().to_batches()[0]
            try:
                Y = encoder.encode(batch)
            except TableError:  # a value that the training rows did not have
                return
            both = [x for x in range(3, 23) if x in set(rows.tolist())]
            left, right = X[np.searchsorted(rows, both)], Y[np.array(both) - 3]
            assert np.abs(left - right).max() < 1e-9

        for trial in trials:
            with contextlib.suppress(TableError):
                trial()


def case(seed: int, light: bool = False) -> None:
    """One table, in one of the ways; `light` is mostly without a fit."""
    draw = Draw(seed)
    table = table_of(draw)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ways = [by_reading, by_python, by_command] + [by_reading] * 12 * light
        draw.one(ways)(table, Path(folder), draw)


@pytest.mark.parametrize("start", range(0, 240, 20))
def test_every_arrow_type_is_read_or_refused_in_one_sentence(start: int) -> None:
    for seed in range(start, start + 20):
        case(seed)


def test_the_cases_have_every_type_of_arrow() -> None:
    seen = " ".join(str(Draw(seed).array(6).type) for seed in range(600))
    for word in (
        "string_view", "binary_view", "time32", "time64", "duration", "month_day_nano", "halffloat", "decimal32",
        "decimal256", "struct", "map", "list_view", "fixed_size_list", "dense_union", "sparse_union", "tz=", "null",
        "run_end_encoded", "dictionary<values=date32", "fixed_size_binary", "date64", "uuid", "bool8", "opaque",
        "tensor", "json",
    ):  # fmt: skip
        assert word in seen, word
    assert pc.is_null(Draw(0).array(6)) is not None


if __name__ == "__main__":
    first, last = (int(sys.argv[2]) if len(sys.argv) > 2 else 0), int(sys.argv[1])
    for number in range(first, last):
        try:
            case(number, light=True)
            if number % 500 == 0:
                print(number, flush=True)
        except BaseException as error:
            cause = error.__cause__ or error
            frames = traceback.extract_tb(cause.__traceback__)
            place = next((f"{f.filename}:{f.lineno}" for f in reversed(frames) if "softreg" in f.filename), "")
            print(number, type(cause).__name__, str(cause)[:300], place, flush=True)
            if isinstance(error, KeyboardInterrupt):
                break
    print("done", flush=True)
