"""The section of a card on use: code with the columns of the model."""

from __future__ import annotations

from softreg.cards.card_subject import CardSubject
from softreg.cards.example_row import example_row
from softreg.cards.markdown import code_block

MAX_COLUMNS = 30
"""Columns up to which the code has a row with a value for each."""
MAX_LENGTH = 2000
"""Characters of such a row, at most."""


def usage_section(subject: CardSubject) -> list[str]:
    """Return the lines of the section."""
    lines = ["In Python (`pip install softreg`):", *code_block(_python(subject), "python")]
    if subject.feature_names is None:
        return lines
    file = _shell_word(subject.file)
    return [*lines, "On the command line:", *code_block(f"softreg predict {file} new.csv -o probabilities.csv", "sh")]


def _python(subject: CardSubject) -> str:
    """Return code that loads the model and predicts an example."""
    load = [f"model = softreg.load({subject.file!r})"]
    show = ["print(model.classes_)", "print(model.predict_proba(rows))"]
    if subject.feature_names is None:
        d = int(subject.regression.n_features_in_)
        rows = [f"rows = np.zeros((1, {d}))  # {d} numbers a row"]
        return "\n".join(["import numpy as np", "import softreg", "", *load, *rows, *show])
    if subject.table_model is not None:
        example = example_row(subject.table_model)
    else:
        example = dict.fromkeys(subject.feature_names, 0.0)
    cells = [f"    {name!r}: [{value!r}]," for name, value in example.items()]
    if len(cells) > MAX_COLUMNS or sum(map(len, cells)) > MAX_LENGTH:
        read = "rows = softreg.read_table('new.csv')  # a table with the columns of the section on inputs"
        return "\n".join(["import softreg", "", *load, read, *show])
    rows = ["rows = pa.table({", *cells, "})"]
    return "\n".join(["import pyarrow as pa", "import softreg", "", *load, *rows, *show])


def _shell_word(text: str) -> str:
    """Return a word of a POSIX shell."""
    plain = text.replace("_", "").replace(".", "").replace("-", "").replace("/", "")
    quoted = "'" + text.replace("'", "'\"'\"'") + "'"
    return text if plain.isalnum() and plain.isascii() and not text.startswith("-") else quoted
