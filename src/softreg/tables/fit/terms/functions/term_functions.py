"""The terms of a fitted table model as functions of its columns, with standard errors, and their sum in each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from softreg.probability import softmax
from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.fit.terms.functions.node_shares import NodeShares, TermNodes, batches, side_weights
from softreg.tables.fit.terms.functions.purified_terms import LinearMap, PurifiedTerms, purified_terms
from softreg.tables.fit.terms.functions.term_nodes import CodedRows, ColumnNodes
from softreg.typing import Float64Array

if TYPE_CHECKING:
    from softreg.models.inference.margins.row_logits import ParameterDistribution

LEAST_REST = 1e-12
"""Least probability of all other classes in the derivative of a logit."""
MOST_NUMBERS = 1 << 22
"""Numbers of an intermediate array of standard errors, 32 MB."""


@dataclass(frozen=True, eq=False)
class TermAxis:
    """The nodes of a column in a function: numbers or levels.

    Attributes
    ----------
    column : str
        Name of the column.
    numbers : array of float64 (k,)
        Numbers of the first k nodes, ascending; empty for a column of levels.
    labels : tuple of str (m,)
        Labels of all nodes; the last one is "(missing)", or "(not in training)" of a category.
    share : array of float64 (m,)
        Share of the training rows at each node; a row between two nodes is divided among them.
    """

    column: str
    numbers: Float64Array
    labels: tuple[str, ...]
    share: Float64Array


@dataclass(frozen=True, eq=False)
class TermFunction:
    """The contribution of a column, or of the interaction of two, to the logits.

    Between two numbers the function is linear. Its mean over the training rows is 0; that of an interaction is 0 also
    over the rows at each node of either column.

    Attributes
    ----------
    name : str
        Column, or both columns such as `age:job`.
    kind : str
        "curve" or "line" for numbers, "levels" for categories and booleans, or "interaction".
    axes : tuple of TermAxis
        The nodes of the column, or of both.
    classes : tuple of str (k,)
        Classes of the logits: all, or the second of two.
    logits : array of float64 (m, k) or (m_a, m_b, k)
        Logits of each class at the nodes, whose sum over the classes is 0; for two classes the log-odds of the second.
    std_error : array of float64, of the shape of `logits`, or None
        Standard errors; None for a model without the covariance of its weights.
    low, high : array of float64, of the shape of `logits`, or None
        Limits of the pointwise intervals.
    probability : array of float64 (m, q) or (m_a, m_b, q)
        Probabilities of all classes, with all other terms at their mean; for an interaction together with the functions
        of its two columns.
    probability_low, probability_high : array of float64 (m, q) or None
        Limits of the pointwise intervals of the probabilities, with all other terms as they are: those of their logits
        by the delta method. None for an interaction, and without the covariance of the weights.
    share : array of float64 (m,) or (m_a, m_b)
        Share of the training rows at each node.
    """

    name: str
    kind: str
    axes: tuple[TermAxis, ...]
    classes: tuple[str, ...]
    logits: Float64Array
    std_error: Float64Array | None
    low: Float64Array | None
    high: Float64Array | None
    probability: Float64Array
    probability_low: Float64Array | None
    probability_high: Float64Array | None
    share: Float64Array

    @property
    def deviation(self) -> Float64Array:
        """Standard deviation (k,) of the logits of each class over the training rows at the nodes."""
        share = self.share.reshape(-1, 1)
        return np.asarray(np.sqrt((share * self.logits.reshape(-1, len(self.classes)) ** 2).sum(axis=0)))

    @property
    def size(self) -> float:
        """The root of the mean square of the logits, over the training rows at the nodes and the classes."""
        return float(np.sqrt((self.deviation**2).mean()))


@dataclass(frozen=True, eq=False)
class TermFunctions(Sequence[TermFunction]):
    """The logits of a table model as a bias and a sum of functions of its columns, as `term_functions` computes them.

    It is a sequence of the functions, in the order of the columns and interactions of the model.

    Attributes
    ----------
    classes : tuple of str (k,)
        Classes of the logits: all, whose logits have the sum 0, or the second of two, whose log-odds they are.
    bias : array of float64 (k,)
        Mean of the logits over the training rows, without offsets.
    functions : tuple of TermFunction
        The functions.
    other : tuple of str
        Columns of dates, texts, tags and vectors, whose contributions have no function of one number.
    level : float
        Level of the intervals.
    intervals : str
        Kind of the standard errors: "posterior", "model", "robust" or "clustered"; "" without a covariance.
    """

    classes: tuple[str, ...]
    bias: Float64Array
    functions: tuple[TermFunction, ...]
    other: tuple[str, ...]
    level: float
    intervals: str
    _read: Callable[[Any], pa.Table] = field(repr=False)
    _nodes: TermNodes = field(repr=False)
    _weights: Float64Array = field(repr=False)
    _pure: PurifiedTerms = field(repr=False)

    def __getitem__(self, index: Any) -> Any:
        return self.functions[index]

    def __len__(self) -> int:
        return len(self.functions)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Columns and interactions in the order of `contributions`."""
        return (*self._nodes.columns, *(pair.name for pair in self._nodes.encoder.pairs))

    def function(self, name: str) -> TermFunction:
        """Return the function of a column or interaction.

        Parameters
        ----------
        name : str
            Name, such as `age` or `age:job`.

        Returns
        -------
        TermFunction
            The function.

        Raises
        ------
        TableError
            If there is none.
        """
        for one in self.functions:
            if one.name == name:
                return one
        raise TableError(
            f"The model has no function of {quote(name)}; it has {quote_list([one.name for one in self.functions])}."
        )

    def contributions(self, data: Any) -> Float64Array:
        """Return the contribution of each column and interaction to the logits of rows.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.

        Returns
        -------
        array of float64 (n, len(names), k)
            Contributions; their sum over `names` and `bias` is the logit of each class minus the mean of all, or the
            log-odds of the second of two classes, without offsets.
        """
        parts = [self._of_rows(CodedRows.of(self._nodes.encoder, part)) for part in batches(self._read(data))]
        return np.concatenate([np.zeros((0, len(self.names), len(self.classes))), *parts])

    def _of_rows(self, rows: CodedRows) -> Float64Array:
        """Return the contributions (n, T, k) to encoded rows."""
        out = np.empty((rows.n, len(self.names), len(self.classes)))
        encoder, nodes = self._nodes.encoder, self._nodes
        for place, (code, linear) in enumerate(zip(encoder.column_encoders, self._pure.columns, strict=True)):
            own, part = nodes.columns[code.name], nodes.places[code.name]
            values = linear.values(self._weights)
            if own is None:
                out[:, place] = rows.block(part) @ self._weights[:, part].T + values
            else:
                out[:, place] = rows.weights(code, own, part) @ values
        for place, (pair, sides, linear) in enumerate(
            zip(encoder.pairs, nodes.pairs, self._pure.pairs, strict=True), start=len(encoder.column_encoders)
        ):
            a, b = side_weights(rows, nodes, pair, sides)
            table = linear.values(self._weights).reshape(len(sides[0]), len(sides[1]), -1)
            for k in range(len(self.classes)):
                out[:, place, k] = np.asarray(b.multiply(a @ table[:, :, k]).sum(axis=1)).ravel()
        return out


@dataclass(frozen=True, eq=False)
class ClassContrasts:
    """Weights of logits whose sum over the classes is 0, or of the log-odds of the second of two classes.

    Attributes
    ----------
    classes : tuple of str (k,)
        Classes.
    coef : array of float64 (k, d)
        Weights.
    intercept : array of float64 (k,)
        Intercepts.
    distribution : ParameterDistribution or None
        Distribution of the weights of the model.
    """

    classes: tuple[str, ...]
    coef: Float64Array
    intercept: Float64Array
    distribution: ParameterDistribution | None

    @classmethod
    def of(cls, classes: Sequence[str], coef: Any, intercept: Any, distribution: Any = None) -> ClassContrasts:
        """Return the contrasts of weights (q, d) and intercepts (q,)."""
        W, b = np.asarray(coef, dtype=np.float64), np.asarray(intercept, dtype=np.float64)
        if len(W) == 2:
            return cls(tuple(classes[1:]), W[1:] - W[:1], b[1:] - b[:1], distribution)
        return cls(tuple(classes), W - W.mean(axis=0), b - b.mean(), distribution)

    def std_errors(self, linear: LinearMap, P: Float64Array) -> tuple[Float64Array, Float64Array] | None:
        """Return the standard errors of the values of a map, and of the logits of probabilities that change with them.

        The derivative of log(p_k / (1 - p_k)) with respect to the logits z is `(e_k - p) / (1 - p_k)`.

        Parameters
        ----------
        linear : LinearMap
            Map from the weights to m values for each class.
        P : array of float64 (m, q)
            Probabilities at these values and others that are fixed.

        Returns
        -------
        array of float64 (m, k)
            Standard errors of the values.
        array of float64 (m, q)
            Those of log(p / (1 - p)).
        None
            Without a distribution.
        """
        found = self.distribution
        if found is None:
            return None
        width = len(found.shift) + 1
        scaled = linear.matrix / found.scale[linear.places]
        factors = [found.L[c * width + linear.places] for c in range(found.q - 1)]
        step = max(1, MOST_NUMBERS // (found.q * len(found.L)))
        out, of_logits = np.empty((len(scaled), len(self.classes))), np.empty(P.shape)
        for first in range(0, len(scaled), step):
            rows = scaled[first : first + step]
            U = np.stack([np.zeros((len(rows), len(found.L))), *(rows @ factor for factor in factors)])
            p = P[first : first + step].T  # (q, m)
            V = (U - np.einsum("qm,qml->ml", p, U)) / np.maximum(1 - p, LEAST_REST)[..., None]
            of_logits[first : first + step] = np.sqrt((V**2).sum(axis=-1)).T
            U = U[1:] if found.q == 2 else U - U.mean(axis=0)
            out[first : first + step] = np.sqrt((U**2).sum(axis=-1)).T
        return out, of_logits

    def probabilities(self, logits: Float64Array) -> Float64Array:
        """Return the probabilities (..., q) of logits (..., k)."""
        if len(self.classes) == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
        rows: Float64Array = np.asarray(softmax(logits.reshape(-1, logits.shape[-1])), dtype=np.float64)
        return rows.reshape(logits.shape)


def functions_of(
    nodes: TermNodes,
    shares: NodeShares,
    contrasts: ClassContrasts,
    read: Callable[[Any], pa.Table],
    *,
    level: float,
    intervals: str,
) -> TermFunctions:
    """Return the functions of a fitted model.

    Parameters
    ----------
    nodes : TermNodes
        Nodes of its columns and interactions.
    shares : NodeShares
        Distribution of the training rows over them.
    contrasts : ClassContrasts
        Weights.
    read : callable
        Returns the table of what a user hands in.
    level : float
        Level of the intervals.
    intervals : str
        Kind of the standard errors.

    Returns
    -------
    TermFunctions
        The functions.
    """
    from scipy.special import ndtri

    pure, coef = purified_terms(nodes, shares), contrasts.coef
    bias = contrasts.intercept + np.sum([one.values(coef)[0] for one in pure.bias], axis=0)
    builder = _Builder(nodes, shares, contrasts, bias, float(ndtri(0.5 + level / 2)))
    columns = zip(nodes.columns.items(), shares.columns, pure.columns, strict=True)
    functions = {
        name: builder.of_column(own, share, linear) for (name, own), share, linear in columns if own is not None
    }
    pairs = [builder.of_pair(at, linear, functions) for at, linear in enumerate(pure.pairs)]
    other = tuple(name for name, own in nodes.columns.items() if own is None)
    return TermFunctions(
        contrasts.classes, bias, (*functions.values(), *pairs), other, level, intervals, read, nodes, coef, pure
    )


@dataclass(frozen=True, eq=False)
class _Builder:
    """Builds functions from linear maps."""

    nodes: TermNodes
    shares: NodeShares
    contrasts: ClassContrasts
    bias: Float64Array
    quantile: float

    def of_column(self, own: ColumnNodes, share: Float64Array, linear: LinearMap) -> TermFunction:
        """Return the function of a column."""
        code: Any = self.nodes.codes[own.column]
        curved = getattr(code, "n_curves", 0) > 0 or getattr(code, "knots", ()) or self._interacts(own.column)
        kind = "levels" if not len(own.numbers) else "curve" if curved else "line"
        axes = (TermAxis(own.column, own.numbers, own.labels, share),)
        logits = linear.values(self.contrasts.coef)
        return self._function(own.column, kind, axes, logits, linear, share, self.bias + logits)

    def of_pair(self, at: int, linear: LinearMap, columns: dict[str, TermFunction]) -> TermFunction:
        """Return the function of an interaction."""
        pair, sides, joint = self.nodes.encoder.pairs[at], self.nodes.pairs[at], self.shares.pairs[at]
        axes = tuple(
            TermAxis(one.column, one.numbers, one.labels, joint.sum(axis=1 - place)) for place, one in enumerate(sides)
        )
        shape = (len(sides[0]), len(sides[1]), len(self.contrasts.classes))
        logits = linear.values(self.contrasts.coef).reshape(shape)
        a, b = (_at(columns[one.column], self.nodes.columns[one.column], one) for one in sides)
        whole = self.bias + logits + a[:, None] + b[None, :]
        return self._function(pair.name, "interaction", axes, logits, linear, joint, whole)

    def _function(
        self,
        name: str,
        kind: str,
        axes: tuple[TermAxis, ...],
        logits: Float64Array,
        linear: LinearMap,
        share: Float64Array,
        whole: Float64Array,
    ) -> TermFunction:
        probability = self.contrasts.probabilities(whole)
        errors = self.contrasts.std_errors(linear, probability.reshape(-1, probability.shape[-1]))
        error = low = high = p_low = p_high = None
        if errors is not None:
            error = errors[0].reshape(logits.shape)
            low, high = logits - self.quantile * error, logits + self.quantile * error
            p_low, p_high = (
                _probability_limits(probability, self.quantile * errors[1]) if len(axes) == 1 else (None,) * 2
            )
        classes = self.contrasts.classes
        return TermFunction(name, kind, axes, classes, logits, error, low, high, probability, p_low, p_high, share)

    def _interacts(self, column: str) -> bool:
        """Return whether a column has a part of an interaction in its function, which is no line."""
        return any(column in (pair.left.column, pair.right.column) for pair in self.nodes.encoder.pairs)


def _at(function: TermFunction, own: ColumnNodes | None, side: ColumnNodes) -> Float64Array:
    """Return the logits (m, k) of the function of a column at the nodes of a side of an interaction."""
    assert own is not None
    return np.asarray(own.at_nodes_of(side) @ function.logits)


def _probability_limits(P: Float64Array, distance: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the probabilities whose logits are at a distance below and above those of P."""
    from scipy.special import expit, logit

    logits = logit(np.clip(P, np.finfo(float).tiny, 1 - np.finfo(float).epsneg))
    return expit(logits - distance), expit(logits + distance)
