"""The terms of an encoder: which features have a common strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder
from softreg.typing import IntArray

MAIN, CURVE, DETAIL, MISSING, INTERACTION = "main", "curve", "detail", "missing", "interaction"
"""Parts of a column that are terms, and interactions; "detail" is a curve's part beyond its smoothest features."""
SMOOTH = 2
"""Smoothest features of a curve, whose strength may be another one than that of the detail."""


@dataclass(frozen=True, eq=False)
class TermLayout:
    """The terms of an encoder.

    Attributes
    ----------
    names : tuple of str (m,)
        Terms, such as `age`, `age=curve`, `age=detail`, `age=missing`, `job` and `age:job`.
    columns : tuple of str (m,)
        Column of the table of each term; of an interaction both, as `age:job`.
    parts : tuple of {"main", "curve", "detail", "missing", "interaction"} (m,)
        Part of the column that each term is.
    of_feature : array of int (d,)
        Term of each feature.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    parts: tuple[str, ...]
    of_feature: IntArray

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """The column and the part of each term, which are distinct, while a column may have the name of a term."""
        return tuple(zip(self.columns, self.parts, strict=True))


def term_layout(encoder: Encoder, *, detailed: bool = False) -> TermLayout:
    """Return the terms of an encoder.

    A number has one term for its linear feature (and its normal score), one or two for its curve and one for its
    indicator of missing values; any other column is one term, and so is an interaction.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    detailed : bool
        Whether the `SMOOTH` smoothest features of a curve are a term, and the others another one; a monotone curve is
        one term.

    Returns
    -------
    TermLayout
        Names of the terms, and the term of each feature.

    Examples
    --------
    >>> from softreg.tables.encode.category_encoder import CategoryEncoder
    >>> codes = (NumberEncoder("age", 0.0, 1.0, True), CategoryEncoder("job", ("a", "b"), False, 0))
    >>> layout = term_layout(Encoder(codes, False))
    >>> layout.names, layout.of_feature.tolist()
    (('age', 'age=missing', 'job'), [0, 1, 2, 2])
    """
    names: list[str] = []
    columns: list[str] = []
    kinds: list[str] = []
    sizes: list[int] = []
    for code in encoder.parts:
        curves = code.n_curves if isinstance(code, CurveEncoder) else 0
        missing = int(isinstance(code, NumberEncoder) and code.missing)
        whole = INTERACTION if isinstance(code, PairEncoder) else MAIN
        smooth = min(SMOOTH, curves) if detailed and isinstance(code, CurveEncoder) and not code.sign else curves
        parts = (
            (whole, code.width - curves - missing),
            (CURVE, smooth),
            (DETAIL, curves - smooth),
            (MISSING, missing),
        )
        for part, size in parts:
            if size:
                names.append(code.name if part == whole else f"{code.name}={part}")
                columns.append(code.name)
                kinds.append(part)
                sizes.append(size)
    return TermLayout(tuple(names), tuple(columns), tuple(kinds), np.repeat(np.arange(len(sizes)), sizes))
