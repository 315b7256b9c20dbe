"""The section of a card on the probabilities: their meaning and their limits, derived from the model."""

from __future__ import annotations

from softreg.cards.card_subject import CardSubject
from softreg.cards.markdown import escape, listed
from softreg.tables import TableClassifier
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.list_column_encoders import TagsEncoder
from softreg.tables.encode.number_encoder import NumberEncoder

MAX_NAMES = 12
"""Columns that a sentence lists."""
ERRORS = {
    "posterior": "the posterior, with the penalty or the prior as a normal prior of the weights",
    "model": "the inverse of the observed information, which is right if the model is",
    "robust": "the sandwich estimator",
    "clustered": "the sandwich estimator over clusters",
}
"""Kinds of covariance in words."""


def probability_section(subject: CardSubject) -> list[str]:
    """Return the lines of the section, a list."""
    sentences = [
        "A probability estimates how often rows with such inputs have the class, among rows drawn as the training rows "
        "were. Where rows differ from these (another time, place or selection), nothing here says how far it holds.",
    ]
    if subject.regression.class_weight is not None:
        sentences.append(
            "The fit weighted the classes: the probabilities are those of data in which classes have these weights, "
            "and not the frequencies in data like the training rows."
        )
    solution = subject.solution
    if solution is None or solution.status.name != "CONVERGED":
        sentences.append("The fit has no proof of convergence; see the section on the fit.")
    if subject.evaluation is None:
        sentences.append("How well the probabilities agree with observed frequencies on new rows is not stored here.")
    else:
        sentences.append("The evaluation is that of the held-out rows that its section names, and of no others.")
    if subject.table_model is not None:
        sentences += _column_limits(subject.table_model)
    return [f"- {sentence}" for sentence in sentences]


def _column_limits(model: TableClassifier) -> list[str]:
    """Return sentences on values that training did not have."""
    encoders, sentences = model.encoder_.column_encoders, list[str]()
    clipped = [one.name for one in encoders if isinstance(one, NumberEncoder) and one.span]
    if clipped:
        sentences.append(
            f"Numbers beyond the training range are replaced by its nearest end, so that probabilities do not change "
            f"beyond it: {listed(clipped, MAX_NAMES)}."
        )
    dates = [one.name for one in encoders if isinstance(one, DateEncoder)]
    if dates:
        sentences.append(
            f"Logits have a trend in time that continues as a straight line after the last date of training: "
            f"{listed(dates, MAX_NAMES)}."
        )
    levels = [one for one in encoders if isinstance(one, CategoryEncoder | TagsEncoder)]
    pooled, ignored = ([one.name for one in levels if bool(one.pooled) is has] for has in (True, False))
    if pooled:
        sentences.append(
            f"Levels that training did not have are treated as its rare levels: {listed(pooled, MAX_NAMES)}."
        )
    if ignored:
        sentences.append(
            f"Levels that training did not have contribute nothing to the logits, and the probabilities of such rows "
            f"have no support in the data: {listed(ignored, MAX_NAMES)}."
        )
    if model.offset_:
        names = listed(tuple(dict.fromkeys(model.offset_.values())), MAX_NAMES)
        sentences.append(f"Probabilities depend on offsets that are not estimated here: {names}.")
    return sentences


def interval_section(subject: CardSubject) -> list[str]:
    """Return the lines on intervals of probabilities; empty where the file keeps none."""
    kept = None if subject.table_model is None else subject.table_model.intervals_
    if kept is None:
        return []
    what = ERRORS.get(kept.errors, escape(kept.errors))
    return [
        f"The file keeps the covariance of the weights: {what}. `softreg predict --interval 0.95` and "
        "`predict_intervals` give intervals of each probability, by the delta method on its log-odds. They state the "
        "uncertainty of the weights, not errors of the form of the model."
    ]
