"""Placeholders for parameters that a model file cannot store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

MAX_CHARACTERS = 200
"""Length of the description of a parameter that is not stored."""


@dataclass(frozen=True)
class NotStored:
    """Placeholder for a parameter that a model file cannot store; `fit` raises an error until it is set again.

    Parameters
    ----------
    description : str
        Text of the parameter when the model was saved.
    """

    description: str

    def __repr__(self) -> str:
        return f"NotStored({self.description!r})"


def check_was_stored(name: str, value: Any) -> None:
    """Raise `ValueError` for a parameter that the model file did not store."""
    if isinstance(value, NotStored):
        raise ValueError(
            f"{name} was {value.description} when this model was saved, and a model file stores no code and no rows. "
            f"To fit again, set it: model.set_params({name}=...)."
        )


def description_of(value: Any) -> str:
    """Return the text of a parameter in one line, without addresses."""
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", " ".join(repr(value).split()))
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
