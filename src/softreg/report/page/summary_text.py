"""The questions that a report answers at its top, in sentences: predictive performance, calibration, main columns."""

from __future__ import annotations

import math

import numpy as np

from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.number_format import (
    LONGEST_NAME,
    gain,
    number,
    p_value_sentence,
    percent,
    points,
    points_between,
    quoted,
    rows_of,
    shortened,
)
from softreg.report.evaluation.reliability import Reliability
from softreg.report.page.calibration_assessment import INFINITE, NONE_FOUND, SMALL, TOO_FEW, Verdict, verdict
from softreg.report.page.importance_text import depends_on
from softreg.report.page.report_data import ReportData

LEAST_TO_ACT = 100
"""Rows from which a tenth of them is worth a sentence."""


def lead(audit: Audit, explaining: str = "features") -> str:
    """How much is explained, in a sentence; `explaining` is what is known to explain it: features, or probabilities.

    >>> from softreg.report.evaluation.audit import audit
    >>> lead(audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"]))  # doctest: +ELLIPSIS
    'The features explain 76.3% of the label entropy: log loss 0.164 nats a row, ...'
    """
    loss = f"log loss {number(audit.log_loss)} nats a row"
    without = number(audit.label_entropy)
    if math.isinf(audit.log_loss):
        impossible = rows_of(int((audit.probability == 0).sum()))
        return f"The log loss is infinite: the observed label of {impossible} has probability 0."
    if audit.label_entropy == 0:
        return f"Only one class occurs here, so there is no entropy to explain; {loss}."
    if audit.skill > 0:
        share = percent(audit.skill)
        said = (
            f"The {explaining} explain {share} of the label entropy: {loss}, against {without} for class rates alone."
        )
        skill = audit.trust.skill
        if skill.low > 0:
            return said
        between = f"{percent(skill.low)} to {percent(skill.high)}"
        return f"{said} The 95% interval of this share, {between}, contains 0: the rows are too few to show a gain."
    if without == number(audit.log_loss):
        return f"These probabilities are no better than the class rates alone: {loss}."
    worse = f"These probabilities are worse than the class rates alone: {loss}, against {without}."
    after = audit.trust.refinement
    return f"{worse} After a simple recalibration it is {number(after)}." if after < audit.log_loss else worse


def answers(data: ReportData) -> list[tuple[str, str]]:
    """Questions that come first, each with its answer in a few sentences.

    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> [question for question, _ in answers(ReportData("Mail", found, certificate="It converged."))]
    ['What can it do?', 'Can its probabilities be trusted?', 'Is the fit at its optimum?']
    """
    audit = data.audit
    asked = [
        ("What can it do?", " ".join(_able(audit))),
        ("Can its probabilities be trusted?", " ".join(trusted(audit))),
        ("What does it rest on?", depends_on(data)),
        ("Is the fit at its optimum?", data.certificate),
    ]
    return [(question, answer) for question, answer in asked if answer]


def _able(audit: Audit) -> list[str]:
    majority = f"always predicting “{shortened(audit.majority, LONGEST_NAME)}” would be right in"
    said = [
        f"The most likely class is the right one in {percent(audit.accuracy)} of {rows_of(audit.rows)}; "
        f"{majority} {percent(audit.majority_accuracy)}."
    ]
    found = gains(audit)
    if found is not None and audit.rows >= LEAST_TO_ACT:
        tenth = next(step for step in found.steps if step.share == 0.1)
        wanted = shortened(found.wanted, LONGEST_NAME)
        said.append(
            f"The 10% of the rows most likely to be “{wanted}” hold {percent(tenth.found, 0)} of all “{wanted}”: "
            f"{tenth.lift:.1f} times as many as a random tenth."
        )
    return said


def trusted(audit: Audit) -> list[str]:
    """Say what the labels tell about the calibration, in sentences: verdict, p-value, size or power, and what to do.

    >>> from softreg.report.evaluation.audit import audit
    >>> trusted(audit([[0.5, 0.5]] * 40, [0, 1] * 20, ["ham", "spam"]))[0]  # doctest: +ELLIPSIS
    'Too few rows to tell. The exact test does not reject (p = 1.0: if the probabilities were right, ...'
    """
    found, trust = verdict(audit), audit.trust
    sentence = p_value_sentence(trust.check.p_value, trust.check.draws)
    first = f"{found.word[0].upper()}{found.word[1:]}"
    if found.word in (NONE_FOUND, TOO_FEW):
        said = [*_nothing(audit, found, first, sentence)]
    elif found.word == INFINITE:
        said = [
            f"No: {rows_of(int((audit.probability == 0).sum()))} of {audit.rows:,} have a label of probability 0 "
            f"({sentence}).",
            "Recalibration on held-out rows (softreg.Calibrator) gives such classes a probability above 0.",
        ]
    else:
        between = f"95% interval {points_between(found.size.low, found.size.high)}"
        size = f"the probabilities are off by {points(found.size.value)} (root mean square; {between}; {sentence})"
        if found.size.value <= 0:
            size = (
                f"the exact test rejects ({sentence}), but bins do not show how large the error is ({between} points)"
            )
        said = [
            f"{first}: {size}.",
            *_where(audit.reliability[-1]),
            _gain(audit),
            *(() if found.word == SMALL else _what_for(audit)),
        ]
    return [*said, *assumptions(audit)]


def _nothing(audit: Audit, found: Verdict, first: str, sentence: str) -> list[str]:
    """The sentences where the exact test does not reject: what it could have found."""
    power = (
        f"with {rows_of(audit.trust.tested)}, an error above about {points(found.detectable)} (root mean square) would "
        "be found in about four of five samples if it is of one sign, or changes slowly with the probability"
    )
    if found.word == NONE_FOUND:
        missed = "errors that alternate between neighbouring probabilities, and smaller ones, can be missed"
        return [f"{first} ({sentence}).", f"{power[0].upper()}{power[1:]}; {missed}."]
    gap = audit.trust.gap
    return [
        f"{first}. The exact test does not reject ({sentence}), but {power}.",
        f"The gain by recalibration lies between {gain(gap.low)} and {gain(gap.high)} nats of {number(audit.log_loss)} "
        "(95% interval).",
    ]


def _gain(audit: Audit) -> str:
    """What recalibration gains, in a sentence."""
    gap, name = audit.trust.gap, audit.trust.recalibration
    between = f"95% interval {gain(gap.low)} to {gain(gap.high)}"
    if gap.value <= 0:
        return f"Two simple recalibrations do not lower the log loss ({gain(gap.value)} nats; {between})."
    return (
        f"The better of two simple recalibrations, {name} scaling, lowers the log loss by {gain(gap.value)} nats of "
        f"{number(audit.log_loss)} ({between}; an estimate, and other recalibrations may gain more); "
        "softreg.Calibrator does it on held-out rows."
    )


def assumptions(audit: Audit) -> list[str]:
    """What the test and the intervals assume, and where that is doubtful."""
    trust = audit.trust
    said = []
    if trust.groups is not None:
        said.append(
            f"Rows form {trust.groups:,} groups: the test takes one row of each, and the intervals treat groups as "
            "independent."
        )
    else:
        said.append("The test and all intervals assume new rows that are independent of each other.")
    if audit.weights is not None:
        said.append(
            "Rows have weights: losses, accuracy and areas are weighted means, with intervals for the "
            f"{audit.effective_rows:,.0f} rows of equal weight that they are worth; the test of calibration, "
            "reliability and the confusion matrix count each row once."
        )
    if trust.fitted:
        said.append(
            "But the mean probability of every class equals its share of these rows, as on the rows that a model was "
            "fitted to: on such rows neither the test nor the intervals hold for new rows."
        )
    return said


def _where(curve: Reliability) -> list[str]:
    """Where the deviations up and down concern most rows, in a sentence; nothing where no bin lies outside its band."""
    off = np.where(curve.outside, curve.count * (np.nan_to_num(curve.observed) - np.nan_to_num(curve.predicted)), 0.0)
    parts = []
    for worst, word in ((int(np.argmin(off)), "too high"), (int(np.argmax(off)), "too low")):
        if (off[worst] < 0) == (word == "too high") and off[worst] != 0:
            parts.append(
                f"{word} between {percent(curve.edges[worst], 0)} and {percent(curve.edges[worst + 1], 0)} "
                f"({percent(curve.predicted[worst])} predicted, {percent(curve.observed[worst])} observed)"
            )
    of = f"For {quoted(curve.name)}" if curve.name else "There"
    which = "of the bins outside their bands, those of largest deviation times rows"
    return [f"{of} they are {' and '.join(parts)}; {which}."] if parts else []


def _what_for(audit: Audit) -> list[str]:
    """What miscalibration of two classes affects: recalibration hardly changes the order of the rows."""
    if len(audit.classes) != 2:
        return []
    return [
        "The ranking of the rows is hardly affected; expected costs and decisions by a threshold are, and need "
        "recalibrated probabilities."
    ]
