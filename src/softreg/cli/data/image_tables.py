"""Tables of images: the column of labels, and the options of reading that new images need."""

from __future__ import annotations

from dataclasses import replace

import click

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_note
from softreg.cli.options.train_request import TrainRequest
from softreg.tables import OpenTable
from softreg.tables.fit.training_table import NO_IMAGE_LABELS
from softreg.tables.images.image_form import default_target, image_column, with_form


def with_image_defaults(request: TrainRequest, source: OpenTable) -> TrainRequest:
    """Return the request with the target of a table of images, and with the reading of a file of --test.

    It is read in the form of the images. The file of --labels holds the labels of DATA, and not those of --test.

    Parameters
    ----------
    request : TrainRequest
        Options of `softreg train`.
    source : OpenTable
        Its table.

    Returns
    -------
    TrainRequest
        The request.

    Raises
    ------
    CommandError
        If images have no labels.
    MissingParameter
        If the command names no target, and the table was not read with labels of images or arrays.
    """
    column = image_column(source.schema)
    target = request.target or default_target(source.schema)
    if not target and column is None:
        raise click.MissingParameter(param_hint="'--target'", param_type="option")
    if not target:
        raise CommandError(f"{source.readers[0].source.display_name!r}: {NO_IMAGE_LABELS}")
    if not request.target:
        print_note(f"The target is {target!r}, the class of each {'row' if column is None else 'image'}.")
    reading = request.reading if column is None else with_form(request.reading, column[1])
    return replace(request, target=target, reading=replace(reading, labels=None))
