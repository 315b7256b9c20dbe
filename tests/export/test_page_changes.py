"""The search for changes of one column, run by Node and compared with a scan of all values."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg.export import Program, build_program
from softreg.export.javascript.module import javascript_module

from .cases import case, fit, generator, labels
from .javascript_runner import NODE

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node (nodejs) here")

SCAN = """
let seed = 1;
const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
const pick = (list) => list[Math.floor(random() * list.length)];
function randomCell({ kind, input, stops, low, high, times }) {
  if (random() < 0.1 && !input.required) return null;
  if (kind === "number") return stops.length ? pick(stops) : 4 * random() - 2;
  if (kind === "boolean") return random() < 0.5;
  if (kind === "date") return dateText(low + random() * (high - low), times);
  if (kind === "tags") return input.levels.filter(() => random() < 0.3);
  return pick(input.levels);
}
/** All values with which a column is compared: (value, share of the slider). */
function valuesOf({ kind, input, stops, knots, whole, low, high }) {
  if (kind === "number" && stops.length) {
    const even = Array.from({ length: 1500 }, (_, k) => low + (k / 1499) * (high - low));
    const along = Array.from({ length: 1500 }, (_, k) => {
      const at = (k / 1499) * (stops.length - 1), i = Math.min(Math.floor(at), stops.length - 2);
      return stops[i] + (at - i) * (stops[i + 1] - stops[i]);
    });
    return [...even, ...along, ...knots, ...stops].map((x) => (whole ? Math.round(x) : x));
  }
  if (kind === "boolean") return [true, false];
  return kind === "category" || kind === "code" ? input.levels : [];
}
const columns = columnsOf(), results = [];
for (let repeat = 0; repeat < 6; repeat++) {
  const cells = columns.map(randomCell);
  const topOf = (i, cell) => argmax(predict(rowOf(columns, replaced(cells, i, cell))).probabilities);
  const before = topOf(0, cells[0]);
  for (const target of [-1, Math.floor(random() * classes.length)]) {
    if (target === before) continue;
    const search = findChanges(columns, cells, target);
    let step = search.next();
    while (!step.done) step = search.next();
    columns.forEach((column, i) => {
      const values = valuesOf(column);
      if (!values.length) return;
      const change = step.value.find((one) => one.column === column) ?? null;
      const from = Math.min(Math.max(cells[i] ?? column.input.typical, column.low), column.high);
      const wins = (top) => (target < 0 ? top !== before : top === target);
      const works = values.filter((x) => x !== cells[i] && wins(topOf(i, x)));
      const at = (x) => (column.kind === "number" ? trackShare(column.stops, x) : 0);
      const way = (x) => Math.abs(at(x) - at(from));
      results.push({
        column: column.name, before, target, scanned: works.length ? Math.min(...works.map(way)) : null,
        found: change && way(change.cell), top: change && topOf(i, change.cell), to: change && change.to,
      });
    });
  }
}
console.log(JSON.stringify(results));
"""
SLACK = 0.013
"""Share of a slider by which a number with few digits may be further away than the nearest one: 1 %, and a stop."""


def scan(program: Program, folder: Path) -> list[dict[str, Any]]:
    """The changes that are found for random rows, with the nearest ones of a scan."""
    sources = [
        files("softreg.export.page").joinpath(name).read_text(encoding="ascii") for name in ("numbers.js", "changes.js")
    ]
    path = folder / "scan.mjs"
    path.write_text("\n".join([javascript_module(program), "{", *sources, SCAN, "}"]), encoding="ascii")
    assert NODE is not None
    result = subprocess.run([NODE, str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "numbers",
        "words",
        "codes",
        "categories",
        "many_classes",
        "mixed 0",
        "mixed 3",
        "mixed 7",
        "names",
        "terms_of_two_classes",
        "terms_of_three_classes",
        "terms_with_forms",
    ],
)
def test_the_nearest_changes_are_found_and_no_others(name: str, tmp_path: Path) -> None:
    results = scan(case(name).program, tmp_path)
    assert results
    for one in results:
        if one["found"] is None:
            assert one["scanned"] is None, one
            continue
        assert one["top"] == one["to"] != one["before"]
        assert one["target"] in {-1, one["top"]}
        assert one["scanned"] is None or one["found"] <= one["scanned"] + SLACK, one
    assert any(one["found"] is not None for one in results)


def narrow_class() -> Program:
    """A program of one number whose class v is the most probable on 1/10000 of a standard deviation only."""
    random = generator(41)
    x = random.normal(size=300)
    program = build_program(fit(pa.table({"x": x, "y": labels(random, x)})))
    return dataclasses.replace(program, weights=np.array([[-1.0, 0.0, 1.0]]), bias=np.array([0.0, 0.5e-4, 0.0]))


def test_a_class_that_lies_between_the_stops_is_found(tmp_path: Path) -> None:
    results = [one for one in scan(narrow_class(), tmp_path) if one["target"] == 1]
    assert results
    assert all(one["top"] == 1 and one["scanned"] is None for one in results)


def test_probabilities_near_0_and_1_have_two_digits_of_their_distance(tmp_path: Path) -> None:
    source = files("softreg.export.page").joinpath("numbers.js").read_text(encoding="ascii")
    values = [0, 1e-300, 1e-6, 0.00012345, 0.0004, 0.0006, 0.5, 0.99951, 0.9999, 0.999988, 1 - 1e-9, 1]
    (tmp_path / "run.js").write_text(f"{source}\nconsole.log(JSON.stringify({values}.map(percent)));", encoding="ascii")
    assert NODE is not None
    done = subprocess.run([NODE, tmp_path / "run.js"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        "0.0%", "< 0.0001%", "0.00010%", "0.012%", "0.040%", "0.1%", "50.0%", "99.951%", "99.990%", "99.9988%",
        "> 99.9999%", "100.0%",
    ]  # fmt: skip
