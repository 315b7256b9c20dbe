"""The state of a monitor as a JSON file, written atomically, with a checksum."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

from softreg.atomic_files import atomic_path

FORMAT = "softreg monitor"
"""Name of the format in the file."""
VERSION = 1
"""Version of the format."""


class StateError(ValueError):
    """A state file that is damaged, or belongs to another model.

    Examples
    --------
    >>> raise StateError("no state")
    Traceback (most recent call last):
    ...
    softreg.monitor.state_file.StateError: no state
    """


def write_state(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write a state; the previous file stays where it cannot be written.

    Parameters
    ----------
    path : path
        The file.
    content : dict
        Values of JSON; numbers that are not finite are written as null.
    """
    text = _canonical(content)
    head = f'"format": "{FORMAT}", "version": {VERSION}, "sha256": "{_digest(text)}"'
    with atomic_path(path) as draft:
        draft.write_text(f'{{{head}, "content": {text}}}\n', encoding="utf-8", newline="\n")


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a state.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        The content.

    Raises
    ------
    StateError
        If the file is damaged, or of another kind or version.
    """
    shown = repr(os.fspath(path))
    fresh = "Restore a copy, or name a new state file, with which the monitoring starts anew."
    try:
        envelope = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise StateError(f"The state file {shown} is damaged: it is not JSON ({error}). {fresh}") from None
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise StateError(f"{shown} is JSON, but no state of a monitor; name another state file.")
    if envelope.get("version") != VERSION:
        raise StateError(
            f"The state file {shown} has version {envelope.get('version')!r}, and this softreg reads version "
            f"{VERSION}. Update softreg, or name a new state file."
        )
    content = envelope.get("content")
    if not isinstance(content, dict) or envelope.get("sha256") != _digest(_canonical(content)):
        raise StateError(f"The state file {shown} is damaged: its content does not fit its checksum. {fresh}")
    return content


def _canonical(content: Any) -> str:
    """Return JSON in a fixed form."""
    return json.dumps(_finite(content), allow_nan=False, sort_keys=True, ensure_ascii=True)


def _digest(text: str) -> str:
    """Return the SHA-256 hash of a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _finite(value: Any) -> Any:
    """Return the value with None for floats that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
