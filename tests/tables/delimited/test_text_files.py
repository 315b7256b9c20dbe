"""Random text files: each is read back exactly, or refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from softreg.tables import TableError, TableNote, read_table

from . import text_files

FILES = 250
"""Files of each part."""


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 8))])
def test_a_text_file_is_read_back_exactly_or_refused(tmp_path: Path, part: int) -> None:
    refused = 0
    for seed in range(part * FILES, part * FILES + FILES):
        made = text_files.table_file(seed)
        path = tmp_path / f"t{made.ending}"
        path.write_bytes(made.raw)
        header = None if made.how["header"] else False
        names = made.names if made.how["header"] else [f"column_{i}" for i in range(1, len(made.names) + 1)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TableNote)
            try:
                table = read_table(path, header=header)
            except TableError:
                refused += 1
                continue
        if table.num_columns == 1:  # nothing separates the fields for sure; no model can be trained on it
            refused += 1
            continue
        assert table.column_names == names, (seed, made.how)
        assert [list(row.values()) for row in table.to_pylist()] == made.rows, (seed, made.how)
    assert refused < 0.1 * FILES
