"""The bug zoo, rows 4, 33 and 34: what may stand in a model file, and what a file may do."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as pack

import softreg
from softreg import SoftmaxRegression
from softreg.models import ModelFileError, read_model, write_model


def layouts() -> dict[str, np.ndarray]:
    base = np.arange(24, dtype=np.float64).reshape(4, 6) / 7
    return {
        "C": base,
        "Fortran": np.asfortranarray(base),
        "transposed": base.T,
        "every other column": base[:, ::2],
        "backwards": base[::-1, ::-1],
        "a Fortran slice": np.asfortranarray(base)[1:3, ::2],
        "broadcast": np.broadcast_to(base[0], (3, 6)),
        "three axes turned": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        "big endian": base.astype(">f8"),
        "read-only": np.frombuffer(base.tobytes()),
        "float32 Fortran": np.asfortranarray(base.astype(np.float32)),
        "nothing": np.zeros((0, 3)),
        "one number": np.array(2.5),
        "uint8": np.arange(255, -1, -5, dtype=np.uint8)[::3],
        "big endian int": np.arange(5, dtype=">i4"),
        "bool": (base > 1).T,
    }


@pytest.mark.parametrize("name", layouts())
def test_zoo_33_arrays_of_any_layout_come_back_exactly(tmp_path, name):
    array = layouts()[name]
    write_model(tmp_path / "m", "regression", {"a": array, "b": array.T}, {})
    back = read_model(tmp_path / "m").arrays
    np.testing.assert_array_equal(back["a"], array)
    np.testing.assert_array_equal(back["b"], array.T)
    assert back["a"].dtype == array.dtype.newbyteorder("=")
    assert back["a"].shape == array.shape


@pytest.mark.parametrize("order", ["C", "F"])
def test_zoo_33_an_estimator_with_turned_weights_comes_back_exactly(problem, tmp_path, order):
    model = SoftmaxRegression().fit(problem.X, problem.y)
    model.coef_ = np.asarray(model.coef_, order=order)[::-1][::-1]
    model.intercept_ = np.repeat(model.intercept_, 2)[::2]
    model.save(tmp_path / "m")
    back = softreg.load(tmp_path / "m")
    np.testing.assert_array_equal(back.coef_, model.coef_)
    np.testing.assert_array_equal(back.intercept_, model.intercept_)
    np.testing.assert_allclose(back.predict_proba(problem.X), model.predict_proba(problem.X), rtol=1e-15)


class Payload:
    """A pickle that leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


def test_zoo_34_a_pickle_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.is_dir()  # the payload does work where something unpickles it
    trace.rmdir()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "evil.softreg").write_bytes(pickle.dumps(Payload(trace), protocol=protocol))
        with pytest.raises(ModelFileError, match=r"'evil\.softreg' is not a model file of softreg"):
            softreg.load(tmp_path / "evil.softreg")
    assert not trace.exists()


def test_zoo_34_pickled_arrays_and_archives_are_refused(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "evil.softreg"
    for write in (
        lambda: np.save(path.open("wb"), np.array([Payload(trace)], dtype=object), allow_pickle=True),
        lambda: zipfile.ZipFile(path, "w").writestr("schema.json", '{"__class__": "os.system"}'),
        lambda: path.write_text("import os; os.mkdir('trace')"),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"\0" * 64),
        lambda: path.write_bytes(b"\xff" * 64),
        lambda: path.write_bytes((2**63).to_bytes(8, "little") + b"{}"),
        lambda: path.write_bytes((99_999).to_bytes(8, "little") + b"[" * 99_999),  # deeper than any parser goes
    ):
        write()
        with pytest.raises(ModelFileError, match=r"'evil\.softreg'"):
            softreg.load(path)
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["os.system", "softreg.cli", "__import__('os')", "pickle", "", "REGRESSION", "../x"])
def test_zoo_34_the_kind_of_a_model_is_looked_up_and_never_imported(problem, tmp_path, monkeypatch, kind):
    arrays, metadata = SoftmaxRegression().fit(problem.X, problem.y).to_state()
    write_model(tmp_path / "m", kind, arrays, metadata)  # a checksum that is right
    before = set(sys.modules)

    def never(*args: object, **settings: object) -> None:
        raise AssertionError("code ran from a model file")

    for name in ("eval", "exec", "compile"):
        monkeypatch.setattr(builtins, name, never)
    monkeypatch.setattr(os, "system", never)
    with pytest.raises(ModelFileError, match="unknown kind"):
        softreg.load(tmp_path / "m")
    assert {name.split(".")[0] for name in set(sys.modules) - before} <= {"softreg"}


@pytest.mark.parametrize(
    "change",
    [
        {"__class__": "os.system"},
        {"fit": "os.system"},
        {"verbose": 1},
        {"coef_": [1]},
        {"strength": "__import__('os').mkdir('trace')", "unknown": 1},
    ],
)
def test_zoo_34_parameters_that_are_none_are_refused(problem, tmp_path, change):
    arrays, metadata = SoftmaxRegression().fit(problem.X, problem.y).to_state()
    metadata["parameters"] |= change
    write_model(tmp_path / "m", "regression", arrays, metadata)
    with pytest.raises(ModelFileError, match="unknown parameters"):
        softreg.load(tmp_path / "m")


def drop(name: str):
    return lambda arrays, metadata: (arrays.pop(name, None), metadata.pop(name, None))


CRAFTED = {
    "no weights": drop("coef"),
    "no bias": drop("intercept"),
    "no classes": drop("classes"),
    "no parameters": drop("parameters"),
    "weights of one axis": lambda a, m: a.update(coef=a["coef"][0]),
    "a class too many": lambda a, m: m["classes"]["values"].append("dog"),
    "a class twice": lambda a, m: m["classes"].update(values=["ant", "ant", "cat"]),
    "a class that is a list": lambda a, m: m["classes"].update(dtype="object", values=["ant", ["bee"], "cat"]),
    "a missing class": lambda a, m: m["classes"].update(dtype="object", values=["ant", None, "cat"]),
    "a bias of whole numbers in text": lambda a, m: a.update(intercept=np.zeros((3, 1))),
    "too few names": lambda a, m: m.update(feature_names=["one"]),
    "names that are no list": lambda a, m: m.update(feature_names="abcde"),
    "parameters that are a list": lambda a, m: m.update(parameters=[1]),
    "a strength that is text": lambda a, m: m["parameters"].update(strength="much"),
    "a solver that is none": lambda a, m: m["parameters"].update(solver="os.system"),
    "a negative number of steps": lambda a, m: m.update(n_iter=-5),
    "a status that is none": lambda a, m: m["solution"].update(status="splendid"),
    "weights that are flags": lambda a, m: a.update(coef=a["coef"] > 0),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_zoo_34_parts_that_do_not_belong_together_are_refused(problem, tmp_path, name):
    arrays, metadata = SoftmaxRegression().fit(problem.X, problem.y).to_state()
    metadata = json.loads(json.dumps(metadata))
    CRAFTED[name](arrays, metadata)
    write_model(tmp_path / "m", "regression", arrays, metadata)
    with pytest.raises(ModelFileError):
        softreg.load(tmp_path / "m")


def test_zoo_34_weights_that_are_not_finite_are_refused_on_the_way_in_too(tmp_path, problem):
    arrays, metadata = SoftmaxRegression().fit(problem.X, problem.y).to_state()
    arrays["coef"] = arrays["coef"] * np.nan
    with pytest.raises(ModelFileError, match="not finite"):
        write_model(tmp_path / "m", "regression", arrays, metadata)
    with pytest.raises(ValueError, match="not finite"):
        SoftmaxRegression.from_state(arrays, metadata)


def test_zoo_34_a_foreign_safetensors_file_is_told_apart(tmp_path):
    (tmp_path / "m").write_bytes(pack({"weight": np.eye(2)}, metadata={"format": "pt"}))
    with pytest.raises(ModelFileError, match="safetensors file, but not a model of softreg"):
        softreg.load(tmp_path / "m")
    (tmp_path / "m").write_bytes(pack({"weight": np.eye(2)}))
    with pytest.raises(ModelFileError):
        softreg.load(tmp_path / "m")


def test_zoo_34_loading_imports_nothing_that_runs_code(problem, tmp_path):
    SoftmaxRegression().fit(problem.X, problem.y).save(tmp_path / "m")
    code = (
        "import sys, pickle, softreg\n"
        "def never(*a, **k): raise AssertionError('unpickled')\n"
        "import softreg.models, softreg.persistence\n"
        "pickle.load = pickle.loads = pickle.Unpickler = never\n"
        f"print(softreg.load({str(tmp_path / 'm')!r}).classes_.tolist())\n"
        "assert not {'cloudpickle', 'dill', 'skops', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "['ant', 'bee', 'cat']", done.stderr
