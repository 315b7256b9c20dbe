"""The model file: safetensors with strict JSON in its header, and a checksum over both.

The file contains no code, and the kind of a model is looked up in a closed list (`softreg.persistence`). Files that are
truncated, altered or written by another program are rejected.
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
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save_file as write_tensors

from softreg.atomic_files import atomic_path
from softreg.typing import Array
from softreg.version import __version__

FORMAT_VERSION = 2
"""Format of new files: 2 has table models with texts, dates, lists and transformed numbers. Format 1 is also read."""
_KEY = "softreg"
"""Key of softreg's JSON in the header."""
_MAX_HEADER_BYTES = 100_000_000
"""Longest header, in bytes, as in safetensors."""
_LENGTH_BYTES = 8
"""Bytes of the length of the header, at the beginning of the file."""
_MAX_ITEM_BYTES = 8
"""Size of the largest number that is stored, in bytes."""


class ModelFileError(ValueError):
    """A file that is not a complete, unaltered model of softreg, or a model that cannot be stored.

    Examples
    --------
    >>> _ = Path("damaged.softreg").write_bytes(b"no model")
    >>> try:
    ...     read_model("damaged.softreg")
    ... except ModelFileError as error:
    ...     print(error)
    'damaged.softreg' is not a model file of softreg (or its beginning is damaged); `softreg train --model` writes one
    """


@dataclass(frozen=True)
class StoredModel:
    """Contents of a model file.

    Parameters
    ----------
    kind : str
        "regression", "selection" or "table".
    arrays : dict of str to ndarray
        Arrays of the model.
    metadata : dict
        Everything else, as strict JSON.
    version : str
        Version of softreg that wrote the file.
    checksum : str
        SHA-256 of the contents, in hexadecimal digits.

    Examples
    --------
    >>> write_model("tiny.softreg", "regression", {"coef": np.eye(2)}, {"note": "an example"})
    >>> read_model("tiny.softreg").kind
    'regression'
    """

    kind: str
    arrays: dict[str, Array]
    metadata: dict[str, Any]
    version: str = ""
    checksum: str = ""


def write_model(
    path: str | os.PathLike[str], kind: str, arrays: Mapping[str, Array], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and JSON metadata to one file, completely or not at all; equal models give equal bytes.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        "regression", "selection" or "table".
    arrays : mapping of str to ndarray
        Arrays of finite numbers, which are stored in C order.
    metadata : mapping
        Strict JSON.

    Raises
    ------
    ModelFileError
        If a number is not finite (such a model would predict nan), or the metadata are not strict JSON.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> write_model("tiny.softreg", "regression", {"coef": np.eye(2)}, {"note": "an example"})
    >>> read_model("tiny.softreg").metadata
    {'note': 'an example'}
    """
    plain = {name: _plain_array(name, array) for name, array in sorted(arrays.items())}
    try:
        as_read = json.loads(json.dumps(dict(metadata), allow_nan=False))  # with text for every key
        note = {"format": FORMAT_VERSION, "kind": kind, "metadata": as_read, "softreg": __version__}
        note["checksum"] = _checksum(plain, _canonical(note))
        text = _canonical(note)
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelFileError(
            f"the model holds text that no file can hold ({error}): half of a character, from a file that was read "
            "with the wrong encoding. Correct the labels and names."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the description of this model is not strict JSON: {error}") from error
    with atomic_path(path) as draft:
        # one key, since safetensors writes several in any order; written from the arrays, without a copy of the file
        try:
            write_tensors(plain, str(draft), metadata={_KEY: text})
        except SafetensorError as error:
            raise OSError(f"{str(path)!r} could not be written completely: {error}") from error
        with draft.open("rb") as written:
            header = int.from_bytes(written.read(_LENGTH_BYTES), "little")
        if header > _MAX_HEADER_BYTES:
            raise ModelFileError("the description of this model (labels, names and texts) is longer than 100 MB")


def read_model(path: str | os.PathLike[str]) -> StoredModel:
    """Read a model file after checking that it is complete and unaltered; no code from the file is run.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    StoredModel
        Contents of the file.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ModelFileError
        If the file is not a model of softreg, or not as it was written.

    Examples
    --------
    >>> write_model("tiny.softreg", "regression", {"coef": np.eye(2)}, {})
    >>> stored = read_model("tiny.softreg")
    >>> stored.kind, stored.arrays["coef"].shape
    ('regression', (2, 2))
    """
    name = repr(Path(path).name)
    data = Path(path).read_bytes()
    text = _header_text(data, name)
    note = _parse_note(text, name)
    try:
        arrays = read_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{name} is damaged or cut short ({error}); copy it again or train anew") from error
    del data  # as large as the arrays
    checksum = note.pop("checksum", None)
    try:
        unaltered = checksum == _checksum(arrays, _canonical(note))
        unaltered = unaltered and text == _canonical({**note, "checksum": checksum})
    except (TypeError, ValueError):
        unaltered = False
    if not unaltered:
        raise ModelFileError(f"{name} is not as it was written: its checksum differs; copy it again or train anew")
    return StoredModel(note["kind"], arrays, note["metadata"], note["softreg"], str(checksum))


def _canonical(note: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys."""
    return json.dumps(note, allow_nan=False, ensure_ascii=False, sort_keys=True)


def _plain_array(name: str, array: Array) -> Array:
    """Return an array of finite numbers in native byte order and C order; raise `ModelFileError` for another."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > _MAX_ITEM_BYTES:
        raise ModelFileError(f"the array {name!r} has dtype {array.dtype}; only numbers are stored")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(
            f"the array {name!r} of this model is not finite, so the model is not stored: it would predict nan. "
            "Fit it again; a stronger penalty keeps weights finite."
        )
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _checksum(arrays: Mapping[str, Array], note: str) -> str:
    """Return the SHA-256 of the note without its checksum, and of every array with its name, dtype and shape."""
    digest = hashlib.sha256(f"{note}\n".encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}\n{array.dtype.newbyteorder('<').str}\n{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # no copy
    return digest.hexdigest()


def _header_text(data: bytes, name: str) -> str:
    """Return softreg's JSON in the header of a safetensors file; raise `ModelFileError` for another file."""
    not_a_model = ModelFileError(
        f"{name} is not a model file of softreg (or its beginning is damaged); `softreg train --model` writes one"
    )
    size = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or size > len(data) - _LENGTH_BYTES or size > _MAX_HEADER_BYTES:
        raise not_a_model
    try:
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + size])
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise not_a_model from None
    notes = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
        raise not_a_model
    if set(notes) != {_KEY}:
        raise ModelFileError(f"{name} is a safetensors file, but not a model of softreg")
    return str(notes[_KEY])


def _parse_note(text: str, name: str) -> dict[str, Any]:
    """Return softreg's JSON after checking its format; raise `ModelFileError` for another."""
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
