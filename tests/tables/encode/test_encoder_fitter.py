"""Fitters that are merged over runs of rows give the encoder of all rows, whatever their kinds."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softreg.tables import Encoder, Schema, TableError, infer_schema
from softreg.tables.columns.untyped_text import mark_untyped
from softreg.tables.encode.encoder_fitter import EncoderFitter
from softreg.tables.encode.moments import Moments, WeightedMoments
from softreg.tables.encode.text import vocabulary

from .test_column_fitters import made_up


def merged(schema: Schema, table: pa.Table, edges: list[int]) -> Encoder:
    total = None
    for a, b in pairwise([0, *edges, table.num_rows]):
        part = EncoderFitter(schema, {}, before=a)
        part.partial_fit(table.slice(a, b - a), None)
        if total is None:
            total = part
        else:
            total.merge(part)
    assert total is not None
    return Encoder.from_fitter(total)


def close(a: Any, b: Any) -> bool:
    """Equal JSON states, with numbers within rounding."""
    if isinstance(a, dict):
        return set(a) == set(b) and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=1e-12, abs=1e-12) if isinstance(a, float) else bool(a == b)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6), st.sampled_from([100, vocabulary.RUN_BUDGET]))
def test_merged_fitters_are_those_of_all_rows(at: list[int], budget: int) -> None:
    table = made_up()
    schema = infer_schema(table, "y")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "RUN_BUDGET", budget)
        patch.setattr("softreg.tables.encode.encoder_fitter.sample_size", lambda columns: 150)
        assert close(merged(schema, table, sorted(at)).to_state(), Encoder.fit(schema, table).to_state())


def test_invalid_numbers_of_all_parts_are_judged_together() -> None:
    text = [str(i / 4) for i in range(2_000)]
    table = pa.table({"x": text, "y": ["a", "b"] * 1_000})
    table = table.cast(pa.schema(map(mark_untyped, table.schema)))
    schema = infer_schema(table, "y")
    cells = [*text[:-2], "12o", "l3"]
    spoiled = table.set_column(0, table.schema.field(0), pa.array(cells))
    with pytest.warns(UserWarning, match=r"2 rows outside the sample.*row 1,999, have '12o', 'l3'"):
        encoder = merged(schema, spoiled, [1_999])
    assert json.dumps(encoder.to_state()["formats"]["x"]).count("12o") == 1
    with pytest.raises(TableError, match="row 1"):
        merged(schema, table.set_column(0, table.schema.field(0), pa.array(["one"] * 1_000 + text[1_000:])), [1_000])


def test_vectors_of_other_lengths_in_other_parts_are_named() -> None:
    lists = pa.array([[1.0, 2.0]] * 5 + [None] + [[1.0, 2.0, 3.0]] * 4, pa.list_(pa.float64()))
    table = pa.table({"v": lists, "y": ["a", "b"] * 5})
    schema = infer_schema(table.slice(0, 5), "y")
    with pytest.raises(TableError, match=r"'v' held lists of 2 numbers in training, but row 2 has one of 3"):
        merged(schema, table, [5])


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_moments_of_parts_are_merged(scale: float) -> None:
    values = np.random.default_rng(0).normal(size=300) * scale
    weight = np.random.default_rng(1).exponential(size=300) * 1e200
    whole, parts = Moments(), Moments()
    unit = 2.0 ** np.ceil(np.log2(np.abs(values).max()))
    weighted, weighted_parts = WeightedMoments(unit), WeightedMoments(unit)
    whole.add(values)
    weighted.add(values, weight)
    for a, b in ((0, 0), (0, 100), (100, 101), (101, 300), (300, 300)):
        part, weighted_part = Moments(), WeightedMoments(unit)
        part.add(values[a:b])
        weighted_part.add(values[a:b], weight[a:b])
        parts.merge(part)
        weighted_parts.merge(weighted_part)
    for one, other in ((parts, whole), (weighted_parts, weighted)):
        assert (one.mean, one.deviation) == pytest.approx((other.mean, other.deviation), rel=1e-12)
