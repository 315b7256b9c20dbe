"""Contributions of the columns of a table to the log-odds of a row, relative to a reference row.

The model file keeps no training rows, so that the reference is what the encoders know of training. It is, by column:

- numbers: the training mean, whose standardized value is 0; the normal score 0, that of the training median, where the
  form is normal scores;
- booleans: the share of true in training;
- categories: the mean over the features of the column (the levels, the rare ones and missing), each counted once: the
  file keeps the levels, but not their shares;
- dates: the mean time of training, and the mean 0 of sine and cosine over a whole cycle;
- text and tags: none that the model knows;
- vectors: the training mean;
- missing values of numbers, booleans, dates and vectors: a value that is there;
- curves: their mean over the training rows, which is 0;
- interactions: the products of what both columns have here, 0 where one of them is a number;
- offsets: 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.terms.reference_row import reference_features
from softreg.typing import Float64Array


def reference_row(encoder: Encoder) -> Float64Array:
    """Return the encoded row (d,) that contributions are relative to.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.

    Returns
    -------
    array of float64 (d,)
        Encoded reference row.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg.tables.schema.schema import infer_schema
    >>> table = pa.table({"age": [20.0, 40.0], "job": ["cook", "maid"], "buys": ["y", "n"]})
    >>> reference_row(Encoder.fit(infer_schema(table, "buys"), table)).tolist()
    [0.0, 0.5, 0.5]
    """
    return reference_features(encoder.column_encoders, encoder.pairs)


@dataclass(frozen=True)
class RowContributions:
    """The log-odds of the predicted class of a row against the second most probable one, as a sum.

    Attributes
    ----------
    predicted, runner_up : int
        Codes of both classes.
    reference : float
        Log-odds of the reference row.
    columns : dict of str to float
        Contribution of each column, and of each interaction under a name such as `age:job`, largest first; with
        `reference` they sum to `log_odds`.
    log_odds : float
        Log-odds of the row.
    """

    predicted: int
    runner_up: int
    reference: float
    columns: dict[str, float]
    log_odds: float


class Contributions:
    """Contributions for the rows of a model.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    coef, intercept : array (q, d), (q,)
        Weights of the model.
    """

    def __init__(self, encoder: Encoder, coef: Float64Array, intercept: Float64Array) -> None:
        self.coef, self.intercept = coef, intercept
        self.names = [name for name, part in zip(encoder.part_names, encoder.parts, strict=True) if part.width]
        widths = [part.width for part in encoder.parts if part.width]
        self.starts = np.cumsum([0, *widths])[:-1]
        self.reference = reference_row(encoder)

    def of_rows(
        self, X: Any, logits: Float64Array, offsets: Mapping[str, Sequence[Float64Array]]
    ) -> list[RowContributions]:
        """Return the contributions of each row.

        Parameters
        ----------
        X : ndarray or csr_array (n, d)
            Encoded rows.
        logits : array (n, q)
            Logits of the rows, with offsets.
        offsets : mapping of str to sequence of array (q,)
            What each column of offsets adds to the logits of each row.

        Returns
        -------
        list of RowContributions
            One a row.
        """
        return [self._of(X, logits, offsets, row) for row in range(len(logits))]

    def _of(
        self, X: Any, logits: Float64Array, offsets: Mapping[str, Sequence[Float64Array]], row: int
    ) -> RowContributions:
        """Return the contributions of one row."""
        order = np.argsort(-logits[row], kind="stable")
        a, b = int(order[0]), int(order[1])
        x = X[[row]].toarray()[0] if sp.issparse(X) else X[row]
        w = self.coef[a] - self.coef[b]
        parts = np.add.reduceat((x - self.reference) * w, self.starts) if len(self.starts) else np.zeros(0)
        columns = dict(zip(self.names, parts.tolist(), strict=True))
        for name, added in offsets.items():
            columns[name] = float(added[row][a] - added[row][b])
        reference = float(self.reference @ w + self.intercept[a] - self.intercept[b])
        ordered = dict(sorted(columns.items(), key=lambda item: -abs(item[1])))
        return RowContributions(a, b, reference, ordered, reference + sum(columns.values()))
