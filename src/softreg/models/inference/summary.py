"""Summary of the statistics of a fitted model as text, HTML and columns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from softreg.models.inference.estimates import Estimates, as_html, as_text, number
from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.inference.fitted_rows import FittedRows


@dataclass(frozen=True, eq=False)
class Summary:
    """Facts about a fit, notes on their interpretation, and the coefficients, as `Inference.summary` returns them."""

    title: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    coefficients: Estimates
    against: str

    @classmethod
    def of(cls, inference: FittedInference, profile: Estimates | None = None) -> Summary:
        """Return the summary of an `Inference`, with the intervals of `profile` if given."""
        fitted = inference.fitted
        reference = (
            "the mean of all classes" if inference.reference is None else repr(fitted.labels[inference.reference])
        )
        two, d = len(fitted.labels) == 2, inference.likelihood.d
        name = "Binary logistic regression" if two else f"Softmax regression of {len(fitted.labels)} classes"
        title = f"{name} on {d} feature{'' if d == 1 else 's'}"
        facts, notes = _facts(inference), _notes(inference, profile is not None)
        if profile is not None:
            facts.append(("intervals", "by the profile likelihood; z is the signed root of the likelihood ratio"))
        return cls(title, tuple(facts), tuple(notes), profile or inference.coefficients, reference)

    @property
    def titles(self) -> list[str]:
        """The title of each class's part of the table."""
        return [f"{label!r} against {self.against}" for label in self.coefficients.classes]

    def frame(self) -> dict[str, Any]:
        """Return the coefficients as columns of equal length.

        Returns
        -------
        dict of str to list or ndarray
            The columns, for `pandas.DataFrame` or `polars.DataFrame`.
        """
        return self.coefficients.frame()

    def text(self) -> str:
        """Return the summary as text."""
        table = as_text(*self.coefficients.table(), self.titles)
        return "\n".join([*self.head(), "", *table, "", *self.notes])

    def head(self) -> list[str]:
        """Return the title and the facts, one line each."""
        wide = max(len(name) for name, _ in self.facts)
        return [self.title, *(f"  {name.ljust(wide)}  {value}" for name, value in self.facts)]

    def html(self) -> str:
        """Return the summary as HTML without style; names are escaped."""
        facts = "".join(
            f'<tr><td style="text-align:left">{escape(name)}</td><td>{escape(value)}</td></tr>'
            for name, value in self.facts
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        table = as_html(*self.coefficients.table(), self.titles)
        return f"<div><p><b>{escape(self.title)}</b></p><table>{facts}</table>{table}{notes}</div>"

    __str__ = text
    _repr_html_ = html


def _facts(inference: FittedInference) -> list[tuple[str, str]]:
    """Return names and values of the facts about a fit."""
    pseudo = inference.fitted.pseudo
    nats = "nats of a pseudo-likelihood" if pseudo else "nats"
    facts = [
        ("rows", f"{inference.n:,.0f}" if inference.n == round(inference.n) else f"{inference.n:,.6g}"),
        (
            "log-likelihood",
            f"{inference.log_likelihood:.4f} {nats}; {inference.null_log_likelihood:.4f} without columns",
        ),
        (
            "pseudo-R²",
            f"McFadden {inference.mcfadden:.4f}, Cox-Snell {inference.cox_snell:.4f}, "
            f"Nagelkerke {inference.nagelkerke:.4f}",
        ),
        ("parameters", f"{inference.df:g}" if inference.fitted.strength == 0 else f"{inference.df:.2f} effective"),
    ]
    if not pseudo:
        facts.append(("AIC, BIC", f"{inference.aic:.4f}, {inference.bic:.4f}"))
    if inference.fitted.strength == 0:
        facts.append(("all columns", _overall(inference)))
    facts.append(("errors", ERRORS[inference.errors]))
    if inference.fitted.clusters is not None:
        size = np.bincount(inference.fitted.clusters)
        facts.append(("clusters", f"{len(size):,}, of {_range(int(size.min()), int(size.max()))} rows"))
    return facts


def _range(low: int, high: int) -> str:
    """Return a range of integers as text."""
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _overall(inference: FittedInference) -> str:
    """Return the test of all columns as text, or the reason that there is none."""
    try:
        return str(inference.overall())
    except ValueError as error:
        return f"no test: {error}"


ERRORS = {
    "model": "model-based: for independent rows whose probabilities have the model's form",
    "robust": "robust (sandwich): those of the best-fitting weights; independent rows, large samples",
    "clustered": "robust (sandwich), clustered: rows of a cluster may depend on each other; many clusters",
    "posterior": "posterior: the L2 penalty read as a normal prior",
}
"""Description of each kind of standard errors."""
FEW_CLUSTERS = 40
"""Clusters below which a summary warns: of 300 rows in 10 clusters, 95% intervals cover the truth in 88 to 91% of
samples (docs/statistics.md), in 60 clusters in 94 to 95%."""


def _shrunken(fitted: FittedRows) -> str:
    """Return which weights the penalty shrinks, in words."""
    return "all weights" if fitted.factors is None or (fitted.factors > 0).all() else "weights with a penalty"


def _strength_text(fitted: FittedRows) -> str:
    """Return the strength of the penalty in words, with the range of its factors where these differ."""
    text = f"strength {number(fitted.strength)}"
    if fitted.factors is None:
        return text
    factors = fitted.factors[np.isfinite(fitted.factors)]
    return f"{text}, times factors from {factors.min():.4g} to {factors.max():.4g}" if len(factors) else text


def _notes(inference: FittedInference, profiled: bool) -> list[str]:
    """Return the notes on the interpretation of a fit."""
    fitted, notes = inference.fitted, list[str]()
    groups = 0 if fitted.clusters is None else len(np.unique(fitted.clusters))
    if 0 < groups < FEW_CLUSTERS:
        notes.append(
            f"Only {groups} clusters: with fewer than about {FEW_CLUSTERS}, cluster-robust errors tend to be too "
            "small, and tests reject too often."
        )
    if fitted.strength > 0:
        notes.append(
            f"The L2 penalty ({_strength_text(fitted)}) shrinks {_shrunken(fitted)} towards zero. "
            + (
                "The intervals are those of a Bayesian with that prior."
                if inference.errors == "posterior"
                else "The standard errors describe the variation of the shrunken weights between samples; the "
                "intervals are around the shrunken weights, not around the true ones, and there are no tests of zero."
            )
        )
    if fitted.firth:
        wald = (
            " Where classes are separated or nearly so, Wald's intervals and tests mislead; `profile()` has better "
            "intervals, and `likelihood_ratio(columns)` compares penalised likelihoods."
        )
        notes.append(
            "Firth's bias reduction: the likelihood times Jeffreys' prior. Log-likelihood, pseudo-R², AIC and BIC are "
            "those of the likelihood without the prior, at these estimates." + ("" if profiled else wald)
        )
    if fitted.sampling:
        notes.append(
            "Sampling weights: estimates refer to the population that the weights stand for; errors are robust."
        )
    if fitted.model.class_weight is not None:
        fixed = (
            ' The errors take the weights of "balanced" as fixed.' if fitted.model.class_weight == "balanced" else ""
        )
        notes.append(
            "Class weights change what is estimated: the intercept is that of a population so weighted." + fixed
        )
    return notes
