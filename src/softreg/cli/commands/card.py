"""`softreg card`: the model card of a model file."""

from __future__ import annotations

from pathlib import Path

import click

from softreg.atomic_files import atomic_path
from softreg.cards import model_card
from softreg.cli.console.messages import print_message
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.data.load_model import load_model
from softreg.models import read_model

CARD_ENDINGS = (".md", ".markdown")
"""Endings of the file of a card."""


def write_card(path: Path, output: Path | None) -> None:
    """Write the card of a model file to a file, or to stdout without one.

    Parameters
    ----------
    path : Path
        The model file.
    output : Path or None
        The card; None and "-" stand for stdout.
    """
    to_file = None if output is None or str(output) == "-" else output
    check_writable(to_file, CARD_ENDINGS, "--output")
    refuse_inputs(to_file, "--output", [path])
    loaded = load_model(path)
    card = model_card(loaded.model, file=path.name, version=read_model(path).version)
    if to_file is None:
        click.echo(card, nl=False)
        return
    with atomic_path(to_file) as draft:
        draft.write_text(card, "utf-8", newline="\n")
    print_message(f"Model card: {to_file}")
