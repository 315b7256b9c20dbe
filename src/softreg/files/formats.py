"""Format of a file from its first bytes, and from the ending of its name."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
ARROW_ENDINGS = (".arrow", ".feather", ".ipc", ".arrows")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json", ".geojson")
TAB_ENDINGS = (".tsv", ".tab")
"""Text endings whose fields are separated by tabs."""
TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".tab", ".dat", ".data", ".psv")
PICTURE_ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
    ".pnm",
)  # fmt: skip
"""Endings of picture files that hold pixels."""
COMPRESSION_ENDINGS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}
"""Compressions that are decoded while a file is read, by ending."""
ENDINGS = frozenset(
    (*PARQUET_ENDINGS, *ARROW_ENDINGS, *JSON_ENDINGS, *TEXT_ENDINGS, *COMPRESSION_ENDINGS, ".zip", ".xz")
)
PARQUET_MAGIC, ARROW_MAGIC = b"PAR1", b"ARROW1"
"""First bytes of Parquet and Arrow files; an Arrow stream has none."""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_FORMS = {
    PARQUET_MAGIC: "parquet",
    ARROW_MAGIC: "arrow",
    b"FEA1": "feather",  # version 1, which is not an Arrow format
    b"SQLite format 3\x00": "sqlite",
    b"\xfd7zXZ\x00": "xz",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "excel",  # compound documents (.xls)
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
"""First bytes of PNG, JPEG, GIF and TIFF files."""
_NPY_MAGIC = b"\x93NUMPY"
_IDX_TYPES = b"\x08\x09\x0b\x0c\x0d\x0e"
_MAX_IDX_DIMENSIONS = 4
_ARRAY_NAME = re.compile(r"idx\d-u?byte|\.idx\d?$", re.IGNORECASE)
"""Names of IDX files, such as train-images-idx3-ubyte and t10k-labels.idx1-ubyte."""
SIGNATURE_BYTES = 64
"""Bytes read to find the format of a file."""
FORMAT_NAMES = {
    "arrow": "Arrow file",
    "csv": "text file",
    "excel": "spreadsheet",
    "feather": "Feather file of version 1",
    "json": "JSON file",
    "parquet": "Parquet file",
    "sqlite": "SQLite database",
    "tsv": "text file",
    "xz": "xz file",
    "zip": "zip archive",
}
"""What messages call a file of each format."""


@dataclass(frozen=True)
class DataFile:
    """A file with its format.

    Attributes
    ----------
    path : Path
        File that is read.
    format : str
        "csv", "tsv", "parquet", "arrow", "json", or a container: "excel", "sqlite", "feather", "zip" or "xz".
    compression : str or None
        "gzip", "zstd", "bz2" or None.
    """

    path: Path
    format: str
    compression: str | None = None


def detect_file(path: Path) -> DataFile:
    """Return a file with the format and compression that its first bytes or its ending name.

    Parameters
    ----------
    path : Path
        The file. One that cannot be read counts as empty, so that its ending decides.

    Returns
    -------
    DataFile

    Examples
    --------
    >>> file = detect_file(Path("missing.csv.gz"))
    >>> file.format, file.compression
    ('csv', 'gzip')
    """
    try:
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
    except OSError:
        head = b""
    compression = detect_compression(path, head)
    return DataFile(path, file_format(path, head, compression), compression)


def detect_compression(path: Path, head: bytes) -> str | None:
    r"""Return the compression of a file that begins with `head`.

    Returns
    -------
    str or None
        "gzip", "zstd", "bz2" or None.

    Examples
    --------
    >>> detect_compression(Path("a.csv"), b"\x1f\x8b\x08"), detect_compression(Path("a.csv.gz"), b"a,b")
    ('gzip', 'gzip')
    """
    compression = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)
    return compression or COMPRESSION_ENDINGS.get(path.suffix.lower())


def file_format(path: Path, head: bytes, compression: str | None = None) -> str:
    """Return the format of a file.

    The first bytes decide if they are those of a binary format. Otherwise the ending does, without the ending of the
    compression. A file with another ending that begins like a JSON object or an array of objects is JSON, and any
    other is CSV.

    Parameters
    ----------
    path : Path
        File.
    head : bytes
        First bytes, as stored.
    compression : str, optional
        Compression of the file.

    Returns
    -------
    str
        "parquet", "arrow", "json", "tsv", "csv", "excel", "sqlite", "feather", "zip" or "xz".

    Examples
    --------
    >>> file_format(Path("a.csv"), b"PAR1"), file_format(Path("a.data"), b"1,2")
    ('parquet', 'csv')
    """
    if not compression:
        binary_format = next((form for magic, form in _FORMS.items() if head.startswith(magic)), None)
        if binary_format or head.startswith(_ZIP):
            return binary_format or ("excel" if _is_spreadsheet(path) else "zip")
    ending = format_ending(path, compression)
    if ending in PARQUET_ENDINGS:
        return "parquet"
    if ending in ARROW_ENDINGS:
        return "arrow"
    if ending in JSON_ENDINGS:
        return "json"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    after = start[1:].lstrip()
    is_json = start[:1] in (b"{", b"[") and after[:1] == (b'"' if start[:1] == b"{" else b"{")
    if is_json and not compression:
        return "json"
    return "tsv" if ending in TAB_ENDINGS else "csv"


def is_picture(path: Path) -> bool:
    """Return True if a file holds a picture: by its ending, or by its first bytes if it has no ending of a data file.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_picture(Path("cat.JPG")), is_picture(Path("cats.csv"))
    (True, False)
    """
    ending = path.suffix.lower()
    if ending in PICTURE_ENDINGS or ending in ENDINGS:
        return ending in PICTURE_ENDINGS
    head = _first_bytes(path)
    return head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def array_format(path: Path) -> str | None:
    """Return the format of a file of arrays: "npy", "npz" or "idx" by its first bytes or its name; None for others.

    Returns
    -------
    str or None

    Examples
    --------
    >>> array_format(Path("train-images-idx3-ubyte.gz")), array_format(Path("a.csv"))
    ('idx', None)
    """
    head = _first_bytes(path)
    if head.startswith(_NPY_MAGIC) or path.suffix.lower() == ".npy":
        return "npy"
    if path.suffix.lower() == ".npz":
        return "npz"
    if path.suffix.lower() in ENDINGS - {".gz"}:
        return None
    if head.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(path) as file:
                head = file.read(4)
        except (OSError, EOFError, zlib.error):
            head = b""
    is_idx = len(head) >= 4 and head[:2] == b"\x00\x00" and head[2] in _IDX_TYPES
    named = _ARRAY_NAME.search(path.name.removesuffix(".gz"))
    return "idx" if named or (is_idx and 0 < head[3] <= _MAX_IDX_DIMENSIONS) else None


def _first_bytes(path: Path) -> bytes:
    """Return the first bytes of a regular file; none if it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(SIGNATURE_BYTES)
    except OSError:
        return b""


def format_ending(path: Path, compression: str | None = None) -> str:
    """Return the ending of a name in lower case, without that of the compression; empty if there is none.

    Returns
    -------
    str

    Examples
    --------
    >>> format_ending(Path("a.CSV.gz"), "gzip"), format_ending(Path("a.csv"))
    ('.csv', '.csv')
    """
    endings = [ending.lower() for ending in path.suffixes]
    if compression and endings and endings[-1] in COMPRESSION_ENDINGS:
        endings.pop()
    return endings[-1] if endings else ""


def _is_spreadsheet(path: Path) -> bool:
    """Return True if a zip archive is an Excel workbook or an OpenDocument spreadsheet."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:
                return b"opendocument.spreadsheet" in archive.read("mimetype")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError):
        return False
    return "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names)
