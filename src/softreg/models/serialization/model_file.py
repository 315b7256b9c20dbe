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

FORMAT_VERSION = 2
"""2: table models with texts, dates, lists and transformed numbers. Files of format 1 are read as well."""
_KEY = "softreg"
_MAX_HEADER_BYTES = 100_000_000
"""Bytes of a header that is read: what safetensors allows."""


class ModelFileError(ValueError):
    """A file that is not a whole, unaltered model of softreg, or a model that must not be stored."""


@dataclass(frozen=True)
class StoredModel:
    """What a model file holds."""

    kind: str
    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    version: str = ""
    """The softreg that wrote the file."""


def write_model(
    path: str | os.PathLike[str], kind: str, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and JSON metadata to one file, whole or not at all; the same model makes the same bytes.

    Arrays are stored in C order whatever their memory layout. Raises `ModelFileError` for numbers that are not
    finite: such a model would answer with nan.

    Example:
        >>> write_model("tiny.softreg", "regression", {"coef": np.eye(2)}, {"note": "an example"})
        >>> read_model("tiny.softreg").metadata
        {'note': 'an example'}
    """
    plain = {name: _plain(name, array) for name, array in sorted(arrays.items())}
    try:
        told = json.loads(json.dumps(dict(metadata), allow_nan=False))  # as it will be read, where every key is text
        note = {"format": FORMAT_VERSION, "kind": kind, "metadata": told, "softreg": __version__}
        note["checksum"] = _checksum(plain, _canonical(note))
        packed = pack_tensors(plain, metadata={_KEY: _canonical(note)})  # one note: several come in any order
    except UnicodeEncodeError as error:
        raise ModelFileError(
            f"the model holds text that no file can hold ({error}): half of a character, from a file that was read "
            "with the wrong encoding. Correct the labels and names."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the description of this model is not strict JSON: {error}") from error
    if len(packed) > _MAX_HEADER_BYTES and int.from_bytes(packed[:8], "little") > _MAX_HEADER_BYTES:
        raise ModelFileError("the description of this model (labels, names and texts) is longer than 100 MB")
    with atomic_path(path) as draft:
        draft.write_bytes(packed)


def read_model(path: str | os.PathLike[str]) -> StoredModel:
    """Read a model file after checking that it is whole and unaltered; runs no code from it.

    Raises `FileNotFoundError` where there is no file, and `ModelFileError` for anything but a model of softreg as it
    was written.

    Example:
        >>> write_model("tiny.softreg", "regression", {"coef": np.eye(2)}, {})
        >>> stored = read_model("tiny.softreg")
        >>> stored.kind, stored.arrays["coef"].shape
        ('regression', (2, 2))
    """
    name = repr(Path(path).name)
    data = Path(path).read_bytes()
    text = _note(data, name)
    note = _parsed(text, name)
    try:
        arrays = read_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{name} is damaged or cut short ({error}); copy it again or train anew") from error
    told = note.pop("checksum", None)
    try:
        same = told == _checksum(arrays, _canonical(note)) and text == _canonical({**note, "checksum": told})
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ModelFileError(f"{name} is not as it was written: its checksum differs; copy it again or train anew")
    return StoredModel(note["kind"], arrays, note["metadata"], note["softreg"])


def _canonical(note: Mapping[str, Any]) -> str:
    return json.dumps(note, allow_nan=False, ensure_ascii=False, sort_keys=True)


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ModelFileError(f"the array {name!r} has dtype {array.dtype}; only numbers are stored")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(
            f"the array {name!r} of this model is not finite, so the model is not stored: it would answer with nan. "
            "Fit it again; a stronger penalty keeps weights finite."
        )
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")  # the file knows no byte order


def _checksum(arrays: Mapping[str, NDArray[Any]], note: str) -> str:
    """SHA-256 of the note without its checksum, and of every array with its name, dtype and shape."""
    digest = hashlib.sha256(f"{note}\n".encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}\n{array.dtype.newbyteorder('<').str}\n{array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _note(data: bytes, name: str) -> str:
    """Our note in the header of a safetensors file: 8 bytes of length, then JSON."""
    strange = ModelFileError(f"{name} is not a model file of softreg (or its beginning is damaged)")
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8 or size > _MAX_HEADER_BYTES:
        raise strange
    try:
        header = json.loads(data[8 : 8 + size])
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise strange from None
    notes = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
        raise strange
    if set(notes) != {_KEY}:
        raise ModelFileError(f"{name} is a safetensors file, but not a model of softreg")
    return str(notes[_KEY])


def _parsed(text: str, name: str) -> dict[str, Any]:
    damaged = ModelFileError(f"the header of {name} is damaged; copy it again or train anew")
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged from None
    version = note.get("format") if isinstance(note, dict) else None
    if type(version) is not int or version < 1:  # True and 1.0 were never written
        raise damaged
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{name} was written by a newer softreg (format {version}); this one reads up to {FORMAT_VERSION}"
        )
    if not all(isinstance(note.get(k), t) for k, t in (("kind", str), ("softreg", str), ("metadata", dict))):
        raise damaged
    return dict(note)
