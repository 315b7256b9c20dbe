"""Make the notebooks of this folder from its pages, with the outputs of their code.

    python docs/notebooks/make_notebooks.py             # executes all and writes the .ipynb files
    python docs/notebooks/make_notebooks.py NAME ...    # that of NAME.md

A page is Markdown in the dialect of MyST. A block marked `python` is a code cell; the text between two blocks is a
Markdown cell, and a heading of the second level begins a new one. A comment `<!-- tags: hide-cell -->` on the line
before a block sets the tags of its cell; other comments at the beginning of a line are left out. The notebooks hold no
times, versions or paths, so that the same page and the same outputs give the same file.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).resolve().parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TIMEOUT = 300  # seconds of a cell
HIDDEN = {  # tags of MyST-NB, and how JupyterLab folds the same cells
    "hide-input": {"source_hidden": True},
    "hide-cell": {"source_hidden": True, "outputs_hidden": True},
}
CODE = re.compile(
    r"^(?:<!-- tags: (?P<tags>[\w, -]+?) -->\n)?```python\n(?P<code>.*?)^```$\n?", re.MULTILINE | re.DOTALL
)
COMMENT = re.compile(r"^<!--.*?-->\n?", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(?=## )", re.MULTILINE)
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def notebook(source: str) -> NotebookNode:
    """Return the notebook of a page, without outputs."""
    cells: list[NotebookNode] = []
    end = 0
    for block in CODE.finditer(source):
        cells += prose(source[end : block.start()])
        tags = [tag.strip() for tag in (block["tags"] or "").split(",") if tag.strip()]
        metadata: dict[str, object] = {"tags": tags} if tags else {}
        for tag in HIDDEN.keys() & set(tags):
            metadata["jupyter"] = HIDDEN[tag]
        cells.append(new_code_cell(block["code"].rstrip("\n"), metadata=metadata))
        end = block.end()
    cells += prose(source[end:])
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{number}"
    return new_notebook(cells=cells, metadata=METADATA)


def prose(text: str) -> list[NotebookNode]:
    """Return the Markdown cells of the text between two blocks of code."""
    parts = (part.strip() for part in HEADING.split(COMMENT.sub("", text)))
    return [new_markdown_cell(part) for part in parts if part]


def execute(page: NotebookNode) -> NotebookNode:
    """Return the notebook with its outputs; a cell that fails, or that warns, is an error."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            page,
            timeout=TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,  # one output, however the kernel sends it
            resources={"metadata": {"path": folder}},
        )
        asyncio.run(client.async_execute())
    page.metadata = nbformat.from_dict(METADATA)
    for cell in page.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise ValueError(f"{cell.id} writes to stderr, where messages have paths: {output['text']}")
            plain = output.get("data", {}).get("text/plain")
            if plain is not None:
                output["data"]["text/plain"] = ADDRESS.sub("", plain)
    return page


def main(names: list[str]) -> None:
    """Write the notebooks of the named pages, or of all."""
    for source in sorted(FOLDER.glob("*.md")):
        if names and source.name.removesuffix(".md") not in names:
            continue
        target = FOLDER / source.with_suffix(".ipynb").name
        page = execute(notebook(source.read_text("utf-8")))
        nbformat.validate(page)
        target.write_text(nbformat.writes(page) + "\n", "utf-8")
        print(target.name)


if __name__ == "__main__":
    main(sys.argv[1:])
