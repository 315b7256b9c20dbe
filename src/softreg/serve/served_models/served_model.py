"""What the service needs of a model of any kind: columns, probabilities, intervals and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from softreg.export.build.program_parts import plain_labels
from softreg.export.program import Label, Program
from softreg.serve.served_models.contributions import RowContributions
from softreg.serve.served_models.json_columns import JsonColumn
from softreg.typing import Array, Float64Array
from softreg.value_text import value_text

Columns = Mapping[str, Sequence[Any]]
"""The cells of each column."""


@dataclass(frozen=True)
class Labels:
    """The classes of a model for JSON.

    Attributes
    ----------
    values : tuple of Label
        Labels in their type; dates and decimals as text.
    texts : tuple of str
        Labels as text, the keys of probabilities.
    datatype : str
        Data type of the labels in the Open Inference Protocol.
    """

    values: tuple[Label, ...]
    texts: tuple[str, ...]
    datatype: str

    @classmethod
    def of(cls, classes: Array) -> Labels:
        """Return the labels of an array of classes (q,).

        Parameters
        ----------
        classes : array (q,)
            Classes of a model.

        Returns
        -------
        Labels
            Labels for JSON.

        Raises
        ------
        ValueError
            If two labels have the same text.

        Examples
        --------
        >>> Labels.of(np.array([0, 1])).values, Labels.of(np.array(["2020-01-31"], "M8[D]")).values
        ((0, 1), ('2020-01-31',))
        """
        native = classes.tolist() if classes.dtype.kind in "biufU" else list(plain_labels(list(classes)))
        texts = tuple(value_text(label) for label in classes)
        if len(set(texts)) < len(texts):
            raise ValueError(f"two classes of the model have the same text: {', '.join(sorted(texts)[:10])}")
        types = {type(label) for label in native}
        datatypes = {frozenset({bool}): "BOOL", frozenset({int}): "INT64", frozenset({float}): "FP64"}
        large = any(type(label) is int and not -(2**63) <= label < 2**63 for label in native)
        if large:
            native = [str(label) for label in native]
        return cls(tuple(native), texts, "BYTES" if large else datatypes.get(frozenset(types), "BYTES"))


@dataclass(frozen=True)
class Answer:
    """What a model returns for rows.

    Attributes
    ----------
    probabilities : array (n, q)
        Probabilities.
    low, high : array (n, q) or None
        Limits of their intervals.
    contributions : list of RowContributions or None
        Contributions of the columns.
    """

    probabilities: Float64Array
    low: Float64Array | None = None
    high: Float64Array | None = None
    contributions: list[RowContributions] | None = None
    warnings: list[dict[str, str]] = field(default_factory=list)
    """For each row, sentences on cells that are unlike those of training, by column; may be empty."""


class ServedModel(Protocol):
    """A model that answers requests.

    `columns` are those that a request needs, `ignored` those that it may have (columns of training that the model does
    not use); `named` is False for a model of arrays without names, whose columns are numbered. `version` is a part of
    the checksum of the file.
    """

    labels: Labels
    columns: dict[str, JsonColumn]
    ignored: frozenset[str]
    named: bool
    version: str
    kind: str
    target: str

    def program(self) -> Program:
        """Return the model as a program, for its page."""

    @property
    def has_intervals(self) -> bool:
        """Whether the file keeps the covariance of the weights."""

    @property
    def has_contributions(self) -> bool:
        """Whether the file knows a reference row."""

    def answer(self, columns: Columns, n: int, *, level: float | None = None, contributions: bool = False) -> Answer:
        """Return probabilities of n rows, with intervals at a level and contributions where asked for."""


def most_probable_set(P: Float64Array, level: float) -> list[list[int]]:
    """Return the codes of the classes of each row in order of probability, until their sum reaches the level.

    Parameters
    ----------
    P : array (n, q)
        Probabilities.
    level : float
        Level in (0, 1].

    Returns
    -------
    list of list of int
        Codes of classes, at least one a row.

    Examples
    --------
    >>> most_probable_set(np.array([[0.5, 0.1, 0.4], [0.05, 0.95, 0.0]]), 0.9)
    [[0, 2], [1]]
    """
    order = np.argsort(-P, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(P, order, axis=1), axis=1)
    counts = np.minimum((sums < level).sum(axis=1) + 1, P.shape[1])
    return [codes[:count] for codes, count in zip(order.tolist(), counts.tolist(), strict=True)]
