"""Types of arrays for signatures; a leaf that every package may import.

Each alias states what the numbers of an array are. Shapes stand in docstrings: `X` (n, d), logits (n, q), stacks
(m, q, d + 1).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array of any dtype: rows as the caller stores them."""

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Single or double precision: logits, residuals and gradients in the precision of the rows."""

Float64Array: TypeAlias = NDArray[np.float64]
"""Double precision: sums, objectives, certificates, probabilities that a user receives."""

IntArray: TypeAlias = NDArray[np.intp]
"""Positions: indices of rows, columns or members."""

Codes: TypeAlias = NDArray[np.int64]
"""Class or level of each row as an integer; -1 where a value is missing."""

BoolArray: TypeAlias = NDArray[np.bool_]
"""A mask of rows, columns or members."""

TextArray: TypeAlias = NDArray[np.str_]
"""Labels or levels as text."""

Int64Array: TypeAlias = NDArray[np.int64]
"""Counts, or integers of another meaning that the name of the variable gives."""

RowNumbers: TypeAlias = NDArray[np.int64]
"""Numbers of rows of a table, from 0."""

Matrix: TypeAlias = Any
"""Rows (n, d) as a NumPy array or a SciPy CSR matrix, which has no types of its own."""
