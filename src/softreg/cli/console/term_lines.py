"""The choice of the terms of a table model as lines of text and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from softreg.cli.console.aligned_text import align_columns
from softreg.cli.console.result_table import strength_selection

if TYPE_CHECKING:
    from pathlib import Path

    from softreg.tables import StageLoss, TableClassifier, TermRecord

MAX_LISTED_TERMS = 20
"""Terms that are listed after a fit; `softreg inspect` lists all."""
STRENGTH_REMARK = "1 / training rows: each term has a strength of its own, by the Laplace evidence"
"""Remark on the strength of a model with terms."""


def term_text(model: TableClassifier, most: int | None = MAX_LISTED_TERMS) -> str:
    """Return the models that were compared and the terms by size; empty where none were compared or requested.

    Parameters
    ----------
    model : TableClassifier
        Fitted classifier.
    most : int or None
        Most terms that are listed; None for all.

    Returns
    -------
    str
        Lines.
    """
    record = model.terms_
    if record is None:
        return ""
    if not record.stages and record.is_linear:
        lines = ["Terms: linear; there are too few rows to compare models, or no columns for curves"]
    elif record.is_linear:
        of = f"the held-out log loss of {record.rows:,} training rows"
        lines = [f"Terms: linear; curves and interactions do not clearly reduce {of}", f"  {_linear_line(record)}"]
    elif not record.stages:
        lines = [f"Terms: as requested, with strengths from {record.rows:,} training rows"]
    else:
        of = f"the held-out log loss of {record.rows:,} training rows"
        lines = [f"Terms: {record.chosen}, the choice among these models by {of}"]
        lines.append(align_columns(_stage_lines(record)))
        lines += _multiple_lines(record)
    sizes = record.sizes()
    if sizes:
        shown = sizes if most is None else sizes[:most]
        kinds = {column.name: column.kind.value for column in model.schema_.columns}
        words = {"curve": "curve", "interaction": "interaction"}
        rows = [
            (one.column, words.get(one.part) or _main_term(kinds.get(one.column, "")), f"{one.degrees:.1f}")
            for one in shown
        ]
        lines += ["Size of the terms, in effective degrees of freedom:", align_columns(rows)]
        if len(sizes) > len(shown):
            lines.append(f"  and {len(sizes) - len(shown):,} more, which `softreg inspect` lists for a saved model")
    return "\n".join(lines)


def choice_of_strength(model: TableClassifier, prior: Path | None) -> str:
    """Return how the strength of a model was chosen; empty where it was given.

    Parameters
    ----------
    model : TableClassifier
        Fitted classifier.
    prior : Path or None
        Model file of its prior.

    Returns
    -------
    str
        Remark.
    """
    if prior is not None:
        return f"no penalty: the prior is the posterior of {prior.name}"
    if model.terms_ is not None and not model.terms_.is_linear:
        return STRENGTH_REMARK
    selection = strength_selection(model.path_, model.rule)
    return selection if model.model_.penalty else "; ".join(part for part in ("no penalty", selection) if part)


def _multiple_lines(record: TermRecord) -> list[str]:
    """Return a line on the multiples of the strengths that held-out rows chose; none where all are 1."""
    parts = {"lines and categories": 1.0, "curves": record.curve_multiple, "interactions": record.interaction_multiple}
    if record.chosen != "interactions":
        del parts["interactions"]
    multiples = {name: record.multiple * value for name, value in parts.items()}
    if len(set(multiples.values())) == 1:
        return [] if record.multiple == 1 else [f"Strengths: {record.multiple:g} times those of the evidence"]
    different = [f"{value:g} times for {name}" for name, value in multiples.items() if value != 1]
    return [f"Strengths, as multiples of those of the evidence: {', '.join(different)}"]


def _main_term(kind: str) -> str:
    """Return the term of a column without a curve, by its kind."""
    return "line" if kind == "number" else kind


def _linear_line(record: TermRecord) -> str:
    """Return the loss of the linear model, which was chosen, and the differences of the larger ones."""
    larger = ", ".join(f"{one.name} {_difference(one, before)}" for before, one in pairwise(record.stages))
    return f"linear {record.stages[0].log_loss:.4f} nats; {larger}"


def _stage_lines(record: TermRecord) -> list[tuple[str, ...]]:
    """Return a line for each model that was compared."""
    return [
        (
            one.name,
            f"{one.log_loss:.4f} nats",
            "chosen" if one.name == record.chosen else _difference(one, before),
        )
        for before, one in zip((None, *record.stages), record.stages, strict=False)
    ]


def _difference(one: StageLoss, before: StageLoss | None) -> str:
    """Return the difference of the loss of a model from that of the chosen one; "none found" without interactions."""
    # without evidence for an interaction in any part, the model with interactions is that of curves
    if before is not None and before.name == "curves" and one.log_loss == before.log_loss:
        return "none found"
    return f"{round(one.excess, 4) + 0.0:+.4f} ± {one.error:.4f} (1 SE)"


def term_fields(record: TermRecord | None) -> Mapping[str, Any] | None:
    """Return the choice of terms as plain values: models, sizes of columns and interactions, and strengths of terms.

    Parameters
    ----------
    record : TermRecord or None
        The choice.

    Returns
    -------
    mapping or None
        Values; None where no terms were compared or requested.
    """
    if record is None:
        return None
    state = asdict(record)
    return {
        "chosen": state["chosen"],
        "rows": state["rows"],
        **{name: state[name] for name in ("multiple", "curve_multiple", "interaction_multiple")},
        "models": [dict(one) for one in state["stages"]],
        "sizes": [asdict(one) for one in record.sizes()],
        "strengths": [dict(one) for one in state["strengths"]],
    }
