"""Model files whose metadata and arrays were edited and whose checksum was made anew, from a seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import save

import softreg
from softreg.models import storage

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
    return {
        "table": softreg.TableClassifier("y", strength=0.1).fit(table()),
        "narrow table": softreg.TableClassifier("y", strength=0.1, drop=["note"]).fit(table()),
        "table with a path": softreg.TableClassifier("y").fit(table()),
        "regression": softreg.SoftmaxRegression(0.1, class_weight={"a": 1, "b": 2, "c": 1}).fit(X, names),
        "integers": softreg.SoftmaxRegression(0.1).fit(X.astype(np.float32), y),
        "selection": softreg.SoftmaxRegressionCV(strengths=[0.1, 1.0], cv=2).fit(X, names),
        "elastic": softreg.SoftmaxRegressionCV(penalty="elasticnet", l1_ratio=[0.5, 1.0], cv=2).fit(X, y),
    }


def mutated(stored: storage.Stored, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
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
    note = {"format": storage.FORMAT, "kind": kind, "metadata": metadata, "softreg": "0"}
    note["checksum"] = storage._checksum(plain, storage._canonical(note))
    return save(plain, metadata={"softreg": storage._canonical(note)})


def write(path: Path, data: bytes) -> Path:
    """Write one of them to a file."""
    path.write_bytes(data)
    return path


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
