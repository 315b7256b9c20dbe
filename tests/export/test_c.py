"""The header in C: strict compilers, odd texts, invalid rows, sanitizers, several models in one file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from softreg import SoftmaxRegression
from softreg.export import ExportError, Program, build_program
from softreg.export.c.c_literals import comment_text, string_literal
from softreg.export.c.c_names import LONGEST_MEMBER, RESERVED, member_names
from softreg.export.c.header import c_header
from softreg.export.probability_maps import ShiftRates
from softreg.export.program import (
    CodeTerm,
    Cycle,
    CycleTerm,
    Input,
    InputKind,
    LevelTerm,
    LinearTerm,
    MissingTerm,
    OffsetTerm,
    TagsTerm,
    VectorTerm,
)
from softreg.tables.encode.date_encoder import cycle_phase

from .c_runner import C_COMPILER, STRICT, compiled, run, table_rows
from .cases import CASES, ODD_TEXTS, case

CPP_COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
COMPILERS = {
    "C99": (C_COMPILER, "main.c", ("-std=c99",)),
    "C17": (C_COMPILER, "main.c", ("-std=c17",)),
    "C++17": (CPP_COMPILER, "main.cpp", ("-std=c++17",)),
    "clang": (shutil.which("clang"), "main.c", ("-std=c99")),
}
needs_compiler = pytest.mark.skipif(C_COMPILER is None, reason="no C compiler (cc, gcc or clang) is installed")


def program_of(inputs: Sequence[Input], terms: Iterable[object], d: int, **options: object) -> Program:
    """A program of two classes in which feature j adds j + 1 to the second logit."""
    weights = np.column_stack([np.zeros(d), np.arange(1.0, d + 1)])
    made = Program(tuple(inputs), tuple(terms), weights, np.zeros(2), ("a", "b"))  # type: ignore[arg-type]
    return replace(made, **options)  # type: ignore[arg-type]


def logit(result: np.ndarray) -> np.ndarray:
    """The logit of the second class of each row, nan where the row is invalid."""
    with np.errstate(invalid="ignore"):
        return np.log(result[:, 3]) - np.log(result[:, 2])


def number_column(values: Iterable[float | None]) -> pa.Array:
    return pa.array(list(values), pa.float64())


@pytest.fixture(scope="module")
def all_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the headers of all cases, and a source that uses all of them."""
    folder = tmp_path_factory.mktemp("models")
    lines, calls = [], []
    for place, name in enumerate(CASES):
        program = case(name).program
        if any(read.kind is InputKind.TEXT for read in program.inputs):
            continue
        prefix = f"m{place}"
        (folder / f"{prefix}.h").write_text(c_header(program, prefix), "ascii")
        lines += [f'#include "{prefix}.h"'] * 2
        calls += [
            f"  {{ {prefix}_row row; double p[{prefix.upper()}_CLASSES]; memset(&row, 0, sizeof row);",
            f"    sum += {prefix}_predict(&row, p) + {prefix}_label(p) + (int)strlen({prefix}_class_labels[0]);",
            f"    sum += (int)strlen({prefix}_input_names[0]); }}",
        ]
    body = "int main(void) {\n  int sum = 0;\n" + "\n".join(calls) + "\n  return sum == 0;\n}\n"
    for name in ("main.c", "main.cpp"):
        (folder / name).write_text("\n".join(lines) + "\n" + body, "ascii")
    return folder


@pytest.mark.parametrize("language", COMPILERS)
def test_all_models_compile_in_one_file_without_warnings(language: str, all_models: Path) -> None:
    compiler, source, options = COMPILERS[language]
    if compiler is None:
        pytest.skip(f"no compiler of {language} is installed")
    command = [compiler, *options, *STRICT, "-O2", source, "-o", f"main {language}", "-lm"]
    done = subprocess.run(command, cwd=all_models, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    assert subprocess.run([all_models / f"main {language}"], timeout=60, check=False).returncode == 0


@needs_compiler
@pytest.mark.parametrize("option", ["-ffast-math", "-ffinite-math-only"])
def test_a_compiler_that_drops_nan_is_refused(option: str, tmp_path: Path) -> None:
    (tmp_path / "m.h").write_text(c_header(case("arrays").program, "m"), "ascii")
    command = [str(C_COMPILER), "-x", "c", option, "-fsyntax-only", str(tmp_path / "m.h")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs nan and infinity" in done.stderr


@needs_compiler
def test_invalid_inputs_return_their_number(tmp_path: Path) -> None:
    inputs = [
        Input("number", InputKind.NUMBER, required=True),
        Input("flag", InputKind.BOOLEAN),
        Input("date", InputKind.DATE),
        Input("vector", InputKind.VECTOR, length=2),
        Input("word", InputKind.CATEGORY, required=True),
    ]
    terms = [OffsetTerm(0, 1), MissingTerm(1, 0), MissingTerm(2, 1), MissingTerm(3, 2), MissingTerm(4, 3)]
    valid = {"number": 1.5, "flag": True, "date": 7, "vector": [1.0, 2.0], "word": "a"}
    wrong: list[tuple[dict[str, object], int]] = [
        ({}, 0),
        ({"number": None}, 1),
        ({"number": np.inf}, 1),
        ({"number": -np.inf, "flag": "maybe"}, 1),
        ({"flag": "maybe"}, 2),
        ({"flag": None}, 0),
        ({"date": np.inf}, 3),
        ({"date": None}, 0),
        ({"vector": [1.0, np.nan]}, 4),
        ({"vector": [-np.inf, 1.0]}, 4),
        ({"vector": None}, 0),
        ({"word": None}, 5),
        ({"word": " \u3000\u0085"}, 5),
        ({"number": 1e308}, 0),
    ]
    program = program_of(inputs, terms, 4)
    words = tuple(replace(read, true_words=("true",), false_words=("false",)) for read in inputs)
    read_numbers = tuple(replace(r, kind=InputKind.NUMBER) if r.kind is InputKind.DATE else r for r in words)
    columns = {name: [(valid | change)[name] for change, _ in wrong] for name in valid}
    columns["flag"] = [None if value is None else str(value) for value in columns["flag"]]
    rows = table_rows(replace(program, inputs=read_numbers), pa.table(columns))
    result = run(compiled(program, tmp_path), rows)
    assert result[:, 0].tolist() == [status for _, status in wrong]
    bad = result[:, 0] > 0
    assert np.isnan(result[bad, 2:]).all()
    assert (result[bad, 1] == -1).all()
    assert not np.isnan(result[~bad]).any()
    assert logit(result)[0] == pytest.approx(1.5)
    assert logit(result)[5] == pytest.approx(2.5)


@needs_compiler
def test_rows_without_probabilities_have_a_number_of_their_own(tmp_path: Path) -> None:
    overflow = program_of(
        [Input("x", InputKind.NUMBER), Input("z", InputKind.NUMBER)],
        [LinearTerm(0, 0, -np.inf, np.inf, 0.0, 1.0), LinearTerm(1, 1, -np.inf, 5.0, 0.0, 1e-10)],
        2,
        weights=np.array([[1e300, -1e300], [0.0, 1.0]]),
    )
    rows = pa.table({"x": number_column([1, 1e300, 2e9, 0]), "z": number_column([1, 1, -1e300, 1e308])})
    assert run(compiled(overflow, tmp_path), table_rows(overflow, rows))[:, 0].tolist() == [0, 3, 2, 0]
    shifted = replace(overflow, steps=(ShiftRates((0.0, 1.0)),))
    assert run(compiled(shifted, tmp_path), table_rows(shifted, rows))[:, 0].tolist() == [3, 3, 2, 0]


@needs_compiler
def test_blank_text_is_that_of_arrow(tmp_path: Path) -> None:
    program = program_of(
        [Input("t", InputKind.CATEGORY, missing_words=("none given", "\u2014"))],
        [LevelTerm(0, 0, {"a": 0, "\u00e9": 1}, other=2, missing=3)],
        4,
    )
    points = [*range(1, 0x3100), 0xFEFF, 0x1F3AC, 0x10FFFF]
    texts = [chr(point) for point in points]
    blank = pc.utf8_trim_whitespace(pa.array(texts))
    around = "".join(text for text, rest in zip(texts, blank.to_pylist(), strict=True) if rest == "")
    others = ["", None, around, f"{around}none given{around}", "none given\u200b", "none", f"{around}a", "a", "\u2014 "]
    rows = pa.table({"t": [*texts, *others, "\u00e9", "\u0300"]})
    found = np.round(logit(run(compiled(program, tmp_path), table_rows(program, rows))))
    expected = [4 if rest in ("", "\u2014") else {"a": 1, "\u00e9": 2}.get(text, 3) for text, rest in
                zip(texts, blank.to_pylist(), strict=True)]  # fmt: skip
    assert found.tolist() == [*expected, 4, 4, 4, 4, 3, 3, 3, 1, 4, 2, 3]


@needs_compiler
def test_a_thousand_levels_and_codes_are_found(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    levels = [f"{'é' * (k % 3)}level {k}" for k in range(1000)] + [text for text in ODD_TEXTS if text.strip()]
    places = random.permutation(len(levels)).tolist()
    codes = {float(number): k for k, number in enumerate(random.permutation(1000) - 500)}
    program = program_of(
        [Input("t", InputKind.CATEGORY), Input("c", InputKind.CODE, missing_numbers=(-9.0,))],
        [
            LevelTerm(0, 0, dict(zip(levels, places, strict=True)), other=-1, missing=-1),
            CodeTerm(1, len(levels), codes, other=-1, missing=-1),
        ],
        len(levels) + 1000,
        weights=np.column_stack(
            [np.zeros(len(levels) + 1000), np.concatenate([np.arange(len(levels)) / 100, np.arange(1000) / 1000 + 20])]
        ),
    )
    n = len(levels)
    numbers = [*codes, *[None] * (n - 1000)]
    rows = pa.table({"t": [*levels, "level 1000", "level"], "c": number_column([*numbers, 0.5, -501])})
    found = logit(run(compiled(program, tmp_path), table_rows(program, rows)))
    expected = [p / 100 + (0 if c is None or c == -9 else 20 + codes[c] / 1000) for p, c in
                zip(places, numbers, strict=True)]  # fmt: skip
    np.testing.assert_allclose(found, [*expected, 0, 0], atol=1e-4)


@needs_compiler
def test_the_calendar_of_four_centuries(tmp_path: Path) -> None:
    cycles = list(Cycle)
    terms = [CycleTerm(k, 2 * k, cycle) for k, cycle in enumerate(cycles)]
    random = np.random.default_rng(1)
    months = np.arange(np.datetime64("1592-01"), np.datetime64("2008-01")).astype("M8[D]").astype(np.int64)
    months = np.concatenate([months[months % 3 == 0], months[::12], months[2::12]])
    times = np.concatenate(
        [
            (months[:, None] + np.arange(-2, 3)).ravel() * 86400,
            random.integers(-(2**40), 2**40, 3000),
            [-1, 0, 1, 2**53, -(2**53)],
        ]
    ).astype(float)
    for k, cycle in enumerate(cycles):
        one = program_of([Input("t", InputKind.DATE)], [replace(terms[k], input=0, first=0)], 2)
        program = replace(one, inputs=(Input("t", InputKind.NUMBER),))
        result = run(compiled(one, tmp_path), table_rows(program, pa.table({"t": times})))
        angle = 2 * np.pi * cycle_phase(cycle.value, times)
        np.testing.assert_allclose(logit(result), np.sin(angle) + 2 * np.cos(angle), atol=1e-12)


@needs_compiler
def test_tags_count_once(tmp_path: Path) -> None:
    known = {text: k for k, text in enumerate(ODD_TEXTS)}
    tags = Input("t", InputKind.TAGS)
    program = program_of([tags], [TagsTerm(0, 0, known, other=len(known))], len(known) + 1)
    program = replace(program, weights=program.weights / 100)
    lists = [[text, text] for text in ODD_TEXTS] + [list(ODD_TEXTS) * 2, ["new", "newer", None], None, [], [None]]
    found = logit(run(compiled(program, tmp_path), table_rows(program, pa.table({"t": lists}))))
    n = len(known)
    expected = [*range(1, n + 1), n * (n + 1) / 2, n + 1, 0, 0, 0]
    np.testing.assert_allclose(found, np.array(expected) / 100, atol=1e-12)
    only_other = program_of([tags], [TagsTerm(0, 0, {}, other=0)], 1)
    found = logit(run(compiled(only_other, tmp_path), table_rows(only_other, pa.table({"t": lists[-4:]}))))
    np.testing.assert_allclose(found, [1, 0, 0, 0], atol=1e-12)


@needs_compiler
def test_models_without_inputs_features_or_terms(tmp_path: Path) -> None:
    nothing = program_of([], [], 0)
    assert run(compiled(nothing, tmp_path), [b""])[0, 2:4].tolist() == [0.5, 0.5]
    inputs = [
        Input("n", InputKind.NUMBER),
        Input("w", InputKind.CATEGORY),
        Input("t", InputKind.TAGS),
        Input("v", InputKind.VECTOR),
        Input("b", InputKind.BOOLEAN),
    ]
    terms = [LevelTerm(1, 0, {}, -1, -1), TagsTerm(2, 0, {}, -1), VectorTerm(3, 0, (), 1.0)]
    empty = program_of(inputs, terms, 0)
    assert run(compiled(empty, tmp_path), [b"0x1p+0 1 a 1 1 a 0 nan "])[0, :4].tolist() == [0, 0, 0.5, 0.5]


@needs_compiler
@pytest.mark.parametrize("name", ["categories", "tags", "vectors", "isotonic calibration", "matrix calibration"])
def test_sanitizers_find_nothing(name: str, tmp_path: Path) -> None:
    given = case(name)
    options = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    probe = [str(C_COMPILER), *options, str(tmp_path / "empty.c"), "-o", str(tmp_path / "empty")]
    if (
        subprocess.run(probe, capture_output=True, check=False).returncode
        or subprocess.run([tmp_path / "empty"], capture_output=True, check=False).returncode
    ):
        pytest.skip("the sanitizers of the compiler do not work here")
    result = run(compiled(given.program, tmp_path, options), table_rows(given.program, given.columns))
    q = len(given.program.classes)
    np.testing.assert_allclose(result[:, 2 : 2 + q], given.expected(), rtol=0, atol=1e-12)


@needs_compiler
def test_an_array_is_read_without_a_row(tmp_path: Path) -> None:
    program = case("arrays").program
    (tmp_path / "m.h").write_text(c_header(program, "m"), "ascii")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "m.h"\nint main(void) { double x[5] = {1, -2, 0.5, 3e4, -1}, p[M_CLASSES]; int k;'
        '\nif (m_predict_x(x, p)) return 1;\nfor (k = 0; k < M_CLASSES; ++k) printf("%d %a\\n", (int)m_class_values[k],'
        " p[k]);\nreturn m_predict_x(NULL, p) != 1; }\n"
    )
    command = [str(C_COMPILER), "-std=c99", *STRICT, "main.c", "-o", "main", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    lines = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == [2, 5, 7]
    expected = case("arrays").model.predict_proba([[1, -2, 0.5, 3e4, -1]])[0]
    np.testing.assert_allclose([float.fromhex(line.split()[1]) for line in lines], expected, atol=1e-12)


@needs_compiler
def test_odd_texts_in_comments_and_labels_compile(tmp_path: Path) -> None:
    odd = "*/ /* ??/\n\\ @@ %d \u202e"
    inputs = [
        Input(odd, InputKind.NUMBER, note=odd, missing_numbers=(-0.0, 1e300)),
        Input(odd, InputKind.CATEGORY, missing_words=(odd, odd + "x")),
        Input(odd, InputKind.BOOLEAN, levels=(odd, odd)),
        Input(odd, InputKind.TAGS),
        Input(odd, InputKind.VECTOR, length=1, elements=(odd,)),
    ]
    program = program_of(inputs, [], 0, target=odd, version=odd)
    for classes in ((odd, "b"), (-(2**63), 2**63 - 1), (2**63, 0), (True, False), (5e-324, -1.7e308), (1, 2.5)):
        text = c_header(replace(program, classes=classes), "m")
        assert ("m_class_values" in text) == (classes[1] in (2**63 - 1, -1.7e308))
        compiled(replace(program, classes=classes), tmp_path)


def test_free_text_is_refused() -> None:
    with pytest.raises(ExportError, match=r"Column 'body' is free text.*drop=\['body'\]"):
        c_header(case("texts").program)


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a__b", "a_", "_a", "é", "a-b", "x" * 33, "a\n"])
def test_prefixes_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(ExportError, match="cannot begin names in C"):
        c_header(case("arrays").program, name)


@pytest.mark.parametrize(
    ("text", "told"),
    [("a\0b", "zero character"), ("x" * 4096, "4,096 bytes"), ("é" * 2048, "4,096 bytes"), ("\ud800", "no valid")],
)
def test_texts_that_c_cannot_hold_are_refused(text: str, told: str) -> None:
    read = Input("t", InputKind.CATEGORY)
    levels = program_of([read], [LevelTerm(0, 0, {text: 0}, -1, -1)], 1)
    for program in (
        levels,
        replace(levels, terms=(), classes=(text, "b")),
        replace(levels, terms=(), inputs=(replace(read, name=text),)),
        replace(levels, terms=(), inputs=(replace(read, missing_words=(text,)),)),
    ):
        with pytest.raises(ExportError, match=told):
            c_header(program)


def test_members_are_different_valid_names() -> None:
    texts = [*ODD_TEXTS, *RESERVED, "Class", "class_", "", "9", "T", "t_count", "a" * 400, "a" * 401, "İ", "ﬁ", "٣"]
    kinds = [InputKind.TAGS if text == "T" else InputKind.NUMBER for text in texts]
    names = member_names([Input(text, kind) for text, kind in zip(texts, kinds, strict=True)])
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    assert max(map(len, names)) <= LONGEST_MEMBER + 8
    assert not RESERVED & set(names)
    assert names[texts.index("t_count")] == "t_count_2"
    assert member_names([Input("t_count", InputKind.NUMBER), Input("t", InputKind.TAGS)]) == ("t_count", "t_2")


def test_comments_and_literals_are_ascii_on_one_line() -> None:
    for text in (*ODD_TEXTS, "a?\u0000", "*//*", "?" * 5, "\\", "\r\n", "@@"):
        comment = comment_text(text)
        assert comment.isascii()
        assert comment.isprintable()
        assert not any(pair in comment for pair in ("*/", "/*", "??"))
        if "\0" not in text:
            literal = string_literal(text, "Text")
            assert literal.isascii()
            assert "??" not in literal
            assert "@" not in literal
            decoded = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), literal[1:-1])
            assert decoded.encode("latin-1").decode() == text


def test_no_name_of_a_model_is_one_of_another() -> None:
    names: set[str] = set()
    for one in CASES:
        program = case(one).program
        if all(read.kind is not InputKind.TEXT for read in program.inputs):
            names |= set(re.findall(r"\bqzq_(\w+)", re.sub(r'"[^"\n]*"', "", c_header(program, "qzq"))))
    clashes = [(long, short) for long in names for short in names if long.endswith(f"_{short}")]
    assert not clashes


@needs_compiler
@pytest.mark.timing
def test_speed_and_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for d, q in ((20, 3), (784, 10)):
        X = random.normal(size=(400, d))
        program = build_program(SoftmaxRegression(1.0).fit(X, random.integers(0, q, 400)))
        text = c_header(program, "m")
        (tmp_path / "m.h").write_text(text, "ascii")
        (tmp_path / "main.c").write_text(
            f'#include <stdlib.h>\n#include "m.h"\nint main(int c, char **a) {{ static double x[{d}]; double sum = 0;\n'
            f"double p[M_CLASSES]; long i, n = atol(a[c - 1]); for (i = 0; i < {d}; ++i) x[i] = 0.5 + i % 3;\n"
            "for (i = 0; i < n; ++i) { x[0] = (double)(i % 7); sum += m_predict_x(x, p) + p[0]; } return sum < 0; }\n"
        )
        subprocess.run([str(C_COMPILER), "-O2", "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
        n = 1_000_000_000 // (d * q)
        begin = os.times().children_user
        subprocess.run([tmp_path / "main", str(n)], check=True)
        nanoseconds = (os.times().children_user - begin) / n * 1e9
        size = os.path.getsize(tmp_path / "main")
        with capsys.disabled():
            print(
                f"\n{d} features, {q} classes: header {len(text):,} B, program {size:,} B, {nanoseconds:.0f} ns a row"
            )
