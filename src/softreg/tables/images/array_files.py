"""Images and labels in `.npy`, `.npz` and IDX files, and arrays of images as rows of pixels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from softreg.tables.columns.table_errors import TableError, quote_list
from softreg.tables.images.idx_files import labels_beside, read_idx
from softreg.tables.images.image_form import COLOUR, ImageForm
from softreg.tables.images.picture_files import prepare, require_pillow
from softreg.tables.read_options import MAX_SIDE
from softreg.typing import Array

WHITE = 255
"""Largest value of a pixel of 8 bits."""
_STEP_OF_16_BITS = 257
_PAIRS = (
    ("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("image", "label"), ("x", "y"),
    ("data", "labels"), ("data", "target"), ("x", "labels"), ("arr_0", "arr_1"),
)  # fmt: skip
"""Names of the arrays of images and of labels in a `.npz` file, in lower case, in the order of the search."""
_NPY_MAGIC = b"\x93NUMPY"
_CHECKED_ROWS = 4096
"""Images whose range is computed at a time."""
_COLOUR_CHANNELS = (3, 4)
_ROUNDING = 1e-3
"""By how much numbers from 0 to 1 may exceed 1, as rounding of float16 leaves."""


@dataclass
class ImageArrays:
    """Images with their labels.

    Attributes
    ----------
    path : Path
        The file.
    images : array (n, ...)
        Images (n, height, width), (n, height, width, channels), or rows of numbers (n, d).
    labels : array (n,) or None
        Labels.
    inner : str
        Name by which arrays of a `.npz` file were selected.
    notes : list of str
        Choices made.
    """

    path: Path
    images: Array
    labels: Array | None = None
    inner: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        name, images, labels = str(self.path), self.images, self.labels
        if images.dtype.kind not in "buif" or not 2 <= images.ndim <= 4:
            raise TableError(
                f"{name!r} holds an array of shape {images.shape} and type {images.dtype}; expected numbers in the "
                "shape (images, height, width), (images, height, width, channels) or (rows, columns)."
            )
        if 0 in images.shape:
            raise TableError(f"{name!r} holds an array of shape {images.shape}, which has no pixels.")
        if labels is None:
            return
        if labels.ndim == 2 and 1 in labels.shape:
            self.labels = labels = labels.reshape(-1)
        if labels.ndim != 1:
            raise TableError(
                f"The labels of {name!r} have the shape {labels.shape}; expected one label for each image, not "
                "columns of classes. Store labels.argmax(axis=1)."
            )
        if labels.dtype.kind == "S":
            self.labels = _decoded(name, labels)
        if len(labels) != len(images):
            raise TableError(f"{name!r} holds {len(images):,} images, and its labels are {len(labels):,}.")


def _decoded(name: str, labels: Array) -> Array:
    """Return labels of bytes as text."""
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise TableError(
            f"The labels of {name!r} are bytes that are not UTF-8, such as {error.object!r}. Store text: "
            "numpy.char.decode(labels, 'latin-1'), or the encoding that they have."
        ) from None


def open_arrays(path: Path, form: str, inner: str = "", labels: str | None = None) -> ImageArrays:
    """Read the images and labels of a file of arrays.

    Parameters
    ----------
    path : Path
        The file.
    form : {"npy", "npz", "idx"}
        Its format.
    inner : str
        Of a `.npz` file, the name of an array of images, or a part of the data set such as "test".
    labels : str, optional
        File of the labels; by default, that beside it, by its name.

    Returns
    -------
    ImageArrays
        Images and labels.

    Raises
    ------
    TableError
        If a file is damaged, or images and labels differ in number.
    """
    if not path.is_file():
        raise TableError(f"There is no file {str(path)!r}.")
    if form == "npz":
        found = _open_npz(path, inner)
    elif inner:
        raise TableError(f"{str(path)!r} is a single array, so {inner!r} cannot be selected; omit it.")
    else:
        found = ImageArrays(path, read_idx(path) if form == "idx" else _load_npy(path))
    beside = Path(labels) if labels is not None else None if form == "npz" else labels_beside(path)
    if beside is None:
        return found
    if labels is None:
        found.notes.append(f"The labels of {str(path)!r} are those of {str(beside)!r} (--labels names another file).")
    values = _load_npy(beside) if beside.suffix.lower() == ".npy" else read_idx(beside)
    if values.ndim == 1 and len(values) != len(found.images):
        raise TableError(
            f"{str(path)!r} holds {len(found.images):,} images, but {str(beside)!r} holds {len(values):,} labels; "
            "they are not of the same data set. Name the right one with --labels (labels= in Python)."
        )
    return ImageArrays(path, found.images, values, found.inner, found.notes)


def _load_npy(path: Path) -> Array:
    """Return the array of a `.npy` file, mapped into memory where possible."""
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
                raise _damaged(path, ValueError("it does not begin as a .npy file does"))
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except TableError:
        raise
    except FileNotFoundError:
        raise TableError(f"There is no file {str(path)!r}.") from None
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError, TypeError, OverflowError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> TableError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if "allow_pickle" in reason or "Python objects" in reason:
        return TableError(
            f"{str(path)!r} holds an array of Python objects, which only pickle can read; softreg does not, as it runs "
            "code from files. Store numbers, or labels as text: labels.astype(str)."
        )
    return TableError(f"{str(path)!r} is a damaged or truncated file of NumPy ({reason}); write it again.")


def _open_npz(path: Path, inner: str) -> ImageArrays:
    """Return the images and labels of a `.npz` file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            images, labels = select_arrays(path, names, inner)
            found = ImageArrays(path, archive[images], None if labels is None else archive[labels], inner)
    except TableError:
        raise
    except (
        ValueError, OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError,
        RuntimeError, SyntaxError, TypeError, OverflowError,
    ) as error:  # fmt: skip
        raise _damaged(path, error) from None
    rest = [name for name in names if name not in (images, labels)]
    used = repr(images) if labels is None else f"{images!r} with the labels {labels!r}"
    if rest and not inner:
        found.notes.append(
            f"{str(path)!r} is read as the array {used}; it also holds {quote_list(rest)}. Others are named as "
            f"{f'{path}::{rest[0]}'!r}."
        )
    return found


def select_arrays(path: Path, names: Sequence[str], inner: str) -> tuple[str, str | None]:
    """Return the names of the arrays of images and of labels in a `.npz` file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    names : sequence of str
        Its arrays.
    inner : str
        Name of an array of images, or a part of the data set such as "test"; empty for the usual names.

    Returns
    -------
    images : str
        Array of images.
    labels : str or None
        Array of labels; None if there is none.

    Raises
    ------
    TableError
        If no array is recognized.

    Examples
    --------
    >>> names = ["x_train", "y_train", "x_test", "y_test"]
    >>> select_arrays(Path("mnist.npz"), names, ""), select_arrays(Path("mnist.npz"), names, "test")
    (('x_train', 'y_train'), ('x_test', 'y_test'))
    """
    known = {name.lower(): name for name in names}
    pairs = list(_PAIRS)
    if inner:
        part = inner.lower()
        own = [(a.replace("train", part), b.replace("train", part)) for a, b in _PAIRS if "train" in a]
        named = [pair for pair in (*own, *_PAIRS) if pair[0] == part] or own
        pairs = [*named, (part, _labels_name(part))]
    for image, label in pairs:
        if image in known and label in known:
            return known[image], known[label]
    for image, _ in pairs:
        if image in known:
            return known[image], None
    if len(names) == 1 and not inner:
        return names[0], None
    if not names:
        raise TableError(f"{str(path)!r} is an archive without arrays; write images and labels with numpy.savez.")
    what = f"has no arrays {inner!r}" if inner else "has no arrays of the usual names, such as 'x_train' and 'y_train'"
    raise TableError(f"{str(path)!r} {what}; it has {quote_list(names, 12)}. Name the images as {f'{path}::NAME'!r}.")


def _labels_name(images: str) -> str:
    """Return the name of the labels of an array of images."""
    if "image" in images:
        return images.replace("image", "label")
    return f"y{images[1:]}" if images[:1] == "x" else images


def as_images(path: Path, images: Array, size: tuple[int, int] | None) -> Array:
    """Return rows of numbers (n, d) as images if they have `size`; other arrays unchanged.

    Parameters
    ----------
    path : Path
        The file, for messages.
    images : array (n, ...)
        Images or rows.
    size : (int, int) or None
        Width and height; rows stay rows without it.

    Returns
    -------
    array (n, height, width), (n, height, width, 3) or unchanged

    Raises
    ------
    TableError
        If rows do not have the size.
    """
    if images.ndim != 2 or size is None:
        return images
    for colour in (False, True):
        form = ImageForm(*size, colour=colour)
        if form.length == images.shape[1]:
            return images.reshape(len(images), *form.shape)
    raise TableError(
        f"{str(path)!r} has rows of {images.shape[1]:,} numbers, which are not {size[0]} x {size[1]} pixels, grey or "
        "in colour; give the right --image-size (image_size= in Python)."
    )


def array_form(path: Path, images: Array, size: tuple[int, int] | None, color: str | None) -> ImageForm:
    """Return the form in which an array of images is read.

    Parameters
    ----------
    path : Path
        The file, for messages.
    images : array (n, height, width) or (n, height, width, channels)
        Images.
    size : (int, int) or None
        Width and height; by default those of the array.
    color : {"grey", "colour"} or None
        Colours; by default those of the array.

    Returns
    -------
    ImageForm

    Raises
    ------
    TableError
        If the number of channels is not 1, 3 or 4.
    """
    height, width, channels = _axes(path, images)
    width, height = size or (width, height)
    if max(width, height) > MAX_SIDE:
        raise TableError(
            f"{str(path)!r} holds images of {width:,} x {height:,} pixels; the largest side is {MAX_SIDE:,}. Choose a "
            "smaller size: --image-size 64x64 (image_size='64x64' in Python)."
        )
    return ImageForm(width, height, colour=channels in _COLOUR_CHANNELS if color is None else color == COLOUR)


def array_size(path: Path, images: Array) -> tuple[int, int]:
    """Return width and height of the images of an array; raise `TableError` for a wrong number of channels."""
    height, width, _ = _axes(path, images)
    return width, height


def _axes(path: Path, images: Array) -> tuple[int, int, int]:
    """Return height, width and number of channels of images; the channels may precede height and width."""
    if images.ndim == 3:
        return images.shape[1], images.shape[2], 1
    first, last = images.shape[1], images.shape[3]
    if last in (1, *_COLOUR_CHANNELS):
        return images.shape[1], images.shape[2], last
    if first in (1, *_COLOUR_CHANNELS):
        return images.shape[2], images.shape[3], first
    raise TableError(
        f"{str(path)!r} holds an array of shape {images.shape}; expected 1 (grey), 3 (colour) or 4 (colour with "
        "alpha) channels in the last or the second dimension."
    )


@dataclass(frozen=True)
class PixelRange:
    """How the numbers of an array become pixels from 0 to 255: x * factor, in `dtype`."""

    factor: float
    dtype: str

    @classmethod
    def of(cls, path: Path, images: Array) -> PixelRange:
        """Return the range of an array: booleans, 16 bits, or numbers from 0 to 1 or from 0 to 255.

        Parameters
        ----------
        path : Path
            The file, for messages.
        images : array (n, ...)
            Images.

        Returns
        -------
        PixelRange
            The factor.

        Raises
        ------
        TableError
            If a number is not finite, negative, or larger than 255.
        """
        if images.dtype.kind == "b":
            return cls(WHITE, "uint8")
        if images.dtype.kind == "u" and images.dtype.itemsize == np.dtype(np.uint16).itemsize:  # of either byte order
            return cls(1 / _STEP_OF_16_BITS, "uint8")
        if images.dtype == np.uint8:
            return cls(WHITE if images.max() <= 1 else 1.0, "uint8")
        parts = [images[start : start + _CHECKED_ROWS] for start in range(0, len(images), _CHECKED_ROWS)]
        low = float(np.min([part.min() for part in parts]))  # of NumPy, as the result is NaN if any number is
        high = float(np.max([part.max() for part in parts]))
        if not (np.isfinite(low) and np.isfinite(high)):
            place = next(i for i, image in enumerate(images) if not np.isfinite(image).all())
            raise TableError(
                f"Image {place + 1:,} of {str(path)!r} (counted from 1) has pixels that are NaN or infinite. Correct "
                "it, or leave it out together with its label."
            )
        if not (low >= 0 and high <= WHITE):
            raise TableError(
                f"The pixels of {str(path)!r} range from {low:g} to {high:g}; expected numbers from 0 to 1, or from 0 "
                "to 255. Standardized pixels are not needed: softreg standardizes them."
            )
        return cls(WHITE if high <= 1 + _ROUNDING else 1.0, "uint8" if images.dtype.kind in "iu" else "float32")


def pixel_rows(images: Array, form: ImageForm, pixels: PixelRange) -> Array:
    """Return images as rows of pixels (k, form.length) in the type of `pixels`.

    Parameters
    ----------
    images : array (k, ...)
        Some images of an array.
    form : ImageForm
        Size and colour of the rows.
    pixels : PixelRange
        Range of the array.

    Returns
    -------
    array (k, form.length)
        Rows; images of another size or colour are converted as pictures of 8 bits are.

    Examples
    --------
    >>> images = np.array([[[0.0, 1.0]]])
    >>> pixel_rows(images, ImageForm(2, 1, colour=False), PixelRange(255, "float32")).tolist()
    [[0.0, 255.0]]
    """
    if images.ndim == 4 and images.shape[3] not in (1, *_COLOUR_CHANNELS):
        images = images.transpose(0, 2, 3, 1)
    values = images if pixels.factor == 1 else images * pixels.factor
    rounded = np.dtype(pixels.dtype) == np.uint8 and pixels.factor not in (1.0, WHITE)
    values = (np.round(values) if rounded else values).astype(pixels.dtype, copy=False)
    if values.shape[1:] in (form.shape, (*form.shape, 1)):
        return np.ascontiguousarray(values).reshape(len(values), -1)
    require_pillow()
    from PIL import Image

    rows = np.empty((len(values), form.length), dtype=pixels.dtype)
    for place, image in enumerate(np.round(values).astype(np.uint8)):
        rows[place] = prepare(Image.fromarray(image[..., 0] if image.shape[-1:] == (1,) else image), form)
    return rows
