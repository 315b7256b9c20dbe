"""Readers of images: picture files, and arrays in `.npy`, `.npz` and IDX files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.files.formats import array_format, is_picture
from softreg.tables.columns.row_location import SkippedRow
from softreg.tables.columns.table_errors import TableError, pluralize
from softreg.tables.images.array_files import (
    ImageArrays,
    PixelRange,
    array_form,
    array_size,
    as_images,
    open_arrays,
    pixel_rows,
)
from softreg.tables.images.image_folders import (
    PictureFile,
    PictureFolder,
    find_pictures,
    is_picture_folder,
    printable,
    some_paths,
)
from softreg.tables.images.image_form import (
    COLOUR,
    IMAGE,
    LABEL,
    ImageForm,
    image_column,
    image_field,
    label_field,
    other_sizes_note,
    path_field,
)
from softreg.tables.images.picture_files import (
    PictureHeader,
    read_header,
    read_picture,
    require_pillow,
    without_hint,
)
from softreg.tables.io.numpy_arrays import array_column, array_table
from softreg.tables.io.sources import SourceFile, check_exists, named_paths, split_inner
from softreg.tables.read_options import ReadOptions
from softreg.typing import Array

SMALL = 4096
"""Pixels of an image, 64 x 64, up to which its size is kept by default."""
REDUCED_SIDE = 32
"""Longer side to which larger images are reduced by default."""
BATCH_BYTES = 16 << 20
"""Bytes of the pixels of a batch."""
MAX_THREADS = 8
"""Threads that decode pictures."""


@dataclass
class ImageReader:
    """Base of the readers of images: a table of a column of pixels and others.

    Attributes
    ----------
    source : SourceFile
        The file or folder.
    schema : pa.Schema
        Columns `image`, `label` if there are labels, and `file` for picture files.
    skipped : list of SkippedRow
        Number and reason of files that could not be read in the last pass.
    notes : list of str
        Choices made in reading.
    """

    source: SourceFile
    schema: pa.Schema
    skipped: list[SkippedRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches with these columns."""
        raise NotImplementedError

    def read(self, requested: pa.Schema) -> pa.Table:
        """Return all rows."""
        return pa.Table.from_batches(list(self.batches(requested)), requested)

    @property
    def form(self) -> ImageForm:
        """Size and colour of the images."""
        found = image_column(self.schema)
        assert found is not None
        return found[1]

    @property
    def batch_rows(self) -> int:
        """Number of images of a batch."""
        return max(1, BATCH_BYTES // self.form.length)


@dataclass
class PictureReader(ImageReader):
    """Reader of picture files."""

    files: Sequence[PictureFile] = ()
    broken: dict[int, str] = field(default_factory=dict)
    """Reasons why files are left out that the headers show, by position."""
    folder: PictureFolder | None = None
    options: ReadOptions = field(default_factory=ReadOptions)

    def batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the pictures in batches; files that cannot be decoded raise an error or are left out."""
        self.skipped.clear()
        skip = self.options.bad_rows == "skip"
        if LABEL in requested.names and self.folder is not None and not skip:
            self.folder.check_classes()
        with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
            for start in range(0, len(self.files), self.batch_rows):
                places = list(range(start, min(start + self.batch_rows, len(self.files))))
                pixels = self._decode(pool, places) if IMAGE in requested.names else dict.fromkeys(places)
                kept = [place for place in places if not isinstance(pixels[place], str) and place not in self.broken]
                for place in sorted(set(places) - set(kept)):
                    self.skipped.append(SkippedRow(place + 1, self.broken.get(place) or str(pixels[place])))
                if kept:
                    yield self._batch(requested, kept, [pixels[place] for place in kept])

    def _decode(self, pool: ThreadPoolExecutor, places: Sequence[int]) -> dict[int, Any]:
        """Return the pixels of some files by position, or the reason why they cannot be decoded."""

        def one(place: int) -> Array | str:
            if place in self.broken:
                return self.broken[place]
            try:
                return read_picture(self.files[place].path, self.form, self.options.max_pixels)
            except TableError as error:
                if self.options.bad_rows != "skip":
                    raise
                return without_hint(str(error))

        return dict(zip(places, pool.map(one, places), strict=True))

    def _batch(self, requested: pa.Schema, kept: Sequence[int], pixels: Sequence[Any]) -> pa.RecordBatch:
        """Return the requested columns of some files."""
        columns: list[pa.Array] = []
        for column in requested:
            if pa.types.is_null(column.type):
                columns.append(pa.nulls(len(kept)))
            elif column.name == IMAGE:
                columns.append(_pixel_array(np.concatenate(pixels), self.form))
            elif column.name == LABEL:
                columns.append(pa.array([self.files[place].label for place in kept], pa.string()))
            else:
                columns.append(pa.array([printable(str(self.files[place].path)) for place in kept], pa.string()))
        return pa.RecordBatch.from_arrays(columns, schema=requested)


@dataclass
class ArrayReader(ImageReader):
    """Reader of images in an array."""

    arrays: ImageArrays | None = None
    pixels: PixelRange | None = None

    def batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the images in batches."""
        assert self.arrays is not None
        assert self.pixels is not None
        images, labels = self.arrays.images, self.arrays.labels
        for start in range(0, len(images), self.batch_rows):
            part = slice(start, start + self.batch_rows)
            columns: list[pa.Array] = []
            for column in requested:
                if pa.types.is_null(column.type):
                    columns.append(pa.nulls(len(images[part])))
                elif column.name == IMAGE:
                    rows = pixel_rows(np.asarray(images[part]), self.form, self.pixels)
                    columns.append(_pixel_array(rows.reshape(-1), self.form))
                else:
                    assert labels is not None
                    columns.append(array_column(labels[part], LABEL).cast(column.type))
            yield pa.RecordBatch.from_arrays(columns, schema=requested)


@dataclass
class RowsReader(ImageReader):
    """Reader of rows of numbers in an array."""

    table: pa.Table | None = None

    def batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches."""
        yield from self.read(requested).to_batches()

    def read(self, requested: pa.Schema) -> pa.Table:
        """Return all rows."""
        assert self.table is not None
        columns = [
            pa.nulls(self.table.num_rows) if pa.types.is_null(column.type) else self.table.column(column.name)
            for column in requested
        ]
        return pa.Table.from_arrays(columns, schema=requested)


def open_images(source: Any, options: ReadOptions) -> ImageReader | None:
    """Open a source of images.

    Parameters
    ----------
    source : str, os.PathLike or list
        A folder of pictures, picture files, or one file of arrays.
    options : ReadOptions
        Options of reading.

    Returns
    -------
    ImageReader or None
        None for a source of other files.

    Raises
    ------
    TableError
        If files are no pictures, are damaged or too large, or if pictures and other files are mixed.
    """
    paths = named_paths(source)
    _check_labels_option(paths, options)
    if len(paths) == 1 and paths[0].is_dir():
        if not is_picture_folder(paths[0]):
            return None
        folder = find_pictures(paths[0])
        return _open_pictures(SourceFile(paths[0], "pictures"), folder.files, folder, options)
    are_pictures = [is_picture(path) for path in paths]
    if any(are_pictures):
        picture = paths[are_pictures.index(True)]
        if not all(are_pictures):
            raise TableError(
                f"{str(paths[are_pictures.index(False)])!r} is no picture, and {str(picture)!r} is one; files that are "
                "read as one table must "
                "have the same format."
            )
        for path in paths:
            check_exists(path)
        files = [PictureFile(path) for path in paths]
        return _open_pictures(SourceFile(paths[0], "pictures"), files, None, options)
    path, inner = split_inner(paths[0])
    form = array_format(path)
    if form is None:
        return None
    check_exists(path)
    if len(paths) > 1:
        raise TableError(f"{str(path)!r} is a file of arrays, which is read alone; name one file.")
    return _open_array(open_arrays(path, form, inner, options.labels), form, options)


def _check_labels_option(paths: Sequence[Path], options: ReadOptions) -> None:
    """Raise `TableError` for a file of labels beside anything but arrays of images."""
    if options.labels is not None and array_format(split_inner(paths[0])[0]) is None:
        raise TableError(
            f"The labels {options.labels!r} (--labels, or labels= in Python) are those of images in a .npy, .npz or "
            f"IDX file, and {str(paths[0])!r} is none. The class of a picture is the folder that it lies in; the class "
            "of a row of a table is one of its columns."
        )


def _open_pictures(
    source: SourceFile, files: Sequence[PictureFile], folder: PictureFolder | None, options: ReadOptions
) -> PictureReader:
    """Return the reader of picture files, whose headers are read to choose size and colour."""
    require_pillow()
    headers: dict[int, PictureHeader] = {}
    broken: dict[int, str] = {}
    for place, file in enumerate(files):
        try:
            headers[place] = read_header(file.path, options.max_pixels)
        except TableError as error:
            if options.bad_rows != "skip":
                raise
            broken[place] = without_hint(str(error))
    if not headers:
        raise TableError(f"None of the {pluralize(len(files), 'file')} is a picture that can be read: {broken[0]}")
    form, notes = _choose_form(list(headers.values()), options)
    animated = [files[place].path for place, header in headers.items() if header.animated]
    if animated:
        notes.append(
            f"{some_paths(animated)} {'has' if len(animated) == 1 else 'have'} several frames; the first is read."
        )
    if folder is not None and folder.has_classes:
        loose = [file.path for file in files if file.label is None]
        notes += [f"{some_paths(loose)}: no label, as the file lies in no class folder."] * bool(loose)
    if folder is not None and options.bad_rows == "skip":
        notes += [f"The class folder {str(path)!r} has no pictures and is left out." for path in folder.empty]
    labels = [label_field(pa.string())] if folder is not None and folder.has_classes else []
    schema = pa.schema([image_field(form, pa.uint8()), *labels, path_field()])
    source = SourceFile(source.path, source.format, size=len(files) * form.length)
    return PictureReader(source, schema, [], notes, files, broken, folder, options)


def _choose_form(headers: Sequence[PictureHeader], options: ReadOptions) -> tuple[ImageForm, list[str]]:
    """Return the form of all pictures, and notes on a size that was chosen.

    Small pictures have their most common size. One size that is not small is reduced, and several are made square.
    """  # noqa: DOC201
    colour = any(header.colour for header in headers) if options.image_color is None else options.image_color == COLOUR
    sizes = Counter((header.width, header.height) for header in headers)
    if options.image_size is not None:
        form = ImageForm(*options.image_size, colour=colour)
        return form, other_sizes_note(sizes, form) if options.note_other_sizes else []
    size = max(sizes, key=lambda size: (sizes[size], size))
    if len(sizes) > 1 and any(w * h > SMALL for w, h in sizes):
        size = (REDUCED_SIDE, REDUCED_SIDE)
    elif size[0] * size[1] > SMALL:
        scale = REDUCED_SIDE / max(size)
        size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    form = ImageForm(*size, colour=colour)
    if set(sizes) == {size}:
        return form, []
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    least, most = f"{by_area[0][0]} x {by_area[0][1]}", f"{by_area[-1][0]} x {by_area[-1][1]}"
    count = f"{len(sizes):,} sizes, from {least} to {most}" if len(sizes) > 1 else f"the size {most}"
    return form, [
        f"The pictures have {count} pixels, and are read as {form}; --image-size and --image-color (image_size=, "
        "image_color= in Python) choose others."
    ]


def _open_array(arrays: ImageArrays, form: str, options: ReadOptions) -> ImageReader:
    """Return the reader of an array of images, or of rows of numbers."""
    arrays.images = as_images(arrays.path, arrays.images, options.image_size)
    images, labels = arrays.images, arrays.labels
    label_type = None if labels is None else array_column(labels[:1], LABEL).type
    source = SourceFile(arrays.path, form, inner=arrays.inner)
    if images.ndim == 2:
        table = array_table(np.asarray(images))
        if labels is not None:
            column = array_column(labels, LABEL)
            table = table.append_column(label_field(column.type), column)
        return RowsReader(source, table.schema, [], arrays.notes, table)
    image_form = array_form(arrays.path, images, options.image_size, options.image_color)
    if options.note_other_sizes:
        arrays.notes += other_sizes_note({array_size(arrays.path, images): len(images)}, image_form)
    pixels = PixelRange.of(arrays.path, images)
    own = [] if label_type is None else [label_field(label_type)]
    schema = pa.schema([image_field(image_form, pa.from_numpy_dtype(np.dtype(pixels.dtype))), *own])
    size = len(images) * image_form.length * np.dtype(pixels.dtype).itemsize
    source = SourceFile(arrays.path, form, inner=arrays.inner, size=size)
    return ArrayReader(source, schema, [], arrays.notes, arrays, pixels)


def _pixel_array(values: Array, form: ImageForm) -> pa.Array:
    """Return pixels as lists of a fixed size, without a copy."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values)), form.length)
