"""Picture files as arrays of bytes: header, decoding, orientation, background, colour and size."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from softreg.tables.columns.table_errors import TableError
from softreg.tables.images.image_form import ImageForm

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM")
"""Formats that are decoded, by Pillow's names. Formats that run other programs, such as EPS, are not among them."""
FORMATS_IN_WORDS = "PNG, JPEG, GIF, BMP, TIFF, WebP or PPM"
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_SWAPPED = (5, 6, 7, 8)
"""Orientations of EXIF that exchange width and height."""
_ORIENTATION_TAG = 0x0112
_ORIENTED_BY_HEADER = ("JPEG", "MPO", "WEBP")
"""Formats whose EXIF data precede the pixels."""
_ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "TIFF")
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats in which the mode I holds 16 bits."""
_STEP_OF_16_BITS = 257
"""Levels of 16 bits for each of 8 bits."""
_DRAFT = 2
"""A JPEG is decoded at the smallest of its scales that has this many times the pixels of a side that are needed."""
_REDUCING_GAP = 3.0
"""Times the final size to which a large picture is first reduced by whole factors."""
_NOT_PICTURES = {
    b"version https://git-lfs": "it is a pointer of Git LFS, not the picture: run `git lfs pull`",
    b"%PDF": "it is a PDF document",
    b"PK\x03\x04": "it is a zip archive",
    b"<svg": "it is an SVG drawing; convert it to PNG",
    b"<": "it is a page of HTML or XML, as a failed download leaves",
}
SKIP_HINT = "Remove or replace it, or leave such files out: --bad-rows skip (bad_rows='skip' in Python)."
_lock = threading.Lock()


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture declares.

    Attributes
    ----------
    width, height : int
        Size in pixels, upright.
    colour : bool
        Whether pixels can have a colour.
    animated : bool
        Whether the file has several frames.
    """

    width: int
    height: int
    colour: bool
    animated: bool


def without_hint(message: str) -> str:
    """Return the message of an error about a picture without the advice to remove the file."""
    return message.removesuffix(SKIP_HINT).rstrip()


def require_pillow() -> None:
    """Raise `TableError` if Pillow, which decodes pictures, is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise TableError("Reading pictures needs Pillow: pip install 'softreg[images]'.") from None


def read_header(path: Path, max_pixels: int) -> PictureHeader:
    """Return what the header of a picture declares, without decoding the picture.

    Parameters
    ----------
    path : Path
        The file.
    max_pixels : int
        Largest number of pixels.

    Returns
    -------
    PictureHeader
        Size, colour and number of frames.

    Raises
    ------
    TableError
        If the file cannot be read, is no picture, or declares more than `max_pixels` pixels.
    """
    with _opened(path, max_pixels) as image:
        width, height = image.size
        if image.format in _ORIENTED_BY_HEADER and _orientation(image) in _SWAPPED:
            width, height = height, width
        animated = image.format in _ANIMATED_FORMATS and bool(getattr(image, "is_animated", False))
        return PictureHeader(width, height, _has_colour(image), animated)


def read_picture(path: Path, form: ImageForm, max_pixels: int) -> NDArray[np.uint8]:
    """Decode a picture, upright, over white where it is transparent, in the given size and colour.

    The first frame of an animation is taken. Colour becomes grey by the luma of ITU-R 601. Sizes are changed, without
    keeping the aspect ratio, by a triangle filter whose support grows with the reduction.

    Parameters
    ----------
    path : Path
        The file.
    form : ImageForm
        Size and colour of the result.
    max_pixels : int
        Largest number of pixels that the file may declare.

    Returns
    -------
    uint8 array (form.length,)
        Pixels in row order.

    Raises
    ------
    TableError
        If the file cannot be read, is no picture, is damaged or truncated, or declares more than `max_pixels` pixels.
    """
    from PIL import ImageOps

    with _opened(path, max_pixels) as image:
        side = _DRAFT * max(form.width, form.height)
        image.draft("RGB" if form.colour else "L", (side, side))
        image.load()
        sixteen_bits = image.mode == "I" and image.format in _SIXTEEN_BITS
        with suppress(Exception):  # damaged EXIF data: the picture is taken as it is stored
            image = ImageOps.exif_transpose(image)
        return prepare(image, form, sixteen_bits=sixteen_bits)


def prepare(image: Image.Image, form: ImageForm, *, sixteen_bits: bool = False) -> NDArray[np.uint8]:
    """Return the pixels (form.length,) of a decoded picture; raise `TableError` for numbers of 32 bits."""
    from PIL import Image

    if image.mode.startswith("I;16") or sixteen_bits:
        levels = np.asarray(image).astype(np.float64) / _STEP_OF_16_BITS
        image = Image.fromarray(np.clip(np.round(levels), 0, 255).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise TableError("its pixels are numbers of 32 bits without a declared range; write it with 8 or 16 bits")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        opaque = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", opaque.size, (255, 255, 255, 255)), opaque)
        image = image.convert("RGB")
    image = image.convert("RGB" if form.colour else "L")
    size = (form.width, form.height)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
    return np.asarray(image, dtype=np.uint8).reshape(-1)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open a picture and check its declared size; turn whatever its decoder raises into a `TableError`."""
    image: Any = None
    try:
        if not path.exists() and path.is_symlink():
            raise _picture_error(path, "is a link to a file that does not exist")
        if not path.is_file():
            raise _picture_error(path, "is not a regular file" if path.exists() else "does not exist")
        if path.stat().st_size == 0:
            raise _picture_error(path, "is empty (0 bytes)")
        image = _open(path)
        _check_size(path, image.size, max_pixels)
        yield image
    except TableError as error:
        message = str(error)
        raise (
            error if message.startswith(repr(str(path))) else _picture_error(path, f"cannot be used: {message}")
        ) from None
    except MemoryError:
        raise _picture_error(path, "needs more memory than there is") from None
    except Exception as error:  # decoders of damaged files raise errors of many types
        raise _picture_error(path, _failure(path, error)) from None
    finally:
        if image is not None:
            image.close()


def _open(path: Path) -> Image.Image:
    """Read the header of a picture, whatever size it declares: `_check_size` has the limit."""
    from PIL import Image

    with _lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    """Raise `TableError` for a picture without pixels, or with more than are allowed."""
    width, height = size
    if width <= 0 or height <= 0:
        raise _picture_error(path, f"declares a size of {width} x {height} pixels")
    if width * height > max_pixels:
        raise TableError(
            f"{str(path)!r} declares {width:,} x {height:,} pixels, more than the limit of {max_pixels:,}, and is not "
            "decoded. If it is not a decompression bomb, raise the limit: --max-pixels "
            f"{width * height} (max_pixels={width * height} in Python). {SKIP_HINT}"
        )


def _picture_error(path: Path, what: str) -> TableError:
    return TableError(f"{str(path)!r} {what}. {SKIP_HINT}")


def _failure(path: Path, error: Exception) -> str:
    """Return why a file could not be read as a picture."""
    from PIL import UnidentifiedImageError

    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    if not isinstance(error, UnidentifiedImageError):
        return f"is a damaged or truncated picture ({reason})"
    with path.open("rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        return "is a HEIC or AVIF picture; convert it to JPEG or PNG"
    known = next((what for start, what in _NOT_PICTURES.items() if head.lower().startswith(start.lower())), None)
    return f"is no picture ({known})" if known else f"is no picture in {FORMATS_IN_WORDS}, or its header is damaged"


def _orientation(image: Image.Image) -> int:
    """Return the orientation that EXIF data declare; 1, upright, if they are absent or damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF data raise errors of many types
        return 1


def _has_colour(image: Image.Image) -> bool:
    """Return whether the header of a picture allows colours: not for grey modes and palettes of greys."""
    if image.mode in ("P", "PA"):
        palette = np.frombuffer(bytes(image.palette.getdata()[1]) if image.palette else b"", dtype=np.uint8)
        bands = len(image.palette.mode) if image.palette else 3
        colours = palette[: len(palette) // bands * bands].reshape(-1, bands)[:, :3]
        return bool((colours != colours[:, :1]).any())
    return image.mode not in _GREY_MODES
