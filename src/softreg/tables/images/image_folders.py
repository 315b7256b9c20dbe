"""The pictures of a folder: which files are read, and the class of each from the folder that holds it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from softreg.files.formats import ENDINGS, PICTURE_ENDINGS, is_picture
from softreg.tables.columns.table_errors import TableError, pluralize, quote_list

_NOT_SHOWN = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""Files and folders of operating systems, in lower case."""
_PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Names of folders that are parts of a data set, not classes."""
MAX_NAMED = 3
"""Files that a message names."""
_UNNAMED_CHECKED = 20
"""Files without a known ending whose first bytes are read to find out whether a folder holds pictures."""


@dataclass(frozen=True)
class PictureFile:
    """A picture file and its class, the name of a folder; None for a picture that lies in no class folder."""

    path: Path
    label: str | None = None


@dataclass
class PictureFolder:
    """The pictures of a folder.

    Attributes
    ----------
    path : Path
        The folder.
    files : list of PictureFile
        Its files, sorted by path.
    empty : list of Path
        Class folders without a file.
    """

    path: Path
    files: list[PictureFile] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)

    @property
    def has_classes(self) -> bool:
        """Whether any picture lies in a class folder."""
        return any(file.label is not None for file in self.files)

    def check_classes(self) -> None:
        """Raise `TableError` for class folders without a picture, and for folders that are parts of a data set."""
        if self.empty:
            which = "The class folder" if len(self.empty) == 1 else f"{len(self.empty)} class folders"
            have = "has no picture" if len(self.empty) == 1 else "have no pictures"
            raise TableError(
                f"{which} {some_paths(self.empty)} {have} in it. Add pictures, remove the "
                "folder, or leave it out: --bad-rows skip (bad_rows='skip' in Python)."
            )
        labels = {file.label for file in self.files if file.label is not None}
        if labels and {label.casefold() for label in labels} <= _PARTS:
            first = sorted(labels, key=lambda label: not label.casefold().startswith("train"))[0]
            raise TableError(
                f"The folders of {str(self.path)!r} are parts of a data set ({quote_list(sorted(labels))}), not "
                f"classes. Name one of them, such as {str(self.path / first)!r}, and another one with --test."
            )


def some_paths(paths: Sequence[Path]) -> str:
    """Return the first `MAX_NAMED` paths in words, in full.

    Returns
    -------
    str

    Examples
    --------
    >>> some_paths([Path("a.png"), Path("b.png"), Path("c.png"), Path("d.png")])
    "'a.png', 'b.png', 'c.png' and 1 more"
    """
    more = f" and {len(paths) - MAX_NAMED:,} more" if len(paths) > MAX_NAMED else ""
    return ", ".join(repr(printable(str(path))) for path in paths[:MAX_NAMED]) + more


def is_picture_folder(folder: Path) -> bool:
    """Return True if a folder holds more pictures than data files, by the endings of their names.

    Files without a known ending count as pictures by their first bytes.

    Parameters
    ----------
    folder : Path
        A folder.

    Returns
    -------
    bool
    """
    pictures = tables = checked = 0
    for path, _ in _walk(folder):
        ending = path.suffix.lower()
        if ending in PICTURE_ENDINGS:
            pictures += 1
        elif ending in ENDINGS:
            tables += 1
        elif checked < _UNNAMED_CHECKED:
            checked += 1
            pictures += is_picture(path)
    return pictures > tables


def find_pictures(folder: Path) -> PictureFolder:
    """Return the files of a folder, with the names of the folders in it as classes.

    The class of a file is the first folder of its path, in the normal form NFC, so that names written on different
    systems are equal. Hidden files, and those that systems leave, are not counted. Links to folders are followed, but
    not into a folder that contains the link.

    Parameters
    ----------
    folder : Path
        A folder.

    Returns
    -------
    PictureFolder
        Its files.

    Raises
    ------
    TableError
        If a folder cannot be read, or there is no file.
    """
    found = PictureFolder(folder)
    for path, parts in _walk(folder):
        found.files.append(PictureFile(path, unicodedata.normalize("NFC", printable(parts[0])) if parts else None))
    found.files.sort(key=lambda file: os.fsencode(file.path))
    filled = {file.path.relative_to(folder).parts[0] for file in found.files if file.label is not None}
    folders = [entry for entry in _entries(folder) if _is_folder(entry)]
    found.empty = sorted(Path(entry.path) for entry in folders if entry.name not in filled)
    if not found.files:
        raise TableError(
            f"{str(folder)!r} is a folder without pictures ({pluralize(len(folders), 'folder')} in it). Put the "
            "pictures of each class into a folder with its name."
        )
    return found


def printable(name: str) -> str:
    r"""Return a name of a file as text that can be encoded; bytes that are not UTF-8 become escapes.

    Returns
    -------
    str

    Examples
    --------
    >>> printable("caf\udce9.png")
    'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _walk(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each file below a folder with the names of the folders between them."""
    waiting: list[tuple[Path, tuple[str, ...], frozenset[tuple[int, int]]]] = [(folder, (), frozenset())]
    while waiting:
        here, parts, above = waiting.pop()
        try:
            status = here.stat()
        except OSError as error:
            raise _unreadable(here, error) from None
        identity = (status.st_dev, status.st_ino)
        if identity in above:  # a link to a folder that contains it
            continue
        for entry in _entries(here):
            if _is_folder(entry):
                waiting.append((here / entry.name, (*parts, entry.name), above | {identity}))
            else:
                yield here / entry.name, parts


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; a link that leads nowhere or to itself is a file."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _unreadable(folder: Path, error: OSError) -> TableError:
    return TableError(f"The folder {str(folder)!r} cannot be read: {error.strerror}.")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder shows, sorted by name; raise `TableError` if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            shown = [e for e in entries if not e.name.startswith(".") and e.name.casefold() not in _NOT_SHOWN]
    except OSError as error:
        raise _unreadable(folder, error) from None
    return sorted(shown, key=lambda entry: os.fsencode(entry.name))
