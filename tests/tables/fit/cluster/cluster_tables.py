"""Tables of all kinds of columns in several Parquet files, for fits on worker processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_OF_GROUPS = 90
"""Rows of a row group of the files."""
FRAGMENT_ROWS = 150
"""Rows from which on a fragment of these files is full."""


def all_kinds(n: int = 1500, seed: int = 0) -> pa.Table:
    """Numbers with holes and a heavy tail, category, boolean, dates, text, tags, vectors, weights and offsets."""
    draw = np.random.default_rng(seed)
    x, job = draw.normal(size=n), draw.integers(0, 30, n)
    words = np.array(["good", "fine", "bad", "poor", "thing", "shop"])
    y = np.argmax(np.stack([x, (job % 3) - 1.0, np.zeros(n)], 1) + draw.gumbel(size=(n, 3)), 1)
    hole = draw.random(n) < 0.1
    tags = [None if h else [f"t{i}" for i in draw.integers(0, 6, draw.integers(0, 4))] for h in hole]
    labels = [["007", "NA", "None"][k] for k in y]
    return pa.table(
        {
            "x": [None if i % 17 == 0 else float(v) for i, v in enumerate(x)],
            "price": np.exp(2 * draw.normal(size=n)),
            "job": [f"job {j * j // 40}" for j in job],
            "member": draw.random(n) < 0.4,
            "day": np.datetime64("2024-01-01") + draw.integers(0, 600, n).astype("timedelta64[D]"),
            "said": [" ".join(words[draw.integers(0, 6, 4)]) + f" {i % 50}" for i in range(n)],
            "tags": pa.array(tags, pa.list_(pa.string())),
            "place": pa.array(draw.normal(size=(n, 2)).tolist(), pa.list_(pa.float64())),
            "mass": draw.integers(0, 4, n).astype(float),
            "score": draw.normal(size=n),
            "label": [None if i % 101 == 7 else one for i, one in enumerate(labels)],
        }
    )


def write_parts(table: pa.Table, folder: Path, sizes: tuple[int, ...] = (700, 500)) -> Path:
    """Write a table in files of these sizes and the rest; return the pattern of the files."""
    first = 0
    for k, size in enumerate([*sizes, table.num_rows - sum(sizes)]):
        pq.write_table(table.slice(first, size), folder / f"part-{k}.parquet", row_group_size=ROWS_OF_GROUPS)
        first += size
    return folder / "*.parquet"
