"""Public names that changed: one table of deprecated names, and the functions that accept them with a warning.

`DEPRECATED` maps the owner of a name to its deprecated names and their `Replacement`. To rename a public name, add one
line under its owner; each deprecated name keeps working for one release and gives a `DeprecationWarning`.

=============================  ==================  ===================================================================
What was renamed               Owner in the table  What accepts the deprecated name
=============================  ==================  ===================================================================
name of a package              "softreg.models"    `__getattr__` of the package, made by `softreg.lazy.lazy_names`
attribute of a class           "LabelAudit"        the base class `DeprecatedAttributes`
parameter of a function        "labels()"          the decorator `accept_deprecated_arguments`
parameter of an estimator      "PredictionSets()"  the same decorator on `__init__`; `get_params` omits the old name
=============================  ==================  ===================================================================

For example, a class of `softreg.models` that was `Stored` and is `StoredModel`::

    "softreg.models": {"Stored": Replacement("StoredModel", since="0.2")},

A `Replacement` without a new name (`Replacement(None, since="0.2", reason="...")`) is a parameter without effect; it is
accepted and ignored. Anything else, such as an option of a command, calls `replacement_name`, which warns and returns
the new name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar


@dataclass(frozen=True)
class Replacement:
    """The replacement of a deprecated name.

    Parameters
    ----------
    name : str or None
        The new name; None for a parameter that no longer has an effect.
    since : str
        The release in which the old name became deprecated; the release after it removes the old name.
    reason : str
        Why a parameter no longer has an effect.
    """

    name: str | None
    since: str
    reason: str = ""


DEPRECATED: dict[str, dict[str, Replacement]] = {
    # names of packages
    "softreg.models": {"Stored": Replacement("StoredModel", since="0.2")},
    "softreg.tables": {"learn_schema": Replacement("infer_schema", since="0.2")},
    "softreg.report": {
        "Trust": Replacement("CalibrationAudit", since="0.2"),
        "WHY": Replacement("CONTRIBUTIONS", since="0.2"),
    },
    "softreg.rows": {
        "JournalRows": Replacement("CheckpointRows", since="0.2"),
        "Log": Replacement("CheckpointLog", since="0.2"),
    },
    # attributes of classes
    "Calibrator": {"repair_": Replacement("recalibration_", since="0.2")},
    "Encoder": {
        "bad": Replacement("invalid_rows", since="0.2"),
        "codes": Replacement("column_encoders", since="0.2"),
        "in_units": Replacement("with_standardized_numbers", since="0.2"),
        "learn": Replacement("fit", since="0.2"),
        "outside": Replacement("rows_outside_range", since="0.2"),
    },
    "LabelAudit": {"p_wrong": Replacement("suspicion", since="0.2")},
    "Audit": {"trust": Replacement("calibration", since="0.2")},
    "ShownRow": {"given": Replacement("observed", since="0.2")},
    "CalibrationAudit": {"repair": Replacement("recalibration", since="0.2")},
    "OpenTable": {"clashes": Replacement("type_conflicts", since="0.2")},
    "TableStatistics": {"places": Replacement("column_indices", since="0.2")},
    # parameters of estimators and functions
    "PredictionSets()": {"score": Replacement("conformity_score", since="0.2")},
    "operating_point()": {
        name: Replacement(None, since="0.2", reason="the interval is computed by `score_interval`, not drawn")
        for name in ("draws", "seed")
    },
    "infer_schema()": {"asked": Replacement("kinds", since="0.2"), "place": Replacement("describe_row", since="0.2")},
    "linearity_tests()": {"places": Replacement("columns", since="0.2")},
    "without_bad_rows()": {"asked": Replacement("kinds", since="0.2")},
    "reliability_curve()": {"happened": Replacement("outcome", since="0.2")},
    "labels()": {"whole": Replacement(None, since="0.2", reason="equal numbers have the same text, 1.0 as 1")},
}
"""Deprecated names by owner; the docstring of this module says how to add one."""

P = ParamSpec("P")
R = TypeVar("R")


class DeprecatedAttributes:
    """Base class of records whose deprecated attributes, listed in `DEPRECATED`, can still be read.

    Examples
    --------
    >>> class CalibrationAudit(DeprecatedAttributes):
    ...     recalibration = "temperature"
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     CalibrationAudit().repair
    'temperature'
    """

    def __getattr__(self, name: str) -> Any:
        owner = next((cls.__name__ for cls in type(self).__mro__ if name in DEPRECATED.get(cls.__name__, ())), None)
        if owner is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self, replacement_name(owner, name))


def accept_deprecated_arguments(owner: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that accepts the deprecated keyword arguments of a function or of an `__init__`.

    Parameters
    ----------
    owner : str
        Key of `DEPRECATED`: the name of the function or class followed by "()".

    Returns
    -------
    callable
        The decorator. Each deprecated argument gives a `DeprecationWarning` and is passed under its new name, or is
        ignored where it has none.

    Examples
    --------
    >>> @accept_deprecated_arguments("labels()")
    ... def labels(table):
    ...     return table
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     labels("t", whole=True)
    't'
    """

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            if kwargs.keys().isdisjoint(DEPRECATED[owner]):
                return function(*args, **kwargs)
            return function(*args, **replace_arguments(owner, kwargs))

        return wrapper

    return decorator


def replace_arguments(owner: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with deprecated names replaced, and those without effect left out.

    Parameters
    ----------
    owner : str
        Key of `DEPRECATED`, such as "PredictionSets()".
    arguments : mapping of str to object
        Keyword arguments of a call, or parameters that an estimator's `set_params` receives.

    Returns
    -------
    dict of str to object
        The arguments under their present names.

    Raises
    ------
    TypeError
        If an argument is given under both its names.

    Examples
    --------
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     replace_arguments("PredictionSets()", {"score": "cumulative"})
    {'conformity_score': 'cumulative'}
    """
    replaced = {name: value for name, value in arguments.items() if name not in DEPRECATED[owner]}
    for old in arguments.keys() & DEPRECATED[owner].keys():
        new = DEPRECATED[owner][old]
        call = owner.removesuffix("()")
        if new.name is None:
            _warn(f"{call}({old}=...) has no effect any more: {new.reason}. Leave it out.", stacklevel=4)
            continue
        if new.name in arguments:
            raise TypeError(f"{owner} got the argument {new.name!r} twice, once under its old name {old!r}")
        _warn(f"{call}({old}=...) is now {call}({new.name}=...); the next release removes the old name.", stacklevel=4)
        replaced[new.name] = arguments[old]
    return replaced


def replacement_name(owner: str, name: str) -> str:
    """Return the present name for a deprecated one, with a `DeprecationWarning`.

    Parameters
    ----------
    owner : str
        Key of `DEPRECATED`: a package, a class, or whatever the caller looks names up for.
    name : str
        The deprecated name, which is listed under `owner`.

    Returns
    -------
    str
        The present name.

    Examples
    --------
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     replacement_name("LabelAudit", "p_wrong")
    'suspicion'
    """
    new = DEPRECATED[owner][name].name
    assert new is not None, f"{owner}.{name} has no replacement"
    _warn(f"{owner}.{name} is now {owner}.{new}; the next release removes the old name.", stacklevel=4)
    return new


def _warn(message: str, stacklevel: int) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)
