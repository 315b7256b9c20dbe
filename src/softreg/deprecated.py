"""Public names of the release before that have another name now; they keep working for one release, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

RENAMED = {
    "LabelAudit": {"p_wrong": "suspicion"},
    "Trust": {"repair": "recalibration"},
}
"""Attributes of records: the old name and the new one, by class."""

IGNORED = {
    "operating_point": {
        "draws": "the interval is that of `score_interval`, which is computed, not drawn",
        "seed": "the interval is that of `score_interval`, which is computed, not drawn",
    },
    "labels": {"whole": "equal numbers have the same text, 1.0 as 1"},
}
"""Arguments that have no effect any more, and why, by function."""

P = ParamSpec("P")
R = TypeVar("R")


class OldNames:
    """Base of records that answers to the names in `RENAMED`, each with a `DeprecationWarning`.

    Only reading an attribute is supported; records are made with the new names.

    Example:
        >>> class Trust(OldNames):
        ...     recalibration = "temperature"
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     Trust().repair
        'temperature'
    """

    def __getattr__(self, name: str) -> Any:
        owner = type(self).__name__
        new = RENAMED.get(owner, {}).get(name)
        if new is None:
            raise AttributeError(f"{owner!r} object has no attribute {name!r}")
        _warn(f"{owner}.{name} is now {owner}.{new}; the old name goes with the next release.")
        return getattr(self, new)


def takes_old_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function take the arguments in `IGNORED` as keywords; each gives a `DeprecationWarning` and no more.

    Example:
        >>> @takes_old_arguments
        ... def labels(table):
        ...     return table
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     labels("t", whole=True)
        't'
    """
    ignored = IGNORED[function.__name__]

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in ignored.keys() & kwargs.keys():
            del kwargs[name]
            _warn(f"{function.__name__}({name}=...) has no effect any more: {ignored[name]}. Leave it out.")
        return function(*args, **kwargs)

    return called


def renamed_argument(owner: str, given: dict[str, Any], old: str, new: str, value: Any) -> Any:
    """Return the value of the argument `new`, or the one `given` under its `old` name, with a `DeprecationWarning`.

    Raises `TypeError` for any other keyword.

    Example:
        >>> renamed_argument("PredictionSets", {}, "score", "conformity_score", "probability")
        'probability'
    """
    unknown = given.keys() - {old}
    if unknown:
        raise TypeError(f"{owner}() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    if old not in given:
        return value
    warnings.warn(
        f"{owner}({old}=...) is now {owner}({new}=...); the old name goes with the next release.",
        DeprecationWarning,
        stacklevel=3,
    )
    return given[old]


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)
