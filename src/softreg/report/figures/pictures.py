"""Pictures of bytes as PNG in data URIs, so that a report is one file."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

MAX_PICTURE_SIDE = 96
"""Pixels of a side of a picture; larger ones are averaged in square blocks. A picture in colour takes 37 kB at most."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
"""Colour types of PNG."""
_BITS = 8


def png(image: ArrayLike) -> bytes:
    r"""Return an image of bytes as a PNG file.

    Parameters
    ----------
    image : array_like of uint8 of shape (height, width) or (height, width, 3)
        Grey values, or red, green and blue.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        If the image has another shape or type.

    References
    ----------
    ISO/IEC 15948, Portable Network Graphics.

    Examples
    --------
    >>> png(np.zeros((2, 3), dtype=np.uint8))[:4]
    b'\x89PNG'
    """
    pixels = np.asarray(image)
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or colour) or pixels.size == 0:
        raise ValueError(
            f"a picture must be bytes of shape (height, width) or (height, width, 3); seen: {pixels.shape}"
        )
    height, width = pixels.shape[:2]
    lines = np.zeros((height, 1 + pixels[0].size), dtype=np.uint8)  # each line begins with its filter, 0 for none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, _BITS, _RGB if colour else _GREY, 0, 0, 0)
    return b"".join(
        [_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), _chunk(b"IEND", b"")]
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file: length, name, data and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def picture(image: ArrayLike, label: str) -> Markup:
    """Return the HTML of an image of bytes, its PNG within it.

    Parameters
    ----------
    image : array_like of uint8 of shape (height, width) or (height, width, 3)
        The image.
    label : str
        Description for screen readers.

    Returns
    -------
    Markup
        The element.

    Examples
    --------
    >>> picture(np.zeros((2, 3), dtype=np.uint8), "black")[:46]
    Markup('<img alt="black" width="3" height="2" src="dat')
    """
    pixels = _reduced(np.asarray(image))
    height, width = pixels.shape[:2]
    data = base64.b64encode(png(pixels)).decode("ascii")
    return Markup(f'<img alt="{escape(label)}" width="{width}" height="{height}" src="data:image/png;base64,{data}">')


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image averaged in square blocks, so that no side is longer than `MAX_PICTURE_SIDE`."""
    block = -(-max(pixels.shape[:2]) // MAX_PICTURE_SIDE)
    height, width = (side // block for side in pixels.shape[:2])
    if block <= 1 or height == 0 or width == 0:
        return pixels[:MAX_PICTURE_SIDE, :MAX_PICTURE_SIDE]
    whole = pixels[: height * block, : width * block].reshape(height, block, width, block, -1)
    averaged: NDArray[np.uint8] = np.round(whole.mean(axis=(1, 3))).astype(np.uint8)
    return averaged.reshape(height, width) if pixels.ndim == 2 else averaged
