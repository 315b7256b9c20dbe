"""Tensors in files of PyTorch (.pt, .pth), which is imported to read them; other objects are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from softreg.linear_probe.files.named_arrays import NamedArray
from softreg.rows.gpu.interop import is_torch, pytorch

SAVE_ADVICE = "Save tensors only: torch.save({'X': embeddings, 'y': labels}, file)"


def torch_arrays(path: Path) -> list[NamedArray]:
    """Return the tensors of a file: a tensor, a dict of tensors, or a list of tensors, whose names are 0, 1, ...

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of NamedArray
        Tensors, memory-mapped where the format allows it, and lists of labels.

    Raises
    ------
    ValueError
        If the file is damaged, or holds anything else, which could run code when it is read.
    ImportError
        If PyTorch is not installed.
    """
    torch = pytorch(f"{path.name!r}, a file of tensors,")
    options = {"map_location": "cpu", "weights_only": True}
    try:
        try:
            content = torch.load(path, mmap=True, **options)
        except RuntimeError:  # files of versions before 1.6 cannot be mapped
            content = torch.load(path, **options)
    except Exception as error:  # PyTorch raises errors of many kinds, among them those of pickle
        reason = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".:")
        raise ValueError(
            f"{path.name!r} cannot be read as a file of tensors ({reason[:200]}). {SAVE_ADVICE}."
        ) from None
    if isinstance(content, Mapping):
        named = {str(name): value for name, value in content.items()}
    elif isinstance(content, list | tuple) and content and all(is_torch(value) for value in content):
        named = {str(k): value for k, value in enumerate(content)}
    else:
        named = {"": content}
    arrays = [
        NamedArray(name, _shape(value), partial(_as_is, value))
        for name, value in named.items()
        if is_torch(value) or isinstance(value, list | tuple)
    ]
    if not arrays:
        raise ValueError(f"{path.name!r} holds no tensor but {type(content).__name__}. {SAVE_ADVICE}.")
    return arrays


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if is_torch(value) else np.shape(np.asarray(value, dtype=object))


def _as_is(value: Any) -> Any:
    return value
