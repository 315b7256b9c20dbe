"""The option --threshold: predict a label where its probability is at least a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softreg.cli.console.command_errors import CommandError
from softreg.tables.columns.table_errors import quote_list
from softreg.typing import FloatArray, IntArray

BINARY = 2
"""Classes for which a threshold needs no label."""


@dataclass(frozen=True)
class ThresholdRule:
    """Predict one class where its probability is at least a threshold, otherwise the most likely other class.

    Attributes
    ----------
    label : int
        Code of the class.
    threshold : float
        The threshold.

    Examples
    --------
    >>> ThresholdRule(1, 0.2).codes(np.array([[0.7, 0.3], [0.9, 0.1]])).tolist()
    [1, 0]
    """

    label: int
    threshold: float

    @classmethod
    def parse(cls, text: str, classes: Sequence[str]) -> ThresholdRule:
        """Parse `LABEL=P`, or `P` for the second of two classes.

        Parameters
        ----------
        text : str
            Value of the option.
        classes : sequence of str
            Classes of the model.

        Returns
        -------
        ThresholdRule
            The rule.

        Raises
        ------
        CommandError
            If the text is invalid.
        """
        names = [str(label) for label in classes]
        label, sign, number = text.rpartition("=")
        if not sign and len(names) != BINARY:
            raise CommandError(
                f"--threshold {text}: with {len(names):,} classes, name the class: --threshold LABEL=P. "
                f"The classes are {quote_list(names)}."
            )
        if sign and label not in names:
            raise CommandError(f"--threshold {text}: there is no class {label!r}; the classes are {quote_list(names)}.")
        try:
            threshold = float(number)
        except ValueError:
            threshold = float("nan")
        if not 0 <= threshold <= 1:
            raise CommandError(f"--threshold {text}: {number!r} is not a probability, a number from 0 to 1.")
        return cls(names.index(label) if sign else 1, threshold)

    def codes(self, P: FloatArray) -> IntArray:
        """Return the predicted class (n,) of each row of the probabilities (n, q)."""
        others = np.array(P, dtype=np.float64)
        others[:, self.label] = -1
        return np.where(P[:, self.label] >= self.threshold, self.label, others.argmax(axis=1))
