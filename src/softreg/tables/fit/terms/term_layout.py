"""The terms of an encoder: which features have a common strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.typing import IntArray


@dataclass(frozen=True, eq=False)
class TermLayout:
    """The terms of an encoder.

    Attributes
    ----------
    names : tuple of str (m,)
        Terms, such as `age`, `age=curve`, `age=missing`, `job` and `age:job`.
    columns : tuple of str (m,)
        Column of the table of each term; of an interaction both, as `age:job`.
    of_feature : array of int (d,)
        Term of each feature.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    of_feature: IntArray


def term_layout(encoder: Encoder) -> TermLayout:
    """Return the terms of an encoder.

    A number has one term for its linear feature (and its normal score), one for its curve and one for its indicator of
    missing values; any other column is one term, and so is an interaction.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.

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
    sizes: list[int] = []
    for code in encoder.parts:
        curves = code.n_curves if isinstance(code, CurveEncoder) else 0
        missing = int(isinstance(code, NumberEncoder) and code.missing)
        parts = [(code.name, code.width - curves - missing), (f"{code.name}=curve", curves)]
        for name, size in [*parts, (f"{code.name}=missing", missing)]:
            if size:
                names.append(name)
                columns.append(code.name)
                sizes.append(size)
    return TermLayout(tuple(names), tuple(columns), np.repeat(np.arange(len(sizes)), sizes))
