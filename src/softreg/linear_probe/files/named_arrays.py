"""The arrays that a file holds, by name, and the choice of one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_LISTED = 10
"""Arrays that a message lists."""


@dataclass(frozen=True)
class NamedArray:
    """An array of a file that is read when it is needed.

    Attributes
    ----------
    name : str
        Its key or column; empty where the file holds a single array without a name.
    shape : tuple of int
        Its shape, where the file states it; the second number of a list column may be 0 (unknown).
    load : callable
        Returns the array.
    """

    name: str
    shape: tuple[int, ...]
    load: Callable[[], Any]


def choose_array(arrays: Sequence[NamedArray], key: str | None, axes: int, file: str) -> NamedArray:
    """Return the array with this key, or the only one with a number of axes.

    Parameters
    ----------
    arrays : sequence of NamedArray
    key : str or None
    axes : int
        2 for embeddings, 1 for labels; used without a key.
    file : str
        Name of the file, for messages.

    Returns
    -------
    NamedArray

    Raises
    ------
    ValueError
        If there is no such array, or several.

    Examples
    --------
    >>> X, y = NamedArray("X", (5, 2), list), NamedArray("y", (5,), list)
    >>> choose_array([X, y], None, 1, "data.npz").name
    'y'
    """
    listed = ", ".join(f"{a.name!r} {a.shape}" for a in arrays[:MAX_LISTED]) or "none"
    if key is not None:
        if len(arrays) == 1 and not arrays[0].name:
            raise ValueError(
                f"{file!r} holds one array {arrays[0].shape} without a name, so there is no {key!r} in it."
            )
        found = [a for a in arrays if a.name == key]
        if not found:
            raise ValueError(f"{file!r} has no array {key!r}; it holds {listed}.")
        return found[0]
    if len(arrays) == 1:
        return arrays[0]
    fitting = [a for a in arrays if len(a.shape) == axes]
    if len(fitting) == 1:
        return fitting[0]
    what = "embeddings (n, d)" if axes == 2 else "labels (n,)"
    count = "several arrays" if fitting else "no array"
    raise ValueError(f"{file!r} holds {count} with the shape of {what}; name one, as in '{file}::NAME': {listed}.")
