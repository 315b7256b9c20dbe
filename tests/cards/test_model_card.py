"""Model cards: figures are those of the model, text is shown as it is, and the code runs."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV, TableClassifier, audit, model_card
from softreg.cards import example_row
from softreg.cards.markdown import escape
from softreg.cards.term_section import term_effects
from softreg.export import build_program
from softreg.report import evaluation_record
from softreg.tables import Terms

ODD = [
    "a|b",
    "`tick`",
    "<b>bold</b>",
    "two\nlines",
    "*star* _under_",
    "[x](http://e.org)",
    "é ☃ '\"",
    "\\",
    "$x$ ~y~ #1",
    "&amp;",
]
"""Names that Markdown would show otherwise."""


def rows_of(card: str) -> list[list[str]]:
    """The cells of all tables of a card, as a reader sees them."""
    markdown = pytest.importorskip("markdown_it", reason="tables are read with markdown-it-py")
    tokens = markdown.MarkdownIt("commonmark").enable("table").parse(card)
    rows: list[list[str]] = []
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in ("td_open", "th_open"):
            assert all(part.type in ("text", "text_special") for part in token.children or []), token.content
            rows[-1].append("".join(part.content for part in token.children or []))
    return rows


def mixed_table(n: int = 240) -> pa.Table:
    """A column of each kind, some with missing values, and labels that Markdown would show otherwise."""
    draw = np.random.default_rng(0)
    some = lambda values: pa.array(values, mask=draw.random(n) < 0.1)  # noqa: E731
    day = np.datetime64("2020-01-01") + draw.integers(0, 900, n).astype("timedelta64[D]")
    return pa.table(
        {
            "age|years": some(draw.normal(45, 12, n)),
            "income `net`": np.exp(draw.normal(8, 2, n)),
            "town": some(draw.choice(ODD[:4], n)),
            "member": some(draw.random(n) < 0.5),
            "since": pa.array(day),
            "note": draw.choice(["a very good day", "not so good at all", "rain again and again today"], n)
            + draw.choice([" yes indeed", " no never", " who can tell"], n)
            + np.array([f" word{k % 37} other{k % 31}" for k in range(n)]),
            "tags": pa.array([list(draw.choice(["x", "y", "z"], draw.integers(0, 3))) for _ in range(n)]),
            "vector": pa.array(draw.normal(size=(n, 3)).tolist()),
            "score": draw.normal(size=n),
            "id": np.arange(n) * 7 + 1000,
            "one": np.ones(n),
            "label": draw.choice(ODD[:3], n),
        }
    )


def run_code(card: str) -> dict[str, Any]:
    """Run the Python of a card, and return its variables."""
    code = re.search(r"^(`{3,})python\n(.*?)^\1$", card, re.MULTILINE | re.DOTALL)
    assert code is not None
    variables: dict[str, Any] = {}
    exec(code.group(2), variables)
    return variables


@pytest.mark.parametrize("text", [*ODD, "www.e.org", "a@b.org", "1. one", "- item", "~~gone~~", "a\u2028b"])
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    card = "\n".join(["| name |", "| --- |", f"| {escape(text)} |"])
    assert rows_of(card)[-1] == [" ".join(text.split())]
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
    (paragraph,) = [t for t in markdown.parse(f"Of {escape(text)}.") if t.type == "inline"]
    assert {part.type for part in paragraph.children} <= {"text", "text_special"}
    assert "".join(part.content for part in paragraph.children) == f"Of {' '.join(text.split())}."


@pytest.mark.filterwarnings("ignore::softreg.TableWarning")
def test_every_kind_of_column_is_described_and_the_code_runs(tmp_path: Path, monkeypatch: Any) -> None:
    table = mixed_table()
    offset = {ODD[0]: "score"}
    model = TableClassifier("label", strength=1e-2, text="note", offset=offset).fit(table)
    model.save(tmp_path / "m`x`.softreg")
    monkeypatch.chdir(tmp_path)
    card = model_card(softreg.load("m`x`.softreg"), file="m`x`.softreg")
    rows = rows_of(card)
    names = {row[0]: row for row in rows if len(row) == 6}  # the table of inputs, and bins
    for column in model.schema_.features:
        row = names[column.name]
        assert row[1] == column.kind.value
    assert {column.kind.value for column in model.schema_.features} == {
        "number", "category", "boolean", "date", "text", "tags", "vector"
    }  # fmt: skip
    assert "4 levels" in names["town"][2]
    for label in model.classes_:
        assert [label] in rows
    assert "added to the logit of the class a\\|b (an offset)" in card
    assert "look like identifiers" in card
    assert "The file holds no evaluation on held-out rows." in card
    variables = run_code(card)
    assert set(variables["rows"].column_names) == {c.name for c in model.schema_.features} | {"score"}
    expected = model.predict_proba(pa.table({name: [value] for name, value in example_row(model).items()}))
    assert np.array_equal(variables["model"].predict_proba(variables["rows"]), expected)


def test_figures_are_those_of_the_evaluation() -> None:
    table = mixed_table().select(["age|years", "town", "label"])
    train, test = np.arange(160), np.arange(160, 240)
    model = TableClassifier("label", strength=1e-2).fit(table, rows=train)
    codes = np.searchsorted(model.classes_, table["label"].to_numpy(zero_copy_only=False).astype(str))
    record = evaluation_record(
        audit(model.predict_proba(table)[test], codes[test], model.classes_),
        training_rows=160,
        training_weights=np.bincount(codes[train]),
        method="the last rows of <b>|`",
    )
    card = model_card(model.keep_evaluation(record))
    rows = {row[0]: row for row in rows_of(card)}
    loss = record.log_loss
    assert rows["log loss, nats"][1:] == [
        f"{loss.value:.4f}", f"{record.log_loss_error:.4f}", f"{loss.low:.4f} to {loss.high:.4f}"
    ]  # fmt: skip
    assert rows["log loss of the training frequencies of the classes"][1] == f"{record.baseline_log_loss:.4f}"
    assert rows["accuracy"][1] == f"{record.accuracy.value:.4f}"
    assert rows["training rows"][1] == "160"
    bins = [row for row in rows_of(card) if re.fullmatch(r"\d+% to \d+%", row[0])]
    assert len(bins) == sum(len(one.bins) for one in record.reliability)
    assert sum(int(row[1]) for row in bins) == 3 * 80
    trained = np.bincount(codes[train]) / 160
    assert rows["a|b"][1] == f"{trained[list(model.classes_).index('a|b')]:.2%}"
    gap = max(float(model.model_.solution_.gap), 1e-12)
    assert rows["optimality gap"][1].startswith(f"at most {gap:.1e} nats: proved")


def test_weights_are_those_of_the_model() -> None:
    table = pa.table({"x": [0.0, 1, 2, 3, 4, 5], "c": list("ababab"), "y": ["no", "no", "yes", "no", "yes", "yes"]})
    model = TableClassifier("y", strength=1e-2, category="c").fit(table)
    W, scale = model.model_.coef_, np.std(np.arange(6.0))
    rows = {row[0]: row for row in rows_of(model_card(model))}
    assert rows["x"][-2:] == [f"{W[1, 0] - W[0, 0]:+.4g}", f"one standard deviation, {scale:.4g}"]


@pytest.mark.parametrize("names", [None, ODD])
@pytest.mark.parametrize("estimator", [SoftmaxRegression(strength=1e-3), SoftmaxRegressionCV([1e-2, 1e-3], cv=3)])
def test_regressions(estimator: Any, names: list[str] | None, tmp_path: Path, monkeypatch: Any) -> None:
    pd = pytest.importorskip("pandas", reason="named features come from a data frame")
    X = np.random.default_rng(0).normal(size=(90, len(ODD))).astype(np.float32)
    y = np.arange(90) % 3
    model = estimator.fit(X if names is None else pd.DataFrame(X, columns=names), y)
    model.save(tmp_path / "m.softreg")
    monkeypatch.chdir(tmp_path)
    loaded = softreg.load("m.softreg")
    card = model_card(loaded, file="m.softreg", version="0.1.0")
    rows = rows_of(card)
    assert ["0"] in rows
    assert ["softreg", "0.1.0"] in rows
    assert ("choice of the strength" in {row[0] for row in rows}) is True
    assert ("3-fold cross-validation" in card) is isinstance(loaded, SoftmaxRegressionCV)
    assert ("softreg predict" in card) is (names is not None)
    variables = run_code(card)
    zeros = np.zeros((1, len(ODD)))
    expected = model.predict_proba(zeros if names is None else pd.DataFrame(zeros, columns=names))
    assert variables["model"].predict_proba(variables["rows"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"penalty": None, "tol": 1e-3}, "W and b minimise the mean log loss of the training rows."),
        ({"penalty": "firth"}, "Firth's penalised likelihood"),
        ({"class_weight": {"no": 2.0, "yes": 1.0}, "strength": 0.1}, "weighted mean log loss"),
        ({"penalty": "elasticnet", "l1_ratio": 0.5, "strength": 0.01}, "share of the L1 part 0.5"),
        ({"unpenalised": ["x"], "strength": 0.01}, "columns without penalty | x"),
        ({"bounds": {"x": "+"}, "strength": 0.01}, "x: +"),
    ],
)
def test_the_fit_is_described_by_its_parameters(options: dict[str, Any], words: str) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=200)
    table = pa.table({"x": x, "y": np.where(draw.random(200) < 1 / (1 + np.exp(-x)), "yes", "no")})
    assert words in model_card(TableClassifier("y", **options).fit(table))


def test_a_model_trained_on_mini_batches_has_no_certificate() -> None:
    model = SoftmaxRegression().partial_fit(np.eye(3), [0, 1, 2], classes=[0, 1, 2])
    card = model_card(model)
    assert "W and b are the result of steps on mini-batches." in card
    assert "The fit has no proof of convergence" in card


def test_many_classes_and_columns_are_cut(tmp_path: Path) -> None:
    n, d = 450, 260
    X = np.random.default_rng(0).normal(size=(n, d))
    columns = {f"column {j}": X[:, j] for j in range(d)}
    model = TableClassifier("y", strength=1.0).fit(pa.table({**columns, "y": [f"c{k % 150}" for k in range(n)]}))
    card = model_card(model)
    assert "50 more classes are not listed here." in card
    assert "60 more columns are not listed here." in card
    assert "240 more columns have smaller weights." in card
    assert "softreg.read_table('new.csv')" in card


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="and not of dict"):
        model_card({})
    for model in (TableClassifier("y"), SoftmaxRegression(), SoftmaxRegressionCV()):
        with pytest.raises(NotFittedError):
            model_card(model)


def term_model(classes: list[str], mode: str = "linear") -> TableClassifier:
    """A model with curves and interactions of columns with odd names."""
    draw = np.random.default_rng(2)
    n = 500
    age, wage, town = draw.normal(45, 12, n), draw.normal(size=n), draw.choice(ODD[:3], n)
    score = 3 * np.sin(age / 9) + 2 * wage * (town == ODD[0]) + draw.logistic(size=n)
    label = np.array(classes)[np.argsort(np.argsort(score)) * len(classes) // n]
    table = pa.table({"age|years": age, "wage": wage, "town": town, "y": label})
    terms = Terms(mode, smooth=["age|years"], interactions=[("wage", "town")] if mode == "linear" else [])
    return TableClassifier("y", terms=terms, random_state=0).fit(table)


@pytest.mark.parametrize("classes", [["no", "yes"], ["a", "b", "c"]])
def test_curves_and_interactions_are_stated(
    classes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = term_model(classes)
    model.save("model.softreg")
    card = model_card(model)
    rows = {row[0]: row for row in rows_of(card) if row}
    assert "smooth curve" in rows["age|years"][1] or "smooth curve" in rows["age|years"][3]
    assert "## Curves and interactions" in card
    terms = [
        row
        for row in rows_of(card)
        if row[1:2] == ["interaction"] or row[1:2] == [model.encoder_.column_encoders[0].remark]
    ]
    assert [row[0] for row in terms] in (["age|years", "wage:town"], ["wage:town", "age|years"])
    assert "strength of its own for each term" in rows["penalty"][1]
    assert "evidence" in rows["choice of the strengths"][1]
    weights = card[card.index("## Largest weights") :]
    assert "curve 1" not in weights
    run_code(card)


def test_the_range_of_a_term_is_that_of_its_log_odds() -> None:
    model = term_model(["no", "yes"])
    effects = term_effects(build_program(model))
    age = np.linspace(*model.encoder_.column_encoders[0].span, 4001)
    odds = _log_odds(model, {"age|years": age, "wage": np.zeros(4001), "town": [ODD[1]] * 4001})
    place = model.encoder_.feature_places()["age|years"]
    knots = np.array(model.encoder_.column_encoders[0].curve_knots)
    exact = _log_odds(model, {"age|years": knots, "wage": np.zeros(len(knots)), "town": [ODD[1]] * len(knots)})
    assert place.start == 0
    assert effects["age|years"].range == pytest.approx(np.ptp(exact), rel=1e-9)
    assert np.ptp(odds) <= np.ptp(exact) * (1 + 1e-9)
    assert effects["wage:town"].range > 0


def _log_odds(model: TableClassifier, columns: dict[str, Any]) -> np.ndarray:
    P = model.predict_proba(pa.table(columns))
    return np.log(P[:, 1] / P[:, 0])


def test_a_choice_of_terms_states_the_held_out_losses() -> None:
    model = term_model(["no", "yes"], "auto")
    assert model.terms_ is not None
    card = model_card(model)
    assert "Models were compared by the log loss of held-out rows" in card
    for stage in model.terms_.stages:
        assert f"{stage.name} {stage.log_loss:.4f}" in card


def test_a_model_without_terms_has_no_such_section() -> None:
    assert "Curves and interactions" not in model_card(TableClassifier("label", strength=0.1).fit(mixed_table()))
