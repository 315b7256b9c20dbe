"""The rule of `--threshold`: a label is predicted where its probability reaches a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.tables.columns.errors import listed

BINARY = 2


@dataclass(frozen=True)
class Threshold:
    """Predict the class of code `label` where its probability is at least `least`, else the likeliest other class.

    >>> Threshold(1, 0.2).codes(np.array([[0.7, 0.3], [0.9, 0.1]])).tolist()
    [1, 0]
    """

    label: int
    least: float

    @classmethod
    def parsed(cls, text: str, classes: Sequence[str]) -> Threshold:
        """The rule in `LABEL=P`, or in `P` for the second of two classes; raises `CommandError` for anything else."""
        names = [str(label) for label in classes]
        label, sign, number = text.rpartition("=")
        if not sign and len(names) != BINARY:
            raise CommandError(
                f"--threshold {text}: of {len(names):,} classes, say whose probability it is for: --threshold LABEL=P. "
                f"The classes are {listed(names)}."
            )
        if sign and label not in names:
            raise CommandError(f"--threshold {text}: there is no class {label!r}; the classes are {listed(names)}.")
        try:
            least = float(number)
        except ValueError:
            least = float("nan")
        if not 0 <= least <= 1:
            raise CommandError(f"--threshold {text}: {number!r} is not a probability, a number from 0 to 1.")
        return cls(names.index(label) if sign else 1, least)

    def codes(self, P: NDArray[np.floating]) -> NDArray[np.intp]:
        """The class (n,) that is predicted for each row of the probabilities (n, q)."""
        others = np.array(P, dtype=np.float64)
        others[:, self.label] = -1
        return np.where(P[:, self.label] >= self.least, self.label, others.argmax(axis=1))
