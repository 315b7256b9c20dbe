"""The section of a card on curves and interactions: their choice, their strengths, and the size of their effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.cards.card_subject import CardSubject
from softreg.cards.markdown import escape, table
from softreg.export.build.model_program import build_program
from softreg.export.program import CurveTerm, GridTerm, LinearTerm, Program
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.fit.terms.term_record import TermRecord
from softreg.typing import Float64Array

MAX_TERMS = 60
"""Terms that the table lists."""
CURVE = "{}=curve"
"""Name of the strength of a curve."""


@dataclass(frozen=True)
class TermEffect:
    """The size of a term's effect.

    Attributes
    ----------
    range : float
        Largest difference of the effect between two values.
    label : int
        The class of that effect; 1 with two classes.
    """

    range: float
    label: int


def has_terms(subject: CardSubject) -> bool:
    """Return whether a model has curves or interactions.

    Parameters
    ----------
    subject : CardSubject
        Subject of a card.

    Returns
    -------
    bool
        Whether it has.
    """
    if subject.table_model is None:
        return False
    encoder = subject.table_model.encoder_
    return bool(encoder.pairs) or any(isinstance(column, CurveEncoder) for column in encoder.column_encoders)


def term_section(subject: CardSubject) -> list[str]:
    """Return the lines of the section; empty for a model whose terms were neither chosen nor requested.

    Parameters
    ----------
    subject : CardSubject
        Subject of the card.

    Returns
    -------
    list of str
        Lines of Markdown.
    """
    model = subject.table_model
    record = None if model is None else model.terms_
    lines = [] if record is None else _choice(record)
    if model is None or not has_terms(subject):
        return lines
    precision = {} if record is None else {one.name: one for one in record.strengths}
    effects = term_effects(build_program(model))
    forms = {column.name: column.remark for column in model.encoder_.column_encoders}
    rows = []
    for name, effect in sorted(effects.items(), key=lambda item: -item[1].range)[:MAX_TERMS]:
        strength = precision.get(CURVE.format(name)) or precision.get(name)
        rows.append(
            [
                escape(name),
                escape(forms.get(name, "interaction")),
                *([] if len(subject.classes) == 2 else [escape(subject.classes[effect.label])]),
                f"{effect.range:.4g}",
                "" if strength is None else f"{strength.precision:.4g}",
                "" if strength is None else f"{strength.degrees:.1f}",
            ]
        )
    return [*lines, *_header_and_rows(subject, rows, len(effects))]


def _header_and_rows(subject: CardSubject, rows: list[list[str]], count: int) -> list[str]:
    """Return the sentence before the table, the table, and what it leaves out."""
    binary = len(subject.classes) == 2
    of = f"log-odds of the class {escape(subject.classes[1])}" if binary else "logit of a class relative to the mean"
    intro = (
        f"The range of a term is the largest difference that it makes to the {of}, between two values of its column, "
        "or two pairs of values for an interaction. A curve is piecewise linear between its knots and constant beyond "
        "the range of training; an interaction is what both columns add together beyond their own terms."
    )
    header = ["term", "form", *([] if binary else ["class"]), "range", "precision of its weights"]
    lines = [intro, *table([*header, "effective degrees of freedom"], rows)]
    if count > len(rows):
        lines.append(f"{count - len(rows):,} more terms have a smaller range.")
    return lines


def _choice(record: TermRecord) -> list[str]:
    """Return the sentences on the choice of the terms."""
    if not record.stages:
        return ["The terms were requested; the strength of each was chosen by the evidence of the training rows."]
    losses = ", ".join(f"{one.name} {one.log_loss:.4f}" for one in record.stages)
    chosen = {
        "linear": "No model with curves or interactions was better on held-out rows by more than a standard error.",
    }.get(record.chosen, f"The model with {record.chosen} was chosen; each term has a strength of its own.")
    return [
        f"Models were compared by the log loss of held-out rows among {record.rows:,} training rows, in nats: "
        f"{losses}. {chosen}"
    ]


def term_effects(program: Program) -> dict[str, TermEffect]:
    """Return the size of the effect of each curve and interaction.

    Parameters
    ----------
    program : Program
        Program of a model of a table.

    Returns
    -------
    dict of str to TermEffect
        Effects by column, and by interaction; the linear part of a column with a curve is included.
    """
    at_nodes: dict[str, Float64Array] = {}
    linear = {term.input: term for term in program.terms if isinstance(term, LinearTerm)}
    for term in program.terms:
        if isinstance(term, GridTerm):
            weights = program.weights[term.first : term.first + term.width]
            at_nodes[term.name] = np.array(term.values).T @ weights
        elif isinstance(term, CurveTerm) and program.inputs[term.input].smooth:
            name = program.inputs[term.input].name
            if name not in at_nodes:
                straight = linear[term.input]
                z = (np.array(term.knots) - straight.center) / straight.scale
                at_nodes[name] = np.outer(z, program.weights[straight.first])
            at_nodes[name] = at_nodes[name] + np.outer(term.values, program.weights[term.first])
    return {name: _effect(values) for name, values in at_nodes.items()}


def _effect(values: Float64Array) -> TermEffect:
    """Return the size of an effect from what it adds to the logits (nodes, q)."""
    if values.shape[1] == 2:
        return TermEffect(float(np.ptp(values[:, 1] - values[:, 0])), 1)
    spans = np.ptp(values - values.mean(axis=1, keepdims=True), axis=0)
    return TermEffect(float(spans.max()), int(spans.argmax()))
