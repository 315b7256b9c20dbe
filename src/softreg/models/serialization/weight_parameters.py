"""The parameters `penalty_factors` and `bounds` as strict JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

WEIGHT_PARAMETERS = ("penalty_factors", "bounds", "bounds_reference")
"""Parameters that are dicts by column and class, arrays, or labels."""
INFINITIES = {"inf": math.inf, "-inf": -math.inf}
"""Infinite numbers by their text in JSON."""


def weight_parameter_to_json(value: Any) -> Any:
    """Return a parameter of single weights as strict JSON.

    Parameters
    ----------
    value : object
        A dict by column and class, an array, a pair, a number, a label or None.

    Returns
    -------
    object
        Strict JSON; infinite numbers are text in an object of their own.

    Examples
    --------
    >>> weight_parameter_to_json({"age": (0, None), "zip": {"yes": "+"}})
    {'items': [['age', {'list': [0, None]}], ['zip', {'items': [['yes', '+']]}]]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {"items": [[weight_parameter_to_json(part) for part in item] for item in value.items()]}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return {"list": [weight_parameter_to_json(part) for part in value]}
    if isinstance(value, float) and math.isinf(value):
        return {"number": "inf" if value > 0 else "-inf"}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def weight_parameter_from_json(stored: Any) -> Any:
    """Return the parameter that `weight_parameter_to_json` described; arrays and pairs are tuples.

    Parameters
    ----------
    stored : object
        Strict JSON.

    Returns
    -------
    object
        The parameter.

    Raises
    ------
    ValueError
        If the JSON does not describe a parameter.

    Examples
    --------
    >>> weight_parameter_from_json({"items": [["age", {"list": [0, {"number": "inf"}]}]]})
    {'age': (0, inf)}
    """
    if stored is None or isinstance(stored, (bool, int, float, str)):
        return stored
    if isinstance(stored, Mapping) and len(stored) == 1:
        ((kind, parts),) = stored.items()
        if kind == "number" and parts in INFINITIES:
            return INFINITIES[parts]
        if kind == "list" and isinstance(parts, list):
            return tuple(weight_parameter_from_json(part) for part in parts)
        if kind == "items" and isinstance(parts, list) and all(isinstance(p, list) and len(p) == 2 for p in parts):
            return {weight_parameter_from_json(key): weight_parameter_from_json(part) for key, part in parts}
    raise ValueError(f"{stored!r:.200} describes no penalty factors and no bounds")
