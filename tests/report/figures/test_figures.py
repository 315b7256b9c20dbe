"""Pictures: every pixel in its place and shade, and curves that show what they are given."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from softreg.report import reliability_curve
from softreg.report.figures import reliability_plots, training_plots
from softreg.report.figures.svg import LEVELS, grayscale_svg, signed_svg


def painted(svg: str, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The opacity of every pixel of each colour, read back from the paths."""
    shades: dict[str, np.ndarray] = {}
    for path, fill, opacity in re.findall(r'<path d="(.*?)" fill="(.*?)"(?: fill-opacity="(.*?)")?/>', svg):
        image = shades.setdefault(fill, np.zeros(shape))
        for x, y, width, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path):
            assert width == back
            assert (image[int(y), int(x) : int(x) + int(width)] == 0).all()
            image[int(y), int(x) : int(x) + int(width)] = float(opacity or 1)
    return shades


def test_weights_read_back_from_the_picture() -> None:
    weights = np.random.default_rng(0).normal(size=(5, 7))
    largest = np.abs(weights).max()
    shades = painted(signed_svg(weights, largest, "w"), weights.shape)
    seen = (shades["var(--blue)"] - shades["var(--orange)"]) * largest
    assert np.abs(seen - weights).max() <= largest * (0.5 / LEVELS + 0.005)


def test_images_read_back_from_the_picture() -> None:
    image = np.arange(12.0).reshape(3, 4) - 5
    shades = painted(grayscale_svg(image, "i"), image.shape)
    assert np.abs(shades["currentColor"] - (image + 5) / 11).max() <= 0.5 / LEVELS + 0.005


def test_flat_and_missing_images_stay_blank() -> None:
    assert "<path" not in grayscale_svg(np.full((3, 3), 7.0), "flat")
    assert "<path" not in grayscale_svg(np.full((2, 2), np.nan), "missing")
    assert painted(grayscale_svg([[np.nan, 1.0, 0.0]], "one"), (1, 3))["currentColor"].tolist() == [[0, 1, 0]]
    assert "<path" not in signed_svg(np.zeros((2, 2)), 0.0, "none")


def test_large_images_are_averaged_down() -> None:
    image = np.kron(np.eye(2), np.ones((100, 100)))
    svg = grayscale_svg(image, "two squares")
    assert 'viewBox="0 0 50 50"' in svg
    assert painted(svg, (50, 50))["currentColor"][:25, :25].min() == 1.0


def test_a_picture_has_two_axes() -> None:
    with pytest.raises(ValueError, match=r"\(height, width\); seen: shape \(4,\)"):
        signed_svg(np.zeros(4), 1.0, "w")


def record(passes: int, value: float, gap: float) -> SimpleNamespace:
    return SimpleNamespace(passes=passes, value=value, gap=gap, seconds=0.0)


def test_loss_curve_tells_its_ends() -> None:
    svg = training_plots.loss_curve([record(1, 2.5, np.inf), record(9, 0.25, 1e-7)], "loss")
    assert "from 2.5 to 0.25 nats in 9 passes over the data; the certified gap ends at 1e-07 nats" in svg
    assert "10⁻⁷" in svg


def test_loss_curve_without_gaps_has_one_panel() -> None:
    records = [record(1, 2.5, np.inf), record(9, 0.25, 0.0)]
    assert not training_plots.has_gap(records)
    assert "gap" not in training_plots.loss_curve(records, "loss")
    assert "estimated gap (nats)" in training_plots.loss_curve([record(1, 1.0, 0.5)], "loss", "estimated gap")


def test_long_histories_are_thinned_to_their_ends() -> None:
    svg = training_plots.loss_curve([record(i, 1 + 1 / (i + 1), 1 / (i + 1)) for i in range(100_000)], "loss")
    assert "in 99999 passes" in svg
    assert len(svg) < 60_000


def test_an_empty_history_is_no_curve() -> None:
    with pytest.raises(ValueError, match="history is empty"):
        training_plots.loss_curve([], "loss")


def test_the_path_of_strengths_marks_what_was_chosen() -> None:
    path = SimpleNamespace(
        strength=np.array([1.0, 0.1, 0.01]),
        mean=np.array([0.6, 0.3, 0.4]),
        error=np.array([0.1, np.nan, 0.1]),
        chosen=0,
    )
    svg = training_plots.path_curve(path, "path")
    assert "least, 0.3 nats, at strength 0.1; 1 was chosen of 3 strengths" in svg
    assert svg.count("var(--orange)") >= 1
    assert "10⁻²" in svg
    assert "nan" not in svg


def test_reliability_diagram_marks_what_lies_outside() -> None:
    good = reliability_plots.reliability_diagram(reliability_curve([0.5] * 4, [0, 1, 0, 1]), "good")
    bad = reliability_plots.reliability_diagram(reliability_curve([0.5] * 40, [1] * 40), "bad")
    assert "0 of 1 bins lie outside" in good
    assert "var(--orange)" not in good
    assert "1 of 1 bins lie outside" in bad
    assert "var(--orange)" in bad
    assert 'id="bad-' in bad
    assert not re.search(r'id="(?!bad-)', bad)
    assert "40" in re.findall(r">([^<]*)</text>", bad)
