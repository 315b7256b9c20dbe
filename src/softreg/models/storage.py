"""The model file: safetensors with strict JSON beside the arrays and a checksum over both.

Nothing in such a file is code, and nothing in it decides what code runs: the kind of a model is looked up in a closed
list (`softreg.persistence`). A file that is truncated, altered or made by something else is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as pack_tensors

from softreg.files import atomic_path
from softreg.version import __version__

FORMAT = 1
_KEY = "softreg"


class ModelFileError(ValueError):
    """A file that is not a whole, unaltered model of softreg, or a model that must not be stored."""


@dataclass(frozen=True)
class Stored:
    """What a model file holds."""

    kind: str
    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    version: str = ""
    """The softreg that wrote the file."""


def write_model(
    path: str | os.PathLike[str], kind: str, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and JSON metadata to one file, whole or not at all.

    Arrays are stored in C order whatever their memory layout. Raises `ModelFileError` for numbers that are not
    finite: such a model would answer with nan.

    Example:
        >>> write_model("tiny.softreg", "regression", {"coef": np.eye(2)}, {"note": "an example"})
        >>> read_model("tiny.softreg").metadata
        {'note': 'an example'}
    """
    plain = {name: _plain(name, array) for name, array in sorted(arrays.items())}
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"the description of this model is not strict JSON: {error}") from error
    head = {"format": FORMAT, "kind": kind, "softreg": __version__, "checksum": _checksum(kind, plain, text)}
    packed = pack_tensors(plain, metadata={_KEY: json.dumps(head), "metadata": text})
    with atomic_path(path) as draft:
        draft.write_bytes(packed)


def read_model(path: str | os.PathLike[str]) -> Stored:
    """Read a model file after checking that it is whole and unaltered; runs no code from it.

    Raises `FileNotFoundError` where there is no file, and `ModelFileError` for anything but a model of softreg as it
    was written.
    """
    name = repr(Path(path).name)
    data = Path(path).read_bytes()
    notes = _notes(data, name)
    head, text = _head(notes, name), notes.get("metadata", "")
    try:
        arrays = read_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{name} is damaged or cut short ({error}); copy it again or train anew") from error
    if head.get("checksum") != _checksum(str(head.get("kind")), arrays, text):
        raise ModelFileError(f"{name} is not as it was written: its checksum differs; copy it again or train anew")
    return Stored(str(head["kind"]), arrays, json.loads(text), str(head.get("softreg", "")))


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise ModelFileError(f"the array {name!r} has dtype {array.dtype}; only numbers are stored")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(
            f"the array {name!r} of this model is not finite, so the model is not stored: it would answer with nan. "
            "Fit it again; a stronger penalty keeps weights finite."
        )
    return np.ascontiguousarray(array)


def _checksum(kind: str, arrays: Mapping[str, NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(f"{FORMAT}\n{kind}\n{text}\n".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\n{array.dtype.str}\n{array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _notes(data: bytes, name: str) -> dict[str, str]:
    """The text notes in the header of a safetensors file: 8 bytes of length, then JSON."""
    strange = ModelFileError(f"{name} is not a model file of softreg (or its beginning is damaged)")
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8 or size > 100_000_000:
        raise strange
    try:
        header = json.loads(data[8 : 8 + size])
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise strange from None
    notes = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
        raise strange
    return notes


def _head(notes: Mapping[str, str], name: str) -> dict[str, Any]:
    if _KEY not in notes:
        raise ModelFileError(f"{name} is a safetensors file, but not a model of softreg")
    try:
        head = json.loads(notes[_KEY])
        version = int(head["format"])
    except (ValueError, KeyError, TypeError):
        raise ModelFileError(f"the header of {name} is damaged; copy it again or train anew") from None
    if version > FORMAT:
        raise ModelFileError(f"{name} was written by a newer softreg (format {version}); this one reads up to {FORMAT}")
    return dict(head)
