"""Small folders of pictures for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_folder(folder: Path, classes=("cat", "dog"), n: int = 8, size=(12, 10), mode: str = "L") -> Path:
    """Write n pictures a class; those of a later class are brighter."""
    rng = np.random.default_rng(0)
    for code, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            pixels = rng.integers(0, 100, shape) + 100 * code // max(1, len(classes) - 1)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder


def write_idx(path: Path, array: np.ndarray) -> Path:
    """Write bytes in the IDX format."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.astype(np.uint8).tobytes())
    return path
