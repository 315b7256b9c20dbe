"""The parameters `cv` and `scoring` in a model file: numbers, names and splitters of scikit-learn, but no code."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from softreg.models.serialization.not_stored import NotStored, description_of

SPLITTERS = (
    "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut", "LeavePOut",
    "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold", "StratifiedKFold",
    "StratifiedShuffleSplit", "TimeSeriesSplit",
)  # fmt: skip
"""Splitters of scikit-learn that are stored by name and parameters; splitters that hold row numbers are not stored."""


def parameter_to_json(value: Any) -> Any:
    """Return a `cv` or `scoring` as strict JSON.

    Parameters
    ----------
    value : object
        The parameter.

    Returns
    -------
    object
        A number or text as it is, the name and parameters of a splitter, or a description of anything else.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> print(parameter_to_json(KFold(3)))
    {'splitter': 'KFold', 'parameters': {'n_splits': 3, 'random_state': None, 'shuffle': False}}
    >>> print(parameter_to_json(max))
    {'not_stored': '<built-in function max>'}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, NotStored):
        return {"not_stored": value.description}
    kind = type(value)
    if kind.__name__ in SPLITTERS and kind.__module__.startswith("sklearn.model_selection."):
        parameters = {name: _constructor_argument(value, name) for name in inspect.signature(kind).parameters}
        if all(v is None or isinstance(v, (bool, int, float)) for v in parameters.values()):
            return {"splitter": kind.__name__, "parameters": dict(sorted(parameters.items()))}
    return {"not_stored": description_of(value)}


def parameter_from_json(stored: Any) -> Any:
    """Return the parameter that `parameter_to_json` described; only splitters in `SPLITTERS` are created.

    Parameters
    ----------
    stored : object
        Strict JSON.

    Returns
    -------
    object
        The parameter, or a `NotStored`.

    Raises
    ------
    ValueError
        If the JSON does not describe a parameter.
    """
    if stored is None or isinstance(stored, (int, float, str)):
        return stored
    if isinstance(stored, Mapping) and set(stored) == {"not_stored"}:
        return NotStored(str(stored["not_stored"]))
    is_splitter = isinstance(stored, Mapping) and set(stored) == {"splitter", "parameters"}
    if not is_splitter or stored["splitter"] not in SPLITTERS:
        raise ValueError(f"{stored!r:.200} describes no splitter of a known kind")
    import sklearn.model_selection  # not at the top: prediction does not need it

    try:
        return getattr(sklearn.model_selection, stored["splitter"])(**stored["parameters"])
    except TypeError as error:
        raise ValueError(f"the splitter {stored['splitter']} cannot be created: {error}") from error


def _constructor_argument(splitter: Any, name: str) -> Any:
    """Return an argument of the constructor; repeated splitters keep those of the inner splitter in `cvargs`."""
    inner = getattr(splitter, "cvargs", {})
    value = inner[name] if name in inner else getattr(splitter, name, splitter)
    return value.item() if isinstance(value, np.generic) else value
