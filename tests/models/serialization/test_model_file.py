"""The model file: exact, whole or refused, written atomically."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from safetensors import SafetensorError

import softreg
from softreg import SoftmaxRegression
from softreg.models import ModelFileError, read_model, write_model
from softreg.models.serialization import model_file as storage
from softreg.models.serialization.regression_state import regression_to_state


def same(a: SoftmaxRegression, b: SoftmaxRegression) -> None:
    """Everything that a file should keep is kept, to the bit."""
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)
    assert a.coef_.dtype == b.coef_.dtype
    assert a.classes_.tolist() == b.classes_.tolist()
    assert a.classes_.dtype.newbyteorder("=") == b.classes_.dtype
    assert (a.n_features_in_, a.n_iter_) == (b.n_features_in_, b.n_iter_)
    assert a.get_params() == b.get_params()
    names = [getattr(m, "feature_names_in_", None) for m in (a, b)]
    assert (names[0] is None) == (names[1] is None)
    if names[0] is not None:
        assert names[0].tolist() == names[1].tolist()
        assert names[0].dtype == names[1].dtype


def round_trip(model: SoftmaxRegression, path: os.PathLike[str]) -> SoftmaxRegression:
    model.save(path)
    back = softreg.load(path)
    assert isinstance(back, SoftmaxRegression)
    same(model, back)
    return back


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"penalty": "elasticnet", "l1_ratio": 0.25, "tol": 1e-8}, {"penalty": None}])
def test_a_fit_comes_back_to_the_bit(problem, tmp_path, dtype, settings):
    X = problem.X.astype(dtype)
    model = SoftmaxRegression(**settings, class_weight={"ant": 2.0, "cat": 0.1}).fit(X, problem.y)
    back = round_trip(model, tmp_path / "m.softreg")
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    a, b = model.solution_, back.solution_
    assert (a.value, a.gap, a.bound, a.status, a.passes, a.n_iter) == (
        b.value,
        b.gap,
        b.bound,
        b.status,
        b.passes,
        b.n_iter,
    )
    assert a.history == b.history
    np.testing.assert_array_equal(a.W, b.W)
    np.testing.assert_array_equal(back.fit(X, problem.y).coef_, model.coef_)  # and it can be fitted again


LABELS = {
    "text": ["ant", "bee", "cat"],
    "text as objects": np.array(["ant", "bee", "cat"], dtype=object),
    "integers": [-3, 0, 2**62],
    "uint8": np.array([0, 128, 255], dtype=np.uint8),
    "uint64": np.array([0, 2**63, 2**64 - 1], dtype=np.uint64),
    "int8": np.array([-128, 0, 127], dtype=np.int8),
    "big endian": np.array([1, 2, 300], dtype=">i4"),
    "whole floats": [0.0, 1.0, 2.0],
    "integers beyond 64 bits": [2**70, 2**71, 2**72],
    "emoji": ["🙂", "🦊🇫🇷", "é́"],
    "awkward text": ["", " a\n\t", '"\\{}\x00%s'],
    "like numbers": ["007", "7", "1e3"],
    "like nothing": ["NA", "None", "nan"],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back(problem, tmp_path, kind):
    y = np.asarray(LABELS[kind])[problem.codes]
    if kind == "integers beyond 64 bits":
        y = [LABELS[kind][k] for k in problem.codes]
    model = SoftmaxRegression().fit(problem.X, y)
    back = round_trip(model, tmp_path / "m.softreg")
    assert back.predict(problem.X).tolist() == model.predict(problem.X).tolist()


@pytest.mark.parametrize("y", [lambda c: c == 1, lambda c: np.array([False, True], dtype=object)[(c == 1).astype(int)]])
def test_boolean_labels_come_back(problem, tmp_path, y):
    back = round_trip(SoftmaxRegression().fit(problem.X, y(problem.codes)), tmp_path / "m")
    assert back.predict(problem.X).dtype == bool


def test_text_that_no_file_can_hold_is_refused_when_written(problem, tmp_path):
    model = SoftmaxRegression().fit(problem.X, np.array(["a", "b", "\ud800"])[problem.codes])
    with pytest.raises(ModelFileError):  # half of a character, as some broken files hold it
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_labels_of_other_packages_are_refused_when_written_and_nothing_is_left(problem, tmp_path):
    periods = pd.Series(pd.PeriodIndex(["2020", "2021", "2022"], freq="Y")[problem.codes])
    model = SoftmaxRegression().fit(problem.X, periods)
    with pytest.raises(ValueError, match=r"of the type Period, which a model file cannot store"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_names_of_columns_and_classes_of_a_frame_come_back(problem, tmp_path):
    names = ["🦊", "größe in µm", 'a "b"\n', ""]
    X = pd.DataFrame(problem.X, columns=names)
    Y = pd.DataFrame(0.9 * np.eye(3)[problem.codes] + 0.1 / 3, columns=["z", "m", "a"])
    back = round_trip(SoftmaxRegression().fit(X, Y), tmp_path / "ä 🦊.softreg")
    np.testing.assert_array_equal(back.predict_proba(X[names[::-1]]), back.predict_proba(X))
    round_trip(SoftmaxRegression().fit(X, pd.DataFrame(Y.to_numpy(), columns=[3, 1, 2])), tmp_path / "m")


def test_a_stream_s_model_and_a_random_state_come_back(problem, tmp_path):
    back = round_trip(SoftmaxRegression(0.1, random_state=4).partial_fit(problem.X, problem.y), tmp_path / "m")
    assert not hasattr(back, "solution_")
    round_trip(back, tmp_path / "m")


def test_class_weights_of_integer_and_numpy_labels_come_back(problem, tmp_path):
    for weight in ({0: 2, 1: 1.5}, {np.int64(2): np.float32(0.5)}, "balanced"):
        model = SoftmaxRegression(class_weight=weight).fit(problem.X, problem.codes)
        model.save(tmp_path / "m")
        assert softreg.load(tmp_path / "m").class_weight == weight


def test_verbose_is_a_matter_of_the_session(problem, tmp_path):
    SoftmaxRegression(verbose=lambda now: None).fit(problem.X, problem.y).save(tmp_path / "m")
    assert softreg.load(tmp_path / "m").verbose == 0


def test_paths_may_be_text(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("m.softreg")
    same(softreg.load("m.softreg"), model)


# --- atomic ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["softreg.models.serialization.model_file.write_tensors", "os.fsync", "os.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(problem, model, tmp_path, monkeypatch, failure, place):
    model.save(tmp_path / "m.softreg")
    before = (tmp_path / "m.softreg").read_bytes()

    def fail(*args: object, **settings: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(place, fail)
        with pytest.raises(type(failure)):
            SoftmaxRegression(1.0).fit(problem.X, problem.y).save(tmp_path / "m.softreg")
    assert os.listdir(tmp_path) == ["m.softreg"]
    assert (tmp_path / "m.softreg").read_bytes() == before


def test_a_disk_that_is_full_is_an_error_of_the_system(model, tmp_path, monkeypatch):
    def fail(*args: object, **settings: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("softreg.models.serialization.model_file.write_tensors", fail)
    with pytest.raises(OSError, match=r"m\.softreg' could not be written completely: .* No space left on device"):
        model.save(tmp_path / "m.softreg")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_weights_is_kept(model, tmp_path, dtype):
    model.coef_ = model.coef_.astype(dtype)
    model.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    assert loaded.coef_.dtype == dtype
    assert loaded.coef_.tobytes() == model.coef_.tobytes()
    assert np.shares_memory(loaded.coef_, loaded.solution_.W)  # weights are held once
    assert loaded.solution_.W.shape == model.solution_.W.shape


def test_weights_are_held_once_after_a_fit(model):
    assert np.shares_memory(model.coef_, model.solution_.W)


def test_a_file_is_written_without_copies_of_the_weights(model, tmp_path):
    model.coef_ = np.zeros((3, 2_000_000))
    model.intercept_, model.classes_ = np.zeros(3), np.array(["a", "b", "c"])
    del model.solution_
    tracemalloc.start()
    write_model(tmp_path / "m.softreg", "regression", *regression_to_state(model))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * model.coef_.nbytes


def test_a_file_that_is_written_is_alone_and_readable(model, tmp_path):
    model.save(tmp_path / "m.softreg")
    model.save(tmp_path / "m.softreg")
    assert os.listdir(tmp_path) == ["m.softreg"]
    assert stat.S_IMODE((tmp_path / "m.softreg").stat().st_mode) & 0o444 == 0o444


def test_the_same_model_makes_the_same_bytes(model, tmp_path):
    digests = set()
    for _ in range(12):
        model.save(tmp_path / "m")
        digests.add(hashlib.sha256((tmp_path / "m").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_folder_that_is_missing_is_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        model.save(tmp_path / "nowhere" / "m.softreg")
    with pytest.raises(FileNotFoundError, match="none"):
        softreg.load(tmp_path / "none.softreg")


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises((ModelFileError, IsADirectoryError)) as error:
        softreg.load(tmp_path)
    assert tmp_path.name in str(error.value)


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(model, tmp_path) -> bytes:
    """The bytes of a model file."""
    model.save(tmp_path / "m")
    return (tmp_path / "m").read_bytes()


def test_a_truncated_file_is_refused_wherever_it_ends(stored, tmp_path):
    header = 8 + int.from_bytes(stored[:8], "little")
    ends = {0, 1, 7, 8, 9, 100, header - 1, header, header + 1, header + 8, len(stored) - 8, len(stored) - 1}
    for end in sorted(ends | set(range(0, len(stored), 97))):
        (tmp_path / "m").write_bytes(stored[:end])
        with pytest.raises(ModelFileError, match="'m'"):
            softreg.load(tmp_path / "m")


def test_bytes_that_follow_are_refused(stored, tmp_path):
    for more in (b"\0", b"\0" * 8, stored):
        (tmp_path / "m").write_bytes(stored + more)
        with pytest.raises(ModelFileError):
            softreg.load(tmp_path / "m")


def test_a_flipped_bit_is_refused_wherever_it_is(stored, tmp_path):
    random = np.random.default_rng(0)
    header = 8 + int.from_bytes(stored[:8], "little")
    places = [*range(0, header, 3), *range(header, len(stored))]
    unnoticed = []
    for place in places:
        data = bytearray(stored)
        data[place] ^= 1 << int(random.integers(8))
        (tmp_path / "m").write_bytes(data)
        try:
            softreg.load(tmp_path / "m")
        except ModelFileError:
            continue
        unnoticed.append((place, bytes(data[max(0, place - 20) : place + 20])))
    assert not unnoticed


def test_bytes_swapped_for_others_of_the_same_kind_are_refused(stored, tmp_path):
    for old, new in ((b"ant", b"ape"), (b'"n_iter', b'"n_iteR'), (b"0.001", b"0.002"), (b'"strength', b'"Strength')):
        assert old in stored
        (tmp_path / "m").write_bytes(stored.replace(old, new, 1))
        with pytest.raises(ModelFileError):
            softreg.load(tmp_path / "m")


def test_a_newer_format_is_refused_by_name(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(storage, "FORMAT_VERSION", storage.FORMAT_VERSION + 1)
        model.save(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"newer softreg \(format 3\); this one reads up to 2"):
        softreg.load(tmp_path / "m")


@pytest.mark.parametrize("version", [0, -1, "one", 1.5, None, True])
def test_a_format_that_never_was_is_refused(model, tmp_path, monkeypatch, version):
    with monkeypatch.context() as patch:
        patch.setattr(storage, "FORMAT_VERSION", version)
        model.save(tmp_path / "m")
    with pytest.raises(ModelFileError):
        softreg.load(tmp_path / "m")


def test_the_wrong_kind_is_refused(model, tmp_path):
    arrays, metadata = model.to_state()
    for kind in ("table", "forest"):
        write_model(tmp_path / "m", kind, arrays, metadata)
        with pytest.raises(ModelFileError):
            softreg.load(tmp_path / "m")


def test_arrays_that_are_no_numbers_and_notes_that_are_no_json_are_refused(tmp_path):
    for array in (np.array(["a"]), np.array([object()]), np.array([1j]), np.array(["2020"], "M8[D]")):
        with pytest.raises(ModelFileError, match="only numbers are stored"):
            write_model(tmp_path / "m", "regression", {"a": array}, {})
    for note in (float("nan"), {1, 2}, np.float64(1).astype(object).__class__, b"x"):
        with pytest.raises(ModelFileError, match="not strict JSON"):
            write_model(tmp_path / "m", "regression", {}, {"note": note})
    assert not list(tmp_path.iterdir())


def test_notes_come_back_as_they_were(tmp_path):
    notes = {"text": '🦊 "\n', "number": 0.1 + 0.2, "large": 2**80, "nothing": None, "list": [1, [True, {}]]}
    write_model(tmp_path / "m", "regression", {"a": np.arange(3)}, notes)
    back = read_model(tmp_path / "m")
    assert back.metadata == notes == json.loads(json.dumps(notes))
    assert back.kind == "regression"
