"""ONNX models: labels, invalid values, names, metadata, types, the calendar and interpolation."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, softmax
from softreg.export import ExportError, Program, build_program
from softreg.export.onnx.graph import onnx_model
from softreg.export.onnx.label_output import INVALID_INTEGER
from softreg.export.onnx.tensor_inputs import tensor_names
from softreg.export.probability_maps import ReplaceZeros, ScaleLogs, ShiftRates, Step
from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    Cycle,
    CycleTerm,
    Input,
    InputKind,
    LevelTerm,
    LinearTerm,
    MissingTerm,
    Term,
    TrendTerm,
    VectorTerm,
)
from softreg.models.calibration.temperature import SMALLEST, without_zeros
from softreg.tables.encode.date_encoder import cycle_phase

from .cases import CASES, ODD_TEXTS, case, fit, generator, labels
from .onnx_runner import feeds, session

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

EXPORTED = [name for name in CASES if name != "texts"]
UNICODE_SPACES = [chr(point) for point in range(sys.maxunicode + 1) if chr(point).isspace()]


def program_of(
    kind: InputKind, *terms: Term, width: int = 1, classes: tuple[Any, ...] = ("u", "v"), **options: Any
) -> Program:
    """A program of one input, the column "a", whose features have the weights 1, 2, ... for the second class."""
    weights = np.zeros((width, len(classes)))
    weights[:, 1] = 1 + np.arange(width)
    return Program((Input("a", kind, **options),), terms, weights, np.zeros(len(classes)), classes)


def run(program: Program, values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of a program of one input."""
    read = program.inputs[0]
    text = read.kind in (InputKind.BOOLEAN, InputKind.CATEGORY, InputKind.TAGS)
    fed = np.array(values, dtype=object if text else np.float64)
    fed = fed.reshape(len(values), -1) if fed.size or fed.ndim > 1 else fed.reshape(0, 1)
    return tuple(session(onnx_model(program)).run(None, {tensor_names(program)[0]: fed}))


def logit(P: np.ndarray) -> np.ndarray:
    """The logit of the second of two classes."""
    return np.log(P[:, 1] / P[:, 0])


@pytest.mark.parametrize("name", EXPORTED)
def test_labels_are_those_of_the_library(name: str) -> None:
    given = case(name)
    P, label = session(onnx_model(given.program)).run(None, feeds(given.program, given.columns))
    np.testing.assert_array_equal(label, np.array(given.program.classes, dtype=label.dtype)[P.argmax(axis=1)])
    assert label.shape == (given.columns.num_rows,)
    if "calibrator" not in given.options and "offset" not in name:
        data = given.columns if name not in ("arrays", "named_arrays") else np.array(given.columns["X"].to_pylist())
        assert label.tolist() == given.model.predict(data).tolist()


@pytest.mark.parametrize(
    ("classes", "dtype", "invalid"),
    [
        (ODD_TEXTS, object, ""),
        (("", "0"), object, ""),
        ((-1, 2**53 + 1, 2**63 - 1), np.int64, INVALID_INTEGER),
        ((0.1, 1e300), np.float64, np.nan),
        ((False, True), np.bool_, False),
        ((1, "1"), object, ""),
        ((2**70, 1), object, ""),
    ],
)
def test_labels_have_the_type_of_the_classes(classes: tuple[Any, ...], dtype: Any, invalid: Any) -> None:
    q = len(classes)
    program = replace(identity_program(q), classes=classes)
    label = run(program, [*np.eye(q), np.full(q, np.inf)])[1]
    expected = program.label_texts if dtype is object else classes
    assert label.dtype == dtype
    np.testing.assert_array_equal(label, np.array([*expected, invalid], dtype=dtype))


def test_the_first_of_equal_classes_is_the_label() -> None:
    program = program_of(InputKind.NUMBER, LinearTerm(0, 0, -1.0, 1.0, 0.0, 1.0), classes=("b", "c", "a"))
    P, label = run(program, [0.0, -1.0])
    assert P[0].tolist() == [1 / 3] * 3
    assert label.tolist() == ["b", "b"]


@pytest.mark.parametrize("name", EXPORTED)
def test_a_batch_may_be_empty_and_rows_do_not_depend_on_it(name: str) -> None:
    given = case(name)
    one, fed = session(onnx_model(given.program)), feeds(given.program, given.columns)
    P, label = one.run(None, {key: values[:0] for key, values in fed.items()})
    assert P.shape == (0, len(given.program.classes))
    assert label.shape == (0,)
    whole = one.run(None, fed)[0]
    rows = [one.run(None, {key: values[k : k + 1] for key, values in fed.items()})[0] for k in range(len(whole))]
    np.testing.assert_allclose(np.concatenate(rows), whole, rtol=1e-12, atol=1e-15)


LINEAR = LinearTerm(0, 0, -5.0, 5.0, 1.0, 2.0)
INVALID: dict[str, tuple[Program, list[Any], list[Any]]] = {  # program, invalid values, valid ones
    "number": (program_of(InputKind.NUMBER, LINEAR), [np.inf, -np.inf], [np.nan, 1e300, -5e-324]),
    "required number": (program_of(InputKind.NUMBER, LINEAR, required=True), [np.inf, np.nan], [0.0]),
    "code": (program_of(InputKind.CODE, CodeTerm(0, 0, {7.0: 0}, -1, -1)), [], [np.inf, -np.inf, np.nan, 8.0, 7.0]),
    "boolean": (
        program_of(
            InputKind.BOOLEAN, BooleanTerm(0, 0, 0.25), false_words=("no",), true_words=("yes",), missing_words=("?",)
        ),
        ["maybe", "yes no", "yess", "ye s", ".", "y.s", "null"],
        ["YES", " no\n", "", "\u2003", " ? ", "nO"],
    ),
    "required boolean": (
        program_of(InputKind.BOOLEAN, BooleanTerm(0, 0, 0.25), false_words=("f",), true_words=("t",), required=True),
        ["", " "],
        ["T"],
    ),
    "required category": (
        program_of(InputKind.CATEGORY, LevelTerm(0, 0, {"x": 0}, -1, -1), required=True),
        ["", " \t"],
        ["x", "new"],
    ),
    "date": (
        program_of(InputKind.DATE, TrendTerm(0, 0, 0.0, 1.0), CycleTerm(0, 1, Cycle.YEAR), width=3),
        [np.inf, -np.inf],
        [np.nan, 1e300, -1e300, 0.0],
    ),
    "required date": (
        program_of(InputKind.DATE, CycleTerm(0, 0, Cycle.MONTH), width=2, required=True),
        [np.nan, np.inf],
        [1.0],
    ),
    "vector": (
        program_of(InputKind.VECTOR, VectorTerm(0, 0, (1.0, 2.0), 3.0), width=2, length=2),
        [[np.nan, 1.0], [1.0, np.inf], [-np.inf, np.nan], [np.inf, -np.inf]],
        [[np.nan, np.nan], [1.0, 2.0]],
    ),
    "required vector": (
        program_of(InputKind.VECTOR, VectorTerm(0, 0, (0.0, 0.0), 1.0), width=2, length=2, required=True),
        [[np.nan, np.nan], [0.0, np.nan], [0.0, np.inf]],
        [[1.0, 2.0]],
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_rows_with_an_invalid_value_have_no_prediction(name: str) -> None:
    program, invalid, valid = INVALID[name]
    P, label = run(program, [*invalid, *valid])
    assert np.isnan(P[: len(invalid)]).all()
    assert np.isfinite(P[len(invalid) :]).all()
    assert [text == "" for text in label] == [True] * len(invalid) + [False] * len(valid)


def test_blanks_and_spellings_of_a_missing_value_are_missing() -> None:
    terms = (LevelTerm(0, 0, {"x": 0, "-9": 0, " x": 1, "": 1}, 2, 3), MissingTerm(0, 4))
    program = program_of(InputKind.CATEGORY, *terms, width=5, missing_words=("-9", "n.a", "\0"))
    blanks = [*UNICODE_SPACES, "", " \u3000 "]
    missing = [*blanks, "-9", "\u00a0-9 ", "n.a", "\0"]
    others = ["x", " x", "x ", "n_a", "N.A", "-99", "\u200b", "\0\0"]
    found = logit(run(program, [*missing, *others])[0])
    np.testing.assert_allclose(found, [4.0 + 5.0] * len(missing) + [1.0, 2.0, *[3.0] * (len(others) - 2)])


def test_numbers_that_stand_for_a_missing_value_are_missing() -> None:
    terms = (LinearTerm(0, 0, -np.inf, np.inf, 0.0, 1.0), MissingTerm(0, 1))
    program = program_of(InputKind.NUMBER, *terms, width=2, missing_numbers=(-9.0, 99.0))
    other = replace(program.inputs[0], name="b", missing_numbers=())
    program = replace(
        program,
        inputs=(*program.inputs, other),
        terms=(*terms, LinearTerm(1, 2, -np.inf, np.inf, 0.0, 1.0)),
        weights=np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]),
    )
    x = np.array([[-9.0], [99.0], [9.0], [np.nan]])
    P = session(onnx_model(program)).run(["probabilities"], {"a": x, "b": x / 100})[0]
    np.testing.assert_allclose(logit(P), [2.0 - 0.27, 2.0 + 2.97, 9.0 + 0.27, 2.0])


def test_every_day_of_the_calendar_has_the_phase_of_the_library() -> None:
    first, last, before, after = (
        int(np.datetime64(day).astype(np.int64)) for day in ("0001-01-01", "9999-12-31", "1700-01-01", "2110-01-01")
    )  # the calendar repeats after 400 years
    some = generator(4).integers(first, last, 100_000)
    days = np.concatenate([np.arange(before, after), some, [first, last]])
    times = days * 86400.0 + (days * 7919 % 86400)
    terms = [CycleTerm(0, 2 * k, cycle) for k, cycle in enumerate(Cycle)]
    q = 2 * len(terms)
    program = program_of(InputKind.DATE, *terms, width=q, classes=tuple(range(q)))
    program = replace(program, weights=np.eye(q))
    angles = [2 * np.pi * cycle_phase(cycle.value, times) for cycle in Cycle]
    features = np.column_stack([part for angle in angles for part in (np.sin(angle), np.cos(angle))])
    np.testing.assert_allclose(run(program, times)[0], softmax(features), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("knots", "values"),
    [
        ((0.0,), (3.0,)),
        ((0.0, 1.0), (2.0, -1.0)),
        (tuple(np.geomspace(1e-6, 1e6, 37)), tuple(np.linspace(-2, 2, 37))),
        ((-1e300, 0.0, 1e300), (-1.0, 0.5, 1.0)),
        ((0.0, 5e-324, 1e-300, 1.0), (0.0, 0.5, 1.0, 2.0)),
    ],
)
def test_curves_are_those_of_interp(knots: tuple[float, ...], values: tuple[float, ...]) -> None:
    between = np.linspace(knots[0], knots[-1], 101)
    x = np.array([*knots, *between, *np.nextafter(knots, np.inf), *np.nextafter(knots, -np.inf), 1e300, -1e300, 0.0])
    program = program_of(InputKind.NUMBER, CurveTerm(0, 0, knots, values))
    np.testing.assert_allclose(logit(run(program, x)[0]), np.interp(x, knots, values), rtol=0, atol=1e-14)


def test_curves_of_different_length_are_looked_up_together() -> None:
    random = generator(1)
    curves = [(np.sort(random.normal(size=m)), random.normal(size=m)) for m in (1, 2, 5, 64, 65)]
    terms = [CurveTerm(k, k, tuple(x), tuple(y)) for k, (x, y) in enumerate(curves)]
    reads = tuple(Input(f"x{k}", InputKind.NUMBER) for k in range(len(terms)))
    program = Program(reads, tuple(terms), np.eye(len(terms)), np.zeros(len(terms)), tuple("abcde"))
    X = random.normal(0, 2, (500, len(terms)))
    P = session(onnx_model(program)).run(["probabilities"], {f"x{k}": X[:, [k]] for k in range(len(terms))})[0]
    expected = softmax(np.column_stack([np.interp(X[:, k], *curve) for k, curve in enumerate(curves)]))
    np.testing.assert_allclose(P, expected, rtol=0, atol=1e-14)


def identity_program(q: int, *steps: Step) -> Program:
    """A program whose logits are its inputs."""
    program = program_of(
        InputKind.VECTOR, VectorTerm(0, 0, (0.0,) * q, 1.0), width=q, classes=tuple(range(q)), length=q
    )
    return replace(program, weights=np.eye(q), steps=steps)


def test_the_softmax_underflows_to_subnormal_numbers_and_zero() -> None:
    logits = np.array([[0.0, -709.5, -744.4], [1e300, 0.0, -1e300], [-3.0, -749.0, 742.0], [-800.0, -900.0, -1600.0]])
    P = run(identity_program(3), logits)[0]
    np.testing.assert_allclose(P, softmax(logits), rtol=1e-14, atol=1e-323)
    assert P[0, 1] < 1e-308
    assert P[0, 2] == SMALLEST
    assert (P[1] == [1.0, 0.0, 0.0]).all()


@pytest.mark.parametrize("floor", [0.25, 1e-9, 1e-320])
def test_zeros_share_the_floor_down_to_the_smallest_number(floor: float) -> None:
    steps = (ReplaceZeros(floor, SMALLEST), ScaleLogs((0.01, 0.02, 0.015), (0.1, 0.0, -0.1)))
    logits = np.array([[0.0, -744.4, -800.0], [0.0, -1.0, -900.0], [0.0, -900.0, -900.0], [0.0, -1.0, -2.0]])
    P = softmax(logits)
    replaced = without_zeros(P, floor)
    assert (replaced > 0).all()
    np.testing.assert_allclose(run(identity_program(3, steps[0]), logits)[0], replaced, rtol=1e-14, atol=0)
    expected = softmax(np.log(replaced) * steps[1].scale + np.array(steps[1].bias))
    np.testing.assert_allclose(run(identity_program(3, *steps), logits)[0], expected, rtol=1e-12)


def test_rows_whose_classes_have_all_the_rate_zero_have_no_prediction() -> None:
    P, label = run(identity_program(2, ShiftRates((0.0, 2.0))), [[0.0, -1000.0], [0.0, 1.0]])
    assert np.isnan(P[0]).all()
    assert P[1].tolist() == [0.0, 1.0]
    assert label.tolist() == [INVALID_INTEGER, 1]


def test_a_thousand_levels() -> None:
    random = generator(2)
    codes = np.arange(20_000) % 1000
    model = fit(
        pa.table({"c": [f"level {k}" for k in codes], "z": 10_000 + codes, "y": labels(random, codes)}),
        category=["c", "z"],
    )
    program = build_program(model)
    rows = pa.table({"c": [f"level {k}" for k in range(1000)], "z": 10_000 + np.arange(1000)})
    P = session(onnx_model(program)).run(["probabilities"], feeds(program, rows))[0]
    np.testing.assert_allclose(P, model.predict_proba(rows), rtol=0, atol=1e-14)


def test_tags_may_be_none_in_all_rows() -> None:
    given = case("tags")
    fed = np.empty((3, 0), dtype=object)
    P = session(onnx_model(given.program)).run(["probabilities"], {"t": fed})[0]
    np.testing.assert_allclose(P, given.model.predict_proba(pa.table({"t": pa.array([[]] * 3, pa.list_(pa.string()))})))


def test_the_empty_tag_and_free_text_are_refused() -> None:
    tags = case("tags").program
    (term,) = tags.terms
    empty = replace(tags, terms=(replace(term, tags={"": 0}),))
    with pytest.raises(ExportError, match="Column 't' has the empty text as a tag"):
        onnx_model(empty)
    with pytest.raises(ExportError, match=r"Column 'body' is free text, .* no tokenizer"):
        onnx_model(case("texts").program)


def test_half_of_a_pair_of_utf16_is_refused() -> None:
    model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b\ud800", "a"])
    with pytest.raises(ExportError, match="half of a pair of UTF-16"):
        onnx_model(build_program(model))


def test_a_program_without_inputs_is_refused() -> None:
    with pytest.raises(ExportError, match="reads no column"):
        onnx_model(Program((), (), np.zeros((0, 2)), np.zeros(2), ("u", "v")))


@pytest.mark.parametrize("kind", [InputKind.NUMBER, InputKind.CATEGORY, InputKind.TAGS])
def test_a_program_without_terms_gives_the_bias(kind: InputKind) -> None:
    program = replace(program_of(kind, width=0), bias=np.array([0.0, 2.0]))
    P = run(program, ["1", "2", "3"] if kind is not InputKind.NUMBER else [1.0, 2.0, np.nan])[0]
    np.testing.assert_allclose(P, softmax([[0.0, 2.0]] * 3))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"pip install 'softreg\[onnx\]'"):
        onnx_model(case("arrays").program)


def test_names_of_outputs_are_free() -> None:
    names = ("label", "label_", "probabilities", "", "softreg/0", *ODD_TEXTS)
    reads = tuple(Input(name, InputKind.NUMBER) for name in names)
    terms = tuple(LinearTerm(k, k, -np.inf, np.inf, 0.0, 1.0) for k in range(len(names)))
    program = replace(program_of(InputKind.NUMBER, *terms, width=len(names)), inputs=reads)
    assert tensor_names(program) == ("label__", "label_", "probabilities_", "_", "softreg/0", *ODD_TEXTS)
    one = session(onnx_model(program))
    assert tuple(read.name for read in one.get_inputs()) == tensor_names(program)
    X = generator(3).normal(size=(5, len(names)))
    P = one.run(["probabilities"], {name: X[:, [k]] for k, name in enumerate(tensor_names(program))})[0]
    np.testing.assert_allclose(logit(P), X @ program.weights[:, 1], rtol=1e-9)


def test_metadata_say_what_the_model_predicts_and_reads() -> None:
    given = case("categories")
    model = onnx.load_from_string(onnx_model(given.program))
    assert (model.producer_name, model.producer_version) == ("softreg", given.program.version)
    meta = session(onnx_model(given.program)).get_modelmeta().custom_metadata_map
    assert json.loads(meta["classes"]) == list(given.program.classes)
    assert (meta["target"], meta["softreg_version"]) == ("y", given.program.version)
    inputs = {read["column"]: read for read in json.loads(meta["inputs"])}
    assert inputs["plain"]["kind"] == "category"
    assert inputs["plain"]["description"] == "word as text; \"\" if missing. Known levels: 'a', 'b', 'c'."
    documented = {read.name: read.doc_string for read in model.graph.input}
    assert documented["plain"] == inputs["plain"]["description"]
    assert " more." in documented["many"]
    price = next(
        read
        for read in onnx.load_from_string(onnx_model(case("spellings").program)).graph.input
        if read.name == "price"
    )
    assert "without $" in price.doc_string


def test_single_precision_is_an_error_of_the_runtime() -> None:
    one = session(onnx_model(case("arrays").program))
    with pytest.raises(Exception, match=r"tensor\(float\).*expected.*tensor\(double\)"):
        one.run(None, {"X": np.zeros((1, 5), dtype=np.float32)})


@pytest.mark.parametrize("name", EXPORTED)
def test_models_have_standard_operators_and_no_single_precision(name: str) -> None:
    program = case(name).program
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(onnx_model(program)), strict_mode=True)
    single = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    tensors = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    assert len(tensors) > len(model.graph.node)
    assert not single & {info.type.tensor_type.elem_type for info in tensors}
    assert not single & {tensor.data_type for tensor in model.graph.initializer}
    beyond = {node.op_type for node in model.graph.node if node.domain}
    assert beyond <= {"LabelEncoder"}
    words = any(read.kind in (InputKind.BOOLEAN, InputKind.CATEGORY) for read in program.inputs)
    assert model.opset_import[0].version == (20 if words else 18)


def test_the_same_program_is_the_same_file() -> None:
    assert onnx_model(case("mixed 3").program) == onnx_model(case("mixed 3").program)
