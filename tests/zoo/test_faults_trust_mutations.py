"""Model files whose metadata and arrays were edited and whose checksum was made anew: refused, or harmless."""

from __future__ import annotations

import copy
import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from safetensors.numpy import save

import softreg
from softreg.cli import main
from softreg.models.serialization import model_file as storage
from softreg.models.serialization.model_file import ModelFileError, StoredModel, read_model
from softreg.tables import Terms
from softreg.tables.fit.predictor import TablePredictor

MUTATIONS = int(os.environ.get("SOFTREG_MUTATIONS", "40"))
"""Edited files of each of eight models; 1,250 make 10,000."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 0.0, -0.0, 0.5, -2.5, 1e308, -1e308, 5e-324, 1e-300, 1e18, 2**31, 2**53, 2**63,
    -(2**63), 10**30, 10**400, "", "x", "nan", "inf", "number", "category", "text", "date", "l1", "auto", "balanced",
    [], [0], [None], ["a", "a"], [[]], [1e308] * 3, {}, {"a": 1}, {"items": [[0, -1.0]]}, {"items": 3}, "y" * 300,
)  # fmt: skip
"""What is put in the place of a field."""


def table(n: int = 240) -> pa.Table:
    """A table with a column of every kind."""
    r = np.random.default_rng(0)
    y = r.integers(3, size=n)
    words = np.array(["red apple pie", "green pear tart", "blue plum cake", "old grey bread", "new white rice"])
    day = np.datetime64("2021-01-01T00:00:00") + (r.integers(700, size=n) * 86400 + r.integers(86400, size=n))
    notes = [" ".join(words[[a, b]]) + f" {c}" for a, b, c in zip(y, r.integers(5, size=n), range(n), strict=True)]
    return pa.table(
        {
            "size": (y + r.normal(size=n)).tolist(),
            "wage": np.exp(3 * r.standard_t(2, size=n)).tolist(),
            "holes": [None if k % 7 == 0 else float(k % 13) + 0.25 for k in range(n)],
            "member": [None if k % 11 == 0 else bool(k % 2) for k in range(n)],
            "city": [None if k % 9 == 0 else f"town {k}" for k in r.integers(12, size=n).tolist()],
            "when": pa.array(day, pa.timestamp("s")),
            "note": notes,
            "tags": [[f"t{k % 4}", f"t{k % 3}"] for k in range(n)],
            "vector": pa.array(r.normal(size=(n, 3)).tolist(), pa.list_(pa.float64())),
            "y": np.array(["no", "yes", "perhaps"])[y].tolist(),
        }
    )


def models() -> dict[str, Any]:
    """A fitted model of every kind of file."""
    r = np.random.default_rng(1)
    X, y = r.normal(size=(120, 3)), r.integers(3, size=120)
    names = np.array(["a", "b", "c"])[y]
    terms = Terms("linear", smooth=["size", "holes"], interactions=["size:member", "holes:city"])
    return {
        "table": softreg.TableClassifier("y", strength=0.1).fit(table()),
        "narrow table": softreg.TableClassifier("y", strength=0.1, drop=["note"]).fit(table()),
        "table with a path": softreg.TableClassifier("y", terms="linear").fit(table()),
        "table with terms": softreg.TableClassifier("y", terms=terms, drop=["note", "when"]).fit(table()),
        "regression": softreg.SoftmaxRegression(0.1, class_weight={"a": 1, "b": 2, "c": 1}).fit(X, names),
        "integers": softreg.SoftmaxRegression(0.1).fit(X.astype(np.float32), y),
        "selection": softreg.SoftmaxRegressionCV(strengths=[0.1, 1.0], cv=2).fit(X, names),
        "elastic": softreg.SoftmaxRegressionCV(penalty="elasticnet", l1_ratio=[0.5, 1.0], cv=2).fit(X, y),
    }


def mutated(stored: storage.StoredModel, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Give `count` edited files of one model, each with what was done to it."""
    choose = random.Random(seed)
    while count:
        metadata, arrays = copy.deepcopy(stored.metadata), {k: a.copy() for k, a in stored.arrays.items()}
        done = [
            _edit_array(arrays, choose) if arrays and choose.random() < 0.25 else _edit(metadata, choose)
            for _ in range(choose.choice((1, 1, 1, 2, 4)))
        ]
        try:
            yield "; ".join(done), packed(stored.kind, arrays, metadata)
        except (ValueError, TypeError, OverflowError):  # no JSON or no tensor: nobody can write such a file
            continue
        count -= 1


def packed(kind: str, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """The bytes of a model file with a right checksum."""
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    note = {"format": storage.FORMAT_VERSION, "kind": kind, "metadata": metadata, "softreg": "0"}
    note["checksum"] = storage._checksum(plain, storage._canonical(note))
    return save(plain, metadata={"softreg": storage._canonical(note)})


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Every (container, key, path) below a node; long lists by their first and last items."""
    if isinstance(node, dict):
        keys: list[Any] = list(node)
    elif isinstance(node, list):
        keys = list(range(len(node))) if len(node) <= 6 else [0, 1, len(node) // 2, len(node) - 1]
    else:
        return
    for key in keys:
        yield node, key, (*path, key)
        yield from _places(node[key], (*path, key))


def _edit(metadata: dict[str, Any], choose: random.Random) -> str:
    """Change one place of the metadata and say how."""
    places = list(_places(metadata))
    if not places:
        return "nothing is left"
    node, key, path = choose.choice(places)
    value = node[key]
    what = choose.choice(("set", "set", "set", "drop", "twice", "turn", "scale", "copy", "rename"))
    if what == "drop":
        del node[key]
    elif what == "twice" and isinstance(value, list) and value:
        value.append(copy.deepcopy(choose.choice(value)))
    elif what == "turn" and isinstance(value, list) and value:
        value.reverse()
    elif what == "scale" and isinstance(value, (int, float)):
        node[key] = value * choose.choice((-1, 0, 1e-320, 1e200, 1e308, 3))
    elif what == "copy":
        other, at, _ = choose.choice(places)
        if at in other if isinstance(other, dict) else at < len(other):
            node[key] = copy.deepcopy(other[at])
    elif what == "rename" and isinstance(node, dict):
        node[f"{key}s"] = node.pop(key)
    else:
        node[key] = copy.deepcopy(choose.choice(VALUES))
    return f"{what} {'.'.join(map(str, path))}"


def _edit_array(arrays: dict[str, np.ndarray], choose: random.Random) -> str:
    """Change one array and say how."""
    name = choose.choice(sorted(arrays))
    a = arrays[name]
    what = choose.choice(("value", "value", "value", "dtype", "shape", "drop", "cut", "rename", "same"))
    if what == "value" and a.size and a.dtype.kind == "f":
        a.flat[choose.randrange(a.size)] = choose.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, 5e-324))
        if a.dtype == np.float64 and choose.random() < 0.3:
            a.flat[choose.randrange(a.size)] = choose.choice((1.7e308, -1.7e308))
    elif what == "dtype":
        with np.errstate(all="ignore"):
            arrays[name] = a.astype(choose.choice((np.float16, np.float32, np.int64, np.int8, np.bool_, np.uint8)))
    elif what == "shape":
        arrays[name] = choose.choice((a.T, a.ravel(), a[None], a[:, None] if a.ndim == 1 else a[:, :0], a[:0]))
    elif what == "drop":
        del arrays[name]
    elif what == "cut":
        arrays[name] = a[:-1]
    elif what == "rename":
        arrays[f"{name}s"] = arrays.pop(name)
    elif a.size:
        a.flat[:] = a.flat[0]
    return f"{what} of the array {name}"


KINDS = (
    "table", "narrow table", "table with a path", "table with terms", "regression", "integers", "selection", "elastic",
)  # fmt: skip
Edit = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoredModel]:
    """A file of every kind of model, as read."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = models()
    for name, model in fitted.items():
        model.save(folder / "m.softreg")
        found[name] = read_model(folder / "m.softreg")
    return found


def rows(name: str) -> Any:
    """New rows for a model."""
    return table(30) if "table" in name else np.random.default_rng(5).normal(size=(30, 3))


def check_probabilities_or_refusal(path: Path, name: str) -> str:
    """Load and predict: "" where it predicts distributions, the message where it is refused; anything else fails."""
    try:
        model = softreg.load(path)
    except ModelFileError as error:
        refused = str(error)
    else:
        refused = ""
    assert len(refused) < 400
    assert "\n" not in refused
    if refused:
        return refused
    try:
        P = np.asarray(model.predict_proba(rows(name)))
    except ValueError as error:  # numbers so far from the training rows that logits overflow, and the like
        return str(error)
    assert np.isfinite(P).all()
    assert (P >= 0).all()
    assert P.sum(axis=1) == pytest.approx(np.ones(30), abs=1e-6)
    return ""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_fault_e7_edited_files_are_refused_or_harmless(stored: dict, tmp_path: Path, name: str) -> None:
    path = tmp_path / "edited.softreg"
    for number, (what, data) in enumerate(mutated(stored[name], MUTATIONS, seed=3)):
        path.write_bytes(data)
        try:
            check_probabilities_or_refusal(path, name)
            if "table" in name:
                file = read_model(path)
                try:
                    P = TablePredictor.from_state(file.arrays, file.metadata).probabilities(rows(name))
                except ValueError:
                    continue
                assert np.isfinite(P).all()
            if number % 20 == 0:
                done = CliRunner().invoke(main, ["inspect", str(path)])
                assert done.exit_code in (0, 2), done.output
                assert done.exception is None or isinstance(done.exception, SystemExit)
        except Exception as error:
            raise AssertionError(f"{name}, {what}: {error!r}") from error


def code(kind: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The code of the first column of a kind."""
    return lambda metadata: next(one for one in metadata["encoder"]["codes"] if one["code"] == kind)


def put(kind: str, **changes: Any) -> Edit:
    """Change fields of the code of a column."""
    return lambda metadata, _: code(kind)(metadata).update(copy.deepcopy(changes))


def heavy(metadata: dict[str, Any], _: dict[str, np.ndarray]) -> None:
    """Knots out of order."""
    next(one for one in metadata["encoder"]["codes"] if one.get("knots"))["knots"].reverse()


def twice(metadata: dict[str, Any], _: dict[str, np.ndarray]) -> None:
    """A code twice, in the place of another."""
    metadata["encoder"]["codes"][1] = copy.deepcopy(metadata["encoder"]["codes"][0])


def swapped(metadata: dict[str, Any], _: dict[str, np.ndarray]) -> None:
    """Codes in another order than the columns of the schema."""
    metadata["encoder"]["codes"].reverse()


def same_class(metadata: dict[str, Any], _: dict[str, np.ndarray]) -> None:
    """A class twice."""
    metadata["model"]["classes"]["values"][1] = metadata["model"]["classes"]["values"][0]


def one_nan(_: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A weight that is no number."""
    arrays["model.coef"].flat[3] = np.nan


def fewer(_: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A feature less than the encoder makes."""
    arrays["model.coef"] = arrays["model.coef"][:, 1:]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (put("number", scale=0), "'scale' is 0, and must be a finite number above 0"),
        (put("number", scale=-1.0), "'scale' is -1.0"),
        (put("number", mean=10**400), "'mean' is 1000"),
        (put("number", name=["size"]), r"'name' is \['size'\], and must be text"),
        (put("number", knots=[0.0, 1.0], scores=[0.0]), "2 knots"),
        (put("boolean", words=["no", "no"]), "'words' holds 'no' twice"),
        (put("boolean", mean=3.0), "is no boolean"),
        (put("category", levels="abc"), "'levels' is 'abc', and must be a list of texts"),
        (put("category", pooled=-1), "'pooled' is -1, and must be a count"),
        (put("date", parts=["year", "year"]), "'parts' holds 'year' twice"),
        (put("date", mean=1e300), "no date"),
        (put("vector", means=[None, 1.0, 2.0]), "must be a list of finite numbers"),
        (put("tags", levels=["t1", "t1"]), "'levels' holds 't1' twice"),
        (heavy, "the numbers of 'knots' are out of order"),
        (twice, "two of the coded column"),
        (swapped, "the features of the schema are"),
        (same_class, "given twice|two of the class"),
        (one_nan, "the weights are not finite numbers"),
        (fewer, "do not fit"),
    ],
)
def test_fault_e7_what_is_wrong_is_told(stored: dict, tmp_path: Path, edit: Edit, told: str) -> None:
    file = stored["narrow table"]
    metadata, arrays = copy.deepcopy(file.metadata), {k: a.copy() for k, a in file.arrays.items()}
    edit(metadata, arrays)
    path = tmp_path / "edited.softreg"
    path.write_bytes(packed(file.kind, arrays, metadata))
    with pytest.raises(ModelFileError, match=told):
        softreg.load(path)
    with pytest.raises(ValueError, match=told):
        TablePredictor.from_state(arrays, metadata)
    for command in (["inspect", path], ["predict", path, _written(tmp_path)]):
        done = CliRunner().invoke(main, [str(part) for part in command])
        assert done.exit_code == 2
        assert "Traceback" not in done.output


def _written(folder: Path) -> Path:
    pq.write_table(table(20), folder / "t.parquet")
    return folder / "t.parquet"
