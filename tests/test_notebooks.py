"""The notebooks of `docs/notebooks` run, are made from their pages, and print what they show."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"/(?:home|root|usr|tmp|var|opt|Users)/|[A-Z]:\\\\|site-packages|\d{4}-\d\d-\d\d|at 0x")
NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e-?\d+)?")


def script() -> ModuleType:
    """Import `make_notebooks.py`, which is in no package."""
    spec = importlib.util.spec_from_file_location("make_notebooks", FOLDER / "make_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = script()


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(page: Any) -> list[Any]:
    return [cell for cell in page.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream")


def test_the_walkthrough_is_there_in_both_languages() -> None:
    assert {"walkthrough.ipynb", "walkthrough.zh.ipynb"} <= {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_made_from_its_page(path: Path) -> None:
    page = read(path)
    nbformat.validate(page)
    made = make.notebook(path.with_suffix(".md").read_text("utf-8"))
    remedy = "the page has changed: python docs/notebooks/make_notebooks.py"
    assert [(cell.cell_type, cell.source, cell.metadata, cell.id) for cell in page.cells] == [
        (cell.cell_type, cell.source, cell.metadata, cell.id) for cell in made.cells
    ], remedy
    assert page.metadata == made.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_page_has_no_python_that_is_no_cell(path: Path) -> None:
    text = path.with_suffix(".md").read_text("utf-8")
    assert len(re.findall(r"^\s*```\s*(?:python|py)", text, re.MULTILINE)) == len(code_cells(read(path)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_its_outputs_and_nothing_of_a_machine(path: Path) -> None:
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert "execution" not in cell.metadata
        assert all(output.output_type != "error" and output.get("name") != "stderr" for output in cell.outputs)
        texts = [printed(cell), *(output.get("data", {}).get("text/plain", "") for output in cell.outputs)]
        assert not any(OF_A_MACHINE.search(text) for text in texts), texts
        if "print(" in cell.source or "plt.show" in cell.source:
            assert cell.outputs, cell.source


def test_both_languages_print_the_same_numbers_and_draw_the_same_figures() -> None:
    english, chinese = (code_cells(read(FOLDER / name)) for name in ("walkthrough.ipynb", "walkthrough.zh.ipynb"))
    assert len(english) == len(chinese)
    for one, other in zip(english, chinese, strict=True):
        assert one.metadata == other.metadata
        assert NUMBER.findall(printed(one)) == NUMBER.findall(printed(other)), one.source
        assert [output.output_type for output in one.outputs] == [output.output_type for output in other.outputs]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_prints_what_it_shows(path: Path) -> None:
    committed = read(path)
    executed = make.execute(make.notebook(path.with_suffix(".md").read_text("utf-8")))
    for before, now in zip(code_cells(committed), code_cells(executed), strict=True):
        assert printed(now) == printed(before), now.source


# The rules are shown notebooks that break them.


def test_a_cell_that_fails_is_an_error() -> None:
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        make.execute(make.notebook("```python\n1 / 0\n```\n"))
    with pytest.raises(ValueError, match="cell-1 writes to stderr"):
        make.execute(make.notebook("```python\nimport warnings\n\nwarnings.warn('x', stacklevel=1)\n```\n"))


def test_blocks_headings_tags_and_comments_of_a_page_become_cells() -> None:
    page = make.notebook(
        "# Title\n\nText.\n\n## One\n\n<!-- tags: hide-input -->\n```python\nx = 1\n```\n\nMore.\n\n```python\nx\n```\n"
        "\n<!-- sections of\nwalkthrough -->\n"
    )
    assert [(cell.cell_type, cell.source) for cell in page.cells] == [
        ("markdown", "# Title\n\nText."),
        ("markdown", "## One"),
        ("code", "x = 1"),
        ("markdown", "More."),
        ("code", "x"),
    ]
    assert page.cells[2].metadata == {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    assert page.cells[4].metadata == {}
