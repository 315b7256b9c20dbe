"""The form of the images of a column: width, height and colour; and the fields of a table of images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from softreg.tables.columns.table_errors import TableError, pluralize
from softreg.tables.read_options import MAX_SIDE, ReadOptions

IMAGE, LABEL, FILE = "image", "label", "file"
"""Columns of a table of images: pixels, name of the class, path of the file."""
GREY, COLOUR = "grey", "colour"
_FORM, _PATH, _CLASS = b"softreg.image", b"softreg.image_path", b"softreg.image_class"
"""Metadata keys of the fields of pixels, of paths, and of labels."""
ROUNDING = 0.5
"""Pixels by which a side of a resized image differs at most, from rounding, if the proportion is kept."""


@dataclass(frozen=True)
class ImageForm:
    """Size and colour of the images of a column, each of which is stored as a row of pixels.

    Pixels are in row order. The three numbers of a pixel in colour, red, green and blue, are neighbours.

    Attributes
    ----------
    width, height : int
        Size in pixels.
    colour : bool
        Whether a pixel has three numbers; a grey pixel has one.

    Examples
    --------
    >>> form = ImageForm(28, 28, colour=False)
    >>> form.length, str(form)
    (784, 'images of 28 x 28 pixels, grey')
    """

    width: int
    height: int
    colour: bool

    @property
    def channels(self) -> int:
        """Numbers of a pixel."""
        return 3 if self.colour else 1

    @property
    def length(self) -> int:
        """Numbers of an image."""
        return self.width * self.height * self.channels

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of an image: (height, width), or (height, width, 3) in colour."""
        return (self.height, self.width, 3) if self.colour else (self.height, self.width)

    def __str__(self) -> str:
        return f"images of {self.width} x {self.height} pixels, {COLOUR if self.colour else GREY}"

    def to_state(self) -> dict[str, Any]:
        """Return the form as a JSON-serializable dict; `from_state` reads it."""
        return {"width": self.width, "height": self.height, "colour": self.colour}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ImageForm:
        """Return the form that `to_state` wrote.

        Parameters
        ----------
        state : mapping
            Part of a model file.

        Returns
        -------
        ImageForm
            The same form.

        Raises
        ------
        ValueError
            If it is not the state of a form.

        Examples
        --------
        >>> ImageForm.from_state({"width": 8, "height": 6, "colour": True}).shape
        (6, 8, 3)
        """
        sides = [state.get(name) for name in ("width", "height")]
        valid = all(isinstance(side, int) and not isinstance(side, bool) and 0 < side <= MAX_SIDE for side in sides)
        if not valid or not isinstance(state.get("colour"), bool):
            raise ValueError(f"{dict(state)} is not a size and colour of images")
        return cls(int(state["width"]), int(state["height"]), bool(state["colour"]))


def image_field(form: ImageForm, pixel: pa.DataType) -> pa.Field:
    """Return the field of a column of images, whose metadata hold their form."""
    return pa.field(IMAGE, pa.list_(pixel, form.length), metadata={_FORM: json.dumps(form.to_state())})


def path_field() -> pa.Field:
    """Return the field of a column of the paths of images."""
    return pa.field(FILE, pa.string(), metadata={_PATH: b""})


def label_field(labels: pa.DataType) -> pa.Field:
    """Return the field of a column of the labels of images."""
    return pa.field(LABEL, labels, metadata={_CLASS: b""})


def is_label_field(field: pa.Field) -> bool:
    """Return True for a column of the labels of images, which is the target or no feature."""
    return _CLASS in (field.metadata or {})


def is_path_field(field: pa.Field) -> bool:
    """Return True for a column of the paths of images, which is no feature."""
    return _PATH in (field.metadata or {})


def form_of_field(field: pa.Field) -> ImageForm | None:
    """Return the form of the images of a column; None for other columns.

    Returns
    -------
    ImageForm or None

    Examples
    --------
    >>> form_of_field(image_field(ImageForm(2, 2, colour=False), pa.uint8()))
    ImageForm(width=2, height=2, colour=False)
    """
    stored = (field.metadata or {}).get(_FORM)
    if stored is None:
        return None
    try:
        form = ImageForm.from_state(json.loads(stored))
    except (ValueError, TypeError, AttributeError):  # not written by softreg
        return None
    fits = pa.types.is_fixed_size_list(field.type) and field.type.list_size == form.length
    return form if fits else None


def image_column(schema: pa.Schema) -> tuple[str, ImageForm] | None:
    """Return name and form of the first column of images of a table; None for a table without one."""
    forms = ((field.name, form_of_field(field)) for field in schema)
    return next(((name, form) for name, form in forms if form is not None), None)


def has_images(schema: pa.Schema) -> bool:
    """Return True for a table with a column of images."""
    return image_column(schema) is not None


def default_target(schema: pa.Schema) -> str | None:
    """Return the column of labels that images or arrays were read with; None for other tables and without labels."""
    return next((field.name for field in schema if is_label_field(field)), None)


def with_form(options: ReadOptions, form: ImageForm | None) -> ReadOptions:
    """Return the options of reading with the size and colours that a model was trained with.

    Parameters
    ----------
    options : ReadOptions
        Options of reading.
    form : ImageForm or None
        Form of the images of the model; None for a model without images.

    Returns
    -------
    ReadOptions
        Options for new rows of the model.

    Raises
    ------
    TableError
        If the options name another size or other colours.

    Examples
    --------
    >>> with_form(ReadOptions(), ImageForm(28, 28, colour=False)).image_size
    (28, 28)
    """
    if form is None:
        return options
    size, color = (form.width, form.height), COLOUR if form.colour else GREY
    if options.image_size not in (None, size) or options.image_color not in (None, color):
        raise TableError(
            f"The model was trained on {form}, and reads all images so; leave --image-size and --image-color out "
            "(image_size and image_color in Python)."
        )
    return replace(options, image_size=size, image_color=color, note_other_sizes=True)


def other_sizes_note(sizes: Mapping[tuple[int, int], int], form: ImageForm) -> list[str]:
    """Return a note that counts the images of another size than a model reads, which are resized.

    Parameters
    ----------
    sizes : mapping of (int, int) to int
        Number of images of each width and height.
    form : ImageForm
        Form that all images are read in.

    Returns
    -------
    list of str
        The note; empty if all images have the size.

    Examples
    --------
    >>> other_sizes_note({(8, 8): 2, (16, 16): 1}, ImageForm(8, 8, colour=False))
    ['1 of 3 images has another size than the 8 x 8 pixels of the model, and is resized.']
    >>> other_sizes_note({(20, 30): 4}, ImageForm(8, 8, colour=False))[0].partition("; ")[2]
    'all of them have another proportion, and are also distorted.'
    """
    width, height = form.width, form.height
    others = {size: count for size, count in sizes.items() if size != (width, height)}
    if not others:
        return []
    count, total = sum(others.values()), sum(sizes.values())
    stretched = sum(
        count
        for (w, h), count in others.items()
        if min(abs(h * width / w - height), abs(w * height / h - width)) > ROUNDING
    )
    size = f"another size than the {width} x {height} pixels of the model"
    note = f"{count:,} of {pluralize(total, 'image')} {_have(count)} {size}, and {_are(count)} resized"
    if stretched:
        these = "all" if stretched == count > 1 else f"{stretched:,}"
        note += f"; {these} of them {_have(stretched)} another proportion, and {_are(stretched)} also distorted"
    return [f"{note}."]


def _have(count: int) -> str:
    """Return the verb of a count."""
    return "has" if count == 1 else "have"


def _are(count: int) -> str:
    """Return the verb of a count."""
    return "is" if count == 1 else "are"
