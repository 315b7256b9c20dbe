"""Provenance of a report: version, date, command, seed and hashes of the data."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from pathlib import Path

import click

from softreg.cli.console.command_errors import ARGUMENTS
from softreg.report.page.evaluation_record import current_date
from softreg.version import __version__

MAX_FILES = 8
"""Files whose hash is given."""
CHUNK = 1 << 20
"""Bytes of a read."""


def provenance(paths: Iterable[str | Path], seed: int | None = None) -> list[tuple[str, str]]:
    """Return name and value of the lines of the footer; SOURCE_DATE_EPOCH sets the date."""
    lines = [("Version", f"softreg {__version__}"), ("Date", current_date())]
    context = click.get_current_context(silent=True)
    arguments = None if context is None else context.meta.get(ARGUMENTS)
    if arguments is not None:
        lines.append(("Command", shlex.join(["softreg", *arguments])))
    if seed is not None:
        lines.append(("Seed", str(seed)))
    files = [Path(path) for path in paths if Path(path).is_file()]
    lines += [("SHA-256", f"{sha256(path)} {path.name}") for path in files[:MAX_FILES]]
    if len(files) > MAX_FILES:
        lines.append(("", f"and {len(files) - MAX_FILES:,} more files"))
    return lines


def sha256(path: Path) -> str:
    """Return the SHA-256 hash of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
