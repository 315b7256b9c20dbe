"""The section of a card on the fit: penalty, choice of its strength, certificate, rows, versions."""

from __future__ import annotations

import math

from softreg.cards.card_subject import CardSubject
from softreg.cards.markdown import escape, listed, table
from softreg.cards.term_section import has_terms
from softreg.optimize import Solution
from softreg.value_text import value_text

SMALLEST_GAP = 1e-12
"""Least gap that is written, in nats: rounding of the objective."""
MAX_NAMES = 40
"""Columns that are listed."""


def fit_section(subject: CardSubject) -> list[str]:
    """Return the lines of the section."""
    regression, kept = subject.regression, subject.evaluation
    rows = [("penalty", _penalty(subject)), *_choice(subject), *_weight_terms(subject)]
    if regression.class_weight is not None:
        rows.append(("class weights", _class_weights(regression.class_weight)))
    rows.append(("intercept", "yes" if regression.fit_intercept else "no"))
    rows += _certificate(subject.solution)
    if kept is not None:
        rows += [
            ("training rows", f"{kept.training_rows:,}"),
            ("data", escape(kept.data)),
            ("seed", str(kept.seed)),
            ("date", escape(kept.date)),
        ]
    version = subject.version or ("" if kept is None else kept.version)
    if version:
        rows.append(("softreg", escape(version)))
    logits = "The logits of a row x are *Wx + b*, and its probabilities *softmax(Wx + b)*."
    return [f"{logits} {_objective(subject)}", *table(("", ""), rows)]


def _objective(subject: CardSubject) -> str:
    """Return the sentence on what W and b optimise."""
    regression = subject.regression
    if subject.solution is None:
        return "W and b are the result of steps on mini-batches."
    if regression.prior is not None:
        return "W and b maximise the likelihood of the training rows times the density of the prior."
    if regression.penalty == "firth":
        return "W and b maximise Firth's penalised likelihood of the training rows."
    weighted = "mean" if regression.class_weight is None else "weighted mean"
    penalty = "" if regression.penalty is None or regression.strength == 0 else " plus the penalty"
    return f"W and b minimise the {weighted} log loss of the training rows{penalty}."


def _penalty(subject: CardSubject) -> str:
    """Return the penalty and its strength."""
    regression = subject.regression
    if regression.prior is not None:
        description = getattr(regression.prior, "description", "")
        return "none; the weights have a Gaussian prior" + (f": {escape(str(description))}" if description else "")
    if regression.penalty == "firth":
        return "Firth's, the logarithm of the Jeffreys prior, which has no strength"
    if regression.penalty is None or regression.strength == 0:
        return "none"
    if has_terms(subject):
        return (
            "l2, with a strength of its own for each term: the precision of its weights, divided by the number of rows"
        )
    mixed = f", share of the L1 part {regression.l1_ratio:g}" if regression.penalty == "elasticnet" else ""
    return f"{escape(str(regression.penalty))} of the strength {regression.strength:.6g}{mixed}"


def _choice(subject: CardSubject) -> list[tuple[str, str]]:
    """Return how the strength was chosen; nothing where there is none."""
    path, regression = subject.path, subject.regression
    if has_terms(subject):
        return [("choice of the strengths", "the maximum of the evidence (marginal likelihood, Laplace approximation)")]
    if path is None:
        without = regression.prior is not None or regression.penalty in (None, "firth") or regression.strength == 0
        return [] if without else [("choice of the strength", "given")]
    folds, at = path.scores.shape[1], path.chosen
    method = f"{folds}-fold cross-validation" if folds > 1 else "held-out training rows"
    error = f", standard error {path.error[at]:.4f}" if math.isfinite(path.error[at]) else ""
    score = f"{escape(path.scoring.replace('_', ' '))} {path.mean[at]:.4f}{error}"
    rules = {"min": "the best score", "1se": "the strongest penalty within one standard error of the best score"}
    rule = rules.get(subject.rule, escape(str(subject.rule)))
    return [("choice of the strength", f"{rule} of {len(path):,} strengths by {method}: {score}")]


def _weight_terms(subject: CardSubject) -> list[tuple[str, str]]:
    """Return columns without penalty and bounds of weights."""
    if subject.table_model is None:
        return []
    constraints = subject.table_model.constraints_
    rows = []
    if constraints.unpenalised:
        rows.append(("columns without penalty", listed(constraints.unpenalised, MAX_NAMES)))
    texts = [f"{escape(name)}: {escape(text)}" for name, text in constraints.bound_texts().items()]
    if texts:
        against = "" if constraints.reference is None else f", against the class {escape(str(constraints.reference))}"
        rows.append(("bounds of weights", "; ".join(texts) + against))
    return rows


def _class_weights(weights: object) -> str:
    """Return class weights in words."""
    if not isinstance(weights, dict):
        return escape(str(weights))
    return ", ".join(f"{escape(value_text(label))}: {value:g}" for label, value in weights.items())


def _certificate(solution: Solution | None) -> list[tuple[str, str]]:
    """Return status, gap and solver of the fit."""
    if solution is None:
        return [("optimality gap", "none: the model was trained on mini-batches, which do not reach the optimum")]
    gap = f"{max(float(solution.gap), SMALLEST_GAP):.1e} nats"
    if not math.isfinite(solution.gap):
        text = "not known"
    elif solution.status.name == "STATIONARY":
        text = f"about {gap}, an estimate of the distance to a stationary value of Firth's penalised likelihood"
    elif solution.certified:
        text = f"at most {gap}: proved, by {escape(solution.bound)}, for the distance to the minimum of the objective"
    else:
        text = f"about {gap}: an estimate, without a proof, of the distance to the minimum of the objective"
    rows = [
        ("status", escape(str(solution.status.value))),
        ("converged, with a proof", "yes" if solution.status.name == "CONVERGED" else "no"),
        ("optimality gap", text),
        ("passes over the rows", f"{solution.passes:,}"),
    ]
    if solution.plan is not None:
        why = solution.plan.why.replace("<=", "≤").replace(">=", "≥")
        rows.append(("solver", f"{escape(solution.plan.name)}; {escape(why)}"))
    return rows
