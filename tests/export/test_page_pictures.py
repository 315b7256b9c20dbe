"""Pictures of curves and interactions on the page of a program, and their markers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from softreg import TableClassifier
from softreg.export import build_program
from softreg.export.page.page import page_html
from softreg.export.page.pictures import svg_without_styles, term_pictures
from softreg.tables import Terms

from .page_browser import Browser, open_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from open_browser(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def model() -> TableClassifier:
    random = np.random.default_rng(0)
    n = 300
    x, job = random.normal(size=n), random.choice(["<cook>", "smith", "$a$"], n)
    y = np.where(np.sin(2 * x) * 2 + (job == "smith") * x + random.logistic(size=n) > 0, "yes", "no")
    x = np.where(random.random(n) < 0.1, np.nan, x)
    terms = Terms("linear", smooth="x", interactions=[("x", "job")])
    table = pa.table({"x": pa.array(x, from_pandas=True), "job": job, "y": y})
    return TableClassifier("y", terms=terms, keep_posterior=True).fit(table)


def test_pictures_have_bands_and_no_inline_styles(model: TableClassifier) -> None:
    page = page_html(build_program(model))
    section = page[page.index('<section id="terms"') : page.index('<section id="changes"')]
    assert section.count("<svg") == 7
    assert 'style="' not in section
    assert section.count('fill-opacity="0.16"') == 2
    assert "<cook>" not in section
    ids = re.findall(r'\bid="([^"]*)"', section)
    assert len(ids) == len(set(ids))


def test_a_linear_model_has_no_pictures() -> None:
    table = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "b", "a", "b"]})
    page = page_html(build_program(TableClassifier("y", strength=0.1).fit(table)))
    assert 'id="terms"' not in page
    assert "PICTURES" not in page


def test_styles_become_attributes() -> None:
    assert svg_without_styles('<g id="a"/><use href="#b" style="fill: red; stroke: blue"/><path id="b"/>') == (
        '<use href="#b" fill="red" stroke="blue"/><path id="b"/>'
    )


def test_markers_follow_the_controls(model: TableClassifier, browser: Browser) -> None:
    program = build_program(model)
    opened = browser.open(program)
    opened.page.locator("#terms summary").click()
    assert opened.page.locator("#terms svg").count() == sum(
        len(t["figures"]) for t in term_pictures(program.functions).terms
    )
    records = [(term["axes"], figure) for term in term_pictures(program.functions).terms for figure in term["figures"]]
    curve = next(i for i, (axes, figure) in enumerate(records) if figure["kind"] == "curve")
    axes, figure = records[curve]
    opened.column("x").locator("input[type=number]").fill("0.5")
    opened.settle()
    line = opened.page.locator("#terms svg").nth(curve).locator(".mark line")
    found = float(line.get_attribute("x1"))
    expected = np.interp(0.5, axes[0]["numbers"], figure["at"][:-1])
    assert found == pytest.approx(expected, abs=0.2)
    opened.column("x").get_by_role("checkbox", name="not known").press("Space")
    opened.settle()
    assert float(line.get_attribute("x1")) == figure["at"][-1]
    maps = [i for i, (_, figure) in enumerate(records) if figure["kind"] == "map"]
    rings = [opened.page.locator("#terms svg").nth(i).locator(".mark circle").get_attribute("cx") for i in maps]
    assert len(rings) == 3
    assert len(set(rings)) == 1
    levels = next(i for i, (_, figure) in enumerate(records) if figure["kind"] == "levels")
    seen = set()
    for label in ("smith", "$a$", "<cook>"):
        box = opened.column("job")
        if box.locator("select").count():
            box.locator("select").select_option(label=label)
        else:
            box.get_by_role("radio", name=label).press("Space")
        opened.settle()
        seen.add(opened.page.locator("#terms svg").nth(levels).locator(".mark").get_attribute("data-at"))
    assert seen == {json.dumps(at) for at in records[levels][1]["at"] if at is not None}
    assert opened.complaints == []
    browser.close_pages()
