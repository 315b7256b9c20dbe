"""The page: self-contained, well-formed, safe with hostile names, the same for the same data, and complete."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from softreg.probability import softmax
from softreg.report import ReportData, audit, render_report, show_rows, write_report

HOSTILE = "<script>alert(1)</script>\"'&$x_1$"
VOID = {"meta", "br", "col", "input", "img", "hr", "link"}


class Page(HTMLParser):
    """A page taken apart: elements, ids, attributes, text; complains of tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.seen}

    def values(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.seen if attribute in attributes]


def history(n: int) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(passes=2 * i, value=0.1 + 2.0**-i, gap=np.inf if i == 0 else 4.0**-i, seconds=0.1 * i)
        for i in range(n)
    ]


def example(q: int, d: int = 6, n: int = 80, classes: list[str] | None = None) -> ReportData:
    """A report with everything in it, on made-up numbers."""
    generator = np.random.default_rng(q)
    logits = generator.normal(size=(n, q)) * 2
    codes = generator.integers(q, size=n)
    found = audit(softmax(logits), codes, classes or [f"class {k}" for k in range(q)])
    shown = [{"colour": f"c{i}", "size": str(i)} for i in range(len(found.most_surprising))]
    return ReportData(
        "A title",
        found,
        subtitle="A subtitle",
        certificate="It is certified.",
        results=[("seconds", "1.25", "on one core")],
        history=history(12),
        coef=generator.normal(size=(q, d)),
        feature_names=[f"feature {j}" for j in range(d)],
        least_surprising=show_rows(found, found.least_surprising, cells=shown),
        most_surprising=show_rows(found, found.most_surprising, cells=shown),
        columns=[("colour", "category", "3 different texts"), ("size", "number", "all read as numbers")],
        warnings=["The column “id” was left out."],
    )


def with_images(q: int = 10, side: int = 8) -> ReportData:
    data = example(q, d=side * side)
    pictures = np.random.default_rng(0).random((len(data.audit.most_surprising), side, side))
    rows = show_rows(data.audit, data.audit.most_surprising, images=pictures)
    return dataclasses.replace(
        data, image_shape=(side, side), feature_names=None, most_surprising=rows, least_surprising=rows
    )


@pytest.mark.parametrize("data", [example(2), example(10), example(30), with_images()], ids=["2", "10", "30", "images"])
def test_self_contained_and_well_formed(data: ReportData) -> None:
    html = render_report(data)
    page = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|javascript:|data:", html)
    assert not page.tags() & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image"}
    assert not [name for _, attributes in page.seen for name in attributes if name.startswith("on")]
    assert all(target.startswith("#") for target in page.values("href"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.values("href")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(ids)
    assert all(attributes.get("aria-label") for tag, attributes in page.seen if tag == "svg")
    assert "#0" not in html.partition("</style>")[2].replace("#0d131a", "")  # every stand-in colour was replaced


def test_every_section_is_there() -> None:
    page = Page(render_report(example(4)))
    sections = {
        "summary",
        "result",
        "reliability",
        "confusion",
        "training",
        "coefficients",
        "surprise",
        "columns",
        "reading",
    }
    assert sections <= set(page.values("id"))
    text = " ".join(" ".join(page.text).split())
    for words in (
        "A title", "A subtitle", "It is certified.", "seconds 1.25 on one core", "The column “id” was left out.",
        "log loss", "Brier score", "Most surprising", "Least surprising", "objective (nats)", "certified gap (nats)",
        "observed frequency", "feature 3", "3 different texts", "Entropy explained", "precision",
    ):  # fmt: skip
        assert words in text, words


def test_what_is_not_given_is_left_out() -> None:
    html = render_report(ReportData("Bare", audit(np.full((30, 3), 1 / 3), np.arange(30) % 3, "abc")))
    page = Page(html)
    assert not {"coefficients", "surprise", "columns"} & set(page.values("id"))
    assert "the history of the fit was not recorded" in html
    assert "<h2>Warnings</h2>" not in html


def test_hostile_names_are_text() -> None:
    data = example(3, classes=[HOSTILE, "b", "c\x00<i>"])
    data = dataclasses.replace(
        data,
        title=HOSTILE,
        subtitle=HOSTILE,
        certificate=HOSTILE,
        results=[(HOSTILE, HOSTILE, HOSTILE)],
        feature_names=[HOSTILE] * 6,
        least_surprising=show_rows(data.audit, [0], cells=[{HOSTILE: HOSTILE}]),
        most_surprising=show_rows(data.audit, [1], images=np.eye(3)[None]),
        columns=[(HOSTILE,) * 3],
        warnings=[HOSTILE],
        gap_name=HOSTILE,
    )
    two = example(2, classes=["no", HOSTILE])
    pictures = dataclasses.replace(with_images(3), audit=data.audit)
    for html in map(render_report, (data, two, pictures)):
        page = Page(html)
        assert "script" not in page.tags()
        assert "<script" not in html
        assert "<i>" not in html.replace("<i></i>", "")  # the page has an empty one of its own
        assert HOSTILE in "".join(page.text)
        assert any(HOSTILE in value for value in page.values("aria-label"))


def test_same_data_same_bytes_whatever_the_settings_of_matplotlib() -> None:
    first = render_report(example(5))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        second = render_report(example(5))
        assert matplotlib.rcParams["font.size"] == 30
        assert matplotlib.rcParams["svg.fonttype"] == "path"
    assert first == second


def test_impossible_labels_show_as_infinity() -> None:
    found = audit([[1.0, 0.0], [0.5, 0.5]], [1, 0], ["a", "b"])
    html = render_report(ReportData("∞", found, most_surprising=show_rows(found, [0], cells=[{"k": "v"}])))
    assert "∞ nats" in html
    assert "−∞" in html  # the skill
    assert not re.search(r"\b(nan|inf)\b", html)


def test_one_feature_one_row_and_a_class_never_predicted() -> None:
    found = audit([[0.6, 0.3, 0.1]], [0], ["a", "b", "c"])
    html = render_report(ReportData("One", found, coef=np.array([[1.0], [-1.0], [0.0]]), history=history(1)))
    Page(html)
    assert "All coefficients of this class are 0." in html
    assert "x0" in html
    assert not re.search(r"\b(nan|inf)\b", html)


def test_two_classes_show_the_difference_of_weights_once() -> None:
    data = dataclasses.replace(example(2, d=2), coef=np.array([[-1.0, 0.25], [1.0, -0.25]]))
    html = render_report(data)
    assert "class 1 rather than class 0" in html
    assert "+2.00" in html
    assert "−0.500" in html
    assert html.count('class="bars"') == 1


def test_heaviest_features_come_first_with_their_sign_and_width() -> None:
    data = dataclasses.replace(example(3, d=3), coef=np.array([[0.5, -2.0, 1.0], [0, 0, 0.5], [-0.5, 2.0, -1.5]]))
    first = render_report(data).partition('class="bars"')[2].partition("</section>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th>.*?class="(up|down)" style="--w:(.*?)%".*?"n">(.*?)</td>', first) == [
        ("feature 1", "down", "100.0", "−2.00"),
        ("feature 2", "up", "50.0", "+1.00"),
        ("feature 0", "up", "25.0", "+0.500"),
    ]


def test_many_classes_have_pairs_in_place_of_a_matrix() -> None:
    few, many = render_report(example(25)), render_report(example(26, n=400))
    assert 'class="matrix' in few
    assert "Most confused pairs" not in few
    assert 'class="matrix' not in many
    assert "Most confused pairs" in many
    assert "more pairs are left out" in many
    perfect = audit(np.eye(30), np.arange(30), [f"k{k}" for k in range(30)])
    html = render_report(ReportData("Perfect", perfect))
    assert "<p>No row is misclassified.</p>" in html


def test_matrix_counts_given_by_predicted() -> None:
    found = audit([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], [0, 1, 1, 1], ["ham", "spam"])
    matrix = render_report(ReportData("m", found)).partition('class="matrix')[2]
    rows = re.findall(r"<tr><th scope=\"row\">(ham|spam)</th>(.*?)</tr>", matrix)
    counts = {given: re.findall(r'<td class="(\w+).*?>([\d·]+)<', cells) for given, cells in rows[:2]}
    assert counts == {"ham": [("right", "1"), ("none", "·")], "spam": [("wrong", "2"), ("right", "1")]}


def test_large_reports_stay_below_two_megabytes() -> None:
    q, d, n = 1000, 784, 2000
    generator = np.random.default_rng(0)
    found = audit(
        softmax(generator.normal(size=(n, q))), generator.integers(q, size=n), [f"word {k}" for k in range(q)]
    )
    coef = generator.normal(size=(q, d))
    text = {f"column {j}": "x" * 10_000 for j in range(500)}
    rows = show_rows(found, found.most_surprising, cells=[text] * 8)
    columns = [(f"column {j}", "text", "long " * 1000) for j in range(5000)]
    named = ReportData("Large", found, coef=coef, history=history(600), most_surprising=rows, columns=columns)
    html = render_report(named)
    assert len(html.encode()) < 2_000_000
    assert "4,000 more columns are left out." in html
    assert "460 more columns are left out." in html
    assert "The 60 most frequent of 1,000 classes are shown." in html
    pictured = dataclasses.replace(named, image_shape=(28, 28), columns=(), most_surprising=())
    assert len(render_report(pictured).encode()) < 2_000_000


def test_shapes_that_do_not_fit_are_named() -> None:
    found = example(3).audit
    with pytest.raises(ValueError, match=r"3 classes; seen: shape \(2, 5\)"):
        ReportData("t", found, coef=np.zeros((2, 5)))
    with pytest.raises(ValueError, match="5 features, but 2 feature names"):
        ReportData("t", found, coef=np.zeros((3, 5)), feature_names=["a", "b"])
    with pytest.raises(ValueError, match=r"\(2, 2\) has not as many pixels as coef has features, 5"):
        ReportData("t", found, coef=np.zeros((3, 5)), image_shape=(2, 2))


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    data = example(3)
    target = tmp_path / "report.html"
    write_report(target, data)
    assert target.read_bytes().decode() == render_report(data)
    write_report(target, "<!doctype html>")
    assert target.read_text() == "<!doctype html>"
    broken = dataclasses.replace(data, most_surprising=[SimpleNamespace(image=np.zeros(3), index=0, observed="a")])
    with pytest.raises(ValueError, match="must have shape"):
        write_report(target, broken)
    assert target.read_text() == "<!doctype html>"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(FileNotFoundError, match="no such place"):
        write_report(tmp_path / "no such place" / "r.html", data)


@pytest.mark.parametrize(("count", "scrolls"), [(25, False), (26, True)])
def test_a_table_that_scrolls_says_so(count: int, scrolls: bool) -> None:
    columns = [(f"column {j}", "number", "1 to 9") for j in range(count)]
    found = audit(np.full((4, 2), 0.5), [0, 1, 0, 1], ["cat", "dog"])
    page = render_report(ReportData("Long", found, columns=columns))
    assert ("26 rows; scroll to see all" in page) is scrolls
    assert ('class="scroll long"' in page) is scrolls


def test_the_gap_of_a_curve_is_not_called_a_bound() -> None:
    """Along the way it is an estimate, so it "may still be" so far, not "is at most"."""
    found = audit(np.full((4, 2), 0.5), [0, 1, 0, 1], ["cat", "dog"])
    page = render_report(ReportData("Curve", found, history=history(6), gap_name="estimated gap"))
    assert "estimated gap, a bound or estimate of its distance to the minimum" in " ".join(page.split())
