"""Hostile files through train, predict and evaluate in processes of their own: a few hundred, with fixed seeds.

`python tests/tables/io/hostile.py drive csv 0 10000 FOLDER` does the same for more seeds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from . import hostile


@pytest.mark.parametrize("kind", ["csv", "json", "binary"])
def test_a_hostile_file_is_read_or_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    clean, failures = hostile.drive(kind, 0, 120, tmp_path)
    assert failures == []
    assert clean == 120


def test_the_generators_make_the_same_file_of_a_seed(tmp_path: Path) -> None:
    for kind in hostile.GENERATORS:
        first, options = hostile.hostile_file(kind, 7, tmp_path)
        raw = first.read_bytes()
        assert hostile.hostile_file(kind, 7, tmp_path) == (first, options)
        assert first.read_bytes() == raw


def test_a_process_that_dies_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text(
        "import json, os, sys\n"
        "for seed in range(int(sys.argv[2]), int(sys.argv[3])):\n"
        "    print(json.dumps({'begun': seed}), flush=True)\n"
        "    if seed == 1:\n"
        "        os.abort()\n"
        "    print(json.dumps({'ended': seed, 'said': ['odd'] if seed == 2 else []}), flush=True)\n"
    )
    monkeypatch.setattr(hostile, "__file__", str(script))
    clean, failures = hostile.drive("csv", 0, 5, tmp_path)
    assert clean == 3
    assert failures[0].startswith("csv 1: the process ended with -6")
    assert failures[1] == "csv 2: ['odd']"
