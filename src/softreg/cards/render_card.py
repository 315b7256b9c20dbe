"""The card of a model: all sections."""

from __future__ import annotations

from typing import Any

from softreg.cards.card_subject import CardSubject, card_subject
from softreg.cards.evaluation_section import class_section, evaluation_section
from softreg.cards.fit_section import fit_section
from softreg.cards.input_columns import input_section
from softreg.cards.markdown import escape
from softreg.cards.probability_section import interval_section, probability_section
from softreg.cards.term_section import term_section
from softreg.cards.usage_section import usage_section
from softreg.cards.weight_section import weight_section


def model_card(model: Any, *, file: str = "model.softreg", version: str = "") -> str:
    """Return the model card of a fitted model in Markdown, from what its file stores and nothing else.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        A fitted model, as from `softreg.load`.
    file : str
        Name of the model file in the code of the card.
    version : str, optional
        Version of softreg that wrote the file.

    Returns
    -------
    str
        Markdown with a YAML header as on Hugging Face: classes, inputs, curves and interactions if there are some,
        fit with its certificate, evaluation on held-out rows if the file keeps one, meaning and limits of the
        probabilities, largest weights, and use. Names and labels are escaped.

    Raises
    ------
    TypeError
        If the model is another object.
    NotFittedError
        If it is not fitted.

    References
    ----------
    Mitchell et al., "Model cards for model reporting" (2019).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg import TableClassifier
    >>> table = pa.table({"age": [20, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> card = model_card(TableClassifier("buys", strength=0.1).fit(table))
    >>> [line for line in card.splitlines() if line.startswith("## ")][:3]
    ['## What it predicts', '## Inputs', '## Fit']
    """
    subject = card_subject(model, file, version)
    sections = [
        ("What it predicts", class_section(subject)),
        ("Inputs", input_section(subject)),
        ("Curves and interactions", term_section(subject)),
        ("Fit", fit_section(subject)),
        ("Evaluation", evaluation_section(subject)),
        ("Meaning and limits of the probabilities", probability_section(subject)),
        ("Intervals", interval_section(subject)),
        ("Largest weights", weight_section(subject)),
        ("How to use it", usage_section(subject)),
    ]
    lines = [*_header(subject), *_title(subject)]
    for title, content in sections:
        if content:
            lines += ["", f"## {title}", "", *content]
    return _without_repeated_blank_lines(lines)


def _header(subject: CardSubject) -> list[str]:
    """Return the YAML header; it holds no text of the model."""
    task = ["- tabular-classification"] if subject.table_model is not None else ["- classification"]
    return [
        "---",
        "library_name: softreg",
        "tags:",
        *task,
        "- softmax-regression",
        "- multinomial-logistic-regression",
        "---",
    ]


def _title(subject: CardSubject) -> list[str]:
    """Return title and first sentence."""
    name = "Softmax regression" if subject.target is None else f"Probabilities of {escape(subject.target)}"
    return ["", f"# {name}", "", "Softmax regression (multinomial logistic regression), fitted with softreg."]


def _without_repeated_blank_lines(lines: list[str]) -> str:
    """Return the text of the lines, with one empty line where several follow each other."""
    kept: list[str] = []
    for line in lines:
        if line or not kept or kept[-1]:
            kept.append(line)
    return "\n".join(kept).strip("\n") + "\n"
