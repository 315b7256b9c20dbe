"""The summary at the top of a report: questions with answers in sentences, and the assumptions of the evaluation."""

from __future__ import annotations

import math

import numpy as np

from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.number_format import (
    MAX_NAME_LENGTH,
    format_gain,
    format_number,
    format_percent,
    format_points,
    format_points_range,
    format_rows,
    p_value_sentence,
    shorten_middle,
)
from softreg.report.evaluation.reliability import Reliability
from softreg.report.evaluation.reliability_text import quote_name
from softreg.report.page.calibration_assessment import (
    INFINITE,
    NONE_FOUND,
    SMALL,
    TOO_FEW,
    CalibrationAssessment,
    assess_calibration,
)
from softreg.report.page.importance_text import importance_text
from softreg.report.page.report_data import ReportData

MIN_ROWS_FOR_GAINS = 100
"""Rows from which the gain of the first tenth of the rows is stated."""
TENTH = 0.1
"""Share of the rows whose gain is stated."""
FEW_MISTAKES_SENTENCE = "These rows have at most ten mistakes: too few to estimate the gain by recalibration."
PERFORMANCE = "How well does it predict?"
CALIBRATION = "Are the probabilities calibrated?"
IMPORTANCE = "Which columns matter most?"
CONVERGENCE = "Did the fit converge?"


def lead(audit: Audit, explaining: str = "features") -> str:
    """Return a sentence on the share of the label entropy that is explained.

    Parameters
    ----------
    audit : Audit
        Evaluation of the probabilities.
    explaining : str
        What explains it: "features", or "probabilities" where the model is not known.

    Returns
    -------
    str
        One or two sentences.

    Examples
    --------
    >>> from softreg.report import audit
    >>> lead(audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"]))  # doctest: +ELLIPSIS
    'The features explain 76.3% of the label entropy: log loss 0.164 nats per row, ...'
    """
    loss = f"log loss {format_number(audit.log_loss)} nats per row"
    baseline = format_number(audit.label_entropy)
    if math.isinf(audit.log_loss):
        impossible = format_rows(int((audit.probability == 0).sum()))
        return f"The log loss is infinite: the observed label of {impossible} has probability 0."
    if audit.label_entropy == 0:
        return f"Only one class occurs here, so there is no entropy to explain; {loss}."
    if audit.skill > 0:
        share = format_percent(audit.skill)
        sentence = (
            f"The {explaining} explain {share} of the label entropy: {loss}, against {baseline} for class rates alone."
        )
        skill = audit.calibration.skill
        if skill.low > 0:
            return sentence
        between = f"{format_percent(skill.low)} to {format_percent(skill.high)}"
        return f"{sentence} The 95% interval of this share, {between}, contains 0: the rows are too few to show a gain."
    if baseline == format_number(audit.log_loss):
        return f"These probabilities are no better than the class rates alone: {loss}."
    worse = f"These probabilities are worse than the class rates alone: {loss}, against {baseline}."
    after = audit.calibration.refinement
    return f"{worse} After a simple recalibration it is {format_number(after)}." if after < audit.log_loss else worse


def answers(data: ReportData) -> list[tuple[str, str]]:
    """Return the main questions, each with its answer in a few sentences.

    Parameters
    ----------
    data : ReportData
        Content of the report.

    Returns
    -------
    list of (str, str)
        Questions with answers; those without an answer are omitted.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> [question for question, _ in answers(ReportData("Mail", evaluation, certificate="It converged."))]
    ['How well does it predict?', 'Are the probabilities calibrated?', 'Did the fit converge?']
    """
    audit = data.audit
    questions = [
        (PERFORMANCE, " ".join(_performance_sentences(audit))),
        (CALIBRATION, " ".join(calibration_sentences(audit))),
        (IMPORTANCE, importance_text(data)),
        (CONVERGENCE, data.certificate),
    ]
    return [(question, answer) for question, answer in questions if answer]


def _performance_sentences(audit: Audit) -> list[str]:
    """Return sentences on accuracy and gains."""
    majority = f"always predicting “{shorten_middle(audit.majority, MAX_NAME_LENGTH)}” is correct for"
    sentences = [
        f"The most likely class is correct for {format_percent(audit.accuracy)} of {format_rows(audit.rows)}; "
        f"{majority} {format_percent(audit.majority_accuracy)}."
    ]
    result = gains(audit)
    if result is not None and audit.rows >= MIN_ROWS_FOR_GAINS:
        tenth = next(step for step in result.steps if step.share == TENTH)
        label = shorten_middle(result.label, MAX_NAME_LENGTH)
        sentences.append(
            f"The 10% of the rows most likely to be “{label}” contain {format_percent(tenth.recall, 0)} of all "
            f"“{label}”: {tenth.lift:.1f} times as many as a random tenth."
        )
    return sentences


def calibration_sentences(audit: Audit) -> list[str]:
    """Describe the calibration: conclusion, p-value, size or power, recalibration, assumptions.

    Parameters
    ----------
    audit : Audit
        Evaluation of the probabilities.

    Returns
    -------
    list of str
        The sentences.

    Examples
    --------
    >>> from softreg.report import audit
    >>> calibration_sentences(audit([[0.5, 0.5]] * 40, [0, 1] * 20, ["ham", "spam"]))[0]  # doctest: +ELLIPSIS
    'Too few rows to tell. The exact test does not reject (p = 1.0: if the probabilities were right, ...'
    """
    assessment, check = assess_calibration(audit), audit.calibration.check
    p = p_value_sentence(check.p_value, check.draws)
    first = f"{assessment.conclusion[0].upper()}{assessment.conclusion[1:]}"
    if assessment.conclusion in (NONE_FOUND, TOO_FEW):
        sentences = _no_error_sentences(audit, assessment, first, p)
    elif assessment.conclusion == INFINITE:
        impossible = format_rows(int((audit.probability == 0).sum()))
        sentences = [
            f"No: the observed label of {impossible} of {audit.rows:,} has probability 0 ({p}).",
            "Recalibration on held-out rows (softreg.Calibrator) gives such classes a probability above 0.",
        ]
    else:
        error = assessment.error
        between = f"95% interval {format_points_range(error.low, error.high)}"
        size = f"the probabilities are off by {format_points(error.value)} (root mean square; {between}; {p})"
        if error.value <= 0:
            size = f"the exact test rejects ({p}), but bins do not show how large the error is ({between} points)"
        sentences = [
            f"{first}: {size}.",
            *_location_sentences(audit.reliability[-1]),
            _recalibration_sentence(audit),
            *([] if assessment.conclusion == SMALL else _consequence_sentences(audit)),
        ]
    return [*sentences, *assumptions(audit)]


def _no_error_sentences(audit: Audit, assessment: CalibrationAssessment, first: str, p: str) -> list[str]:
    """Return the conclusion where the test rejects nothing, with the error that it would have found."""
    power = (
        f"with {format_rows(audit.calibration.tested)}, an error above about "
        f"{format_points(assessment.detectable_error)} (root mean square) would be found in about 80% of samples if it "
        "has one sign, or changes slowly with the probability"
    )
    if assessment.acceptable:
        missed = "errors that change sign between neighbouring probabilities, and smaller ones, can be missed"
        return [f"{first} ({p}).", f"{power[0].upper()}{power[1:]}; {missed}."]
    gap = audit.calibration.gap
    if gap.low == -math.inf:
        gain = f"{FEW_MISTAKES_SENTENCE} It is at most {format_gain(gap.high)} nats (upper end of a 95% interval)."
    else:
        gain = (
            f"The gain by recalibration lies between {format_gain(gap.low)} and {format_gain(gap.high)} nats of "
            f"{format_number(audit.log_loss)} (95% interval)."
        )
    return [f"{first}. The exact test does not reject ({p}), but {power}.", gain]


def _recalibration_sentence(audit: Audit) -> str:
    """Return a sentence on the gain by recalibration."""
    gap, name = audit.calibration.gap, audit.calibration.recalibration
    between = f"95% interval {format_gain(gap.low)} to {format_gain(gap.high)}"
    if gap.low == -math.inf:
        return f"{FEW_MISTAKES_SENTENCE} In these rows it is {format_gain(gap.value)} nats by {name} scaling."
    if gap.value <= 0:
        return f"Two simple recalibrations do not lower the log loss ({format_gain(gap.value)} nats; {between})."
    return (
        f"The better of two simple recalibrations, {name} scaling, lowers the log loss by {format_gain(gap.value)} "
        f"nats of {format_number(audit.log_loss)} ({between}; an estimate, and other recalibrations may gain more); "
        "softreg.Calibrator recalibrates on held-out rows."
    )


def assumptions(audit: Audit) -> list[str]:
    """Return the assumptions of the test and the intervals, and where they are doubtful.

    Parameters
    ----------
    audit : Audit
        Evaluation of the probabilities.

    Returns
    -------
    list of str
        The sentences.
    """
    calibration = audit.calibration
    if calibration.groups is not None:
        sentences = [
            f"Rows form {calibration.groups:,} groups: the test uses one row of each, and the intervals treat groups "
            "as independent."
        ]
    else:
        sentences = ["The test and all intervals assume new rows that are independent of each other."]
    if audit.weights is not None:
        sentences.append(
            "Rows have weights: losses, accuracy and areas are weighted means, with intervals for an effective sample "
            f"size of {audit.effective_rows:,.0f} rows; the test of calibration, reliability and the confusion matrix "
            "count each row once."
        )
    if calibration.fitted:
        sentences.append(
            "But the mean probability of every class equals its share of these rows, as on the rows that a model was "
            "fitted to: on such rows neither the test nor the intervals hold for new rows."
        )
    return sentences


def _location_sentences(curve: Reliability) -> list[str]:
    """Return a sentence on the largest deviations up and down; none where no bin lies outside its band."""
    off = np.where(curve.outside, curve.count * (np.nan_to_num(curve.observed) - np.nan_to_num(curve.predicted)), 0.0)
    parts = []
    for worst, direction in ((int(np.argmin(off)), "too high"), (int(np.argmax(off)), "too low")):
        if (off[worst] < 0) == (direction == "too high") and off[worst] != 0:
            low, high = format_percent(curve.edges[worst], 0), format_percent(curve.edges[worst + 1], 0)
            predicted, observed = format_percent(curve.predicted[worst]), format_percent(curve.observed[worst])
            parts.append(f"{direction} between {low} and {high} ({predicted} predicted, {observed} observed)")
    subject = f"For {quote_name(curve.name)}" if curve.name else "There"
    which = "of the bins outside their bands, those of largest deviation times rows"
    return [f"{subject} they are {' and '.join(parts)}; {which}."] if parts else []


def _consequence_sentences(audit: Audit) -> list[str]:
    """Return a sentence on what a miscalibration of two classes affects."""
    if len(audit.classes) != 2:
        return []
    return [
        "The ranking of the rows is hardly affected; expected costs and decisions by a threshold are, and need "
        "recalibrated probabilities."
    ]
