"""What a user should know before using a model, in sentences, for the page and the console: leakage, calibration."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.number_format import points, points_between, rows_of
from softreg.report.page.calibration_assessment import INFINITE, UNEVEN, Limits, verdict
from softreg.report.page.importance_text import leaking

LIMITS = Limits()


def model_warnings(
    audit: Audit, information: Sequence[tuple[str, float]] = (), limits: Limits = LIMITS
) -> tuple[str, ...]:
    """Warn of columns that may leak the label, of results without a mistake, and of probabilities that are off.

    Parameters
    ----------
    audit : Audit
        What probabilities were worth on labelled rows.
    information : sequence of (str, float)
        What each column tells of the label alone, in nats, where it is known.
    limits : Limits
        From where on there are warnings.

    Returns
    -------
    tuple of str
        Sentences; none where there is nothing to warn of.

    Examples
    --------
    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit([[0.99, 0.01], [0.01, 0.99]] * 40, [0, 1] * 40, ["dead", "alive"])
    >>> model_warnings(found)[0][:40]
    'All 80 rows are predicted correctly: che'
    """
    said = leaking(information, audit.label_entropy, limits.leak)
    several = sum(one.rows > 0 for one in audit.per_class) > 1
    if not said and audit.accuracy == 1 and audit.rows >= limits.perfect_rows and several:
        said.append(
            f"All {rows_of(audit.rows)} are predicted correctly: check that no column is made from the label or "
            "recorded after it, and that no row is also among the training rows."
        )
    found = verdict(audit, limits)
    if found.word == INFINITE:
        impossible = rows_of(int((audit.probability == 0).sum()))
        said.append(f"The log loss is infinite: the observed label of {impossible} has probability 0.")
    elif found.good is False:
        word = "off in both directions" if found.word == UNEVEN else found.word
        size = f" by {points(found.size.value)}" if found.size.value > 0 else f" by up to {points(found.size.high)}"
        between = f"95% interval {points_between(found.size.low, found.size.high)}"
        said.append(
            f"The probabilities are {word}: off{size} (root mean square; {between}). Recalibrate them on rows that the "
            "model was not fitted to (softreg.Calibrator) before they are used as probabilities."
        )
    return tuple(said)
