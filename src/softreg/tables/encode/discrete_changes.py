"""Which change of a column each encoded feature stands for, where effects on the probability are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.inference.marginal_effects import REFERENCE, Change
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.typing import Float64Array


def discrete_changes(encoder: Encoder, X: Any) -> dict[int, Change]:
    """The discrete changes among the features of the encoded rows X (n, d), by place of the feature.

    A level of a category is compared with the most frequent level, whose own effect is 0; a boolean and a number that
    is 0 or 1 in all rows change from 0 to 1. A number with a feature of each form changes from about its median to
    about its 84th percentile in both of them, so that neither is held where the other changes. Others have none.

    Example:
        >>> import pyarrow as pa
        >>> from softreg.tables.schema.schema import infer_schema
        >>> table = pa.table({"job": ["cook", "smith", "cook"], "buys": ["y", "n", "y"]})
        >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
        >>> {j: change.words for j, change in discrete_changes(encoder, encoder.encode(table)).items()}
        {0: 'the reference', 1: 'rather than cook'}
    """
    found: dict[int, Change] = {}
    start, count = 0, np.asarray(X.sum(axis=0)).ravel()
    for code in encoder.column_encoders:
        places = range(start, start + code.width)
        start += code.width
        if isinstance(code, CategoryEncoder) and code.width > 1:
            base = places[int(np.argmax(count[places.start : places.stop]))]
            found |= level_changes(places, base, level_names(code)[base - places.start])
        elif isinstance(code, BooleanEncoder):
            more = {places[1]: 0.0} if code.missing else {}
            words = f"rather than {code.words[0]}"
            found[places[0]] = Change({places[0]: 0.0, **more}, {places[0]: 1.0, **more}, words)
        elif isinstance(code, NumberEncoder) and not code.knots:
            low, high = (0.0 - code.mean) / code.scale, (1.0 - code.mean) / code.scale
            if is_two_valued(X, places[0], (low, high)):
                found[places[0]] = Change({places[0]: low}, {places[0]: high})
        elif isinstance(code, NumberEncoder) and code.both:
            found |= _change_of_both(code, places)
    return found


def _change_of_both(code: NumberEncoder, places: Sequence[int]) -> dict[int, Change]:
    """The change of a number with two features, from the last knot of score at most 0 to the first of at least 1."""
    scores = np.asarray(code.scores)
    a = max(int(np.searchsorted(scores, 0.0, side="right")) - 1, 0)
    b = min(int(np.searchsorted(scores, 1.0)), len(scores) - 1)
    before, after = ({places[0]: (code.knots[k] - code.mean) / code.scale, places[1]: code.scores[k]} for k in (a, b))
    words = f"{code.knots[b]:.4g} rather than {code.knots[a]:.4g}"
    return {places[0]: Change(before, after, words), places[1]: Change(before, before, f"included in {code.name}")}


def level_changes(places: Sequence[int], base: int | None, name: str) -> dict[int, Change]:
    """The changes of the levels at these places, each rather than the level `name` at `base`, or the one left out."""
    before = {k: float(k == base) for k in places}
    return {
        j: Change(before, {k: float(k == j) for k in places}, REFERENCE if j == base else f"rather than {name}")
        for j in places
    }


def level_names(code: CategoryEncoder) -> list[str]:
    """The levels of a category as its features show them: those of rare and of missing values come last."""
    return [feature[len(code.name) + 1 :] for feature in code.features]


def is_two_valued(X: Any, place: int, values: tuple[float, float]) -> bool:
    """Whether a column of X holds these two values, and no other."""
    column: Float64Array = X[:, [place]].toarray().ravel() if sp.issparse(X) else X[:, place]
    is_low, is_high = column == values[0], column == values[1]
    return bool((is_low | is_high).all() and is_low.any() and is_high.any())
