"""The questions that a report answers on top, in sentences: what it is worth, whether to trust it, what to do."""

from __future__ import annotations

import math

import numpy as np

from softreg.probability.calibration import CalibrationCheck
from softreg.report.acting import gains
from softreg.report.audit import Audit
from softreg.report.data import ReportData
from softreg.report.reliability import Reliability
from softreg.report.words import (
    LONGEST_NAME,
    number,
    p_value,
    percent,
    points,
    quoted,
    rows_of,
    shortened,
)

LEAST_TO_ACT = 100
"""Rows from which a tenth of them is worth a sentence."""
LEADS = 0.3
"""Share of what all columns explain, from which a single column is asked about."""
LEAST_EXPLAINED = 0.02
"""Share of the entropy that must be explained for the columns to be worth a sentence."""
LEANING = {
    "uneven": "too high in some places and too low in others",
    "too sure": "too sure of themselves",
    "too cautious": "too cautious, nearer to the class rates than they need be",
}
"""What a word of `standing` means."""


def lead(audit: Audit) -> str:
    """How much is explained, in a sentence.

    >>> from softreg.report.audit import audit
    >>> lead(audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"]))  # doctest: +ELLIPSIS
    'The features explain 76.3% of the label entropy: log loss 0.164 nats (0.237 bits) a row, ...'
    """
    loss = f"log loss {number(audit.log_loss)} nats ({number(audit.log_loss_bits)} bits) a row"
    without = number(audit.label_entropy)
    if math.isinf(audit.log_loss):
        impossible = rows_of(int((audit.probability == 0).sum()))
        return f"The log loss is infinite: the model held the given label of {impossible} impossible."
    if audit.label_entropy == 0:
        return f"Only one class occurs here, so there is nothing for features to explain; {loss}."
    if audit.skill > 0:
        share = percent(audit.skill)
        return f"The features explain {share} of the label entropy: {loss}, against {without} without them."
    return f"The features do not help here: {loss}, against {without} for one who knows the class rates alone."


def answers(data: ReportData) -> list[tuple[str, str]]:
    """Questions that come first, each with its answer in a few sentences.

    >>> from softreg.report.audit import audit
    >>> found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> [question for question, _ in answers(ReportData("Mail", found, certificate="It converged."))]
    ['What can it do?', 'Can its probabilities be trusted?', 'Is the fit at its best?']
    """
    audit = data.audit
    asked = [
        ("What can it do?", " ".join(_able(audit))),
        ("Can its probabilities be trusted?", " ".join(trusted(audit))),
        ("What does it rest on?", _rests_on(data)),
        ("Is the fit at its best?", data.certificate),
    ]
    return [(question, answer) for question, answer in asked if answer]


def _able(audit: Audit) -> list[str]:
    majority = f"always answering “{shortened(audit.majority, LONGEST_NAME)}” would be right in"
    said = [
        f"The most likely class is the right one in {percent(audit.accuracy)} of {rows_of(audit.rows)}; "
        f"{majority} {percent(audit.majority_accuracy)}."
    ]
    found = gains(audit)
    if found is not None and audit.rows >= LEAST_TO_ACT:
        tenth = next(step for step in found.steps if step.share == 0.1)
        wanted = shortened(found.wanted, LONGEST_NAME)
        said.append(
            f"The tenth of the rows most likely to be “{wanted}” holds {percent(tenth.found, 0)} of all “{wanted}”: "
            f"{tenth.lift:.1f} times as many as a tenth picked blindly."
        )
    return said


def trusted(audit: Audit) -> list[str]:
    """Say whether the probabilities can be taken at their word, why, and what could be done.

    >>> from softreg.report.audit import audit
    >>> trusted(audit([[0.5, 0.5]] * 40, [0, 1] * 20, ["ham", "spam"]))[0]  # doctest: +ELLIPSIS
    'Yes: they can be taken at their word, as far as 40 rows can tell. Labels drawn from them ...'
    """
    trust, rows = audit.trust, rows_of(audit.rows)
    if trust.calibrated:
        return [
            f"Yes: they can be taken at their word, as far as {rows} can tell. Labels drawn from them would "
            f"look no different (p = {p_value(trust.check.p_value, trust.check.draws)})."
        ]
    told = f"more than chance explains (p {p_value(trust.check.p_value, trust.check.draws, '= ')})"
    if math.isfinite(trust.gap.value) and trust.gap.low <= 0:
        return [
            f"Nearly: they are off by {points(trust.check.error)} in the mean square, "
            f"{told}, but no scaling of them would lower the log loss by more than chance.",
        ]
    if not math.isfinite(trust.gap.value):
        return [
            "No: they must not be taken at their word, for what was held impossible happened.",
            "A repair on held-out rows (softreg.Calibrator) reads a 0 as half of the smallest probability above 0.",
        ]
    return [
        f"Not as they stand: they are {LEANING[_leaning(trust.check)]}, {told}.",
        *_where(audit.reliability[-1]),
        f"Recalibrating them would lower the log loss by about {number(trust.gap.value, 2)} nats of "
        f"{number(audit.log_loss)} ({trust.repair} scaling; softreg.Calibrator does it on held-out rows).",
        *_what_for(audit),
    ]


def standing(audit: Audit) -> tuple[str, bool]:
    """The calibration in a word or two, and whether it is good.

    >>> from softreg.report.audit import audit
    >>> standing(audit([[0.5, 0.5]] * 40, [0, 1] * 20, ["ham", "spam"]))
    ('as promised', True)
    """
    trust = audit.trust
    if trust.calibrated:
        return "as promised", True
    if math.isfinite(trust.gap.value) and trust.gap.low <= 0:
        return "nearly right", True
    return _leaning(trust.check), False


def _leaning(check: CalibrationCheck) -> str:
    if check.p_confidence > 0.05:
        return "uneven"
    return "too sure" if check.confidence > 0 else "too cautious"


def _where(curve: Reliability) -> list[str]:
    """Where most rows are off upwards and downwards, in a sentence; nothing where no bin lies outside its band."""
    off = np.where(curve.outside, curve.count * (np.nan_to_num(curve.observed) - np.nan_to_num(curve.predicted)), 0.0)
    parts = []
    for worst, word in ((int(np.argmin(off)), "too high"), (int(np.argmax(off)), "too low")):
        if (off[worst] < 0) == (word == "too high") and off[worst] != 0:
            parts.append(
                f"{word} between {percent(curve.edges[worst], 0)} and {percent(curve.edges[worst + 1], 0)} "
                f"({percent(curve.predicted[worst])} promised, {percent(curve.observed[worst])} happened)"
            )
    of = f"For {quoted(curve.name)}" if curve.name else "There"
    return [f"{of} they are {' and '.join(parts)}, to name where most rows are off."] if parts else []


def _what_for(audit: Audit) -> list[str]:
    """What miscalibration spoils and what it does not; a repair of two classes keeps the order of the rows."""
    if len(audit.classes) != 2:
        return []
    return [
        "Who only works through a list, the most likely first, need not care, since a repair hardly changes their "
        "order; who multiplies them by money, or acts above a threshold, should repair them first."
    ]


def _rests_on(data: ReportData) -> str:
    """The column that tells most, where it tells a large part of all, with the question that it raises."""
    explained = data.audit.label_entropy - data.audit.log_loss
    if not data.information or not explained > LEAST_EXPLAINED * data.audit.label_entropy:
        return ""
    told = sorted(data.information, key=lambda one: -one[1])
    (first, nats), share = told[0], told[0][1] / explained
    if share < LEADS:
        names = ", ".join(f"“{shortened(column, LONGEST_NAME)}”" for column, alone in told[:3] if alone > 0)
        return f"On no single column: the most telling ones, each alone, are {names}."
    name = f"“{shortened(first, LONGEST_NAME)}”"
    bits = f"{number(nats / math.log(2))} bits, where the model explains {number(explained / math.log(2))}"
    without = next((one for one in data.added if one.name == first), None)
    after = "" if without is None else number(data.audit.log_loss + without.nats)
    added = f" Without it, the log loss would be {after}." if after else ""
    return (
        f"Much on {name}: alone it tells {bits}.{added} Make sure that it is known by the time a prediction is "
        "wanted; a column that is filled in afterwards makes every figure here better than it will be in use."
    )
