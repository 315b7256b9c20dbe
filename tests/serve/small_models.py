"""Tables with every kind of column, and models of them."""

from __future__ import annotations

import datetime
import warnings
from typing import Any

import numpy as np
import pyarrow as pa

from softreg import TableClassifier

DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=9 * k) for k in range(60)]


def mixed_table(n: int = 240, seed: int = 0) -> pa.Table:
    """Return columns of every kind, with missing values, odd names and odd levels, and labels "no" and "yes"."""
    draw = np.random.default_rng(seed)
    age = draw.normal(45, 12, n).round(1)
    some = draw.random(n) < 0.1
    words = np.array(["late", "order", "thanks", "refund", "great", "broken"])
    table = {
        "age": pa.array(age, mask=some),
        "in come": pa.array(draw.lognormal(8, 2, n)),  # a heavy tail: normal scores
        'job "x"': pa.array(draw.choice(["cook", "écrivain", 'a "b"', "x=y"], n), mask=draw.random(n) < 0.05),
        "zip": pa.array(draw.choice(["10115", "20095", "80331"], n)),
        "member": pa.array(draw.random(n) < 0.5, mask=draw.random(n) < 0.05),
        "loan": pa.array(draw.choice(["no", "yes"], n)),
        "since": pa.array([DAYS[k] for k in draw.integers(0, 60, n)]).cast(pa.string()),
        "note": pa.array([" ".join(draw.choice(words, 12)) + f" {k}" for k in range(n)]),
        "tags": pa.array([draw.choice(["a", "b", "c"], draw.integers(0, 3)).tolist() for _ in range(n)]),
        "vector": pa.array(draw.normal(size=(n, 3)).tolist()),
    }
    push = np.nan_to_num((age - 45) / 12) + np.asarray(table["member"].fill_null(False)).astype(float)
    label = np.where(draw.random(n) < 1 / (1 + np.exp(-push)), "yes", "no")
    return pa.table({**table, "id": [f"u{k}-{k * 7919 % 1000}" for k in range(n)], "buys": label})


def fitted(table: pa.Table, target: str = "buys", **options: Any) -> TableClassifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableClassifier(target, strength=1e-3, **options).fit(table)


def small_table() -> pa.Table:
    table = mixed_table()
    return table.select(["age", "loan", 'job "x"', "buys"])
