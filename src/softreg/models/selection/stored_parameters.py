"""What of `cv` and `scoring` a model file keeps: numbers, names and scikit-learn's splitters, and no code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SPLITTERS = (
    "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut", "LeavePOut",
    "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold", "StratifiedKFold",
    "StratifiedShuffleSplit", "TimeSeriesSplit",
)  # fmt: skip
"""Splitters of scikit-learn that are kept by name and numbers; those that hold rows are not: rows are not kept."""
LONGEST = 200
"""Characters of what is not kept that are told of it."""


@dataclass(frozen=True)
class NotStored:
    """In the place of a parameter that a model file could not keep: how it was written when the model was saved.

    The model predicts as ever; `fit` says that the parameter has to be set anew.
    """

    told: str

    def __repr__(self) -> str:
        return f"NotStored({self.told!r})"


def parameter_to_json(value: Any) -> Any:
    """A `cv` or `scoring` as strict JSON: a number or text as it is, a splitter's name and numbers, or what it was.

    Example:
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
        return {"not_stored": value.told}
    kind = type(value)
    if kind.__name__ in SPLITTERS and kind.__module__.startswith("sklearn.model_selection."):
        found = {name: _given(value, name) for name in inspect.signature(kind).parameters}
        if all(v is None or isinstance(v, (bool, int, float)) for v in found.values()):
            return {"splitter": kind.__name__, "parameters": dict(sorted(found.items()))}
    return {"not_stored": _spelled(value)}


def parameter_from_json(told: Any) -> Any:
    """What `parameter_to_json` described; only splitters of the list above are ever made.

    Raises `ValueError` for anything else.
    """
    if told is None or isinstance(told, (int, float, str)):
        return told
    if isinstance(told, Mapping) and set(told) == {"not_stored"}:
        return NotStored(str(told["not_stored"]))
    if not isinstance(told, Mapping) or set(told) != {"splitter", "parameters"} or told["splitter"] not in SPLITTERS:
        raise ValueError(f"{told!r:.200} describes no splitter of a known kind")
    import sklearn.model_selection  # not at the top: who loads a model to predict rarely needs it

    try:
        return getattr(sklearn.model_selection, told["splitter"])(**told["parameters"])
    except TypeError as error:
        raise ValueError(f"the splitter {told['splitter']} cannot be made: {error}") from error


def check_was_stored(name: str, value: Any) -> None:
    """Raise `ValueError` for a parameter that the model file did not keep."""
    if isinstance(value, NotStored):
        raise ValueError(
            f"{name} was {value.told} when this model was saved, and a model file keeps no code and no rows. To fit "
            f"again, set it anew: model.set_params({name}=...)."
        )


def _given(splitter: Any, name: str) -> Any:
    """The argument that a splitter was made with; repeated ones keep those of the splitter that they repeat apart."""
    inner = getattr(splitter, "cvargs", {})
    value = inner[name] if name in inner else getattr(splitter, name, splitter)
    return value.item() if isinstance(value, np.generic) else value


def _spelled(value: Any) -> str:
    """What a parameter looks like, in one line."""
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    words = re.sub(r" at 0x[0-9A-Fa-f]+", "", " ".join(repr(value).split()))  # addresses mean nothing in a file
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
