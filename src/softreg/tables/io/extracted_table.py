"""A table that was copied out of a container, the CSV text of such copies, and the messages of containers."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from softreg.files.temporary_copies import TemporaryCopy
from softreg.tables.columns.table_errors import TableError, quote_list


@dataclass(frozen=True)
class ExtractedTable:
    """Temporary copy of a table in a container.

    Attributes
    ----------
    copy : TemporaryCopy
        The copy, which is deleted with this record.
    name : str
        Name of the member, sheet or table; "" if the container holds one file.
    notes : list of str
        Choices made.
    """

    copy: TemporaryCopy
    name: str = ""
    notes: list[str] = field(default_factory=list)


def write_csv(file: IO[bytes], rows: Iterable[Sequence[object]]) -> None:
    """Write rows of values as CSV in UTF-8: empty for None, and every number so that it is read back exactly."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        values = [_plain(value) for value in row]
        if len(values) == 1 and not values[0]:
            text.write('""\n')  # not a blank line
        else:
            writer.writerow(values)
    text.detach()


def _plain(value: object) -> str:
    """Return a cell as text."""
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).replace("\x00", "")


def match_name(path: Path, names: Sequence[str], inner: str, what: str) -> str:
    """Return the requested name, exact or in another case; raise `TableError` if there is none."""
    matches = [name for name in names if name == inner] or [name for name in names if name.lower() == inner.lower()]
    if len(matches) == 1:
        return matches[0]
    raise TableError(f"{str(path)!r} has no {what} {inner!r}; it has {quote_list(names, 12)}.")


def several_message(path: Path, names: Sequence[str], what: str) -> str:
    """Return the message for a container of several tables."""
    return (
        f"{str(path)!r} holds several {what}: {quote_list(names, 12)}. Name one of them as {f'{path}::{names[0]}'!r}."
    )


def damaged_message(path: Path, what: str, error: Exception) -> str:
    """Return the message for a damaged container."""
    return f"{str(path)!r} is a damaged or truncated {what} ({error_reason(error)}); copy or write it again."


def error_reason(error: Exception) -> str:
    """Return the text of an error in one line."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__
