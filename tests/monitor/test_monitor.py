"""The public class: state, references, errors, and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg.monitor import Monitor, StateError
from softreg.monitor.page import PageHead, render_monitor

from .streams import stream

LABELS = np.array(["a", "b", "c"])


def batches(change: str = "temperature") -> list[tuple[np.ndarray, np.ndarray | None, dict[str, Any], str]]:
    """Batches with columns: right ones, one without labels, and one with a change of labels and of a column."""
    made = []
    for k, (n, kind) in enumerate([(300, ""), (77, ""), (150, ""), (600, change)]):
        P, codes = stream(k, n, kind)
        random = np.random.default_rng(k)
        columns = {"age": random.normal(3.0 if kind else 0.0, 1, n), "town": random.choice(["x", "y"], n)}
        made.append((P, None if k == 2 else LABELS[codes], columns, f"month {k}"))
    return made


def test_a_state_continues_exactly(tmp_path: Path) -> None:
    whole, parts = Monitor(LABELS, model_id="m"), Monitor(LABELS, model_id="m")
    for batch in batches():
        whole.update(*batch)
        parts.update(*batch)
        parts.save(tmp_path / "s.json")
        parts = Monitor.load(tmp_path / "s.json", model_id="m", classes=list(LABELS))
    assert parts.to_state() == whole.to_state()
    assert str(whole.verdict) == "refit; a column has changed: age"
    assert render_monitor(parts, PageHead("m")) == render_monitor(whole, PageHead("m"))


def test_reference_rows_are_compared_from_the_first_batch_on() -> None:
    monitor = Monitor(LABELS)
    P, _, columns, _ = batches()[0]
    monitor.set_reference(pa.table(columns), P, "training")
    assert monitor.class_rates == pytest.approx(P.mean(axis=0))
    assert monitor.update(*batches()[1]).columns
    changed = monitor.update(*batches()[3])
    assert [c.name for c in changed.columns if c.changed] == ["age"]
    assert monitor.verdict.changed_columns == ("age",)
    with pytest.raises(ValueError, match="compares with training already"):
        monitor.set_reference(columns)


def test_without_labels_there_is_no_test() -> None:
    monitor = Monitor(LABELS)
    monitor.update(batches()[0][0])
    assert str(monitor.verdict) == "no label yet"
    assert not monitor.verdict.is_alarm
    page = render_monitor(monitor, PageHead("<b>"))
    assert "no label yet" in page
    assert "<b>" not in page
    assert "Evidence against" not in page


def test_labels_may_be_numbers(tmp_path: Path) -> None:
    monitor = Monitor(np.array([0, 1, 2]))
    P, codes = stream(0, 50)
    monitor.update(P.astype(np.float32), codes)
    monitor.save(tmp_path / "s.json")
    again = Monitor.load(tmp_path / "s.json", classes=[0, 1, 2])
    again.update(P, codes)
    assert again.test.rows == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"P": [[0.5, 0.5]]}, "3 columns, one for each class"),
        ({"P": [[0.5, 0.6, 0.1]]}, "row 0"),
        ({"P": [[np.nan, 0.6, 0.4]]}, "row 0"),
        ({"P": np.zeros((0, 3))}, "no rows"),
        ({"P": [[0.2, 0.4, 0.4]], "y": ["d"]}, "'d'"),
        ({"P": [[0.2, 0.4, 0.4]], "y": ["a", "b"]}, "labels for 1 rows"),
        ({"P": [[0.2, 0.4, 0.4]], "columns": {"age": [1, 2], "town": ["x"]}}, "'age' has the shape"),
        ({"P": [[0.2, 0.4, 0.4]], "columns": {"town": ["x"]}}, "lacks the column 'age'"),
        ({"P": [[0.2, 0.4, 0.4]], "columns": {"age": ["old"], "town": ["x"]}}, "levels in batch 2, and numbers"),
    ],
)
def test_wrong_batches_are_refused_and_change_nothing(arguments: dict[str, Any], message: str) -> None:
    monitor = Monitor(LABELS)
    monitor.update(*batches()[0])
    before = monitor.to_state()
    with pytest.raises(ValueError, match=message):
        monitor.update(**arguments)
    assert monitor.to_state() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ["a"]}, "at least two"),
        ({"classes": ["a", "b"], "alpha": 1.0}, "between 0 and 1"),
        ({"classes": ["a", "b"], "class_rates": [0.5, 0.6]}, "sum to 1"),
        ({"classes": ["a", "a"]}, "twice"),
    ],
)
def test_wrong_monitors_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Monitor(**arguments)


def test_columns_must_be_a_mapping() -> None:
    with pytest.raises(TypeError, match="expected a mapping"):
        Monitor(LABELS).update([[0.2, 0.4, 0.4]], columns=[1.0])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    monitor = Monitor(LABELS, model_id="m")
    monitor.update(*batches()[0])
    monitor.save(tmp_path / "s.json")
    return tmp_path / "s.json"


def damaged(path: Path, how: str) -> None:
    text = path.read_text()
    content = json.loads(text)
    if how == "cut":
        path.write_text(text[: len(text) // 2])
    elif how == "empty":
        path.write_text("")
    elif how == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    elif how == "list":
        path.write_text("[1]")
    elif how == "edited":
        content["content"]["alpha"] = 0.01
        path.write_text(json.dumps(content))
    elif how == "version":
        path.write_text(json.dumps({**content, "version": 2}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "is damaged: it is not JSON"),
        ("empty", "is damaged: it is not JSON"),
        ("binary", "is damaged: it is not JSON"),
        ("list", "no state of a monitor"),
        ("edited", "does not fit its checksum"),
        ("version", "version 2"),
    ],
)
def test_a_damaged_state_is_refused(state: Path, how: str, message: str) -> None:
    damaged(state, how)
    with pytest.raises(StateError, match=message):
        Monitor.load(state)


def test_a_state_of_wrong_shapes_is_refused(state: Path) -> None:
    from softreg.monitor.state_file import read_state, write_state

    for change in (
        {"classes": ["a", "b"]},
        {"test": {}},
        {"batches": [{"name": 1}]},
        {"references": [{"name": "x"}]},
        {"rows": None},
    ):
        content = read_state(state)
        write_state(state.with_name("t.json"), {**content, **change})
        with pytest.raises(StateError, match="is damaged"):
            Monitor.load(state.with_name("t.json"))


def test_a_state_of_another_model_is_refused(state: Path) -> None:
    with pytest.raises(StateError, match="the model file has changed"):
        Monitor.load(state, model_id="n")
    with pytest.raises(StateError, match="its classes differ"):
        Monitor.load(state, classes=["a", "b"])


def test_a_batch_is_known_again(state: Path) -> None:
    monitor = Monitor.load(state)
    P, y, _, name = batches()[0]
    codes = np.searchsorted(LABELS, y)
    assert monitor.has_batch(name, P, codes)
    assert not monitor.has_batch(name, P, None)
    assert not monitor.has_batch("other", P, codes)


def test_the_page_names_what_changed() -> None:
    monitor = Monitor(LABELS)
    for batch in batches("class rates"):
        monitor.update(*batch)
    page = render_monitor(monitor, PageHead("Monitor", provenance=[("Version", "1")]))
    for text in ("shift the class rates", "alarm in row", "Column age has changed", "month 3", "town"):
        assert text in page
    assert "<script" not in page
    with pytest.raises(ValueError, match="no batch"):
        render_monitor(Monitor(LABELS), PageHead("empty"))
