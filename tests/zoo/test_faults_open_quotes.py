"""Faults of quotes: quotes that are not closed, and line breaks and quotes within fields, in `open_rows`."""

from __future__ import annotations

from pathlib import Path

import pytest

from softreg import SoftmaxRegression, open_rows
from softreg.files.unclosed_quotes import QuoteCounter

# --- labels of dates ---

GOOD = [f"{i % 7},{i % 3},{'ab'[i % 2]}" for i in range(3000)]
OPEN = {
    "a label": {1000: '1,1,"a'},
    "the last label": {2999: '1,1,"a'},
    "a number": {1000: '"1,1,a'},
    "before another quote": {1000: '1,1,"a', 2000: '1,1,"b"'},
}


@pytest.mark.parametrize("name", OPEN)
def test_a_quote_left_open_is_an_error_of_open_rows(tmp_path: Path, name: str) -> None:
    rows = list(GOOD)
    for place, text in OPEN[name].items():
        rows[place] = text
    (tmp_path / "t.csv").write_text("\n".join(["x,z,y", *rows]) + "\n")
    line = min(OPEN[name]) + 2
    with pytest.raises(ValueError, match=f"line {line:,} of 't.csv' opens a quote that is not closed"):
        SoftmaxRegression(0.1).fit(open_rows(tmp_path / "t.csv", target="y"))


def test_a_quote_left_open_in_a_column_that_is_dropped_is_an_error(tmp_path: Path) -> None:
    rows = [f"{i},{'ab'[i % 2]},note" for i in range(100)]
    rows[50] = '50,a,"note'
    (tmp_path / "t.csv").write_text("\n".join(["x,y,n", *rows]) + "\n")
    with pytest.raises(ValueError, match="line 52 "):
        SoftmaxRegression(0.1).fit(open_rows(tmp_path / "t.csv", target="y", drop=["n"]))


def test_line_breaks_and_quotes_within_fields_are_read(tmp_path: Path) -> None:
    rows = [f'{i},"{"ab"[i % 2]}\nsaid ""so"""' for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    model = SoftmaxRegression(0.1).fit(open_rows(tmp_path / "t.csv", target="y"))
    assert model.classes_.tolist() == ['a\nsaid "so"', 'b\nsaid "so"']


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("text", "odd"), [('a,"b"\n"c",d\n', False), ('a,"b\nc"\n', True), ('a\nb,"c', True)])
def test_the_watch_counts_quotes_of_lines_in_blocks_of_any_size(
    tmp_path: Path, size: int, text: str, odd: bool
) -> None:
    (tmp_path / "t.csv").write_text(text)
    watch = QuoteCounter((tmp_path / "t.csv").open("rb"))
    while watch.read(size):
        pass
    watch.close()
    assert watch.has_odd_line == odd


# --- old names ---
