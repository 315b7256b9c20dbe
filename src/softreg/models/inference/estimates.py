"""Estimates with standard errors and intervals for each class and column, as numbers and as text tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy.special import chdtrc, ndtr, ndtri

from softreg.rows import Array

WIDTH = 80
"""Characters of a line of a table."""
SHORT = 18
"""Least number of characters for names."""
SMALLEST_P = 0.001
"""p-values below this are written as an inequality."""
FIXED = (1e-3, 1e5)
"""Magnitudes between these are written with four decimals, others with four significant digits."""


@dataclass(frozen=True)
class ChiSquared:
    """A test whose statistic has asymptotically a chi-squared distribution under the null hypothesis.

    Attributes
    ----------
    kind : str
        "Wald", "likelihood ratio" or "penalised likelihood ratio".
    statistic : float
        The statistic.
    df : int
        Degrees of freedom.

    Examples
    --------
    >>> ChiSquared("likelihood ratio", 3.841, 1).p_value.round(3)
    np.float64(0.05)
    """

    kind: str
    statistic: float
    df: int

    @property
    def p_value(self) -> float:
        """Probability of a statistic at least this large under the null hypothesis."""
        return chdtrc(self.df, self.statistic)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return f"{self.kind}: {self.statistic:.4g} on {self.df} df, {p_value_text(self.p_value)}"


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates (c, k) of c classes and k columns with standard errors and intervals.

    Attributes
    ----------
    what : str
        The quantity: "estimate", "odds_ratio", "relative_risk_ratio" or "effect".
    classes : tuple
        The c classes.
    columns : tuple of str
        The k columns.
    estimate, std_error, lower, upper : ndarray of shape (c, k)
        Estimates, standard errors and limits of the intervals; nan for parameters that are not identified.
    level : float
        Confidence level.
    z : ndarray of shape (c, k) or None
        Estimate divided by standard error (with profile intervals, the signed root of the likelihood ratio); None
        with an L2 penalty, whose estimates are biased towards zero.
    changes : tuple of str or None
        Of effects, the change of each column that the estimate refers to.
    """

    what: str
    classes: tuple[Any, ...]
    columns: tuple[str, ...]
    estimate: Array
    std_error: Array
    lower: Array
    upper: Array
    level: float
    z: Array | None = None
    changes: tuple[str, ...] | None = None

    @property
    def p_value(self) -> Array | None:
        """Two-sided p-values (c, k) of tests of zero, `2 (1 - Phi(|z|))`; None without `z`."""
        return None if self.z is None else np.asarray(2 * ndtr(-np.abs(self.z)))

    def frame(self) -> dict[str, Any]:
        """Return the estimates as columns of equal length, one entry for each class and column.

        Returns
        -------
        dict of str to list or ndarray
            Accepted by `pandas.DataFrame`, `polars.DataFrame` and `pyarrow.table`.
        """
        c, k = self.estimate.shape
        out: dict[str, Any] = {
            "class": [label for label in self.classes for _ in range(k)],
            "column": list(self.columns) * c,
            **({} if self.changes is None else {"change": list(self.changes) * c}),
            self.what: self.estimate.ravel(),
            "std_error": self.std_error.ravel(),
        }
        if self.z is not None and self.p_value is not None:
            out |= {"z": self.z.ravel(), "p_value": self.p_value.ravel()}
        return out | {"lower": self.lower.ravel(), "upper": self.upper.ravel()}

    @property
    def _lines(self) -> Sequence[str]:
        """Names of the lines of the table: the columns and, of effects, the change."""
        if self.changes is None:
            return self.columns
        pairs = zip(self.columns, self.changes, strict=True)
        return [f"{name}{'' if change.startswith('rather') else ','} {change}" for name, change in pairs]

    def table(self) -> tuple[list[str], list[list[list[str]]]]:
        """Return the header and, for each class, its lines, as text."""
        percent = f"{100 * self.level:g}%"
        what = "ratio" if self.what == "relative_risk_ratio" else self.what.replace("_", " ")
        head = ["", what, "std error"]
        head += ["z", "p"] if self.z is not None else []
        parts = []
        p = self.p_value
        for i in range(len(self.classes)):
            lines = []
            for j, name in enumerate(self._lines):
                line = [name, number(self.estimate[i, j]), number(self.std_error[i, j])]
                if self.z is not None and p is not None:
                    line += [
                        f"{self.z[i, j]:.3f}".replace("nan", "NA"),
                        p_value_text(p[i, j]).removeprefix("p = ").removeprefix("p "),
                    ]
                lines.append([*line, number(self.lower[i, j]), number(self.upper[i, j])])
            parts.append(lines)
        return [*head, f"{percent} from", "to"], parts

    def __str__(self) -> str:
        return "\n".join(as_text(*self.table(), [f"class {label}" for label in self.classes]))

    def _repr_html_(self) -> str:
        return as_html(*self.table(), [f"class {label}" for label in self.classes])


def normal(
    what: str,
    classes: tuple[Any, ...],
    columns: tuple[str, ...],
    estimate: Array,
    std_error: Array,
    level: float,
    tested: bool = True,
) -> Estimates:
    """Return estimates with Wald intervals, `estimate -+ z_(level) std_error`.

    Returns
    -------
    Estimates
        Estimates with z unless `tested` is False.

    Examples
    --------
    >>> print(normal("estimate", ("b",), ("age",), np.array([[2.0]]), np.array([[1.0]]), 0.95).upper.round(2))
    [[3.96]]
    """
    half = float(ndtri(0.5 + level / 2)) * std_error
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(estimate == 0, 0.0, estimate / std_error) if tested else None
    return Estimates(what, classes, columns, estimate, std_error, estimate - half, estimate + half, level, z)


def ratios(coefficients: Estimates, intercept: str, what: str) -> Estimates:
    """Return exponentiated coefficients without the intercept, with standard errors by the delta method.

    Returns
    -------
    Estimates
        Ratios (c, k).

    Examples
    --------
    >>> w = normal("estimate", ("b",), ("age",), np.array([[2.0]]), np.array([[1.0]]), 0.95)
    >>> ratios(w, "(intercept)", "odds_ratio").estimate.round(3)
    array([[7.389]])
    """
    keep = [j for j, name in enumerate(coefficients.columns) if j or name != intercept]
    parts = (coefficients.estimate, coefficients.lower, coefficients.upper)
    with np.errstate(over="ignore"):
        ratio, low, high = (np.exp(part[:, keep]) for part in parts)
        error = ratio * coefficients.std_error[:, keep]
    z = None if coefficients.z is None else coefficients.z[:, keep]
    columns = tuple(coefficients.columns[j] for j in keep)
    return Estimates(what, coefficients.classes, columns, ratio, error, low, high, coefficients.level, z)


def number(value: float) -> str:
    """Return a number as text with four decimals or significant digits; NA for nan."""
    if np.isnan(value):
        return "NA"
    return f"{value:.4g}" if abs(value) < FIXED[0] or abs(value) >= FIXED[1] else f"{value:.4f}"


def p_value_text(p: float) -> str:
    """Return a p-value as text.

    Returns
    -------
    str
        "p = ..." or "p < 0.001"; "NA" for nan.

    Examples
    --------
    >>> p_value_text(0.0312), p_value_text(1e-9)
    ('p = 0.031', 'p < 0.001')
    """
    if np.isnan(p):
        return "NA"
    return f"p < {SMALLEST_P}" if p < SMALLEST_P else f"p = {p:.3f}"


def as_text(head: Sequence[str], parts: Sequence[Sequence[Sequence[str]]], titles: Sequence[str]) -> list[str]:
    """Format an aligned text table: names on the left, numbers on the right, a title above each part.

    A name that does not fit a table of `WIDTH` characters is on a separate line above its numbers.

    Returns
    -------
    list of str
        Lines.
    """
    lines = [head, *(line for part in parts for line in part)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rest = sum(w + 2 for w in widths[1:])
    widths[0] = min(widths[0] + 2, max(SHORT, WIDTH - rest))

    def aligned(line: Sequence[str], indent: str = "  ") -> str:
        name = indent + line[0]
        long_name = f"{name}\n" if len(name) > widths[0] else ""
        cells = "".join("  " + cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))
        return long_name + (("" if long_name else name).ljust(widths[0]) + cells).rstrip()

    out = [aligned(head)]
    for title, part in zip(titles, parts, strict=True):
        out += [title, *(aligned(line) for line in part)]
    return out


def as_html(head: Sequence[str], parts: Sequence[Sequence[Sequence[str]]], titles: Sequence[str]) -> str:
    """Format an HTML table; names are escaped."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = []
    for title, part in zip(titles, parts, strict=True):
        body.append(f'<tr><th colspan="{len(head)}" style="text-align:left">{escape(title)}</th></tr>')
        for line in part:
            cells = "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in line[1:])
            body.append(f'<tr><td style="text-align:left">{escape(line[0])}</td>{cells}</tr>')
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"
