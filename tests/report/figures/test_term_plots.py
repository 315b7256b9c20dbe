"""Figures of the functions of columns and interactions."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from softreg import TableClassifier
from softreg.report import ReportData, audit, render_report
from softreg.report.figures.interaction_plots import (
    LEAST_LOGIT,
    MAX_MAPS,
    interaction_figures,
    interaction_maps,
    largest_logit,
)
from softreg.report.figures.number_scale import central_range, number_scale
from softreg.report.figures.svg import ORANGE
from softreg.report.figures.term_plots import MAX_CLASSES, drawn_classes, shown_levels, term_plots
from softreg.report.page.terms.term_tables import MAX_TERMS, drawn_terms
from softreg.tables import TermFunction, TermFunctions, Terms
from softreg.tables.fit.terms.functions.term_functions import TermAxis

PAIRS = (("x", "wage"), ("x", "job"), ("job", "owner"))


def fitted(q: int, posterior: bool = True, n: int = 400) -> tuple[TableClassifier, pa.Table]:
    random = np.random.default_rng(0)
    x, job, owner = random.normal(size=n), random.choice(["<cook>", "smith", "$a$"], n), random.random(n) < 0.4
    wage = np.where(random.random(n) < 0.3, 0.0, np.exp(2 * random.normal(size=n)))
    columns = [np.sin(2 * x + k) * 2 + (job == "smith") * x + owner for k in range(q - 1)]
    logits = np.stack([np.zeros(n), *columns], axis=1)
    y = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    x = np.where(random.random(n) < 0.05, np.nan, x)
    table = pa.table(
        {"x": pa.array(x, from_pandas=True), "wage": wage, "job": job, "owner": owner, "y": [f"c{k}" for k in y]}
    )
    terms = Terms("linear", smooth=("x", "wage"), interactions=PAIRS)
    return TableClassifier("y", terms=terms, keep_posterior=posterior).fit(table), table


@pytest.fixture(scope="module", params=[2, 3, 7])
def functions(request: pytest.FixtureRequest) -> TermFunctions:
    return fitted(request.param)[0].term_functions()


def test_each_function_has_its_figures(functions: TermFunctions) -> None:
    for i, term in enumerate(functions):
        maps = interaction_maps(term, f"t{i}") if term.kind == "interaction" else ()
        svgs = sum(maps, ()) or term_plots(term, f"t{i}")
        for svg in svgs:
            assert svg.startswith("<svg viewBox=")
            assert svg.endswith("</svg>")
            assert not re.search(r"[\"\s,]nan|inf[\"\s,]", svg)
        if term.kind != "interaction":
            assert len(svgs) == 2
            classes = [term.classes[k] for k in drawn_classes(term)]
            assert len(classes) == min(len(term.classes), MAX_CLASSES)
            assert len(classes) == 1 or all(f">{name}<" in svgs[0] for name in classes)
    assert "&lt;cook&gt;" in term_plots(functions.function("job"), "j")[0]


def test_bands_and_points_of_missing_values_are_drawn(functions: TermFunctions) -> None:
    logits, probability = term_plots(functions.function("x"), "x")
    assert ">missing<" in logits
    assert ">missing<" in probability
    bands = len(drawn_classes(functions.function("x")))
    assert logits.count("fill-opacity: 0.16") == probability.count("fill-opacity: 0.16") == bands


def test_the_darkest_shade_is_the_largest_logit_of_the_shown_cells(functions: TermFunctions) -> None:
    term = functions.function("x:job")
    levels = shown_levels(term.axes[1].share)
    assert len(levels) == 3 < len(term.axes[1].labels)
    assert largest_logit(term) == np.abs(term.logits[:, levels]).max() > 0


def test_an_interaction_has_maps_of_logits_probabilities_and_half_the_band(functions: TermFunctions) -> None:
    term = functions.function("x:job")
    rows, binary = interaction_maps(term, "t"), len(term.classes) == 1
    classes = [term.classes[k] for k in drawn_classes(term, MAX_MAPS)]
    assert len(rows) == len(classes) == min(MAX_MAPS, len(term.classes))
    shown = [k for k, share in enumerate(term.axes[1].share) if share > 0]
    assert term.low is not None
    assert term.high is not None
    half = ((term.high - term.low) / 2)[:, shown][:, :, [term.classes.index(name) for name in classes]]
    p = term.probability[:, shown][:, :, [model_class(term, name) for name in classes]]
    for name, row in zip(classes, rows, strict=True):
        logits, probability, band = row
        assert (">log-odds<" if binary else f">logit of {name}<") in logits
        assert (">probability<" if binary else f">probability of {name}<") in probability
        assert f">{p.min():.0%}<" in probability
        assert f">{p.max():.0%}<" in probability
        assert f">{half.max():.2g}<" in band
        assert "var(--orange)" not in probability + band
        assert "var(--blue)" not in band
    ids = re.findall(r'\bid="([^"]*)"', "".join(sum(rows, ())))
    assert len(ids) == len(set(ids))


def model_class(term: TermFunction, name: str) -> int:
    """The index of a class among all classes of the model."""
    return 1 if len(term.classes) == 1 else term.classes.index(name)


def test_the_shades_of_a_map_are_those_of_the_values() -> None:
    axes = (
        TermAxis("a", np.array([]), ("u", "v"), np.full(2, 0.5)),
        TermAxis("b", np.array([]), ("x", "y"), np.full(2, 0.5)),
    )
    logits = np.array([[0.5, -1.0], [-0.5, 1.0]])
    p = 1 / (1 + np.exp(-logits))
    probability = np.stack([1 - p, p], axis=-1)
    error = np.array([[0.1, 0.2], [0.3, 0.4]])[:, :, None]
    term = TermFunction("a:b", "interaction", axes, ("yes",), logits[:, :, None], error, logits[:, :, None] - error,
                        logits[:, :, None] + error, probability, None, None, np.full((2, 2), 0.25))  # fmt: skip
    ((map_of_logits, map_of_p, band),) = interaction_figures(term)
    cells = [opacities(one.figure) for one in (map_of_logits, map_of_p, band)]
    np.testing.assert_allclose(cells[0], [[0.5, -0.5], [-1, 1]], atol=0.03)  # a across, b down
    np.testing.assert_allclose(cells[1], ((p - p.min()) / (p.max() - p.min())).T, atol=0.03)
    np.testing.assert_allclose(cells[2], error[:, :, 0].T / 0.4, atol=0.03)


def opacities(figure: Figure) -> np.ndarray:
    """The opacity of each cell of a map of 2 x 2, negative where it is orange."""
    found = np.zeros((2, 2))
    for patch in figure.axes[0].patches:
        *colour, alpha = patch.get_facecolor()
        sign = -1 if to_hex(colour) == ORANGE else 1
        for y in range(2):
            for x in range(2):
                if patch.get_path().contains_point((x, y)):
                    found[y, x] = sign * alpha
    return found


def test_an_interaction_without_effect_is_blank() -> None:
    term = fitted(2)[0].term_functions().function("job:owner")
    assert np.abs(term.logits).max() < LEAST_LOGIT / 100
    logits = interaction_maps(term, "t")[0][0]
    assert f">+{LEAST_LOGIT:.2g}<" in logits
    panel = interaction_figures(term)[0][0].figure.axes[0]
    assert not panel.patches


def test_levels_without_rows_are_left_out() -> None:
    assert shown_levels(np.array([0.2, 0.0, 0.5, 0.3]), most=2).tolist() == [2, 3]
    assert shown_levels(np.array([0.2, 0.0, 0.8])).tolist() == [0, 2]


def test_a_long_tail_is_cut_and_a_constant_has_a_range() -> None:
    x, share = np.array([0.0, 1.0, 2.0, 50.0]), np.array([0.3, 0.4, 0.299, 0.001])
    assert central_range(x, share) == (0.0, 2.0)
    assert central_range(x[:3], share[:3]) == (0.0, 2.0)
    assert central_range(np.array([3.0]), np.array([1.0])) == (2.0, 4.0)


def test_crowded_numbers_are_spaced_by_their_ranks() -> None:
    x = np.concatenate([np.arange(8.0), [1000.0]])
    scale = number_scale(x, np.full(9, 1 / 9))
    assert scale.remark == "numbers are spaced by their ranks"
    assert (scale.low, scale.high) == (0, 1)
    np.testing.assert_allclose(scale.places, np.linspace(0, 1, 9))
    assert scale.labels == ("0", "2", "4", "6", "1000")
    assert number_scale(x[:8], np.full(8, 1 / 8)).remark == ""


def test_the_page_shows_functions_by_size_with_their_numbers() -> None:
    model, table = fitted(2)
    functions = model.term_functions()
    drawn = drawn_terms(functions)
    assert drawn is not None
    assert len(drawn.drawn) == len(functions) <= MAX_TERMS
    assert [one.name for one in drawn.drawn] == [one.name for one in sorted(functions, key=lambda f: -f.size)]
    assert "95% intervals from the posterior" in drawn.intervals
    assert not drawn.left_out
    owner = next(one for one in drawn.drawn if one.name == "owner").numbers
    assert owner is not None
    assert [row[0] for row in owner.rows] == ["false", "true"]
    codes = np.searchsorted(model.model_.classes_, table["y"].to_pylist())
    evaluation = audit(model.predict_proba(table), codes, ["c0", "c1"])
    page = render_report(ReportData("title", evaluation, terms=functions))
    assert page.count('id="terms"') == 1
    assert '<a href="#terms">' in page
    assert "<cook>" not in page
    assert 'id="terms"' not in render_report(ReportData("title", evaluation))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_without_a_covariance_the_page_says_that_there_are_no_bands() -> None:
    drawn = drawn_terms(fitted(2, posterior=False)[0].term_functions())
    assert drawn is not None
    assert drawn.intervals.startswith("There are no bands")
    assert all(
        "fill-opacity: 0.16" not in svg for one in drawn.drawn if one.numbers for row in one.figures for svg in row
    )
