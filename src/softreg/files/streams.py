"""Bytes of data files, decompressed while they are read."""

from __future__ import annotations

import pyarrow as pa

from softreg.files.formats import DataFile


def open_bytes(file: DataFile) -> pa.NativeFile:
    r"""Return the bytes of a file, decompressed.

    Parameters
    ----------
    file : DataFile
        The file; its compression is "gzip", "zstd", "bz2" or None.

    Returns
    -------
    pyarrow.NativeFile
        A binary stream.

    Raises
    ------
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import gzip
    >>> from pathlib import Path
    >>> _ = Path("small.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    >>> open_bytes(DataFile(Path("small.csv.gz"), "csv", "gzip")).read()
    b'a,b\n'
    """
    if file.compression:
        return pa.input_stream(str(file.path), compression=file.compression)
    return pa.OSFile(str(file.path))
