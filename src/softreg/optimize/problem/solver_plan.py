"""How an objective is minimised: the record that the rules choose and a solution carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transform(StrEnum):
    """The smaller problem that is solved in place of the given one."""

    NONE = "none"
    ROW_SPACE = "row space"
    """As many dimensions as there are rows, after a QR factorisation."""
    WORKING_SET = "working set"
    """The columns that may have weights other than 0."""


class Logits(StrEnum):
    """Where the logits of all rows are between two passes."""

    KEPT = "kept"
    RECOMPUTED = "recomputed"


class Start(StrEnum):
    """The parameters with which the method begins."""

    ZERO = "zero"
    GIVEN = "given"
    """Weights that the caller passed in."""
    SAMPLE = "optimum of a sample"
    NESTED_SAMPLES = "optima of nested samples"
    CLASS_MEANS = "class means"
    """Fisher's linear discriminant, scaled on a sample."""


class Method(StrEnum):
    """The iteration."""

    NONE = "none"
    """The method of the transformed problem."""
    ONE_PASS_NEWTON = "Newton, one pass a step"
    LINE_SEARCH_NEWTON = "Newton with line search"
    TRUNCATED_NEWTON = "Newton with conjugate gradients"
    LBFGS = "L-BFGS"
    STREAMED_LBFGS = "L-BFGS with a memory of a few times the weights"
    STREAMED_NEWTON = "Newton's method with a Hessian from the largest probabilities"
    ORTHANT_LBFGS = "orthant-wise L-BFGS"
    WEIGHT_PROXIMAL_NEWTON = "proximal Newton on a working set of weights"
    GROUP_PROXIMAL_NEWTON = "proximal Newton on a working set of columns"
    DUAL_ASCENT = "dual coordinate ascent"
    WIDE_DUAL_ASCENT = "dual coordinate ascent for many classes"
    PROXIMAL_NEWTON = "proximal Newton, one exact Hessian a step"
    """Used for a Gaussian prior of all parameters, which no rule chooses."""

    @property
    def many_classes(self) -> bool:
        """Whether the method keeps weights and probabilities of many classes in its own way."""
        return self in (Method.WIDE_DUAL_ASCENT, Method.STREAMED_NEWTON, Method.STREAMED_LBFGS)


class CurvatureModel(StrEnum):
    """The Hessian that the method works with."""

    NONE = "none"
    EXACT = "exact Hessian"
    SAMPLED = "blocks of a uniform sample"
    IMPORTANCE_SAMPLED = "blocks of rows drawn by their uncertainty"
    DIAGONAL = "diagonal of all rows"
    CLASS_CLUSTERS = "within-class scatter and clusters of classes"


@dataclass(frozen=True)
class Plan:
    """What is done to minimise an objective, and why.

    Parameters
    ----------
    name : str
        Name of the rule, which `solver=` accepts.
    transform, logits, start, method, curvature
        What is done.
    fallback : str
        Name of the plan that continues where this one ends without a proof; empty where there is none.
    why : str
        One sentence: the facts and the condition of the rule.

    Examples
    --------
    >>> from softreg.optimize import l2, minimise
    >>> from softreg.rows import as_rows
    >>> import numpy as np
    >>> fit, = minimise(as_rows(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])), 2, l2(0.1))
    >>> fit.plan.name
    'one-pass-newton'
    """

    name: str
    transform: Transform
    logits: Logits
    start: Start
    method: Method
    curvature: CurvatureModel
    fallback: str
    why: str
