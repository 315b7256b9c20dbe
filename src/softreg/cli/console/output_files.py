"""Checks of the files that a command writes, before it starts to work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from softreg.cli.console.command_errors import CommandError

MODEL_ENDINGS = (".softreg", ".safetensors")
REPORT_ENDINGS = (".html", ".htm")


def check_writable(path: Path | None, endings: tuple[str, ...], option: str) -> None:
    """Raise `CommandError` if a result cannot be written to `path`.

    Parameters
    ----------
    path : Path or None
        The file; None is accepted.
    endings : tuple of str
        Endings of the name that are allowed.
    option : str
        The option that names the file, for the message.

    Raises
    ------
    CommandError
        If the ending is another, or the folder does not exist or is not writable.
    """
    if path is None:
        return
    folder, named = path.parent, f"{option} {str(path)!r}"
    if path.suffix.lower() not in endings:
        raise CommandError(f"{named} should end in {' or '.join(endings)}, which determines the format.")
    if not folder.exists():
        raise CommandError(f"{named}: the folder {str(folder)!r} does not exist; create it first.")
    if path.is_dir():
        raise CommandError(f"{named} is a folder; name a file in it.")
    if not folder.is_dir():
        raise CommandError(f"{named}: {str(folder)!r} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"{named}: the folder {str(folder)!r} is not writable.")


def refuse_inputs(path: Path | None, option: str, inputs: Iterable[Path]) -> None:
    """Raise `CommandError` if the file to be written is one of the inputs.

    Parameters
    ----------
    path : Path or None
        The file; None is accepted.
    option : str
        The option that names the file, for the message.
    inputs : iterable of Path
        Files that the command reads.

    Raises
    ------
    CommandError
        If `path` is one of them.
    """
    if path is None or not path.exists():
        return
    if any(other.exists() and path.samefile(other) for other in inputs):
        raise CommandError(
            f"{option} {str(path)!r} is an input file of the command and would be overwritten; name another file."
        )
