"""One pass over batches: any cut gives the same encoder, heavy tails are tamed, rare levels pooled, memory bounded."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softreg.tables import Encoder, TableError, infer_schema
from softreg.tables.columns.row_location import FILE, ROW
from softreg.tables.encode import column_fitters
from softreg.tables.encode.moments import Moments
from softreg.tables.encode.normal_scores import NumericSample, kurtosis, normal_scores
from softreg.tables.encode.rare_levels import LevelCounter


def made_up(n: int = 700, seed: int = 0) -> pa.Table:
    """A column of every kind, with holes."""
    rng = np.random.default_rng(seed)
    hole = rng.random(n) < 0.05
    tags = [None if h else [f"t{i}" for i in rng.integers(0, 6, rng.integers(0, 4))] for h in hole]
    return pa.table(
        {
            "x": pa.array(rng.normal(5, 2, n), mask=hole),
            "heavy": rng.lognormal(0, 2, n),
            "on": pa.array(rng.random(n) < 0.3, mask=hole),
            "job": [f"job {i}" for i in rng.zipf(1.5, n) % 90],
            "when": [f"20{a:02d}-{b % 12 + 1:02d}-{c:02d} {h:02d}:15" for a, b, c, h in rng.integers(1, 23, (n, 4))],
            "note": [" ".join(f"w{i}" for i in rng.zipf(1.3, 6) % 50) for _ in range(n)],
            "tags": pa.array(tags, pa.list_(pa.string())),
            "vector": pa.array([None if h else v for h, v in zip(hole, rng.normal(size=(n, 3)).tolist(), strict=True)],
                               pa.list_(pa.float64())),
            "y": np.where(rng.random(n) < 0.5, "a", "b"),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return made_up()


def cut(table: pa.Table, at: list[int]) -> list[pa.RecordBatch]:
    edges = [0, *sorted(at), table.num_rows]
    return [b for a, c in pairwise(edges) for b in table.slice(a, c - a).to_batches()]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6), st.sampled_from([64, 100, 16_384]))
def test_any_cut_into_batches_learns_and_encodes_the_same(at: list[int], chunk: int) -> None:
    table = made_up()
    schema = infer_schema(table, "y")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_fitters, "CHUNK", chunk)
        whole = Encoder.fit(schema, table)
        parts = Encoder.fit(schema, iter(cut(table, at)))
    assert parts == whole
    dense = Encoder(whole.column_encoders, sparse=False)
    X = dense.encode(table)
    assert X.shape == (700, len(whole.feature_names_out))
    assert np.vstack([dense.encode(batch) for batch in cut(table, at)]).tobytes() == X.tobytes()
    sparse = Encoder(whole.column_encoders, sparse=True)
    np.testing.assert_array_equal(sparse.encode(table).toarray(), X)
    assert sparse.encode(table).has_sorted_indices


def test_every_kind_survives_json(table: pa.Table) -> None:
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    again = Encoder.from_state(json.loads(json.dumps(encoder.to_state(), allow_nan=False)))
    assert again == encoder
    assert again.encode(table).tobytes() == encoder.encode(table).tobytes() if not encoder.sparse else True
    assert {type(code).__name__ for code in encoder.column_encoders} == {
        "NumberEncoder", "BooleanEncoder", "CategoryEncoder", "DateEncoder", "TextEncoder", "TagsEncoder",
        "VectorEncoder",
    }  # fmt: skip


def test_training_rows_alone_are_learned_from(table: pa.Table) -> None:
    rows = np.random.default_rng(1).permutation(700)[:400]
    schema = infer_schema(table, "y", rows=rows)
    chosen = Encoder.fit(schema, iter(cut(table, [10, 300, 301])), rows)
    assert chosen == Encoder.fit(schema, table.take(np.sort(rows)))
    A, B = chosen.encode(table, rows), chosen.encode(table.take(rows))
    np.testing.assert_array_equal(A if not chosen.sparse else A.toarray(), B if not chosen.sparse else B.toarray())


def test_a_bad_cell_is_named_with_its_file_and_row() -> None:
    schema = infer_schema(pa.table({"x": [1.0, 2.0], "y": ["a", "b"]}), "y")
    batch = pa.table({"x": ["1", "two"]}).replace_schema_metadata({FILE: b"part-3.csv", ROW: b"4000"})
    for work in (
        lambda: Encoder.fit(schema, [batch]),
        lambda: Encoder.fit(schema, pa.table({"x": [1, 2]})).encode(batch),
    ):
        with pytest.raises(TableError, match=r"row 4,002 of 'part-3.csv' has 'two'"):
            work()
    encoder = Encoder.fit(schema, pa.table({"x": [1.0, 2.0]}))
    assert encoder.invalid_rows(batch).tolist() == [False, True]


# Numbers


def test_heavy_tails_become_normal_scores_and_light_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    table = pa.table({"light": rng.normal(size=n), "heavy": rng.standard_cauchy(n), "y": ["a", "b"] * (n // 2)})
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    assert encoder.remarks == {"heavy": "heavy tail, by normal scores"}
    X = encoder.encode(table)
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(X.std(axis=0), 1, atol=1e-6)
    assert kurtosis(X[:, 1]) == pytest.approx(3, abs=0.5)
    order = np.argsort(table["heavy"].to_numpy())
    assert (np.diff(X[order, 1]) >= 0).all()
    far = encoder.encode(pa.table({"light": [0.0, 0.0], "heavy": [1e300, table["heavy"].to_numpy().max()]}))
    assert far[0, 1] == far[1, 1]


def test_few_values_or_few_rows_are_left_as_they_are() -> None:
    assert normal_scores(np.array([0.0] * 999 + [1e6])) == ((), ())
    assert normal_scores(np.append(np.zeros(40), 1e9)) == ((), ())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(1, 39))
def test_moments_of_parts_are_those_of_the_whole(values: list[float], at: int) -> None:
    x, parts = np.array(values), Moments()
    parts.add(x[:at])
    parts.add(x[at:])
    assert parts.mean == pytest.approx(x.mean(), abs=1e-9, rel=1e-9)
    assert parts.deviation == pytest.approx(x.std() or 1.0, rel=1e-6, abs=1e-3) or x.std() < 1e-6


def test_the_deviation_of_near_numbers_keeps_its_digits_in_any_order() -> None:
    x = 2.0**62 + 1024 * np.random.default_rng(0).integers(0, 3, 1000)
    exact = 1024 * ((x - 2.0**62) / 1024).std()
    for values in (x, x[::-1], np.sort(x)):
        moments = Moments()
        moments.add(values)
        assert moments.deviation == pytest.approx(exact, rel=1e-9)
    constant = Moments()
    constant.add(np.full(1001, 2.0**62 + 1024))
    assert (constant.mean, constant.deviation) == (2.0**62 + 1024, 1.0)


def test_the_sample_is_bounded_and_fair() -> None:
    sample = NumericSample(size=1000)
    for start in range(0, 100_000, 5000):
        sample.add({"x": np.arange(start, start + 5000.0)}, 5000)
        assert len(sample.column("x")) <= 1000
    drawn = sample.column("x")
    assert len(drawn) > 500
    assert drawn.mean() == pytest.approx(50_000, rel=0.1)


# Categories and tags


def test_rare_levels_are_pooled_and_stand_for_unseen_ones() -> None:
    job = [f"j{i}" for i in range(30)] * 4 + ["once", "twice", "twice"]
    table = pa.table({"job": job, "y": ["a", "b"] * 61 + ["a"]})
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    assert encoder.feature_names_out[-1] == "job=rare"
    assert encoder.remarks == {"job": "2 rare levels share a feature"}
    X = encoder.encode(pa.table({"job": ["j0", "once", "twice", "never"]}))
    assert X[:, -1].tolist() == [0, 1, 1, 1]
    assert X.sum(axis=1).tolist() == [1, 1, 1, 1]


def test_a_single_rare_level_keeps_its_name() -> None:
    counter = LevelCounter()
    counter.add([f"l{i}" for i in range(30)], np.array([5] * 29 + [1]))
    assert counter.frequent_levels()[1] == 0
    assert len(counter.frequent_levels()[0]) == 30


def test_a_million_levels_are_counted_in_bounded_memory() -> None:
    levels = [f"user {i}" for i in range(1_000_000)] + ["often"] * 50
    table = pa.table({"who": levels, "y": (["a", "b"] * 500_025)})
    from softreg.tables import Kind

    encoder = Encoder.fit(infer_schema(table, "y", kinds={"who": Kind.CATEGORY}), table)
    assert encoder.feature_names_out == ("who=often", "who=rare")
    counter = LevelCounter(max_levels=10)
    for start in range(0, 100, 5):
        counter.add(["often", *(f"l{i}" for i in range(start, start + 5))], np.array([3, 1, 1, 1, 1, 1]))
        assert len(counter.counts) <= 10
    assert counter.counts["often"] == 60
    assert counter.frequent_levels()[1] > 20


def test_tags_are_many_hot() -> None:
    table = pa.table({"tags": pa.array([["a", "b"], ["b", "b"], [], None, ["a"]]), "y": list("uvuvu")})
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    assert encoder.feature_names_out == ("tags: a", "tags: b")
    for form in (pa.large_list(pa.string()), pa.list_(pa.string())):
        X = encoder.encode(pa.table({"tags": pa.array([["b", "a"], ["b", "b", "new"], None], form)}))
        assert X.tolist() == [[1, 1], [0, 1], [0, 0]]
    with pytest.raises(TableError, match="held lists of words in training"):
        encoder.encode(pa.table({"tags": ["a"]}))


@pytest.mark.parametrize("form", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.int64())])
def test_vectors_are_centred_with_one_scale(form: pa.DataType) -> None:
    rows = [[1, 10], [3, 10], None, [2, 40]]
    table = pa.table({"v": pa.array(rows, form), "y": list("uvuv")})
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    assert encoder.feature_names_out == ("v[0]", "v[1]", "v=missing")
    scale = np.sqrt((2 / 3 + 200) / 2)
    expected = [[-1 / scale, -10 / scale, 0], [1 / scale, -10 / scale, 0], [0, 0, 1], [0, 20 / scale, 0]]
    np.testing.assert_allclose(encoder.encode(table), expected, atol=1e-12)
    with pytest.raises(TableError, match="row 2 has one of 3"):
        encoder.encode(pa.table({"v": [[1.0, 2.0], [1.0, 2.0, 3.0]]}))
    with pytest.raises(TableError, match="not finite in row 1"):
        encoder.encode(pa.table({"v": [[1.0, float("nan")]]}))


def test_vectors_of_different_lengths_are_refused() -> None:
    with pytest.raises(TableError, match="lists of numbers of different lengths, 1 to 2"):
        infer_schema(pa.table({"v": [[1.0], [1.0, 2.0]], "y": ["a", "b"]}), "y")


def test_standardized_numbers_undo_normal_scores() -> None:
    x = np.random.default_rng(0).lognormal(0, 2, 500)
    table = pa.table({"x": x, "y": ["a", "b"] * 250})
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    assert encoder.column_encoders[0].knots
    plain = encoder.with_standardized_numbers()
    np.testing.assert_allclose(
        plain.encode(table)[:, 0] * plain.column_encoders[0].scale + plain.column_encoders[0].mean, x, rtol=1e-9
    )
