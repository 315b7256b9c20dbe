"""Public names of a package that are imported when they are first used, so that importing the package stays light."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from softreg.deprecated import DEPRECATED, replacement_name


def lazy_names(package: str, defined_in: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose public names are imported when they are first used.

    Deprecated names of the package (`softreg.deprecated`) are found under their new name, with a warning.

    Parameters
    ----------
    package : str
        Name of the package, its `__name__`.
    defined_in : mapping of str to str
        Module, relative to the package, that defines each public name. A package that imports its names eagerly and
        has deprecated ones passes an empty mapping.

    Returns
    -------
    getattr_, dir_ : callable
        The module functions of PEP 562.

    Examples
    --------
    In the `__init__` of a package::

        _DEFINED_IN = {"softmax": "probability"}
        __getattr__, __dir__ = lazy_names(__name__, _DEFINED_IN)
    """

    def getattr_(name: str) -> Any:
        if name in defined_in:
            return getattr(import_module(f"{package}.{defined_in[name]}"), name)
        if name in DEPRECATED.get(package, ()):
            return getattr(sys.modules[package], replacement_name(package, name))
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        return sorted({*vars(sys.modules[package]), *defined_in})

    return getattr_, dir_
