"""The page of a program in a browser: what it shows is what `predict_proba` returns, and it makes no request."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, TableClassifier, TableWarning
from softreg.export import Program, build_program
from softreg.export.javascript.module import program_data
from softreg.export.page.page import page_html
from softreg.export.program import InputKind, Reliability
from softreg.models.serialization.stored_evaluation import ReliabilityBin

from .cases import CASES, ODD_TEXTS, case, fit, generator, labels, with_nulls
from .page_browser import Browser, OpenPage, open_browser

TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from open_browser(tmp_path_factory.mktemp("pages"))


@pytest.fixture(autouse=True)
def close_pages(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").close_pages()


def clients() -> TableClassifier:
    """A model of columns of all kinds but vectors and text, with intervals."""
    random = generator(31)
    n = 600
    age, balance, owns = random.integers(18, 90, n), np.sinh(2.5 * random.normal(size=n)) * 100, random.random(n) < 0.6
    table = pa.table(
        {
            "age": pa.array(age),
            "balance": balance,
            "rate": with_nulls(random.normal(2.5, 0.3, n), random),
            "owns": np.where(owns, "yes", "no"),
            "job": random.choice(["cook", "smith", "teacher"], n),
            "when": pa.array(random.integers(0, 10**9, n).astype("M8[s]")),
            "day": pa.array(random.integers(0, 15_000, n).astype("M8[D]")),
            "y": labels(random, age / 10, 5 * owns, np.tanh(balance), classes=("no", "perhaps", "yes")),
        }
    )
    return fit(table, strength=0.01).keep_intervals(table)


CLIENTS: list[TableClassifier] = []


def client_model() -> TableClassifier:
    if not CLIENTS:
        CLIENTS.append(clients())
    return CLIENTS[0]


def expected(model: TableClassifier, **cells: Any) -> np.ndarray:
    """Probabilities (q,) of one row."""
    columns = {name: pa.array([[0.0] * 4, cell]) if name == "v" else pa.array([cell]) for name, cell in cells.items()}
    columns = {name: column.slice(len(column) - 1) for name, column in columns.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        return model.predict_proba(pa.table(columns))[0]


def shown_row(opened: OpenPage) -> dict[str, Any]:
    """The cells of the clients that the controls show once they are settled, read from the controls."""
    opened.settle()
    numbers = {name: float(opened.column(name).locator("input[type=number]").input_value()) for name in NUMBERS}
    dates = {name: opened.column(name).locator("input:not([type=range])").nth(1).input_value() for name in DATES}
    job = opened.column("job").locator("select")
    words = {"job": job.evaluate("(menu) => menu.selectedOptions[0].textContent")}
    owns = opened.column("owns").get_by_role("radio", name="yes").is_checked()
    return numbers | dates | words | {"owns": "yes" if owns else "no"}


NUMBERS, DATES = ("age", "balance", "rate"), ("when", "day")


def check_clients(opened: OpenPage, **changed: Any) -> None:
    row = shown_row(opened) | changed
    np.testing.assert_allclose(opened.probabilities(), expected(client_model(), **row), atol=TOLERANCE)


def test_the_answer_follows_the_controls(browser: Browser) -> None:
    opened = browser.open(build_program(client_model()))
    check_clients(opened)
    before = opened.probabilities()
    for name in ("age", "balance", "rate"):
        slider = opened.column(name).get_by_role("slider")
        value = shown_row(opened)[name]
        slider.press("ArrowRight")
        for _ in range(3):
            slider.press("PageUp")
        opened.settle()
        assert shown_row(opened)[name] > value
        check_clients(opened)
    assert not np.allclose(before, opened.probabilities())
    opened.column("job").locator("select").select_option(label="teacher")
    check_clients(opened, job="teacher")
    opened.column("owns").get_by_role("radio", name="no").press("Space")
    check_clients(opened, owns="no")
    opened.column("when").locator("input[type=datetime-local]").fill("1999-12-31T23:59:58")
    check_clients(opened, when="1999-12-31T23:59:58")
    opened.column("day").locator("input[type=date]").fill("2004-02-29")
    check_clients(opened, day="2004-02-29")
    opened.column("when").get_by_role("slider").press("Home")
    check_clients(opened)
    opened.column("age").locator("input[type=number]").fill("33.25")
    check_clients(opened, age=33.25)
    assert opened.complaints == []


def test_a_column_may_be_not_known_or_have_another_value(browser: Browser) -> None:
    opened = browser.open(build_program(client_model()))
    row = shown_row(opened)
    for name in row:
        opened.column(name).get_by_role("checkbox", name="not known").press("Space")
        row[name] = None
        np.testing.assert_allclose(opened.probabilities(), expected(client_model(), **row), atol=TOLERANCE)
    opened.column("job").locator("select").select_option(label="another value…")
    opened.page.keyboard.type("astronaut")
    np.testing.assert_allclose(
        opened.probabilities(), expected(client_model(), **row | {"job": "astronaut"}), atol=TOLERANCE
    )
    assert "Not a level of training" in opened.column("job").inner_text()
    opened.column("age").get_by_role("slider").press("ArrowRight")
    opened.settle()
    assert not opened.column("age").get_by_role("checkbox", name="not known").is_checked()
    assert opened.complaints == []


def test_a_number_beyond_training_is_noted(browser: Browser) -> None:
    opened = browser.open(build_program(client_model()))
    field = opened.column("age").locator("input[type=number]")
    field.fill("500")
    check_clients(opened, age=500.0)
    assert "the model uses 89" in opened.column("age").inner_text()
    field.fill("50")
    opened.settle()
    assert "the model uses" not in opened.column("age").inner_text()


def test_intervals_are_those_of_the_library(browser: Browser) -> None:
    opened = browser.open(build_program(client_model()))
    row = shown_row(opened)
    low, high = client_model().predict_intervals(pa.table({name: [cell] for name, cell in row.items()}))
    found = opened.page.evaluate(
        "() => [...document.querySelectorAll('#bars li')].map((row) => [row.dataset.lower, row.dataset.upper])"
    )
    np.testing.assert_allclose(np.array(found, dtype=float), np.column_stack([low[0], high[0]]), atol=TOLERANCE)


def test_contributions_and_the_reference_row_add_up_to_the_log_odds(browser: Browser) -> None:
    opened = browser.open(build_program(client_model()))
    P = dict(zip(["no", "perhaps", "yes"], opened.probabilities(), strict=True))
    opened.page.select_option("#part-for", label="yes")
    opened.page.select_option("#part-against", label="no")
    opened.settle()
    total = float(opened.page.get_attribute("#parts", "data-total"))
    assert total == pytest.approx(np.log(P["yes"] / P["no"]), abs=1e-9)
    bars = opened.page.locator("#part-bars li:not([hidden])")
    sizes = [float(bar.get_attribute("data-contribution")) for bar in bars.all()]
    assert len(sizes) == 7
    assert sorted(sizes, key=abs, reverse=True) == sizes
    reference = re.search(r"= ([+−][\d.]+) of the reference row", opened.page.inner_text("#part-sum"))
    assert reference is not None
    assert float(reference[1].replace("−", "-")) == pytest.approx(total - sum(sizes), abs=0.006)
    opened.page.select_option("#part-against", label="yes")  # the same class twice: the other one is chosen anew
    opened.settle()
    assert opened.page.input_value("#part-for") == "-1"


def test_contributions_of_interactions_have_bars_of_their_own(browser: Browser) -> None:
    given = case("terms_of_two_classes")
    opened = browser.open(given.program)
    opened.page.evaluate("() => document.getElementById('part-all').click()")
    opened.settle()
    bars = opened.page.locator("#part-bars li:not([hidden])").all()
    names = {bar.get_attribute("data-column") for bar in bars}
    assert {"age", "age:wage (interaction)", "job:town (interaction)"} <= names
    assert len(bars) == len(given.program.inputs) + len(given.program.grids)
    total, P = float(opened.page.get_attribute("#parts", "data-total")), opened.probabilities()
    assert abs(total) == pytest.approx(abs(np.log(P[1] / P[0])), abs=1e-9)
    text = opened.page.inner_text("body")
    assert "curves have their mean over the training rows" in text
    opened.column("age").locator("input[type=number]").fill("31.5")
    opened.column("wage").locator("input[type=number]").fill("900")
    opened.column("job").locator("select").select_option(label="cook")
    opened.column("town").locator("select").select_option(label="y")
    opened.column("zip").locator("select").select_option(label="20095")
    opened.column("member").get_by_role("radio", name="true").check()
    row = {"age": [31.5], "wage": [900.0], "job": ["cook"], "town": ["y"], "member": [True], "zip": [20095]}
    np.testing.assert_allclose(opened.probabilities(), given.model.predict_proba(pa.table(row))[0], atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["any other class", "no", "perhaps", "yes"])
def test_each_change_that_is_offered_changes_the_class(browser: Browser, target: str) -> None:
    opened = browser.open(build_program(client_model()))
    start = opened.page.url
    before = opened.predicted()
    opened.page.select_option("#change-to", label=target)
    buttons = opened.changes()
    if target == before:
        assert "already" in opened.page.inner_text("#change-state")
        return
    assert buttons
    for place in range(len(buttons)):
        button = opened.page.locator("#change-list button").nth(place)
        promised, column = float(button.get_attribute("data-probability")), button.get_attribute("data-column")
        button.click()
        assert opened.predicted() != before
        assert opened.predicted() == target or target == "any other class"
        assert max(opened.probabilities()) == promised
        check_clients(opened)
        opened.page.wait_for_function("(start) => location.href !== start", arg=start)
        assert len(opened.page.url.split("#")[1].split("&")) == 1, "only one column has changed"
        assert opened.page.url.split("#")[1].startswith(f"{column}=")
        opened.page.click("#reset")
        opened.page.wait_for_function("(start) => location.href === start", arg=start)
        opened.changes()
    assert opened.complaints == []


def test_the_change_of_a_number_is_the_smallest(browser: Browser) -> None:
    random = generator(32)
    x, z = random.normal(size=(2, 400))
    model = fit(pa.table({"x": x, "z": z, "y": labels(random, 2 * x, z)}), strength=1e-3)
    opened = browser.open(build_program(model))
    opened.changes()
    cells = {name: float(opened.column(name).locator("input[type=number]").input_value()) for name in ("x", "z")}
    button = opened.page.locator("#change-list button[data-column=x]")
    change = float(button.get_attribute("data-cell"))
    grid = np.sort(np.append(np.linspace(x.min(), x.max(), 20_001), cells["x"]))
    classes = model.predict(pa.table({"x": grid, "z": np.full(len(grid), cells["z"])}))
    now = classes[np.searchsorted(grid, cells["x"])]
    nearest = np.min(np.abs(grid[classes != now] - cells["x"]))
    assert abs(change - cells["x"]) == pytest.approx(nearest, rel=0.012, abs=2 * (grid[1] - grid[0]))
    assert abs(change - cells["x"]) >= nearest - 2 * (grid[1] - grid[0])


def test_no_change_is_invented(browser: Browser) -> None:
    random = generator(33)
    x = random.normal(size=400)
    y = np.where(random.random(400) < 0.97, "often", "rarely")
    model = fit(pa.table({"x": x, "flag": pa.array(x > 0), "y": y}), strength=1.0)
    opened = browser.open(build_program(model))
    assert opened.changes() == []
    assert "No change of a single column makes another class" in opened.page.inner_text("#change-state")


def test_menus_of_many_levels_and_odd_ones(browser: Browser) -> None:
    given = case("categories")
    opened = browser.open(given.program)
    levels = {read.name: read.levels for read in given.program.inputs}
    row = {name: found[0] for name, found in levels.items()}
    for k in range(len(levels["odd"])):
        if len(levels["odd"]) <= 30:
            opened.column("odd").locator("select").select_option(str(k))
        row["odd"] = levels["odd"][k]
        np.testing.assert_allclose(opened.probabilities(), expected(given.model, **row), atol=TOLERANCE)
    many = opened.column("many").locator("input[type=text]")
    for text in (levels["many"][-1], "no such level"):
        many.fill(text)
        row["many"] = text
        np.testing.assert_allclose(opened.probabilities(), expected(given.model, **row), atol=TOLERANCE)
    assert opened.complaints == []


def test_codes_are_chosen_from_menus(browser: Browser) -> None:
    given = case("codes")
    opened = browser.open(given.program)
    types = {name: given.columns.schema.field(name).type for name in given.columns.column_names}
    texts = {read.name: read.levels[0] for read in given.program.inputs}
    for read in given.program.inputs:
        opened.column(read.name).locator("select").select_option(label=read.levels[-1])
        texts[read.name] = read.levels[-1]
        cells = {
            name: pa.array([text]).cast(types[name] if types[name] != pa.bool_() else pa.string())
            for name, text in texts.items()
        }
        found = given.model.predict_proba(pa.table(cells))[0]
        np.testing.assert_allclose(opened.probabilities(), found, atol=TOLERANCE)


def test_other_spellings_of_a_level_are_that_level(browser: Browser) -> None:
    opened = browser.open(case("codes").program)
    column = opened.column("truth")
    column.locator("select").select_option(label="true")
    P = opened.probabilities()
    for text, note in (("TRUE", ""), ("  ", "missing value"), ("maybe", "Not a level of training")):
        column.locator("select").select_option(label="another value…")
        opened.page.keyboard.press("Control+A")
        opened.page.keyboard.type(text)
        assert (opened.probabilities() == P) == (text == "TRUE")
        assert note in column.inner_text()
        assert note or "Not a level" not in column.inner_text()


def test_free_text(browser: Browser) -> None:
    given = case("texts")
    opened = browser.open(given.program)
    field = opened.column("body").locator("textarea")
    for text in ("", "free money\nDon't", "垃圾邮件 🎬 naïve", "unknown words only"):
        field.fill(text)
        np.testing.assert_allclose(opened.probabilities(), expected(given.model, body=text), atol=TOLERANCE)
    assert opened.complaints == []


def test_tags_are_added_and_removed(browser: Browser) -> None:
    given = case("tags")
    opened = browser.open(given.program)
    field = opened.column("t").get_by_role("combobox")
    chosen: list[str] = []
    for tag in ("a", "new", "it's", "a", "null"):
        field.fill(tag)
        field.press("Enter")
        chosen += [] if tag in chosen else [tag]
        np.testing.assert_allclose(opened.probabilities(), expected(given.model, t=chosen), atol=TOLERANCE)
    opened.column("t").get_by_role("button", name="remove new").press("Enter")
    chosen.remove("new")
    np.testing.assert_allclose(opened.probabilities(), expected(given.model, t=chosen), atol=TOLERANCE)
    assert opened.complaints == []


def test_vectors(browser: Browser) -> None:
    given = case("vectors")
    opened = browser.open(given.program)
    field = opened.column("v").locator("textarea")
    number = float(opened.column("n").locator("input[type=number]").input_value())
    field.fill("[1, -2.5; 3e-1\n 4]")
    np.testing.assert_allclose(
        opened.probabilities(), expected(given.model, v=[1, -2.5, 0.3, 4], n=number), atol=TOLERANCE
    )
    field.fill("1 2 3")
    assert opened.predicted() is None
    assert "Enter 4 numbers" in opened.column("v").inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert "No prediction" in opened.page.inner_text("#answer")
    assert opened.page.locator("#sentence").is_hidden()
    assert opened.page.locator("#bars li").first.is_hidden()
    opened.column("v").get_by_role("checkbox").press("Space")
    np.testing.assert_allclose(opened.probabilities(), expected(given.model, v=None, n=number), atol=TOLERANCE)


@pytest.mark.parametrize("d", [5, 60])
def test_arrays(browser: Browser, d: int) -> None:
    random = generator(34)
    X = random.normal(size=(200, d))
    model = SoftmaxRegression(0.01).fit(X, labels(random, X[:, 0], X[:, 1], classes=(2, 5, 7)))
    opened = browser.open(build_program(model))
    row = np.zeros(d)
    row[[0, 1, 4]] = 1.5, -2.0, 1e-3
    if d == 5:
        for j in (0, 1, 4):
            opened.column(f"x{j}").locator("input").fill(repr(float(row[j])))
    else:
        opened.column("X").locator("textarea").fill(" ".join(map(repr, row.tolist())))
    np.testing.assert_allclose(opened.probabilities(), model.predict_proba(row[None])[0], atol=TOLERANCE)
    first = opened.page.locator("#part-bars li").first
    assert first.get_attribute("data-column") in {"x0", "x1"}
    before = opened.predicted()
    opened.changes()[0].click()
    assert opened.predicted() != before
    assert opened.complaints == []


def test_offsets_are_required_numbers(browser: Browser) -> None:
    for name in ("offsets", "array_offsets"):
        given = case(name)
        opened = browser.open(given.program)
        offsets = [read.name for read in given.program.inputs if read.kind is InputKind.NUMBER and read.required]
        cells: dict[str, Any] = {read: 0.25 * k - 0.5 for k, read in enumerate(offsets)}
        for read, value in cells.items():
            assert opened.column(read).get_by_role("checkbox").count() == 0
            opened.column(read).locator("input").fill(str(value))
        if name == "offsets":
            x = float(opened.column("x").locator("input[type=number]").input_value())
            found = expected(given.model, x=x, **cells)
        else:
            found = given.model.predict_proba(np.zeros((1, 2)), np.array([list(cells.values())]))[0]
        np.testing.assert_allclose(opened.probabilities(), found, atol=TOLERANCE)
        opened.column(offsets[0]).locator("input").fill("")
        assert opened.predicted() is None
        assert "Enter a number" in opened.column(offsets[0]).inner_text()
        opened.column(offsets[0]).locator("input").fill("1")
        assert opened.predicted() is not None
        assert opened.complaints == []


@pytest.mark.parametrize("name", ["vector calibration", "isotonic calibration", "quadratic calibration of two classes"])
def test_calibrated_probabilities_and_their_changes(browser: Browser, name: str) -> None:
    given = case(name)
    opened = browser.open(given.program)
    opened.column("x0").locator("input").fill("0.75")
    P = given.model.predict_proba(np.array([[0.75, 0.0, 0.0]]))
    np.testing.assert_allclose(opened.probabilities(), given.options["calibrator"].predict_proba(P)[0], atol=TOLERANCE)
    before = opened.predicted()
    opened.changes()[0].click()
    assert opened.predicted() != before
    assert "before calibration" in opened.page.inner_text("#part-sum")


def test_many_classes_show_the_ten_most_probable_and_the_rest(browser: Browser) -> None:
    given = case("many_classes")
    opened = browser.open(given.program)
    shown = opened.page.locator("#bars li:not([hidden])")
    assert shown.count() == 11
    values = [float(row.get_attribute("data-probability")) for row in shown.all()]
    cells = {name: float(opened.column(name).locator("input[type=number]").input_value()) for name in ("x", "z")}
    P = np.sort(expected(given.model, **cells))[::-1]
    np.testing.assert_allclose(values, [*P[:10], P[10:].sum()], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["numbers", "names", "mixed 0", "mixed 1", "mixed 2", "mixed 5", "spellings", "words"])
def test_pages_of_all_kinds_open_without_complaint(browser: Browser, name: str) -> None:
    opened = browser.open(case(name).program)
    assert opened.predicted() is not None
    opened.changes()
    for box in opened.page.get_by_role("checkbox").all():
        box.press("Space")
    assert opened.predicted() is not None
    assert opened.complaints == []


def test_a_link_restores_the_values(browser: Browser) -> None:
    program = build_program(client_model())
    opened = browser.open(program)
    opened.column("age").locator("input[type=number]").fill("77")
    opened.column("job").locator("select").select_option(label="another value…")
    opened.page.keyboard.type("naïve & co=#%+ 100")
    opened.column("rate").get_by_role("checkbox").press("Space")
    opened.column("when").locator("input[type=datetime-local]").fill("1999-12-31T23:59")
    opened.column("owns").get_by_role("radio", name="no").press("Space")
    P = opened.probabilities()
    opened.page.wait_for_function("() => location.hash.includes('owns')")
    fragment = opened.page.url.partition("#")[2]
    again = browser.open(program, fragment=f"#{fragment}")
    assert again.probabilities() == P
    assert again.column("job").locator("input[type=text]").input_value() == "naïve & co=#%+ 100"
    again.page.evaluate("() => { location.hash = '#age=20' }")
    again.page.wait_for_function("() => document.querySelector('input[type=number]').value === '20'")
    check_clients(again, age=20.0)
    assert opened.complaints + again.complaints == []


@pytest.mark.parametrize(
    "fragment",
    [
        "#", "#age", "#age=", "#age=old&job=cook", "#%", "#%E0%A4%A&age=30", "#=&=&&&", "#nothing=1", "#__proto__=1",
        "#when=2021-02-29", "#owns=perhaps", "#age=1e999", "#age=NaN", "#day=10000-01-01", "#age=30&age=40",
    ],
)  # fmt: skip
def test_fragments_that_cannot_be_read_are_ignored(browser: Browser, fragment: str) -> None:
    opened = browser.open(build_program(client_model()), fragment=fragment)
    assert opened.predicted() is not None
    assert opened.complaints == []


@pytest.mark.parametrize(("name", "key"), [("tags", "t"), ("vectors", "v"), ("arrays", "x1"), ("texts", "body")])
def test_links_of_other_kinds_of_columns(browser: Browser, name: str, key: str) -> None:
    text = {"t": '["a","new, too"]', "v": "1,2,3,4.5", "x1": "-3.25", "body": "free money & win"}[key]
    plain = browser.open(case(name).program)
    opened = browser.open(case(name).program, fragment=f"#{key}={text.replace('&', '%26')}")
    assert opened.probabilities() != plain.probabilities()
    for wrong in ("[1]", "1,2", "x", "{", '["a",2]') if name != "texts" else ():
        opened.page.evaluate("(hash) => { location.hash = hash }", f"#{key}={wrong}")
        opened.page.wait_for_function("() => location.hash === ''")  # nothing differs from the start
        assert opened.probabilities() == plain.probabilities()
    assert opened.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_in_light_and_dark(browser: Browser, dark: bool) -> None:
    opened = browser.open(build_program(client_model()), dark=dark)
    assert low_contrasts(opened) == []
    background = opened.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    opened.page.get_by_role("button", name="Dark").press("Enter")
    assert opened.page.evaluate("() => getComputedStyle(document.body).backgroundColor") != background
    assert low_contrasts(opened) == []
    assert opened.page.get_attribute("#theme", "aria-pressed") == str(not dark).lower()


LOW_CONTRASTS = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = parse(color).slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (parse(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("script, noscript, .old")) continue;
    const a = light(getComputedStyle(element).color), b = light(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 20)} ${ratio}`);
  }
  return found;
}"""


def low_contrasts(opened: OpenPage) -> list[str]:
    """Texts whose contrast with what is behind them is less than 4.5, as WCAG AA demands."""
    opened.changes()
    found: list[str] = opened.page.evaluate(LOW_CONTRASTS)
    return found


def long_names() -> Program:
    random = generator(35)
    columns: dict[str, Any] = {f"{'a_long_name_without_blanks' * 4} {k}": random.normal(size=200) for k in range(3)}
    columns["level"] = random.choice(["one" * 40, "two words " * 12, "short"], 200)
    columns["مساحة البيت"] = random.normal(size=200)
    classes = ("class" * 30, "نعم", "no")
    return build_program(fit(pa.table(columns | {"y": labels(random, random.normal(size=200), classes=classes)})))


@pytest.mark.parametrize("width", [320, 900, 1600])
@pytest.mark.parametrize("name", ["clients", "long names", "tags", "categories"])
def test_nothing_is_wider_than_the_window(browser: Browser, width: int, name: str) -> None:
    programs = {"clients": lambda: build_program(client_model()), "long names": long_names}
    opened = browser.open(programs.get(name, lambda: case(name).program)(), width=width)
    opened.changes()
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert opened.page.locator("#form .column").first.is_visible()


@pytest.mark.slow
def test_each_control_has_a_name_and_is_reached_by_the_keyboard(browser: Browser) -> None:
    for program in (build_program(client_model()), case("tags").program, case("offsets").program):
        opened = browser.open(program)
        opened.changes()
        nameless = opened.page.evaluate(
            "() => [...document.querySelectorAll('input, select, textarea, button')].filter((control) => {"
            "  const ids = (control.getAttribute('aria-labelledby') ?? '').split(' ').filter(Boolean);"
            "  const named = ids.map((id) => document.getElementById(id)?.textContent ?? '').join('');"
            "  const own = control.tagName === 'BUTTON' ? control.textContent : '';"
            "  const labels = [...(control.labels ?? [])].map((label) => label.textContent).join('');"
            "  return !(control.getAttribute('aria-label') || named || labels || own).trim();"
            "}).map((control) => control.outerHTML)"
        )
        assert nameless == []
        ids = opened.page.evaluate("() => [...document.querySelectorAll('[id]')].map((element) => element.id)")
        assert len(ids) == len(set(ids))
        expected_stops = opened.page.evaluate(
            "() => { const all = [...document.querySelectorAll('input, select, textarea, button')]"
            "  .filter((one) => one.checkVisibility() && !one.disabled);"
            "  all.forEach((one, k) => { one.dataset.stop = k; });"
            "  return all.filter((one) => one.type !== 'radio' || one.checked).map((one) => one.dataset.stop); }"
        )
        opened.page.evaluate("() => document.body.focus()")
        reached = []
        for _ in range(3 * len(expected_stops) + 20):
            opened.page.keyboard.press("Tab")
            reached.append(opened.page.evaluate("() => document.activeElement?.dataset?.stop ?? null"))
        assert set(expected_stops) <= set(reached)


def test_the_answer_is_spoken_after_a_pause_only(browser: Browser) -> None:
    opened = browser.open(build_program(client_model()))
    opened.page.wait_for_function("() => document.getElementById('live').textContent")
    opened.page.evaluate(
        "() => { window.spoken = 0;"
        " new MutationObserver(() => window.spoken++).observe(document.getElementById('live'), {childList: true}) }"
    )
    during = opened.page.evaluate(
        "async () => { const slider = document.querySelector('input[type=range]');"
        " for (let k = 0; k < 60; k++) {"
        "   slider.value = k;"
        "   slider.dispatchEvent(new Event('input', {bubbles: true}));"
        "   await new Promise((done) => requestAnimationFrame(done));"
        " }"
        " return window.spoken }"
    )
    assert during == 0
    opened.page.wait_for_function("() => window.spoken === 1")
    assert opened.page.inner_text("#live") == opened.page.inner_text("#sentence")


HOSTILE = ("</script><script>alert(1)</script>", '<img src=x onerror="alert(2)">', "&lt;b&gt;", "${alert(3)}", "<!--",
           "$title", "\u202egnp.exe", "__proto__", "]]>", "' onfocus='alert(4)")  # fmt: skip


def test_hostile_names_are_shown_as_they_are(browser: Browser) -> None:
    random = generator(36)
    x = random.normal(size=(len(HOSTILE), 300))
    columns: dict[str, Any] = dict(zip(HOSTILE, x, strict=True))
    columns["level"] = [HOSTILE[k] for k in random.integers(0, len(HOSTILE), 300)]
    target = "</title></style></script><img src=x onerror=alert(5)>"
    table = pa.table(columns | {target: labels(random, *x, classes=HOSTILE[:5])})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier(0.01, terms="linear").fit(table, target=target)
    opened = browser.open(build_program(model))
    opened.page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
    names = [element.text_content() for element in opened.page.locator("#columns .name").all()]
    assert names == [*HOSTILE, "level"]
    assert opened.page.locator("#bars .name").all_text_contents() == sorted(HOSTILE[:5])
    assert opened.page.text_content("h1") == f"Prediction of {target}"
    assert opened.page.title() == f"Prediction of {target}"
    opened.changes()
    assert opened.page.locator("img, script:not([type=module])").count() == 0
    row = {name: float(opened.column(name).locator("input[type=number]").input_value()) for name in HOSTILE}
    np.testing.assert_allclose(opened.probabilities(), expected(model, **row, level=sorted(HOSTILE)[0]), atol=TOLERANCE)
    assert opened.complaints == []


def test_odd_labels(browser: Browser) -> None:
    random = generator(37)
    x = random.normal(size=200)
    for classes in (("a\n", " a", "a"), (True, False), (1, 2, 3), (0.5, 1.5), ("نعم", "لا"), ODD_TEXTS[:12]):
        opened = browser.open(build_program(fit(pa.table({"x": x, "y": labels(random, x, classes=classes)}))))
        label = opened.predicted()
        assert label in classes
        assert opened.page.text_content("#sentence") is not None
        assert opened.complaints == []


def bins() -> tuple[ReliabilityBin, ...]:
    return (
        ReliabilityBin(0.0, 0.2, 40, 0.1, 0.125, 0.05, 0.25, 0.0, 0.3),
        ReliabilityBin(0.3, 0.5, 0, 0.4, 0.0, 0.0, 1.0, 0.0, 1.0),
        ReliabilityBin(0.5, 1.0, 100, 0.75, 0.7, 0.6, 0.78, 0.6, 0.9),
    )


def test_the_reliability_of_similar_probabilities(browser: Browser) -> None:
    plain = build_program(client_model())
    opened = browser.open(plain)
    assert opened.page.locator("#reliability").is_hidden()
    opened = browser.open(dataclasses.replace(plain, reliability=Reliability(140, (bins(),) * 3)))
    top = max(opened.probabilities())
    text = opened.page.inner_text("#reliability-text")
    beginning = (
        "Of the 100 held-out rows with a predicted probability of" if top >= 0.5 else "No held-out rows are compared"
    )
    assert text.startswith(beginning)
    for part in ("100 held-out rows", "between 50% and 100% (mean 75%)", "70% were"):
        assert part in text
    assert "60% to 78%" in text
    label = min(zip(opened.probabilities(), ("no", "perhaps", "yes"), strict=True))[1]
    opened.page.select_option("#reliability-of", label=label)
    opened.settle()
    assert "40 held-out rows" in opened.page.inner_text("#reliability-text")
    assert "12.5% were" in opened.page.inner_text("#reliability-text")


def test_a_calibrated_program_has_no_reliability() -> None:
    program = case("vector calibration").program
    with_bins = dataclasses.replace(program, reliability=Reliability(140, (bins(),) * 3))
    assert program_data(with_bins)["reliability"] is None
    assert program_data(dataclasses.replace(with_bins, steps=()))["reliability"]["bins"][0][2]["observed"] == 0.7


@pytest.mark.timing
def test_an_update_is_shorter_than_a_frame(browser: Browser) -> None:
    random = generator(38)
    X = random.normal(size=(800, 100))
    columns: dict[str, Any] = {f"x{j}": X[:, j] for j in range(100)}
    y = [f"class {k}" for k in np.argmax(X[:, :10] + random.gumbel(size=(800, 10)), axis=1)]
    opened = browser.open(build_program(fit(pa.table(columns | {"y": y}))))
    slider = opened.column("x3").get_by_role("slider")
    times = []
    for _ in range(25):
        slider.press("ArrowRight")
        opened.settle()
        times.append(opened.page.evaluate("() => performance.getEntriesByName('softreg update')[0].duration"))
    assert np.median(times) < 16
    assert opened.complaints == []


class Elements(HTMLParser):
    """Names of elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", CASES)
def test_the_page_is_one_file_that_refers_to_no_other(name: str) -> None:
    text = page_html(case(name).program)
    assert text.isascii()
    parser = Elements()
    parser.feed(text)
    tags = [tag for tag, _ in parser.found]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"img", "iframe", "object", "embed", "base", "form"} & set(tags)
    links = [value for _, found in parser.found for key, value in found.items() if key in ("src", "href", "action")]
    assert all(str(link).startswith(("data:", "#")) for link in links)
    assert not any(key == "style" or key.startswith("on") for _, found in parser.found for key in found)
    (policy,) = [found["content"] for _, found in parser.found if found.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert json.dumps(None) in text
