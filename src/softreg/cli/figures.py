"""The figures of a result: one record, shown to a person as lines and to a program as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import click

from softreg.cli.console import LEAST_GAP, aligned, clipped, nats

if TYPE_CHECKING:
    from softreg.models import Path
    from softreg.optimize import Solution
    from softreg.report import Audit


@dataclass(frozen=True)
class Figures:
    """What `train` and `evaluate` print; losses, entropy and gap in nats unless the name says bits.

    `gap` and `passes` are those of the fit; `search` tells what went before it to choose the strength: how many
    `strengths`, `folds`, the `rule`, `passes` over the rows and `seconds`; None where the strength was given.
    `seconds` are those of all of it, from the table to the model.
    """

    rows: int
    columns: int
    classes: int
    strength: float
    log_loss: float
    log_loss_bits: float
    log_loss_low: float
    log_loss_high: float
    label_entropy: float
    accuracy: float
    majority_accuracy: float
    calibration_gap: float
    calibration_p: float
    gap: float
    passes: int
    seconds: float
    search: Mapping[str, Any] | None

    def as_json(self) -> str:
        """One JSON object; null stands for a figure that is infinite, which JSON cannot write."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}
        return json.dumps(plain, allow_nan=False)


def gather(
    found: Audit,
    solution: Solution | None,
    *,
    rows: int,
    columns: int,
    strength: float,
    seconds: float,
    search: Mapping[str, Any] | None = None,
) -> Figures:
    """The figures of an audit on labelled rows, of the fit behind it, and of the search for its strength."""
    return Figures(
        rows=rows,
        columns=columns,
        classes=len(found.classes),
        strength=strength,
        log_loss=found.log_loss,
        log_loss_bits=found.log_loss_bits,
        log_loss_low=found.trust.log_loss.low,
        log_loss_high=found.trust.log_loss.high,
        label_entropy=found.label_entropy,
        accuracy=found.accuracy,
        majority_accuracy=found.majority_accuracy,
        calibration_gap=found.trust.gap.value,
        calibration_p=found.trust.check.p_value,
        gap=max(float(solution.gap), LEAST_GAP) if solution else math.inf,
        passes=int(solution.passes) if solution else 0,
        seconds=seconds,
        search=search,
    )


def told_search(path: Path | None, rule: str) -> dict[str, Any] | None:
    """What choosing the strength took, as a record; None where it was given."""
    if path is None:
        return None
    seconds = path.seconds if math.isfinite(path.seconds) else None
    folds = path.scores.shape[1]
    return {"strengths": len(path), "folds": folds, "rule": rule, "passes": path.passes, "seconds": seconds}


def certificate(solution: Solution | None) -> str:
    """The certificate of a fit, in words; a model made by `partial_fit` has none."""
    if solution is None:
        return "none: the model was trained on mini-batches, which do not aim at the exact optimum"
    status, gap = str(solution.status.value), nats(solution.gap)
    if not math.isfinite(solution.gap):
        return f"{status}; nothing is known about the distance to the best possible"
    if solution.status.name == "UNCERTIFIED":
        return f"{status}: about {gap} from the best possible; an L2 penalty would give a proof"
    if not solution.certified:
        return f"{status}; about {gap} from the best possible (an estimate, no proof)"
    return f"{status}; proved to be within {gap} of the best possible (by {solution.bound})"


def chosen(path: Path | None, rule: str = "min") -> str:
    """How the strength was chosen, in words; empty where it was given."""
    if path is None:
        return ""
    at, folds = path.chosen, path.scores.shape[1]
    error = f" ± {path.error[at]:.4f}" if math.isfinite(path.error[at]) else ""
    how = f"by {folds}-fold cross-validation" if folds > 1 else "on a part of the training rows held out"
    told = f"chosen {how}: log loss {path.mean[at]:.4f}{error} nats"
    best = int(path.mean.argmin())
    if rule == "1se" and best != at:
        told += f", within one standard error of {path.mean[best]:.4f} at {path.strength[best]:.3g}"
    return told


def show(
    figures: Figures,
    found: Audit,
    solution: Solution | None,
    *,
    rows: str,
    columns: str,
    what: str,
    strength: str = "",
) -> str:
    """The result table; `rows`, `columns` and `strength` are remarks, `what` says which rows the losses are of."""
    of = f"{what} " if what else ""
    bits = f"= {found.label_entropy_bits:.4f} bits; {_explained(found)}"
    majority = f"always {clipped(found.majority)!r}: {figures.majority_accuracy:.2%}"
    lines = [
        ("rows", f"{figures.rows:,}", rows),
        ("columns", f"{figures.columns:,}", columns),
        ("classes", f"{figures.classes:,}", named(found.classes)),
        ("strength", f"{figures.strength:.3g}", strength),
        (f"{of}log loss", f"{figures.log_loss:.4f} nats", _interval(figures)),
        ("entropy of labels", f"{figures.label_entropy:.4f} nats", bits),
        (f"{of}accuracy", f"{figures.accuracy:.2%}", majority),
        *calibration(found),
        _gap(figures, solution),
        ("seconds", f"{figures.seconds:.2f}", _searched(figures)),
    ]
    return aligned(lines)


def _searched(figures: Figures) -> str:
    """What of the seconds went into choosing the strength."""
    search = figures.search
    if search is None or search["seconds"] is None:
        return ""
    passes = f"{search['passes']:,} passes for {search['strengths']:,} strengths"
    return f"of which {search['seconds']:.2f} to choose the strength, in {passes}"


def _interval(figures: Figures) -> str:
    between = f"95% interval {figures.log_loss_low:.4f} to {figures.log_loss_high:.4f}"
    return f"= {figures.log_loss_bits:.4f} bits; {between}"


def calibration(found: Audit) -> list[tuple[str, str, str]]:
    """Whether the probabilities are what they say, as lines of the result table."""
    from softreg.report.answers import standing

    word, _ = standing(found)
    gap, check = found.trust.gap, found.trust.check
    between = f"95% interval {gap.low:.4f} to {gap.high:.4f}; what recalibration would gain"
    return [
        ("calibration", word, f"p = {check.p_value:.3g} that chance explains what is off"),
        ("calibration gap", f"{gap.value:.4f} nats", between),
    ]


def _gap(figures: Figures, solution: Solution | None) -> tuple[str, str, str]:
    """The certificate as a line of the result table."""
    if solution is None or not math.isfinite(solution.gap):
        return ("certificate", "none", certificate(solution).removeprefix("none: "))
    proof = f"proved by {solution.bound}" if solution.certified else "estimated, not proved"
    name = "certified gap" if solution.certified else "estimated gap"
    ended = f"{solution.status.value}{',' * (not solution.certified)} after {figures.passes:,} passes"
    return (name, nats(figures.gap), f"from the best possible, {proof}; {ended}")


def _explained(found: Audit) -> str:
    """How much of the entropy of the labels the columns explain, in words."""
    if found.label_entropy == 0:
        return "only one class occurs here"
    if found.skill < 0.005:
        return "the columns do not help here"
    return f"the columns explain {found.skill:.1%} of it"


def named(labels: Sequence[str], room: int = 60) -> str:
    """Labels in a line, as many as there is room for, at least one; a long one is cut.

    >>> named(("cat", "dog")), named(("cat", "chicken", "dog"), room=10)
    ('cat, dog', 'cat and 2 more')
    """
    labels = [clipped(label) for label in labels]
    lengths = accumulate(len(label) + 2 for label in labels)
    fit = max(1, sum(length <= room + 2 for length in lengths))
    more = f" and {len(labels) - fit:,} more" if len(labels) > fit else ""
    return ", ".join(labels[:fit]) + more


def show_or_dump(figures: Figures, text: str, *, as_json: bool) -> None:
    """Print the result on stdout: the object alone, or the table."""
    click.echo(figures.as_json() if as_json else text)
